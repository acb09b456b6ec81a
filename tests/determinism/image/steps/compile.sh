# Compiles Python in the ways that packages and people do.
set -eu
cd /opt/package
python3 -m compileall -q .
python3 -m py_compile again.py
python3 -O -m py_compile again.py
python3 -c 'import again, inner.module; print(again.VALUE, inner.module.NAMES)' > printed
cp -r /usr/lib/python3.11/email /opt/email
rm -rf /opt/email/__pycache__
python3 -m compileall -q /opt/email
python3 -m compileall -q --invalidation-mode unchecked-hash -d /elsewhere -b /opt/package/inner
