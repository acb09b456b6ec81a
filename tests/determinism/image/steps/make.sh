# Makes every kind of file that a process may leave in a layer.
set -eu
mkdir -p /made/empty/inner /made/sticky /made/setgid /made/unsorted
cd /made
chmod 1777 sticky
chmod 2775 setgid
for name in zebra Apple _x apple .hidden 10 9 "a b" é; do echo "$name" > "unsorted/$name"; done

echo one > linked-b
ln linked-b linked-a
mkdir -p far/away
ln linked-b far/away/linked-c
ln -s linked-b soft
ln -s /nowhere dangling
ln -s "$(printf 'bytes-\377')" to-bytes
mkfifo -m 0620 pipe
truncate -s 3M sparse
printf x | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
echo bytes > "$(printf 'bytes-\377\376')"
long=$(printf '%0255d' 0)
echo long > "$long"
deep=$(printf '%0100d/' 1 2 3 4)
mkdir -p "$deep"
echo deep > "$deep$long"

echo setuid > setuid
chmod 4711 setuid
echo shut > shut
chmod 0 shut
chown 123:456 shut
touch -d '2001-02-03 04:05:06.789' past
touch -d '1970-01-01 00:00:00' zero
touch -d '1960-01-01' before
touch -d '2100-01-01' future
touch -h -d '2002-01-01' soft
python3 - <<'END'
import os, socket

with open("capable", "w") as f:
    f.write("may bind low ports\n")
# cap_net_bind_service=ep, as setcap writes it
os.setxattr("capable", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
try:
    os.setxattr("capable", "user.note", b"of no image")
except OSError:
    pass
socket.socket(socket.AF_UNIX).bind("socket")
os.mkdir("emptied")
for name in sorted({"one", "two", "three"}):
    open(f"emptied/{name}", "w").close()
    os.unlink(f"emptied/{name}")
END
echo "$(date -Is) made" > log
