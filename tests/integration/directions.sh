#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Biflows and uniflows, each made of the other: the biflows of a capture are
# split, for a file and for nfcapd, which has no biflows of its own; each
# direction then is what the capture's truth says, to the packet, octet, flag and
# nanosecond. Only the end of a biflow is that of both.
. "${SRC:-.}/tests/integration/lib.sh"
need python3 nfcapd nfdump
probe="python3 $SRC/tests/integration/probe.py"
VALUES="octetDeltaCount packetDeltaCount flowStartNanoseconds flowEndNanoseconds
	tcpControlBits"
REVERSE="reverseOctetDeltaCount reversePacketDeltaCount
	reverseFlowStartNanoseconds reverseFlowEndNanoseconds
	reverseTcpControlBits"

# Puts an intermediateProcess of this kind behind the cache: FILE KIND
mediate()
{
	sed -i "s|<exportingProcess>out</exportingProcess></cache>|\
<cx:intermediateProcess>between</cx:intermediateProcess></cache>\
<cx:intermediateProcess><cx:name>between</cx:name>$2\
<cx:exportingProcess>out</cx:exportingProcess>\
</cx:intermediateProcess>|" "$1"
	"$CONFLUX" check "$1" || fail "check $1"
}

step "biflows of a capture"
"$MKPCAP" -n 20000 -f 800 -o "$T/in.pcap" -t "$T/truth.csv" || fail "mkpcap"
biflows()
{
	name=$1
	shift
	# shellcheck disable=SC2086 # a command
	$probe conf "$T/$name.xml" "$T/$name.ipfix" \
		"capture=<cx:captureFile>$T/in.pcap</cx:captureFile>" \
		"head=<activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout><cx:biflow>true</cx:biflow>" \
		"fields=$VALUES $REVERSE biflowDirection" "$@" ||
		fail "conf $name"
}
run()
{
	"$CONFLUXD" -c "$T/$1.xml" 2>"$T/$1.err" ||
		fail "$1: $(tail -n 3 "$T/$1.err")"
}
biflows whole
run whole
"$CONFLUX" read -f json "$T/whole.ipfix" >"$T/whole.json"
matches "there are biflows" reversePacketDeltaCount "$T/whole.json"
whole=$(lines "$T/whole.json")
ways=$(lines "$T/truth.csv")
python3 - "$T/truth.csv" >"$T/both.csv" <<'PY'
import sys
ways = {}
for line in open(sys.argv[1]):
    f = line.strip().split(",")
    ways[f[0], f[1], f[2], f[3], f[4]] = f
for (a, b, c, d, e), f in ways.items():
    back = ways.get((b, a, d, c, e))
    if back and int(f[7]) < int(back[7]):
        f[8] = max(f[8], back[8], key=int)
    print(",".join(f))
PY

step "split: the truth of each direction"
biflows split
mediate "$T/split.xml" '<cx:splitBiflows/>'
run split
"$CONFLUX" read -f json "$T/split.ipfix" >"$T/split.json"
grep -iE 'reverse|biflow' "$T/split.json" && fail "there are biflows left"
$probe flows "$T/split.json" "$T/both.csv" || fail "split"
equal "records" "$ways" "$(lines "$T/split.json")"
matches "its ledger" "intermediateProcess between: .* split $((ways -
	whole)), .* merged 0, filtered 0, lost 0" "$T/split.err"

step "split: nfcapd takes them"
port=$(free_port)
mkdir "$T/nf"
start nfcapd nfcapd -w "$T/nf" -p "$port" -b 127.0.0.1 -t 3600 -I x -B 4194304
nfcapd=$PID
wait_port udp "$port"
biflows nf "destination=<udpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress><destinationPort>$port</destinationPort></udpExporter>"
mediate "$T/nf.xml" '<cx:splitBiflows/>'
run nf
read_all()
{
	hex=$(printf ':%04X' "$port")
	awk -v port="$hex\$" '$2 ~ port { split($5, q, ":"); n += q[2] != "00000000" }
		END { exit n }' /proc/net/udp
}
wait_for 20 read_all
stop "$nfcapd"
theirs=$(nfdump -R "$T/nf" -q -N -o 'fmt:%pkt,%byt' any | awk -F, '
	{ n++; p += $1; o += $2 } END { print n, p, o }')
equal "flows, packets and octets of nfcapd" "$(awk -F, '
	{ n++; p += $6; o += $7 } END { print n, p, o }' "$T/truth.csv")" \
	"$theirs"
