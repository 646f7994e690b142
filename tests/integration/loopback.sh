#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# confluxd without a configuration: IPFIX on the loopback interface, over UDP
# and TCP, IPv4 and IPv6, becomes JSON lines. The port is the registered one and
# can't be another, so in a network namespace of its own if that can be had; if
# not, and if the port is in use, there is nothing to test.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

if [ "${LOOPBACK_OWN:-}" != yes ]; then
	if command -v unshare >/dev/null && command -v ip >/dev/null &&
		unshare -n true 2>/dev/null; then
		rm -rf "$T"
		LOOPBACK_OWN=yes exec unshare -n sh "$0"
	fi
	port_in_use any 4739 && skip "port 4739 is in use"
else
	ip link set lo up || skip "no loopback interface"
fi

"$MKIPFIX" -n 100 "$T/in.ipfix" >/dev/null || fail mkipfix
start first "$CONFLUXD"
first=$PID
wait_port tcp 4739

step "a second one is told that the port is taken"
start second "$CONFLUXD"
wait_exit "$PID" 10
equal status 1 "$STATUS"
matches "which port" '127\.0\.0\.1:4739: Address already in use' \
	"$T/second.err"

# Whoever may not have the usual socket is told why there is no status.
grep -q "conflux status can't ask this daemon" "$T/first.err" ||
	"$CONFLUX" status >"$T/status" || fail "no status, and not a word why"

step "UDP and TCP, IPv4 and IPv6"
python3 - "$T/in.ipfix" >"$T/sent" <<'PYTHON' || fail "sending"
import os, socket, struct, sys, time
data = open(sys.argv[1], 'rb').read()
messages, at = [], 0
while at < len(data):
    length = struct.unpack('>H', data[at + 2:at + 4])[0]
    messages.append(data[at:at + length])
    at += length
ends = [(socket.AF_INET, '127.0.0.1')]
if os.path.exists('/proc/net/if_inet6'):
    ends.append((socket.AF_INET6, '::1'))
for family, address in ends:
    for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
        with socket.socket(family, kind) as s:
            s.connect((address, 4739))
            for message in messages:
                s.send(message)
                time.sleep(0.01)
print(2 * len(ends) * 100)
PYTHON
all_there()
{
	[ "$(lines "$T/first.out")" -eq "$(cat "$T/sent")" ]
}
wait_for 10 all_there
python3 -c 'import json, sys
for line in open(sys.argv[1]):
	json.loads(line)["octetDeltaCount"]' "$T/first.out" || fail "JSON"
grep -q "is exported as" "$T/first.err" &&
	fail "numbers of domains are told that nobody sees"
stop "$first" INT
equal status 0 "$STATUS"
exit 0
