#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Split metering: one confluxd takes the time of packets, samples, and sends them
# on; another one classifies. Its flows are those of one that does it all, to
# the octet and the nanosecond. Then an sFlow agent in place of the first one.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
probe="python3 $SRC/tests/integration/probe.py"
"$MKPCAP" -n 20000 -f 800 -F nano -o "$T/nano.pcap" -t "$T/nano.csv" ||
	fail "mkpcap"
packets=$(awk -F, '{ n += $6 } END { print n }' "$T/nano.csv")

# meter NAME TRANSPORT LINES: starts one that gets packets from others
meter()
{
	port=$(free_port)
	$probe conf "$T/$1.xml" "$T/$1.ipfix" "capture=$3" \
		"process=<collectingProcess><name>in</name><$2Collector><name>c</name><localPort>$port</localPort><localIPAddress>127.0.0.1</localIPAddress></$2Collector><cx:observationPoint>point</cx:observationPoint></collectingProcess>" ||
		fail "conf $1"
	"$CONFLUX" check "$T/$1.xml" || fail "$1: check"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	METER=$PID
	wait_port "$2" "$port"
}

# has NAME NUMBER: so many packets have come
has()
{
	"$CONFLUX" status -s "$T/$1.xml.sock" -j >"$T/$1.status" &&
		tr -d ' \n\t' <"$T/$1.status" |
		grep -q "\"cx:remoteObservation\".*\"exported\":$2[,}]"
}

# ended NAME NUMBER: ends the meter when it has all, and reads its flows
ended()
{
	wait_for 20 has "$1" "$2"
	stop "$METER"
	equal "$1: status" 0 "$STATUS"
	ledger_holds "$T/$1.err"
	"$CONFLUX" read -f json "$T/$1.ipfix" >"$T/$1.json" || fail "read $1"
}

# capture NAME ELEMENTS ARGUMENTS...: the one that captures, to the meter
capture()
{
	name=$1
	shift
	$probe conf "$T/$name.xml" - "cache=immediateCache" "head=" "keys=" \
		"capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
		"destination=<tcpExporter><destinationPort>$port</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></tcpExporter>" \
		"$@" || fail "conf $name"
	"$CONFLUXD" -c "$T/$name.xml" 2>"$T/$name.err" ||
		fail "$name: $(tail -n 3 "$T/$name.err")"
}

step "every packet, its frame as it was"
meter all tcp ""
capture frames "fields=observationTimeNanoseconds dataLinkFrameSize dataLinkFrameSection"
ended all "$packets"
$probe flows "$T/all.json" "$T/nano.csv" || fail "flows"

step "IP headers and payload in fields of their own"
meter ip tcp ""
capture parts "fields=observationTimeNanoseconds ipTotalLength ipHeaderPacketSection ipPayloadPacketSection"
ended ip "$packets"
$probe flows "$T/ip.json" "$T/nano.csv" || fail "flows"

step "sampled there, told by Options Data, scaled here"
# A copy of what is sent, with what is in the headers, says what is right. The
# first fragment of a datagram may not be in the sample: the other side would not
# know the ports of later ones.
whole="<cx:maxFragments>0</cx:maxFragments>"
meter sampled tcp "$whole<cx:scale>true</cx:scale>"
capture sampling "options=selectionSequence" \
	"capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>$whole" \
	"selector=<sampCountBased><packetInterval>1</packetInterval><packetSpace>9</packetSpace></sampCountBased>" \
	"destination=<tcpExporter><destinationPort>$port</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></tcpExporter></destination><destination><name>copy</name><fileWriter><file>file://$T/copy.ipfix</file></fileWriter>" \
	"keys=sourceIPv4Address destinationIPv4Address sourceIPv6Address destinationIPv6Address sourceTransportPort destinationTransportPort protocolIdentifier" \
	"fields=octetDeltaCount observationTimeNanoseconds dataLinkFrameSize selectionSequenceId dataLinkFrameSection"
ended sampled $(((packets + 9) / 10))
"$CONFLUX" read -f json "$T/copy.ipfix" >"$T/copy.json"
python3 - "$T/copy.json" "$T/sampled.json" <<'PY' || fail "other flows"
import json, sys
KEYS = ("sourceIPv4Address destinationIPv4Address sourceIPv6Address "
        "destinationIPv6Address sourceTransportPort destinationTransportPort "
        "protocolIdentifier").split()
want, got = {}, {}
for line in open(sys.argv[1]):
    d = json.loads(line)
    time = d["observationTimeNanoseconds"]
    one = want.setdefault(tuple(d.get(k) for k in KEYS), [0, 0, time, time])
    one[0] += 10
    one[1] += 10 * d["octetDeltaCount"]
    one[2] = min(one[2], time)
    one[3] = max(one[3], time)
for line in open(sys.argv[2]):
    d = json.loads(line)
    got[tuple(d.get(k) for k in KEYS)] = [
        d["packetDeltaCount"], d["octetDeltaCount"],
        d["flowStartNanoseconds"], d["flowEndNanoseconds"]]
wrong = [(k, want.get(k), got.get(k)) for k in set(want) | set(got)
         if want.get(k) != got.get(k)]
if wrong or not want:
    sys.exit(f"{len(wrong)} of {len(want)} flows differ: {wrong[:3]}")
PY

if command -v tshark >/dev/null; then
	step "tshark finds the frames in what is sent"
	$probe conf "$T/file.xml" "$T/file.ipfix" "cache=immediateCache" \
		"head=" "keys=" \
		"capture=<cx:captureFile>$T/nano.pcap</cx:captureFile>" \
		"fields=observationTimeNanoseconds dataLinkFrameSize dataLinkFrameSection" &&
		"$CONFLUXD" -c "$T/file.xml" 2>"$T/file.err" || fail "file"
	# Not what it takes the zeros in the packets for.
	theirs="tshark --disable-protocol ip --disable-protocol ipv6"
	$theirs -r "$T/file.ipfix" -V 2>/dev/null >"$T/file.txt"
	! grep -i 'malformed\|expert info (error' "$T/file.txt" ||
		fail "tshark complains"
	$theirs -r "$T/file.ipfix" -T fields -e cflow.data_link_frame_section \
		2>/dev/null | tr ',' '\n' | grep . | sort >"$T/theirs"
	python3 - "$T/nano.pcap" <<'PY' | sort >"$T/ours"
import struct, sys
data = open(sys.argv[1], "rb").read()
at = 24
while at < len(data):
    length = struct.unpack_from("<I", data, at + 8)[0]
    print(data[at + 16:at + 16 + length].hex())
    at += 16 + length
PY
	equal "frames" "$packets" "$(lines "$T/theirs")"
	cmp "$T/theirs" "$T/ours" || fail "other frames"
fi

step "an sFlow agent: one in 64, headers of 128 octets"
meter sflow udp "<cx:scale>true</cx:scale>"
python3 - "$T/nano.pcap" "$port" <<'PY' || fail "agent"
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[2])))
data = open(sys.argv[1], "rb").read()
at, sequence, samples = 24, 0, []

def send():
    global sequence, samples
    s.send(struct.pack(">IIIIIII", 5, 1, 0xc0000209, 0, sequence,
                       1000 + sequence, len(samples)) + b"".join(samples))
    sequence += 1
    samples = []
    time.sleep(0.0005)

while at < len(data):
    _, _, length, wire = struct.unpack_from("<IIII", data, at)
    frame = data[at + 16:at + 16 + length][:128]
    at += 16 + length
    raw = struct.pack(">IIII", 1, wire + 4, 4, len(frame)) + frame
    raw += bytes(-len(raw) % 4)
    sample = struct.pack(">IIIIIIII", 0, 1, 64, 0, 0, 1, 2, 1)
    sample += struct.pack(">II", 1, len(raw)) + raw
    samples.append(struct.pack(">II", 1, len(sample)) + sample)
    if len(samples) == 6:
        send()
if samples:
    send()
PY
ended sflow "$packets"
python3 - "$T/nano.csv" "$T/sflow.json" <<'PY' || fail "other flows"
import json, sys
want, got = {}, {}
for line in open(sys.argv[1]):
    v = line.strip().split(",")
    want[tuple(v[:5])] = (64 * int(v[5]), 64 * int(v[6]))
for line in open(sys.argv[2]):
    d = json.loads(line)
    key = (d.get("sourceIPv4Address") or d.get("sourceIPv6Address"),
           d.get("destinationIPv4Address") or d.get("destinationIPv6Address"),
           str(d.get("sourceTransportPort", 0)),
           str(d.get("destinationTransportPort", 0)),
           str(d["protocolIdentifier"]))
    got[key] = (d["packetDeltaCount"], d["octetDeltaCount"])
wrong = [(k, want.get(k), got.get(k)) for k in set(want) | set(got)
         if want.get(k) != got.get(k)]
if wrong or not want:
    sys.exit(f"{len(wrong)} of {len(want)} flows differ: {wrong[:3]}")
PY
exit 0
