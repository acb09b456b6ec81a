# Writes down all that a process can see of where and when it runs, as far as that is promised.
set -eu
mkdir -p /log
exec > "/log/$1"

echo "== clock"
date
date -u +%s.%N
awk 'BEGIN { srand(); print srand() }'
python3 -c 'import time; print(time.time(), time.time_ns(), time.localtime(), time.tzname)'
perl -e 'print time, " ", scalar localtime, "\n"'

echo "== processors"
nproc
nproc --all
getconf _NPROCESSORS_CONF
python3 -c 'import os; print(os.cpu_count(), os.sched_getaffinity(0))'
cat /proc/cpuinfo /proc/stat /sys/devices/system/cpu/online /sys/devices/system/cpu/possible

echo "== names"
hostname
uname -n
cat /proc/sys/kernel/hostname /etc/hosts /etc/resolv.conf

echo "== process"
echo "pid $$ parent $PPID"
umask
id
pwd
grep -E '^(Umask|Uid|Gid|Groups|Cap.*|NoNewPrivs|Seccomp|SigBlk|SigIgn):' /proc/self/status
cat /proc/self/personality
ls /proc/self/fd
ulimit -Sn
ulimit -Ss
ulimit -Sc
tty || true

echo "== environment"
env
locale

echo "== addresses and hashes"
python3 -c 'print(id(object()), hash("text"), {"c", "a", "b"}, [id(type(str(n), (), {})) for n in range(3)])'
perl -e 'my %h = map { $_ => 1 } "a" .. "p"; print join(" ", keys %h), "\n"'
grep -E 'stack|heap' /proc/self/maps

echo "== folders as they are listed"
for folder in / /etc /usr /usr/bin /usr/share/doc /odd /odd/many /made /steps; do
    echo "-- $folder"
    if [ -d "$folder" ]; then ls -f "$folder"; fi
done
python3 -c 'import os; print(os.listdir("/etc"), [e.name for e in os.scandir("/usr/lib/python3.11")])'
find /etc /var/lib /opt -xdev -printf '%p %y %m %U %G %l\n'
