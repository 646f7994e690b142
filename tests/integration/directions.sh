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

step "uniflows become the same biflows, whichever direction comes first"
# Clients have the high ports: what they send goes to one file, what the servers
# send to another.
half()
{
	cat >"$T/$1.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/$1.sock</cx:controlSocket>
<collectingProcess><name>in</name>
<fileReader><name>f</name><file>file://$T/split.ipfix</file></fileReader>
<cx:intermediateProcess>half</cx:intermediateProcess></collectingProcess>
<cx:intermediateProcess><cx:name>half</cx:name><cx:filter>$2</cx:filter>
<cx:exportingProcess>out</cx:exportingProcess></cx:intermediateProcess>
<exportingProcess><name>out</name><destination><name>d</name>
<fileWriter><file>file://$T/$1.ipfix</file></fileWriter>
</destination></exportingProcess></ipfix>
XML
	run "$1"
}
half clients 'src port gt 1000'
half servers 'not src port gt 1000'
# The cache of the biflows above, fed by the files.
join()
{
	name=$1
	{
		sed "/<observationPoint>/,\$d; s|<cx:controlSocket>|<cx:workers>$3</cx:workers>&|" \
			"$T/whole.xml"
		echo "<collectingProcess><name>in</name>"
		for file in $2; do
			echo "<fileReader><name>$file</name><file>file://$T/$file.ipfix</file></fileReader>"
		done
		echo "<cx:cache>flows</cx:cache></collectingProcess>"
		sed -n '/^<cache>/,$p' "$T/whole.xml" |
			sed "s|$T/whole.ipfix|$T/$name.ipfix|"
	} >"$T/$name.xml"
	run "$name"
	"$CONFLUX" read -f json "$T/$name.ipfix" | sort >"$T/$name.json"
	sort "$T/whole.json" | cmp - "$T/$name.json" ||
		fail "$name: other biflows"
}
join questions "clients servers" 1
join answers "servers clients" 1
# Each file is read by a worker of its own.
join apart "clients servers" 2
