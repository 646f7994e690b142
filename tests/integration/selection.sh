#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# conflux selection: the sampling of a running confluxd is shown and changed.
# Packets of one flow come through a named pipe, so it is known which of them
# were measured before a change and which after; then live, with two workers
# that share one flow, while packets come without a pause. tshark reads what
# the collectors are told.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
probe="python3 $SRC/tests/integration/probe.py"

# packets COUNT FIRST [head]: UDP packets of one flow, 1 ms apart, as pcap
packets()
{
	python3 - "$@" <<'PY'
import struct, sys
count, first = int(sys.argv[1]), int(sys.argv[2])
out = sys.stdout.buffer
if len(sys.argv) > 3:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
for i in range(first, first + count):
    payload = b"p%07d" % i
    udp = struct.pack(">HHHH", 1000, 9, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i & 0xffff, 0,
                     64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
    out.write(struct.pack("<IIII", 1700000000 + i // 1000, i % 1000 * 1000,
                          len(ip + udp), len(ip + udp)) + ip + udp)
PY
}

observed()
{
	"$CONFLUX" status -j -s "$sock" observationPoint >"$T/point.json" &&
		[ "$(json "$T/point.json" \
			"d['observationPoint'][0]['cx:ledger']['in']")" -eq "$1" ]
}

# begin NAME SELECTOR [KEY=VALUE...]: a daemon that reads a named pipe, open
# as file 9
begin()
{
	name=$1
	selector=$2
	shift 2
	sock=$T/$name.xml.sock
	mkfifo "$T/$name.fifo"
	$probe conf "$T/$name.xml" "$T/$name.ipfix" \
		"capture=<cx:captureFile>$T/$name.fifo</cx:captureFile>" \
		"selector=$selector" \
		"options=selectionSequence selectionStatistics" \
		"fields=packetDeltaCount selectionSequenceId $*" || fail "conf"
	start "$name" "$CONFLUXD" -c "$T/$name.xml"
	daemon=$PID
	exec 9>"$T/$name.fifo"
	wait_for 10 test -S "$sock"
}

# feed COUNT SUM [head]: so many packets more, SUM in all
fed=0
feed()
{
	packets "$1" "$fed" ${3:+"$3"} >&9
	fed=$2
	wait_for 10 observed "$2"
}

finish()
{
	exec 9>&-
	fed=0
	wait_exit "$daemon" 20
	equal "status of $name" 0 "$STATUS"
	"$CONFLUX" read -f json "$T/$name.ipfix" >"$T/$name.json"
	"$CONFLUX" read -o -f json "$T/$name.ipfix" >"$T/$name.options" ||
		fail "options"
}

change()
{
	"$CONFLUX" selection -s "$sock" selection first "$@" >"$T/out" \
		2>"$T/err" || { cat "$T/err"; fail "change $*"; }
}

refused()
{
	words=$1
	shift
	"$CONFLUX" selection -s "$sock" "$@" >"$T/out" 2>"$T/err"
	equal "status of $*" 1 $?
	matches "$*" "$words" "$T/err"
}

# flows NAME FIELD...: packets of each flow and these fields, a line each
flows()
{
	python3 - "$T/$1.json" "$@" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    r = json.loads(line)
    print(r["packetDeltaCount"], *[r.get(f, "-") for f in sys.argv[3:]])
PY
}

step "by count: flows end, parameters and a new sequence are told"
begin count "<sampCountBased><packetInterval>1</packetInterval><packetSpace>9</packetSpace></sampCountBased>" \
	samplingPacketInterval samplingPacketSpace samplingInterval
feed 1000 1000 head
"$CONFLUX" selection -s "$sock" >"$T/out" || fail "list"
equal list "selection first sampCountBased packetInterval=1 packetSpace=9" \
	"$(cat "$T/out")"
change packetSpace=99
equal answer "selection first sampCountBased packetInterval=1 packetSpace=99" \
	"$(cat "$T/out")"
feed 1000 2000
change packetInterval=2 packetSpace=0
feed 1000 3000
"$CONFLUX" status -s "$sock" selectionProcess >"$T/status"
matches status 'sampCountBased packetInterval 2 packetSpace 0' "$T/status"
matches status 'cx:changed 20' "$T/status"
matches log 'selection, selector first: packetInterval=1 packetSpace=99 .was packetInterval=1 packetSpace=9. by order of user [0-9]+; all Flows' \
	"$T/count.err"

step "wrong orders are refused, with the right words, and change nothing"
refused 'no selectionProcess "selectoin", nearest is "selection"' \
	selectoin first packetSpace=1
refused 'no selector "frist", nearest is "first"' \
	selection frist packetSpace=1
refused 'no selector "other"$' selection other
refused '"packetSpaec" is no parameter of it, expected one of packetInterval, packetSpace, nearest is packetSpace' \
	selection first packetSpaec=1
refused 'packetSpace: "-1" is out of range, expected packets from 0 to' \
	selection first packetSpace=-1
refused 'packetInterval is 0: no packet is taken' \
	selection first packetInterval=0
refused 'packetSpace" is no change, expected NAME=VALUE' \
	selection first packetSpace
refused 'no parameter of it' selection first packetSpace=5 size=7
refused 'no answer at .*: No such file' -s "$T/none"
"$CONFLUX" selection -s "$sock" selection "" 2>"$T/err"
equal "status of an empty argument" 2 $?
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$T"
	setpriv --reuid 65534 --regid 0 --clear-groups "$CONFLUX" selection \
		-s "$sock" selection first packetSpace=5 2>"$T/err"
	equal "status for another user" 1 $?
	matches "another user" 'user 65534 may ask, but only root and user 0' \
		"$T/err"
	setpriv --reuid 65534 --regid 0 --clear-groups "$CONFLUX" selection \
		-s "$sock" >"$T/out" || fail "the group may ask"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$CONFLUX" \
		selection -s "$sock" 2>"$T/err"
	equal "status for a stranger" 1 $?
	matches "a stranger" 'no answer at .*: Permission denied' "$T/err"
fi
equal "still the same" \
	"selection first sampCountBased packetInterval=2 packetSpace=0" \
	"$("$CONFLUX" selection -s "$sock" selection first)"
finish
equal flows "100 1 1 9 10
10 4294967297 1 99 100
1000 8589934593 2 0 1" "$(flows count selectionSequenceId \
	samplingPacketInterval samplingPacketSpace samplingInterval)"
# One may be told twice: when it begins, and to a session that came up since.
equal "sequences told" 3 "$(grep observationPointId "$T/count.options" |
	grep -o '"selectionSequenceId":[0-9]*' | sort -u | wc -l | tr -d ' ')"
matches "selector told" \
	'"samplingPacketInterval":1,"samplingPacketSpace":99' "$T/count.options"
matches "counts of before" \
	'"selectorIdTotalPktsObserved":1000,"selectorIdTotalPktsSelected":100' \
	"$T/count.options"
matches "counts since" \
	'"selectorIdTotalPktsObserved":3000,"selectorIdTotalPktsSelected":1110' \
	"$T/count.options"
if command -v tshark >/dev/null; then
	tshark -r "$T/count.ipfix" -d udp.port==4739,cflow -Y cflow \
		-T fields -e cflow.sampling_packet_space 2>/dev/null |
		tr ',' '\n' | grep -v '^$' | sort | uniq -c |
		sed 's/^ *//' >"$T/tshark"
	# Once in a flow, once or more in the report of the selector.
	equal "tshark reads the spaces" "0
9
99" "$(awk '$1 >= 2 { print $2 }' "$T/tshark")"
fi

step "other methods: a value, a range of hashes, a probability"
begin match "<filterMatch><ieName>destinationTransportPort</ieName><value>9</value></filterMatch>"
feed 100 100 head
change value=10
feed 100 200
refused '"nine" is no value of destinationTransportPort' \
	selection first value=nine
refused '"ieName" cannot change while it runs, expected one of value' \
	selection first ieName=protocolIdentifier
change value=0x9
feed 50 250
finish
equal flows "100 1
50 8589934593" "$(flows match selectionSequenceId)"
begin hash "<filterHash><selectedRange><name>low part</name><min>0</min><max>4294967295</max></selectedRange></filterHash>"
feed 1000 1000 head
change "selectedRange/low part/max=2147483647"
matches answer 'filterHash selectedRange/low part/min=0 selectedRange/low part/max=2147483647' \
	"$T/out"
feed 1000 2000
refused 'min above max' selection first "selectedRange/low part/min=2147483648"
finish
equal flows 2 "$(lines "$T/hash.json")"
half=$(flows hash | tail -n 1)
[ "$half" -gt 400 ] && [ "$half" -lt 600 ] || fail "half the hashes: $half"
begin all "<selectAll/>"
refused 'nothing of this selector can be changed' selection first size=1
finish
begin uniform "<sampUniProb><probability>1</probability></sampUniProb>" \
	samplingProbability
feed 1000 1000 head
change probability=0.5
refused 'probability: "1.5" is out of range, expected a decimal number from 0 to 1' \
	selection first probability=1.5
feed 1000 2000
finish
equal flows "1 0.5" "$(flows uniform samplingProbability |
	cut -d' ' -f2 | tr '\n' ' ' | sed 's/ $//')"

step "two workers share a flow, packets come without a pause"
[ "$(id -u)" -eq 0 ] || exit 0
need ip
ns=cxselect$$
ip netns add "$ns" 2>/dev/null || exit 0

# shellcheck disable=SC2317 # by the trap
remove()
{
	ip netns del "$ns" 2>/dev/null
	cleanup
}
trap remove EXIT
ip -n "$ns" link add cxa type veth peer name cxb || exit 0
for end in cxa cxb; do
	ip netns exec "$ns" sysctl -qw "net.ipv6.conf.$end.disable_ipv6=1"
	ip -n "$ns" link set "$end" up
done
# What each worker took in each of its sequences is told; the flows that end
# with a change, one or two of them, have these packets and no others.
cat >"$T/sums.py" <<'PY'
import itertools, json, sys
spaces = [int(word) for word in sys.argv[3:]]
taken = {}
for line in open(sys.argv[2]):
    r = json.loads(line).get("options", {})
    if "selectorIdTotalPktsSelected" in r:
        change, worker = divmod(r["selectionSequenceId"], 1 << 32)
        n = r["selectorIdTotalPktsSelected"]
        # Of several selectors the last one.
        taken[change, worker] = n[-1] if isinstance(n, list) else n
told = [sum(n - taken.get((c - 1, w), 0) for (c, w), n in taken.items()
            if c == change) for change in range(len(spaces))]
flows = [json.loads(line) for line in open(sys.argv[1])]
groups = [(space, sum(r["packetDeltaCount"] for r in group)) for space, group in
          itertools.groupby(flows, lambda r: r["samplingPacketSpace"])]
print(groups, told)
sys.exit(groups != [pair for pair in zip(spaces, told) if pair[1]])
PY
cat >"$T/send.py" <<'PY'
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("cxb", 0))
n, end = 0, time.time() + float(sys.argv[1])
while time.time() < end:
    for port in range(20):
        udp = struct.pack(">HHHH", 1000 + port, 9, 108, 0) + b"x" * 100
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 128, n & 0xffff, 0, 64, 17,
                         0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
        s.send(b"\2" * 12 + b"\x08\0" + ip + udp)
        n += 1
    time.sleep(0.002)
print(n)
PY
$probe conf "$T/live.xml" "$T/live.ipfix" \
	"capture=<ifName>cxa</ifName><cx:filter>udp dst port 9</cx:filter>" \
	"root=<cx:workers>2</cx:workers>" keys=protocolIdentifier \
	"selector=<sampCountBased><packetInterval>1</packetInterval><packetSpace>0</packetSpace></sampCountBased>" \
	"options=selectionSequence selectionStatistics" \
	"fields=packetDeltaCount samplingPacketSpace" ||
	fail "conf"
sock=$T/live.xml.sock
start live ip netns exec "$ns" "$CONFLUXD" -c "$T/live.xml"
daemon=$PID
wait_for 5 grep -q 'observing: point' "$T/live.err"
sleep 0.5
start sender ip netns exec "$ns" python3 "$T/send.py" 4
sender=$PID
for space in 9 4 0 19; do
	sleep 0.6
	change packetSpace=$space
done
wait_exit "$sender" 20
sleep 1.5
"$CONFLUX" status -j -s "$sock" >"$T/live.status" || fail "status"
both=$(json "$T/live.status" \
	"sum(1 for p in d['observationPoint'] if p['cx:ledger']['in'] > 0)")
equal "workers with packets" 2 "$both"
equal "sequences of both" "4 4" "$(json "$T/live.status" \
	"' '.join(str(s['selectionSequence'][0]['selectionSequenceId'] >> 32) for s in d['selectionProcess'])")"
taken=$(json "$T/live.status" "sum(s['selector'][0]['packetsObserved'] -
	s['selector'][0]['packetsDropped'] for s in d['selectionProcess'])")
seen=$(json "$T/live.status" \
	"sum(s['selector'][0]['packetsObserved'] for s in d['selectionProcess'])")
equal "packets sent" "$(cat "$T/sender.out")" "$seen"
stop "$daemon"
"$CONFLUX" read -f json "$T/live.ipfix" >"$T/live.json"
"$CONFLUX" read -o -f json "$T/live.ipfix" >"$T/live.options"
python3 "$T/sums.py" "$T/live.json" "$T/live.options" 0 9 4 0 19 >"$T/live.sums" ||
	fail "flows, packets told: $(cat "$T/live.sums")"
cat "$T/live.sums"
equal "packets of all flows" "$taken" "$(flows live |
	awk '{ n += $1 } END { print n }')"

step "overload in one worker is that of both"
# The cache is short from the first flow on.
$probe conf "$T/over.xml" "$T/over.ipfix" \
	"capture=<ifName>cxa</ifName><cx:filter>udp dst port 9</cx:filter>" \
	"root=<cx:workers>2</cx:workers>" keys=protocolIdentifier \
	"head=<maxFlows>10</maxFlows><activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout>" \
	"options=selectionSequence selectionStatistics" \
	"fields=packetDeltaCount samplingPacketSpace" ||
	fail "conf"
sed -i 's|<cache>flows</cache></selectionProcess>|<cx:overload><cx:cacheHigh>1</cx:cacheHigh><cx:cacheLow>0</cx:cacheLow><cx:cpuHigh>101</cx:cpuHigh><cx:dropsHigh>0</cx:dropsHigh><cx:maxSamplingInterval>20</cx:maxSamplingInterval><cx:holdTime>1</cx:holdTime></cx:overload>&|' \
	"$T/over.xml"
start over ip netns exec "$ns" "$CONFLUXD" -c "$T/over.xml"
daemon=$PID
wait_for 5 grep -q 'observing: point' "$T/over.err"
sleep 0.5
start sender ip netns exec "$ns" python3 "$T/send.py" 3
sender=$PID
wait_for 20 grep -q 'in all workers one packet in 20 is metered' "$T/over.err"
wait_exit "$sender" 20
sleep 1.5
"$CONFLUX" status -j -s "$T/over.xml.sock" >"$T/over.status" || fail "status"
equal "interval of both" "20 20" "$(json "$T/over.status" \
	"' '.join(str(s['cx:overload']['samplingInterval']) for s in d['selectionProcess'])")"
stop "$daemon"
equal "told once a change" 2 "$(grep -c 'selection: .*: overload' "$T/over.err")"
"$CONFLUX" read -f json "$T/over.ipfix" >"$T/over.json"
"$CONFLUX" read -o -f json "$T/over.ipfix" >"$T/over.options"
python3 "$T/sums.py" "$T/over.json" "$T/over.options" 0 9 19 >"$T/over.sums" ||
	fail "flows, packets told: $(cat "$T/over.sums")"
cat "$T/over.sums"
exit 0
