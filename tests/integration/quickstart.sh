#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The quickstart, shortened, two at a time and from another folder. It fails by
# itself if a single octet is not where it should be.
. "${SRC:-.}/tests/integration/lib.sh"

cd / || exit 1
export SECONDS_OF_TRAFFIC=4
start first sh "$SRC/examples/quickstart.sh"
first=$PID
start second sh "$SRC/examples/quickstart.sh"
second=$PID
for p in $first $second; do
	wait_exit "$p" 60
	equal "status" 0 "$STATUS"
done
for name in first second; do
	matches "$name" '^Every octet and packet that went in' "$T/$name.out"
	matches "a merged flow" '^  10\.0\.0\.[0-9]+/29 +198\.51\.100\.0/24 ' \
		"$T/$name.out"
	matches "the ledger" '^ledger: all: in [0-9]+, ' "$T/$name.out"
done

step "interrupted at the terminal, it leaves no process behind"
need python3
python3 - "$SRC/examples/quickstart.sh" <<'PYTHON' || fail "interrupt"
import os, pty, signal, subprocess, sys, time
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp('sh', ['sh', sys.argv[1]])
seen = b''
while b'Merged flows' not in seen:
    seen += os.read(terminal, 4096)
time.sleep(2)
os.write(terminal, b'\x03')
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 130, status
time.sleep(0.5)
lines = subprocess.run(['ps', '-e', '-o', 'sid=,stat=,args='],
                       capture_output=True, text=True).stdout.splitlines()
left = [line for line in lines if line.split()[0] == str(pid)
        and not line.split()[1].startswith('Z')]
assert not left, left
PYTHON

step "packages that are missing are named; without the right to install, how"
mkdir "$T/bin"
cat >"$T/bin/dpkg-query" <<'END'
#!/bin/sh
case "$*" in
*libevent-dev*) exit 1 ;;
esac
echo "install ok installed"
END
printf '#!/bin/sh\nexit 1\n' >"$T/bin/apt-get"
cp "$T/bin/apt-get" "$T/bin/sudo"
chmod 755 "$T/bin"/*
(
	unset BUILD
	PATH=$T/bin:$PATH sh "$SRC/examples/quickstart.sh"
) >"$T/missing.out" 2>&1
equal "status without packages" 1 $?
matches "what to do" '^ +apt-get install libevent-dev *$' "$T/missing.out"
exit 0
