#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The metering devices of the requirements (figure 2) as they are in examples/:
# each is run on four interfaces of a network namespace, and meters what comes
# there; collectors are at the addresses that the examples name.
. "${SRC:-.}/tests/integration/lib.sh"
need ip python3
[ "$(id -u)" -eq 0 ] || skip "not root"
hosts a b
PACKETS=1000 # to each interface

for n in 0 1 2 3; do
	ip link add eth$n netns "$ns.a" type veth peer name p$n netns "$ns.b" ||
		skip "no veth here"
done
ip link add la netns "$ns.a" type veth peer name lb netns "$ns.b"
for host in a b; do
	# shellcheck disable=SC2016 # there
	on $host sh -c 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		for i in /sys/class/net/*; do ip link set "${i##*/}" up; done'
done
ip -n "$ns.a" addr add 192.0.2.2/24 dev la
ip -n "$ns.b" addr add 192.0.2.1/24 dev lb

# collector NAME HOST: all that comes there to the port of IPFIX, to a file
collector() {
	cat >"$T/$1.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/$1.sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>u</name><localPort>4739</localPort></udpCollector>
<tcpCollector><name>t</name><localPort>4739</localPort></tcpCollector>
<exportingProcess>out</exportingProcess></collectingProcess>
<exportingProcess><name>out</name><destination><name>f</name><fileWriter>
<file>file://$T/$1.ipfix</file></fileWriter></destination></exportingProcess>
</ipfix>
END
	start "$1" ip netns exec "$ns.$2" "$CONFLUXD" -c "$T/$1.xml"
	echo "$PID" >"$T/$1.pid"
	wait_for 10 grep -q 'collecting: in/t' "$T/$1.err"
}

# device EXAMPLE LINE: starts it; LINE of its log says that it is ready
device() {
	sed "s|\(xmlns:cx=[^>]*>\)|\1<cx:controlSocket>$T/$1.sock</cx:controlSocket>|" \
		"$SRC/examples/$1.xml" >"$T/$1.xml"
	start "$1" ip netns exec "$ns.a" "$CONFLUXD" -c "$T/$1.xml"
	wait_for 10 grep -q "$2" "$T/$1.err"
}

# Frames of 20 flows to each interface
packets() {
	on b python3 - $PACKETS <<'PY'
import socket, struct, sys, time
count = int(sys.argv[1])
out = []
for n in range(4):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(('p%d' % n, 0))
    out.append(s)
for i in range(count):
    udp = struct.pack('!HHHH', 20000 + i % 20, 53, 108, 0) + bytes(100)
    for n, s in enumerate(out):
        ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 128, i & 65535, 0, 64, 17,
                         0, bytes([198, 51, 100, n]), bytes([203, 0, 113, 1]))
        s.send(b'\2\0\0\0\0\1\2\0\0\0\0\2\10\0' + ip + udp)
    if i % 50 == 49:
        time.sleep(0.002)
PY
}

# all_of COLLECTOR NUMBER: so many records have come there
# shellcheck disable=SC2317 # by wait_for
all_of() {
	"$CONFLUX" status -j -s "$T/$1.sock" >"$T/status" || return
	[ "$(json "$T/status" "d['collectingProcess'][0]['cx:ledger']['in']")" \
		-ge "$2" ]
}

# sent DEVICE DESTINATION: records that it says it has sent there
sent() {
	sed -n "s|.*ledger: destination $2: .* exported \([0-9]*\),.*|\1|p" \
		"$T/$1.err"
}

# ended DEVICE DESTINATION COLLECTOR: ends the collector when it has all that
# the device has sent
ended() {
	wait_for 10 all_of "$3" "$(sent "$1" "$2")"
	stop "$(cat "$T/$3.pid")"
	equal "status of $3" 0 "$STATUS"
	"$CONFLUX" read -f json "$T/$3.ipfix" >"$T/$3.json" ||
		fail "conflux read"
}

# sum COLLECTOR [CONDITION]: packets in the records for which it holds
sum() {
	python3 - "$T/$1.json" "${2:-True}" <<'PY'
import json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
print(sum(r['packetDeltaCount'] for r in records
          if 'packetDeltaCount' in r and eval(sys.argv[2])))
PY
}

# meter DEVICE LINE: frames come while it runs
meter() {
	device "$1" "$2"
	sleep 0.3 # for all of its interfaces
	packets
	sleep 0.3
	stop "$PID"
	equal "status of $1" 0 "$STATUS"
}

step "a probe"
collector hq b
meter probe 'observing: .* eth0'
ended probe collector/hq hq
equal packets 1000 "$(sum hq)"

step "a basic router: three interfaces"
collector hq b
meter router 'observing: .* eth2'
ended router collector/hq hq
equal packets 3000 "$(sum hq)"
for n in 0 1 2; do
	index=$(on a cat /sys/class/net/eth$n/ifindex)
	equal "packets of eth$n" 1000 "$(sum hq "r['ingressInterface'] == $index")"
done

step "a complex router: two cards, sampled flows and classes of all"
collector hq b
meter complex-router 'observing: .* eth3'
ended complex-router collector/hq hq
equal "one in a hundred" 40 "$(sum hq "'sourceIPv4Address' in r")"
equal "all" 4000 "$(sum hq "'sourceIPv4Address' not in r")"

step "two exporting processes"
collector billing b
collector operations a
meter multiple-exporters 'observing: .* eth1'
ended multiple-exporters billing/billing billing
ended multiple-exporters operations/operations operations
equal "customers" 1000 "$(sum billing)"
equal "backbone" 1000 "$(sum operations)"

step "remote observation: one captures, another one meters"
collector hq b
device remote-observation-meter 'collecting: .*tcp'
remote=$PID
meter remote-observation-probe 'observing: .* eth0'
wait_for 10 all_of remote-observation-meter \
	"$(sent remote-observation-probe meter/meter)"
stop "$remote"
ended remote-observation-meter collector/hq hq
# One in ten was sent on, and stands for ten.
equal packets 1000 "$(sum hq)"
exit 0
