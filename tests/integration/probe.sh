#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The native meter on capture files that tell the truth about themselves: every
# flow to the packet, the octet and the nanosecond, in all forms of files; what
# others make of the same captures (softflowd, nfpcapd, tshark), and what they
# say of our IPFIX (tshark, ipfixDump, nfcapd's reader).
. "${SRC:-.}/tests/integration/lib.sh"
need python3
probe="python3 $SRC/tests/integration/probe.py"

# meter NAME ARGUMENTS...: runs confluxd over a configuration made by probe.py
meter()
{
	name=$1
	shift
	# shellcheck disable=SC2086 # a command
	$probe conf "$T/$name.xml" "$T/$name.ipfix" "$@" || fail "conf $name"
	"$CONFLUX" check "$T/$name.xml" || fail "$name: check"
	"$CONFLUXD" -c "$T/$name.xml" 2>"$T/$name.err" ||
		fail "$name: confluxd: $(tail -n 3 "$T/$name.err")"
	"$CONFLUX" read -f json "$T/$name.ipfix" >"$T/$name.json" ||
		fail "$name: read"
}

step "capture files of all forms"
for form in micro nano swapped ng; do
	"$MKPCAP" -n 20000 -f 800 -F $form -o "$T/$form.pcap" \
		-t "$T/$form.csv" || fail "mkpcap"
	meter $form "capture=<cx:captureFile>$T/$form.pcap</cx:captureFile>"
	$probe flows "$T/$form.json" "$T/$form.csv" || fail "$form"
done

step "gzip, standard input, several files"
gzip -k "$T/nano.pcap"
meter gzip "capture=<cx:captureFile>$T/nano.pcap.gz</cx:captureFile>"
$probe flows "$T/gzip.json" "$T/nano.csv" || fail "gzip"
$probe conf "$T/stdin.xml" "$T/stdin.ipfix" \
	"capture=<cx:captureFile>/dev/stdin</cx:captureFile>" || fail "conf"
cat "$T/nano.pcap.gz" | "$CONFLUXD" -c "$T/stdin.xml" 2>"$T/stdin.err" ||
	fail "stdin"
"$CONFLUX" read -f json "$T/stdin.ipfix" >"$T/stdin.json"
$probe flows "$T/stdin.json" "$T/nano.csv" || fail "stdin"
meter both "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>
<cx:captureFile>$T/swapped.pcap</cx:captureFile>"
equal "both files" "$($probe sum "$T/nano.json" |
	awk '{ print 2 * $1, 2 * $2 }')" "$($probe sum "$T/both.json")"

step "a file that is cut off keeps what is before"
head -c 500000 "$T/nano.pcap" >"$T/cut.pcap"
meter cut "capture=<cx:captureFile>$T/cut.pcap</cx:captureFile>"
matches "said so" "cut.pcap: it is cut off" "$T/cut.err"
head -c 100000 /dev/urandom >"$T/noise.pcap"
meter noise "capture=<cx:captureFile>$T/noise.pcap</cx:captureFile>
<cx:captureFile>$T/nano.pcap</cx:captureFile>"
matches "said so" "noise.pcap: no capture file" "$T/noise.err"
$probe flows "$T/noise.json" "$T/nano.csv" || fail "after noise"

step "filters and selectors"
wanted=$(awk -F, '$5 == 17 { n += $6 } END { print n }' "$T/nano.csv")
meter match "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"selector=<filterMatch><ieName>protocolIdentifier</ieName><value>17</value></filterMatch>"
equal "UDP packets by filterMatch" "$wanted" \
	"$($probe sum "$T/match.json" | cut -d' ' -f1)"
all=$($probe sum "$T/nano.json" | cut -d' ' -f1)
meter count "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"selector=<sampCountBased><packetInterval>1</packetInterval><packetSpace>9</packetSpace></sampCountBased>" \
	"options=selectionSequence selectionStatistics"
equal "one in ten" $(((all + 9) / 10)) \
	"$($probe sum "$T/count.json" | cut -d' ' -f1)"
"$CONFLUX" read -o -f json "$T/count.ipfix" >"$T/count.all"
matches "the selector" '"samplingPacketSpace":9' "$T/count.all"
matches "its counts" "\"selectorIdTotalPktsObserved\":$all" "$T/count.all"

step "the top list"
greatest=$(sort -t, -k7,7nr "$T/nano.csv" | head -n 5 | cut -d, -f7)
listed=$("$CONFLUX" read -f json -T 5 "$T/nano.ipfix" |
	sed 's/.*"octetDeltaCount":\([0-9]*\).*/\1/')
equal "the greatest by octets" "$greatest" "$listed"
"$CONFLUX" read -T 3 -b packets -k dstport,proto "$T/nano.ipfix" >"$T/top"
matches "the sum" "^1600 records, [0-9]* flows, $all packets," "$T/top"
equal "lines" 7 "$(lines "$T/top")"
"$CONFLUX" read -T 3 -k nothing "$T/nano.ipfix" 2>"$T/top.log" &&
	fail "a key that is none"
matches "said so" "there is no element nothing" "$T/top.log"
"$CONFLUX" read "$T/nano.pcap" 2>"$T/top.log" && fail "a capture"
matches "said so" "this is a capture file" "$T/top.log"

step "biflows: nothing is lost by them"
meter biflow "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"cache=naturalCache" \
	"head=<activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout><cx:biflow>true</cx:biflow>" \
	"fields=octetDeltaCount packetDeltaCount reverseOctetDeltaCount reversePacketDeltaCount flowStartMilliseconds flowEndMilliseconds biflowDirection flowEndReason"
equal "sums" "$($probe sum "$T/nano.json")" "$($probe sum "$T/biflow.json")"

step "remote observation: packets as records, metered elsewhere"
meter packets "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"cache=immediateCache" "head=" "keys=" \
	"fields=observationTimeNanoseconds dataLinkFrameSize dataLinkFrameSection"
meter remote "process=<collectingProcess><name>in</name><fileReader><name>f</name><file>file://$T/packets.ipfix</file></fileReader><cx:observationPoint>point</cx:observationPoint></collectingProcess>"
$probe flows "$T/remote.json" "$T/nano.csv" || fail "remote"
meter headers "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"cache=immediateCache" "head=" "keys=" \
	"fields=observationTimeNanoseconds ipTotalLength ipHeaderPacketSection"
meter remote2 "process=<collectingProcess><name>in</name><fileReader><name>f</name><file>file://$T/headers.ipfix</file></fileReader><cx:observationPoint>point</cx:observationPoint></collectingProcess>"
$probe flows "$T/remote2.json" "$T/nano.csv" || fail "remote, IP sections"

# ---- others ------------------------------------------------------------------

# dump FILE ELEMENT: the sum of an element over ipfixDump's records
if command -v ipfixDump >/dev/null; then
	step "ipfixDump reads what we write"
	ipfixDump --in "$T/nano.ipfix" --out "$T/dump" 2>"$T/dump.log" ||
		fail "ipfixDump: $(cat "$T/dump.log")"
	equal "records" "$(lines "$T/nano.json")" \
		"$(grep -c '^--- data record' "$T/dump")"
fi
if command -v tshark >/dev/null; then
	step "tshark counts the same IP packets and octets"
	set -- $(tshark -r "$T/nano.pcap" -T fields -e ip.len -e ipv6.plen \
		2>/dev/null | awk '{ n++; s += $1; if (NF && $0 ~ /^\t/)
			s += 40 } END { print n, s }')
	equal "packets" "$1" "$all"
	equal "octets" "$2" "$($probe sum "$T/nano.json" | cut -d' ' -f2)"
	step "tshark has nothing to complain of in our IPFIX"
	port=$(free_port)
	$probe conf "$T/send.xml" - \
		"capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
		"options=selectionSequence selectionStatistics meteringReliability" \
		"destination=<tcpExporter><destinationPort>$port</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></tcpExporter>"
	start_sink=$(mktemp "$T/sink.XXXXXX")
	python3 - "$port" "$start_sink" <<'PY' &
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
c = s.accept()[0]
with open(sys.argv[2], "wb") as f:
    while True:
        d = c.recv(65536)
        if not d:
            break
        f.write(d)
PY
	sink=$!
	wait_port tcp "$port"
	"$CONFLUXD" -c "$T/send.xml" 2>"$T/send.err" || fail "send"
	wait "$sink"
	python3 - "$start_sink" "$T/wire.pcap" <<'PY'
import struct, sys
d = open(sys.argv[1], "rb").read()
out = open(sys.argv[2], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 228))
at = 0
while at < len(d):
    n = struct.unpack(">H", d[at + 2:at + 4])[0]
    m = d[at:at + n]
    at += n
    udp = struct.pack(">HHHH", 4444, 4739, 8 + n, 0) + m
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     0x7f000001, 0x7f000001) + udp
    if len(ip) > 65535:
        continue
    out.write(struct.pack("<IIII", 0, 0, len(ip), len(ip)) + ip)
PY
	tshark -r "$T/wire.pcap" -d udp.port==4739,cflow -V >"$T/wire.txt" \
		2>/dev/null
	grep -i 'malformed\|expert info (error' "$T/wire.txt" | head -n 3
	! grep -qi 'malformed\|expert info (error' "$T/wire.txt" ||
		fail "tshark complains"
fi
if command -v nfpcapd >/dev/null && command -v nfdump >/dev/null; then
	step "nfpcapd and nfdump count the same TCP and UDP packets"
	mkdir "$T/nf"
	# Of IPv4 alone, without tags and labels.
	"$MKPCAP" -n 20000 -f 800 -s 7 -o "$T/plain.pcap" -t "$T/plain.csv"
	meter plain "capture=<cx:captureFile>$T/plain.pcap</cx:captureFile>
<cx:filter>ether proto 0x0800 and ip proto 6</cx:filter>"
	tcpdump -r "$T/plain.pcap" -w "$T/tcp.pcap" \
		'ether proto 0x0800 and ip proto 6' 2>/dev/null &&
	nfpcapd -r "$T/tcp.pcap" -l "$T/nf" >"$T/nfpcapd.log" 2>&1
	theirs=$(nfdump -R "$T/nf" -I 2>/dev/null |
		sed -n 's/^Packets: *//p' | head -n 1)
	[ -z "$theirs" ] || equal "TCP packets" "$theirs" \
		"$($probe sum "$T/plain.json" | cut -d' ' -f1)"
fi
if command -v softflowd >/dev/null && [ -s "$T/tcp.pcap" ]; then
	step "softflowd's own IPFIX says the same of them"
	port=$(free_port)
	cat >"$T/collect.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
 xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/collect.sock</cx:controlSocket>
<collectingProcess><name>in</name><udpCollector><name>u</name>
<localPort>$port</localPort><localIPAddress>127.0.0.1</localIPAddress>
</udpCollector><exportingProcess>out</exportingProcess></collectingProcess>
<exportingProcess><name>out</name><destination><name>d</name>
<cx:jsonWriter/></destination></exportingProcess></ipfix>
XML
	start collect "$CONFLUXD" -c "$T/collect.xml"
	collect=$PID
	wait_port udp "$port"
	softflowd -r "$T/tcp.pcap" -n "127.0.0.1:$port" -v 10 -d -m 100000 \
		>"$T/softflowd.log" 2>&1
	sleep 1
	stop "$collect"
	equal "packets and octets" "$($probe sum "$T/collect.out")" \
		"$($probe sum "$T/plain.json")"
fi
exit 0
