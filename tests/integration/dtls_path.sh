#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# DTLS over a path that drops large packets without a word: a bridge whose far
# port has a smaller MTU. The exporter finds out before its first message, and
# again when the path takes less, and when it takes more.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
hosts a r b

ip link add cxa netns "$ns.a" type veth peer name cxra netns "$ns.r" &&
	ip link add cxb netns "$ns.b" type veth peer name cxrb netns "$ns.r" &&
	on r ip link add cxbr type bridge &&
	on r ip link set cxra master cxbr up &&
	on r ip link set cxrb master cxbr up &&
	on r ip link set cxbr up &&
	on a ip addr add 192.0.2.1/24 dev cxa &&
	on b ip addr add 192.0.2.2/24 dev cxb &&
	on a ip link set cxa up && on a ip link set lo up &&
	on b ip link set cxb up || skip "no bridge here"

# takes OCTETS: packets the path takes from now on
takes()
{
	on r ip link set cxrb mtu "$1" || fail "ip link"
}

document collects "<cx:controlSocket>$T/collects.sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>dtls</name><localPort>4740</localPort>
	<transportLayerSecurity>$to_exporter</transportLayerSecurity>
	</udpCollector><exportingProcess>out</exportingProcess>
	</collectingProcess><exportingProcess><name>out</name>
	<destination><name>file</name><fileWriter>
	<file>file://$T/collects.ipfix</file></fileWriter></destination>
	</exportingProcess>"
document exports "<cx:controlSocket>$T/exports.sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>u</name><localPort>4739</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	<exportingProcess>out</exportingProcess>
	</collectingProcess><exportingProcess><name>out</name>
	<destination><name>dtls</name><udpExporter>
	<destinationIPAddress>192.0.2.2</destinationIPAddress>
	<maxPacketSize>0</maxPacketSize>
	<transportLayerSecurity>$to_collector
	<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
	<cx:pathProbingPeriod>3</cx:pathProbingPeriod>
	</transportLayerSecurity>
	</udpExporter></destination></exportingProcess>"

# sends RECORDS: 1000 a second to the exporter
sends()
{
	on a "$MKIPFIX" -n "$1" -r 1000 -t 0 udp:127.0.0.1:4739 >"$T/sent"
}

# found MIN MAX COUNT: the exporter has said so for the count-th time
found()
{
	[ "$(sed -n 's/.*the path takes packets of \([0-9]*\).*/\1/p' \
		"$T/exports.err" | awk -v a="$1" -v b="$2" \
		'$1 >= a && $1 <= b' | wc -l)" -ge "$3" ]
}

# account NAME EXPRESSION: of d, its status
account()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/$1.status" 2>/dev/null &&
		json "$T/$1.status" "$2"
}

# lost: records that the collector has found missing, and those that the
# exporter could not send
lost()
{
	a=$(account collects "d['cx:total']['cx:ledger'].get('sequenceGap', 0)")
	b=$(account exports "d['cx:total']['cx:ledger']['lost']")
	echo $((a + b + earlier))
}

earlier=0 # lost by exporters that have ended

# accounted RECORDS: all that were sent have come, or are known to be lost
accounted()
{
	came=$(account collects "d['cx:total']['cx:ledger']['in']") &&
		[ $((came + $(lost))) -eq "$1" ]
}

step "a path that takes 1300 octets"
takes 1300
start collects ip netns exec "$ns.b" "$CONFLUXD" -l info -c "$T/collects.xml"
c=$PID
start exports ip netns exec "$ns.a" "$CONFLUXD" -l info -c "$T/exports.xml"
e=$PID
wait_for 20 found 1284 1300 1
wait_for 20 grep -q "session with" "$T/exports.err"
sends 3000
wait_for 10 accounted 3000
equal lost 0 "$(lost)"

step "it takes 1000 octets only, while messages are sent"
sends 10000 &
f=$!
PIDS="$PIDS $f"
sleep 2
takes 1000
wait_for 20 found 984 1000 1
sleep 1
wait $f
sends 3000
wait_for 10 accounted 16000
before=$(lost)
echo "$before records lost until it was found out, at 1000 a second"
[ "$before" -lt 6000 ] || fail "that took too long"

step "it takes 1500 octets again"
takes 1500
wait_for 20 found 1490 1500 1
sends 3000
wait_for 10 accounted 19000
equal "lost since" "$before" "$(lost)"
account exports "d['cx:total']['cx:ledger']['lost']" >"$T/earlier"
stop $e
earlier=$(cat "$T/earlier")

step "a path that takes 1300 octets, heartbeats off"
takes 1300
sed -i 's|<cx:heartbeatPeriod>1|<cx:heartbeat>false</cx:heartbeat>&|' \
	"$T/exports.xml"
start exports ip netns exec "$ns.a" "$CONFLUXD" -l info -c "$T/exports.xml"
e=$PID
wait_for 20 grep -q "session with" "$T/exports.err"
# On a busy machine an answer may be late, and less be found.
found 1301 65535 1 && fail "more was found than the path takes"
sends 3000
wait_for 10 accounted 22000
equal "lost since" "$before" "$(lost)"
stop $e
sleep 0.3
stop $c
ledger_holds "$T/collects.err"
exit 0
