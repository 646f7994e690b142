#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sampling renormalisation of NetFlow version 9 and 5, as routers send them: the
# sampler of an Options Template, the rate in a header, and an exporter that does
# not tell. nfcapd behind gets the same sums, as it must not multiply again.
. "${SRC:-.}/tests/integration/lib.sh"
need python3 nfcapd nfdump

cat >"$T/send.py" <<'PY'
import socket, struct, sys, time
port = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = ("127.0.0.1", port)
now = int(time.time())
def set_of(number, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("!HH", number, len(body) + 4) + body
def v9(source, sequence, *sets):
    s.sendto(struct.pack("!HHIIII", 9, len(sets), 100000, now, sequence,
                         source) + b"".join(sets), to)
fields = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (21, 4),
          (22, 4), (48, 1)]
template = struct.pack("!HH", 256, len(fields)) + b"".join(
    struct.pack("!HH", *f) for f in fields)
# scope System, then samplerId, samplerMode, samplerRandomInterval
options = struct.pack("!HHH", 257, 4, 12) + struct.pack(
    "!HHHHHHHH", 1, 4, 48, 1, 49, 1, 50, 4)
def flow(sampler, octets, packets):
    return struct.pack("!IIHHBIIIIB", 0x0a000001, 0x0a000002, 1000 + sampler,
                       80, 6, octets, packets, 99000, 98000, sampler)
v9(7, 0, set_of(0, template), set_of(1, options))
v9(7, 1, set_of(257, struct.pack("!IBBI", 1, 1, 2, 100) +
                     struct.pack("!IBBI", 1, 2, 2, 10)))
v9(7, 2, set_of(256, flow(1, 1000, 10) + flow(2, 500, 5) + flow(3, 70, 7)))
# Version 5, one in 1000 by its header.
s.sendto(struct.pack("!HHIIIIBBH", 5, 1, 100000, now, 0, 0, 0, 0, 1 << 14 | 1000)
         + struct.pack("!IIIHHIIIIHHBBBBHHBBH", 0x0a000003, 0x0a000004, 0, 1, 2,
                       3, 300, 98000, 99000, 1, 2, 0, 0, 17, 0, 0, 0, 0, 0, 0),
         to)
PY

port=$(free_port)
out=$(free_port)
mkdir "$T/nf"
start nfcapd nfcapd -l "$T/nf" -p "$out" -b 127.0.0.1 -t 3600
nfcapd=$PID
wait_port udp "$out"
cat >"$T/conf.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>u</name><localPort>$port</localPort></udpCollector>
<cx:intermediateProcess>scaled</cx:intermediateProcess></collectingProcess>
<cx:intermediateProcess><cx:name>scaled</cx:name><cx:renormalize>
<cx:exporter><cx:name>e</cx:name><cx:address>127.0.0.1</cx:address>
<cx:samplingInterval>2</cx:samplingInterval></cx:exporter>
</cx:renormalize><cx:exportingProcess>out</cx:exportingProcess>
</cx:intermediateProcess>
<exportingProcess><name>out</name>
<destination><name>f</name>
<fileWriter><file>file://$T/out.ipfix</file></fileWriter></destination>
<destination><name>n</name><udpExporter>
<destinationIPAddress>127.0.0.1</destinationIPAddress>
<destinationPort>$out</destinationPort></udpExporter></destination>
</exportingProcess></ipfix>
XML
"$CONFLUX" check "$T/conf.xml" || fail "conflux check"
start confluxd "$CONFLUXD" -c "$T/conf.xml"
daemon=$PID
wait_port udp "$port"
python3 "$T/send.py" "$port" || fail send.py

step "status tells who knew the rate"
rate_by()
{
	"$CONFLUX" status -j -s "$T/sock" intermediateProcess >"$T/status" &&
		[ "$(json "$T/status" "[d['cx:intermediateProcess'][0]['renormalize']['rateBy'][k] for k in ('record', 'selector', 'exporter', 'unknown')]")" = "[1, 2, 1, 0]" ]
}
wait_for 20 rate_by
stop "$daemon"

step "counters and what the records say"
"$CONFLUX" read -f json "$T/out.ipfix" >"$T/out.json" || fail "conflux read"
python3 - "$T/out.json" <<'PY' || fail "other counters"
import json, sys
got = sorted((r["packetDeltaCount"], r["octetDeltaCount"],
              r["samplingInterval"])
             for r in map(json.loads, open(sys.argv[1]))
             if "packetDeltaCount" in r)
assert got == [(14, 140, 1), (50, 5000, 1), (1000, 100000, 1),
               (3000, 300000, 1)], got
PY

step "nfcapd gets the same sums"
stop "$nfcapd"
nfdump -R "$T/nf" -q -N -o fmt:%pkt >"$T/nf.txt" || fail nfdump
equal packets 4064 "$(awk '{ n += $1 } END { print n }' "$T/nf.txt")"
