# Installs the packages below /.debs into this root, where the essential ones are unpacked already.
# dpkg is there, but knows of no package: its database begins empty.
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C TERM=dumb

mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates
touch /var/lib/dpkg/status /var/lib/dpkg/available
# Maintainer scripts of the core call awk before mawk's alternative exists.
made_awk=
if [ ! -e /usr/bin/awk ] && [ -e /usr/bin/mawk ]; then
    ln -s mawk /usr/bin/awk
    made_awk=yes
fi
ldconfig

# base-passwd makes the users whose names the files of other packages are owned by.
# Dependencies are forced because those of the core are circular, and are all unpacked.
for package in base-passwd base-files dpkg; do
    for deb in /.debs/first/*_"$package"_*.deb; do
        if [ -e "$deb" ]; then
            dpkg --force-depends --force-confold --install "$deb"
        fi
    done
done
if [ -n "$made_awk" ]; then
    rm -f /usr/bin/awk
fi
dpkg --force-depends --force-confold --unpack /.debs/first/*.deb
dpkg --force-depends --force-confold --configure --pending

set -- /.debs/rest/*.deb
if [ -e "$1" ]; then
    dpkg --force-depends --force-confold --unpack "$@"
    dpkg --force-confold --configure -a
fi
problems=$(dpkg --audit)
if [ -n "$problems" ]; then
    echo "$problems" >&2
    exit 1
fi

# What tells of the installation and not of the installed.
rm -f /var/log/alternatives.log /var/log/dpkg.log /var/log/apt/*.log
rm -f /var/lib/dpkg/*-old /var/cache/debconf/*-old
rm -f /var/cache/ldconfig/aux-cache
