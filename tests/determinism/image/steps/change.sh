# Takes, replaces and changes files of the base and of an earlier layer.
set -eu
rm /etc/issue.net
rm -r /usr/share/doc/bash
rm /etc/issue
mkdir /etc/issue
rm -r /usr/share/doc/dash
echo "a file now" > /usr/share/doc/dash
rm -r /usr/share/doc/grep
mkdir /usr/share/doc/grep
echo "behind an opaque folder" > /usr/share/doc/grep/new
rm /etc/host.conf
ln -s /dev/null /etc/host.conf
cp -p /etc/debian_version /etc/same
mv /etc/same /etc/debian_version
echo more >> /etc/shells
chmod 0700 /etc/skel
chmod u+s /usr/bin/yes
chown 7:8 /usr/bin/tac
mv /usr/share/doc/sed /usr/share/doc/moved
mv /usr/bin/rev /usr/bin/ver
ln /usr/bin/tee /usr/local/bin/eet
ln /etc/passwd /etc/passwd.linked
touch /usr/bin/true
touch -d '2000-01-01 00:00:00.5' /usr/bin/false
touch /temporary
rm /temporary

rm -r /odd/many
mkdir /odd/many
echo only > /odd/many/only
mv /odd/tree /odd/moved
rm /odd/linked/a-second
chmod 0600 /odd/plain
echo changed > /odd/noise

echo "$(date '+%Y-%m-%d %H:%M:%S.%N') $(hostname) sh[$$]: changed" > /var/log/build.log
