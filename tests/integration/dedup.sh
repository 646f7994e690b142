#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# De-duplication: several probes see the same capture, one of them only a part
# of it; behind the process there is each flow once, as the capture's truth has
# it, however the exporters are spread over the workers. softflowd is a probe,
# too.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
probe="python3 $SRC/tests/integration/probe.py"

"$MKPCAP" -n 20000 -f 800 -o "$T/in.pcap" -t "$T/truth.csv" || fail "mkpcap"
flows=$(lines "$T/truth.csv")

# collector NAME WORKERS WHAT: starts one that de-duplicates; $PID, $port
collector()
{
	port=$(free_port)
	cat >"$T/$1.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
<cx:workers>$2</cx:workers>
<cx:controlSocket>$T/$1.sock</cx:controlSocket>
<collectingProcess><name>in</name>
<tcpCollector><name>t</name><localPort>$port</localPort></tcpCollector>
<udpCollector><name>u</name><localPort>$port</localPort></udpCollector>
<cx:intermediateProcess>flows</cx:intermediateProcess>
</collectingProcess>
<cx:intermediateProcess><cx:name>flows</cx:name>
<cx:filter>any</cx:filter>
<cx:intermediateProcess>once</cx:intermediateProcess>
</cx:intermediateProcess>
<cx:intermediateProcess><cx:name>once</cx:name>
<cx:deduplicate>$3</cx:deduplicate>
<cx:exportingProcess>out</cx:exportingProcess>
</cx:intermediateProcess>
<exportingProcess><name>out</name><destination><name>f</name>
<fileWriter><file>file://$T/$1.ipfix</file></fileWriter>
</destination></exportingProcess></ipfix>
XML
	"$CONFLUX" check "$T/$1.xml" || fail "check $1"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	wait_port tcp "$port"
	wait_port udp "$port"
}

# meter NAME TRANSPORT ADDRESS SELECTOR: sends the capture's flows from there
meter()
{
	$probe conf "$T/$1.xml" - \
		"capture=<cx:captureFile>$T/in.pcap</cx:captureFile>" \
		"selector=$4" \
		"destination=<$2Exporter><destinationIPAddress>127.0.0.1</destinationIPAddress><destinationPort>$port</destinationPort><sourceIPAddress>$3</sourceIPAddress></$2Exporter>" ||
		fail "conf $1"
	"$CONFLUXD" -c "$T/$1.xml" 2>"$T/$1.err" ||
		fail "$1: $(tail -n 3 "$T/$1.err")"
}

# arrived NAME COUNT: so many records have come to the process
arrived()
{
	"$CONFLUX" status -j -s "$T/$1.sock" intermediateProcess >"$T/status" &&
		[ "$(json "$T/status" "sum(p['cx:ledger']['in'] for p in
			d['cx:intermediateProcess'] if p['name'] == 'once')")" -ge "$2" ]
}

ALL='<selectAll/>'
HALF='<sampCountBased><packetInterval>1</packetInterval><packetSpace>1</packetSpace></sampCountBased>'

step "the first of four, three workers"
collector first 3 ''
for n in 1 2 3 4; do
	meter "m$n" tcp "127.0.0.$n" "$ALL"
done
wait_for 20 arrived first $((4 * flows))
equal "it is in one worker" 1 "$(json "$T/status" "len([p for p in
	d['cx:intermediateProcess'] if p['name'] == 'once'])")"
stop "$PID"
"$CONFLUX" read -f json "$T/first.ipfix" >"$T/first.json"
$probe flows "$T/first.json" "$T/truth.csv" || fail "first"
matches "its ledger" "intermediateProcess once: .* exported $flows, merged 0, filtered $((3 * flows)), lost 0" \
	"$T/first.err"

step "the one with most packets, which comes last"
collector best 2 '<cx:choose>mostPackets</cx:choose><cx:holdTime>600</cx:holdTime><cx:startTolerance>10000</cx:startTolerance>'
meter half udp 127.0.0.1 "$HALF"
meter whole udp 127.0.0.2 "$ALL"
half=$(sed -n 's/.*ledger: destination.*: in \([0-9]*\),.*/\1/p' "$T/half.err")
wait_for 20 arrived best $((flows + half))
equal "nothing has left before its time" 0 "$(json "$T/status" "sum(
	p['cx:ledger']['exported'] for p in d['cx:intermediateProcess']
	if p['name'] == 'once')")"
stop "$PID"
"$CONFLUX" read -f json "$T/best.ipfix" >"$T/best.json"
$probe flows "$T/best.json" "$T/truth.csv" || fail "best"

command -v softflowd >/dev/null 2>&1 || exit 0
step "softflowd twice, from two ports"
collector soft 1 '<cx:observationPointKey>exporterTransportPort</cx:observationPointKey>'
for n in 1 2; do
	softflowd -r "$T/in.pcap" -v 10 -n "127.0.0.1:$port" -d \
		>"$T/soft$n.log" 2>&1 || fail "softflowd: $(cat "$T/soft$n.log")"
	sent=$(sed -n 's/^Flows exported: .*(\([0-9]*\) records).*/\1/p' \
		"$T/soft$n.log")
	wait_for 20 arrived soft $((n * sent))
done
stop "$PID"
matches "all of the second are duplicates" \
	"intermediateProcess once: .* filtered $sent, lost 0" "$T/soft.err"
