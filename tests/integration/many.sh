#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A proxy with 300 exporters at once, each with Templates of its own that come
# and go: all of each exporter's records arrive, in their order, in an Observation
# Domain of its own, also while another exporter sends as fast as it can through
# a destination that is slower than that. Over UDP others lose little by such a
# one.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
MANY=$SRC/tests/integration/many.py
EXPORTERS=300 ROUNDS=20

# proxy NAME WORKERS PORT DESTINATION
proxy()
{
	cat >"$T/$1.xml" <<-EOF
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$2</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <cx:limits><cx:maxSessions>1000</cx:maxSessions>
	    <cx:maxDomainsPerSession>1000</cx:maxDomainsPerSession></cx:limits>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>tcp</name><localPort>$3</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress>
	      <cx:maxConnections>1000</cx:maxConnections></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <cx:queueOctets>262144</cx:queueOctets>
	    <destination><name>d</name>$4</destination>
	  </exportingProcess>
	</ipfix>
	EOF
}

# arrived NAME RECORDS
arrived()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		[ "$(json "$T/status" "sum(c['cx:ledger']['in'] for c in d['collectingProcess'])")" -ge "$2" ]
}

# ours FILE
ours()
{
	[ "$(python3 "$MANY" count "$1" $EXPORTERS)" -eq \
		$((EXPORTERS * ROUNDS * 7)) ]
}

for workers in 1 3; do
	step "$EXPORTERS exporters, $workers workers"
	port=$(free_port)
	proxy many$workers $workers "$port" \
		"<fileWriter><file>file://$T/many.ipfix</file></fileWriter>"
	start many$workers "$CONFLUXD" -c "$T/many$workers.xml"
	wait_port tcp "$port"
	python3 "$MANY" send 127.0.0.1 "$port" $EXPORTERS $ROUNDS ||
		fail "they could not send"
	wait_for 60 arrived many$workers $((EXPORTERS * ROUNDS * 7))
	stop "$PID"
	equal status 0 "$STATUS"
	python3 "$MANY" check "$T/many.ipfix" $EXPORTERS $ROUNDS ||
		fail "records are missing or not in their order"
done

step "beside one that sends as fast as it can"
far=$(free_port)
port=$(free_port)
proxy far 1 "$far" "<fileWriter><file>file://$T/far.ipfix</file></fileWriter>"
proxy near 2 "$port" "<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress><destinationPort>$far</destinationPort><rateLimit>4000000</rateLimit></tcpExporter>"
start far "$CONFLUXD" -c "$T/far.xml"
far_pid=$PID
wait_port tcp "$far"
start near "$CONFLUXD" -c "$T/near.xml"
near=$PID
wait_port tcp "$port"
start flood "$MKIPFIX" -n 20000000 "tcp:127.0.0.1:$port"
flood=$PID
wait_for 60 arrived far 10000
before=$(date +%s)
python3 "$MANY" send 127.0.0.1 "$port" $EXPORTERS $ROUNDS ||
	fail "they could not send"
wait_for 120 ours "$T/far.ipfix"
echo "   all of theirs was there after $(($(date +%s) - before)) s"
kill -0 "$flood" 2>/dev/null || fail "the flood has ended: nothing is shown"
stop "$flood" KILL
stop "$near" KILL
stop "$far_pid"
python3 "$MANY" check "$T/far.ipfix" $EXPORTERS $ROUNDS 2>"$T/check" ||
	fail "records are missing or not in their order: $(tail -n 1 "$T/check")"

step "over UDP, beside one that sends as fast as it can"
far=$(free_port)
port=$(free_port)
proxy far 1 "$far" "<fileWriter><file>file://$T/udp.ipfix</file></fileWriter>"
proxy near 1 "$port" "<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress><destinationPort>$far</destinationPort><rateLimit>2000000</rateLimit></tcpExporter>"
sed 's/tcpCollector/udpCollector/g; /maxConnections/s/.*/<\/udpCollector>/' \
	"$T/near.xml" >"$T/udp.xml"
"$CONFLUX" check "$T/udp.xml" >/dev/null || fail "conflux check"
start far2 "$CONFLUXD" -c "$T/far.xml"
far_pid=$PID
wait_port tcp "$far"
start udp "$CONFLUXD" -c "$T/udp.xml"
near=$PID
wait_port udp "$port"
start flood2 "$MKIPFIX" -n 2000000000 -6 0 -S 10 "udp:127.0.0.1:$port"
flood=$PID
wait_for 20 grep -q "its queue of .* octets is full" "$T/udp.err"
slow=
for i in 1 2 3 4; do
	start "slow$i" "$MKIPFIX" -n 3000 -r 1000 -6 0 -S 20 -d $((i + 1)) \
		-t 0 "udp:127.0.0.1:$port"
	slow="$slow $PID"
done
for one in $slow; do
	wait_exit "$one" 60
done
stop "$flood" KILL
matches "it is told" "sends more than its share while not all" "$T/udp.err"
stop "$near"
equal status 0 "$STATUS"
stop "$far_pid"
sources()
{
	"$CONFLUX" read -f json "$T/udp.ipfix" |
		grep -c "\"sourceIPv4Address\":\"$1\\."
}
theirs=$(sources 20)
echo "   of 12000 records of four others $theirs arrived, of the flood's $(sources 10)"
[ "$theirs" -ge 6000 ] || fail "of 12000 records of others only $theirs arrived"
exit 0
