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
equal "of the first records alone" "10 records" "$("$CONFLUX" read -n 10 -T 1 \
	"$T/nano.ipfix" | sed -n 's/^\(10 records\),.*/\1/p')"
# Three seconds to one before the Export Time, which is 1700000000; running
# totals of two domains in each of two files: four times 1300.
python3 - "$T/odd.ipfix" <<'PY' || fail "odd.ipfix"
import struct
import sys
FIELDS = ((8, 4), (158, 4), (159, 4), (85, 8))


def message(domain, *totals):
    template = struct.pack(">HH", 256, len(FIELDS)) + b"".join(
        struct.pack(">HH", *f) for f in FIELDS)
    records = b"".join(struct.pack(">IIIQ", 0x0a000001, 3000000, 1000000, n)
                       for n in totals)
    body = (struct.pack(">HH", 2, 4 + len(template)) + template +
            struct.pack(">HH", 256, 4 + len(records)) + records)
    return struct.pack(">HHIII", 10, 16 + len(body), 1700000000, 0,
                       domain) + body


with open(sys.argv[1], "wb") as out:
    out.write(message(1, 1000, 1300) + message(2, 1000, 1300))
PY
"$CONFLUX" read -T 1 "$T/odd.ipfix" "$T/odd.ipfix" >"$T/top" || fail "odd"
matches "times before the Export Time" "^2023-11-14 22:13:17.000      2.000 " \
	"$T/top"
matches "totals of files and domains" "^8 records, .* 5200 octets" "$T/top"
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

step "sampling is told in the records, and scaled where it was done before"
meter facts "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"selector=<sampRandOutOfN><size>1</size><population>4</population></sampRandOutOfN>" \
	"cache=immediateCache" "head=" "keys=" \
	"fields=observationTimeNanoseconds dataLinkFrameSize samplingInterval samplingSize samplingPopulation selectionSequenceId observationPointId dataLinkFrameSection"
equal "all tell it" "$(lines "$T/facts.json")" "$(grep -c \
	'"samplingInterval":4,"samplingSize":1,"samplingPopulation":4,"selectionSequenceId":1,"observationPointId":1' \
	"$T/facts.json")"
source="process=<collectingProcess><name>in</name><fileReader><name>f</name><file>file://$T/facts.ipfix</file></fileReader><cx:observationPoint>point</cx:observationPoint></collectingProcess>"
meter unscaled "$source" "fields=octetDeltaCount packetDeltaCount samplingInterval"
meter scaled "$source" "capture=<cx:scale>true</cx:scale>"
equal "rate carried" "$(lines "$T/unscaled.json")" \
	"$(grep -c '"samplingInterval":4' "$T/unscaled.json")"
equal "scaled" "$($probe sum "$T/unscaled.json" |
	awk '{ print 4 * $1, 4 * $2 }')" "$($probe sum "$T/scaled.json")"

step "a permanent cache, by the time of the packets"
meter permanent "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"cache=permanentCache" "keys=protocolIdentifier ipVersion" \
	"head=<exportInterval>10</exportInterval>" \
	"fields=packetDeltaCount octetDeltaCount"
equal "sums" "$($probe sum "$T/nano.json")" "$($probe sum "$T/permanent.json")"
# A minute in steps of ten seconds, four or five kinds of packets.
[ "$(lines "$T/permanent.json")" -ge 24 ] || fail "no intervals"

step "a cache of two Observation Domains is two metering processes"
meter domains "root=<cx:workers>2</cx:workers>" \
	"process=<observationPoint><name>other</name><observationDomainId>9</observationDomainId><cx:captureFile>$T/nano.pcap</cx:captureFile><selectionProcess>selection</selectionProcess></observationPoint>" \
	"capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
	"fields=octetDeltaCount packetDeltaCount observationDomainId meteringProcessId"
equal "one number for each" \
	'"observationDomainId":7,"meteringProcessId":2 "observationDomainId":9,"meteringProcessId":1 ' \
	"$(grep -o '"observationDomainId":[0-9]*,"meteringProcessId":[0-9]*' \
		"$T/domains.json" | sort -u | tr '\n' ' ')"
equal "flows of both" "$($probe sum "$T/nano.json" |
	awk '{ print 2 * $1, 2 * $2 }')" "$($probe sum "$T/domains.json")"

step "two caches with keys of their own, timeouts by the packets' clock"
meter timeouts "capture=<cx:captureFile>$T/nano.pcap</cx:captureFile><selectionProcess>other</selectionProcess>" \
	"head=<activeTimeout>20</activeTimeout><idleTimeout>5</idleTimeout>" \
	"root=<selectionProcess><name>other</name><selector><name>o</name><selectAll/></selector><cache>other</cache></selectionProcess><cache><name>other</name><timeoutCache><activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout><cacheLayout><cacheField><name>v</name><ieName>ipVersion</ieName><isFlowKey/></cacheField><cacheField><name>p</name><ieName>packetTotalCount</ieName></cacheField></cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>"
equal "all packets by version" "$all" "$(sed -n \
	's/.*"packetTotalCount":\([0-9]*\).*/\1/p' "$T/timeouts.json" |
	awk '{ n += $1 } END { print n }')"
equal "sums" "$($probe sum "$T/nano.json")" "$($probe sum "$T/timeouts.json")"
[ "$(lines "$T/timeouts.json")" -gt "$(lines "$T/nano.json")" ] ||
	fail "no flow has ended by its timeouts"

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
		"destination=<udpExporter><destinationPort>$port</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></udpExporter>"
	# A capture of what comes, ended by a silence.
	cat >"$T/sink.py" <<'PY'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.settimeout(20)
out = open(sys.argv[2], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 228))
while True:
    try:
        m = s.recv(65536)
    except socket.timeout:
        break
    s.settimeout(2)
    udp = struct.pack(">HHHH", 4444, 4739, 8 + len(m), 0) + m
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     0x7f000001, 0x7f000001) + udp
    out.write(struct.pack("<IIII", 0, 0, len(ip), len(ip)) + ip)
PY
	start sink python3 "$T/sink.py" "$port" "$T/wire.pcap"
	wait_port udp "$port"
	"$CONFLUXD" -c "$T/send.xml" 2>"$T/send.err" || fail "send"
	wait_exit "$PID" 10
	tshark -r "$T/wire.pcap" -d udp.port==4739,cflow -V >"$T/wire.txt" \
		2>/dev/null
	grep -i 'malformed\|expert info (error' "$T/wire.txt" | head -n 3
	[ "$(grep -c '^ *Flow [0-9]*$' "$T/wire.txt")" -ge \
		"$(lines "$T/nano.json")" ] || fail "tshark sees not all records"
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
