#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# SCTP between two hosts (network namespaces) with two links: userland SCTP in
# UDP and over IP, IPv4 and IPv6. One of two paths is cut while records are on
# their way: they go by the other one, nothing is lost, and the log tells.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
hosts a b

for link in 1 2; do
	ip link add cxa$link netns "$ns.a" type veth peer name cxb$link \
		netns "$ns.b" || skip "no veth here"
	on a ip addr add 192.0.$link.1/24 dev cxa$link
	on b ip addr add 192.0.$link.2/24 dev cxb$link
	on a ip addr add 2001:db8:$link::1/64 dev cxa$link nodad
	on b ip addr add 2001:db8:$link::2/64 dev cxb$link nodad
	on a ip link set cxa$link up
	on b ip link set cxb$link up
done
on a ip link set lo up
on b ip link set lo up

# addresses ELEMENT ADDRESS...
addresses()
{
	element=$1
	shift
	printf "<$element>%s</$element>" "$@"
}

# both NAME UDP-PORT SOURCES DESTINATIONS: $TO, $FROM; "": over IP
both()
{
	here= there=
	[ -z "$2" ] ||
		here="<cx:localEncapsulationPort>$2</cx:localEncapsulationPort>" \
		there="<cx:remoteEncapsulationPort>$2</cx:remoteEncapsulationPort>"
	# shellcheck disable=SC2086 # words
	document "to-$1" "<cx:controlSocket>$T/to-$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name><sctpCollector><name>s</name>
		<localPort>4739</localPort>$(addresses localIPAddress $4)
		<cx:stack>userland</cx:stack>$here</sctpCollector>
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name>
		<destination><name>file</name><fileWriter>
		<file>file://$T/to-$1.ipfix</file></fileWriter></destination>
		</exportingProcess>"
	# shellcheck disable=SC2086 # words
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<tcpCollector><name>t</name><localPort>4000</localPort>
		<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name>
		<cx:flushTime>20</cx:flushTime>
		<destination><name>far</name><sctpExporter>
		<destinationPort>4739</destinationPort>
		$(addresses sourceIPAddress $3)
		$(addresses destinationIPAddress $4)
		<cx:stack>userland</cx:stack>$here$there
		</sctpExporter></destination></exportingProcess>"
	start "to-$1" ip netns exec "$ns.b" "$CONFLUXD" -l info \
		-c "$T/to-$1.xml"
	TO=$PID
	wait_for 10 "$CONFLUX" status -s "$T/to-$1.sock"
	start "$1" ip netns exec "$ns.a" "$CONFLUXD" -l info -c "$T/$1.xml"
	FROM=$PID
	wait_for 20 active "$1"
}

# active NAME: its association is there
active()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q '"status": *"active"' "$T/status"
}

# has NAME LEAST [MOST]: as many records have come, and none was lost
has()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		[ "$(json "$T/status" "(lambda l: l['lost'] == 0 and
			$2 <= l['in'] <= ${3:-$2})(
			d['cx:total']['cx:ledger'])")" = True ]
}

# feed RECORDS
feed()
{
	on a "$MKIPFIX" -n "$1" -r 2000 tcp:127.0.0.1:4000 >"$T/sent"
}

# ends NAME RECORDS
ends()
{
	wait_for 60 has "to-$1" "$2"
	stop "$FROM"
	equal "status of $1" 0 "$STATUS"
	stop "$TO"
	equal "status of to-$1" 0 "$STATUS"
	ledger_holds "$T/$1.err"
	ledger_holds "$T/to-$1.err"
	holds "$T/to-$1.ipfix" "$2"
}

for way in "udp4 9899 192.0.1.1 192.0.1.2" "udp6 9899 2001:db8:1::1 2001:db8:1::2" \
	"ip4 : 192.0.1.1 192.0.1.2" "ip6 : 2001:db8:1::1 2001:db8:1::2"; do
	# shellcheck disable=SC2086 # words
	set -- $way
	step "one path: $1"
	udp=$2
	[ "$udp" != : ] || udp=
	both "$1" "$udp" "$3" "$4"
	feed 500
	ends "$1" 500
done

step "two paths, of which one is cut under way"
both cut 9899 "192.0.1.1 192.0.2.1" "192.0.1.2 192.0.2.2"
feed 10000 &
f=$!
PIDS="$PIDS $f"
wait_for 20 has to-cut 2000 20000
on b ip link set cxb1 down
began=$(date +%s)
wait $f
wait_for 60 has to-cut 10000
echo "all is there $(($(date +%s) - began)) s after the cut"
wait_for 60 grep -q "192.0.1.2" "$T/cut.err"
echo "logged $(($(date +%s) - began)) s after the cut"
grep "192.0.1.2.*" "$T/cut.err"
ends cut 10000
exit 0
