export FIRST=yes
