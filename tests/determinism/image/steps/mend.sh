# Leaves what the finishers mend, and what programs of Debian write with the time in it.
set -eu
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
mkdir -p /var/lib/dbus /var/cache/apt /var/cache/ldconfig
date +%N > /var/cache/apt/pkgcache.bin
date +%N > /var/cache/apt/srcpkgcache.bin
ldconfig
update-alternatives --quiet --install /usr/local/bin/shout shout /usr/bin/yes 10
update-alternatives --quiet --install /usr/local/bin/shout shout /usr/bin/tac 20
dpkg-divert --quiet --local --rename --divert /usr/bin/tsort.real --add /usr/bin/tsort
dpkg-statoverride --quiet --update --add root root 0710 /usr/bin/shuf
echo "x:x:1234:5678::/home/worker:/bin/sh" >> /etc/passwd
install -d -o 1234 -g 5678 /home/worker
