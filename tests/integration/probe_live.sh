#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Live capture: two hosts in network namespaces of their own, joined by a pair
# of veth. What one sends is known; the probe on the other's interface meters
# it, with one worker and with two, ingress alone, through a filter, and while
# the interface goes away and comes back.
. "${SRC:-.}/tests/integration/lib.sh"
need ip python3
[ "$(id -u)" -eq 0 ] || skip "not root"
probe="python3 $SRC/tests/integration/probe.py"
ns=cxprobe$$
ip netns add "$ns.a" 2>/dev/null || skip "no network namespaces here"

# shellcheck disable=SC2317 # by the trap
remove()
{
	ip netns del "$ns.a" 2>/dev/null
	ip netns del "$ns.b" 2>/dev/null
	cleanup
}
trap remove EXIT

# Both ends by name; no host on the way answers or asks by itself.
setup()
{
	ip netns add "$ns.b" &&
	ip link add cxa netns "$ns.a" type veth peer name cxb netns "$ns.b" &&
	for end in a b; do
		ip netns exec "$ns.$end" sh -c "
			sysctl -qw net.ipv6.conf.all.disable_ipv6=1
			ip link set lo up; ip link set cx$end up"
	done &&
	ip -n "$ns.a" addr add 192.0.2.1/24 dev cxa &&
	ip -n "$ns.b" addr add 192.0.2.2/24 dev cxb
}
setup || skip "no veth here"

gone()
{
	! ip -n "$ns.a" link show cxa >/dev/null 2>&1
}

# traffic COUNT FLOWS: UDP packets of 100 octets of payload, each answered by
# nobody; ports tell the flows
traffic()
{
	ip netns exec "$ns.b" ip neigh replace 192.0.2.1 lladdr \
		"$(ip netns exec "$ns.a" cat /sys/class/net/cxa/address)" \
		dev cxb
	ip netns exec "$ns.b" python3 - "$1" "$2" <<'PY'
import socket, sys, time
count, flows = int(sys.argv[1]), int(sys.argv[2])
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
for i, one in enumerate(s):
    one.bind(("192.0.2.2", 20000 + i))
for i in range(count):
    s[i % flows].sendto(b"x" * 100, ("192.0.2.1", 9))
    if i % 50 == 49:
        time.sleep(0.002)
PY
}

# observe NAME ARGUMENTS...: starts a probe in a's namespace
observe()
{
	name=$1
	shift
	# shellcheck disable=SC2086 # a command
	$probe conf "$T/$name.xml" "$T/$name.ipfix" "$@" || fail "conf"
	start "$name" ip netns exec "$ns.a" "$CONFLUXD" -c "$T/$name.xml"
	observer=$PID
	wait_for 5 grep -q 'observing: point' "$T/$name.err"
	sleep 0.5
}

finish()
{
	sleep 1
	stop "$observer"
	[ "$STATUS" -eq 0 ] || fail "$1: status $STATUS"
	"$CONFLUX" read -f json "$T/$1.ipfix" >"$T/$1.json"
}

only="<cx:filter>udp dst port 9</cx:filter>"
step "one worker"
observe one "capture=<ifName>cxa</ifName>$only"
traffic 5000 50
finish one
equal "packets, octets" "5000 640000" "$($probe sum "$T/one.json")"
equal "flows" 50 "$(lines "$T/one.json")"

step "two workers share the packets"
observe two "capture=<ifName>cxa</ifName>$only" \
	"root=<cx:workers>2</cx:workers>" \
	"head=<activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout>" \
	"fields=octetDeltaCount packetDeltaCount flowStartMilliseconds flowEndMilliseconds"
traffic 5000 50
"$CONFLUX" status -j -s "$T/two.xml.sock" >"$T/two.status" ||
	fail "status"
finish two
equal "packets, octets" "5000 640000" "$($probe sum "$T/two.json")"
equal "flows" 50 "$(lines "$T/two.json")"
both=$(json "$T/two.status" \
	"sum(1 for p in d['observationPoint'] if p['cx:ledger']['in'] > 0)")
equal "workers with packets" 2 "$both"

step "directions and interfaces are told"
observe in "capture=<ifName>cxa</ifName>$only<direction>ingress</direction>" \
	"fields=packetDeltaCount octetDeltaCount ingressInterface flowDirection"
traffic 100 2
finish in
equal "packets" 100 "$($probe sum "$T/in.json" | cut -d' ' -f1)"
index=$(ip netns exec "$ns.a" cat /sys/class/net/cxa/ifindex)
matches "interface" "\"ingressInterface\":$index,\"flowDirection\":0" \
	"$T/in.json"
observe out "capture=<ifName>cxa</ifName>$only<direction>egress</direction>"
traffic 100 2
finish out
equal "nothing went out" "0 0" "$($probe sum "$T/out.json")"

step "all interfaces at once"
observe any "capture=<ifName>any</ifName>$only"
traffic 100 2
finish any
equal "packets" 100 "$($probe sum "$T/any.json" | cut -d' ' -f1)"

step "an interface that goes down and comes back, and one that is made anew"
observe down "capture=<ifName>cxa</ifName>$only"
traffic 100 2
sleep 1
ip -n "$ns.a" link set cxa down
sleep 0.5
ip -n "$ns.a" link set cxa up
sleep 0.5
traffic 100 2
sleep 1
ip netns del "$ns.b"
wait_for 5 grep -q 'interface cxa: .*; nothing is metered' "$T/down.err"
wait_for 5 gone
setup || fail "setup"
wait_for 15 grep -q 'interface cxa is back' "$T/down.err"
sleep 0.5
traffic 100 2
finish down
equal "packets" 300 "$($probe sum "$T/down.json" | cut -d' ' -f1)"

step "errors that help"
$probe conf "$T/bad.xml" "$T/bad.ipfix" "capture=<ifName>cxaa</ifName>"
ip netns exec "$ns.a" "$CONFLUXD" -c "$T/bad.xml" 2>"$T/bad.log" &&
	fail "an interface that is not there"
matches "the nearest" "no interface cxaa, nearest is cxa" "$T/bad.log"
exit 0
