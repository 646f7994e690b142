#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Filter expressions against nfdump's on the same records: nfcapd takes what we
# read, and for a list of expressions in the language of both, "conflux read" and
# "nfdump -r" find equally many. Not in it: as, for which nfdump 1.7.1 wants a
# database of its own.
. "${SRC:-.}/tests/integration/lib.sh"
need python3 nfcapd nfdump

cat >"$T/make.py" <<'PY'
import random, socket, struct, sys, time
name, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = random.Random(7)
common = [(7, 2), (11, 2), (4, 1), (6, 2), (5, 1), (1, 8), (2, 8), (152, 8),
          (153, 8), (10, 4), (14, 4), (16, 4), (17, 4), (58, 2), (59, 2),
          (56, 6), (80, 6), (57, 6)]
v4 = [(8, 4), (12, 4), (9, 1), (13, 1), (15, 4)] + common
v6 = [(27, 16), (28, 16), (29, 1), (30, 1), (62, 16)] + common
icmp = [(8, 4), (12, 4), (32, 2), (4, 1), (1, 8), (2, 8), (152, 8), (153, 8)]
templates = {256: v4, 257: v6, 258: icmp}
now = 1700000000
def number(id, size):
    pick = {
        4: lambda: r.choice([6, 6, 17, 47]), 6: lambda: r.choice([2, 16, 18, 19, 27, 0]),
        7: lambda: r.choice([53, 80, 443, 1024 + r.randrange(60000)]),
        11: lambda: r.choice([22, 80, 443, 8080, r.randrange(65536)]),
        5: lambda: r.choice([0, 8, 184]), 9: lambda: r.choice([8, 16, 24, 32]),
        13: lambda: r.choice([8, 16, 24, 32]), 29: lambda: r.choice([48, 64]),
        30: lambda: r.choice([48, 64]), 10: lambda: r.randrange(4),
        14: lambda: r.randrange(4), 16: lambda: r.choice([0, 64500, 65551]),
        17: lambda: r.choice([0, 64501, 4200000000]),
        58: lambda: r.randrange(5), 59: lambda: r.randrange(5),
        56: lambda: 0x001b210a0b00 + r.randrange(3),
        80: lambda: 0x001b210a0b00 + r.randrange(3),
        57: lambda: 0x001b210a0b00 + r.randrange(3),
        8: lambda: (10 << 24) + r.randrange(4) * 65536 + r.randrange(3),
        12: lambda: (192 << 24) + (168 << 16) + r.randrange(600),
        15: lambda: (203 << 24) + r.randrange(3),
        27: lambda: (0x20010db8 << 96) + r.randrange(3),
        28: lambda: (0x20010db8 << 96) + (r.randrange(3) << 64) + r.randrange(3),
        62: lambda: (0xfe80 << 112) + r.randrange(3),
        32: lambda: r.choice([0x0800, 0x0000, 0x0301, 0x0303, 0x0b00]),
    }
    return pick[id]()
def record(template):
    packets = r.choice([1, 2, 10, 1000, 1024, 50000])
    octets = packets * r.choice([40, 64, 1000, 1024, 1500])
    start = now * 1000 + r.randrange(1000)
    end = start + r.choice([0, 1, 999, 1000, 5000, 60001])
    known = {1: octets, 2: packets, 152: start, 153: end}
    if template == 258: known[4] = 1
    return b"".join((known[i] if i in known else number(i, n)).to_bytes(n, "big")
                    for i, n in templates[template])
def message(sets, sequence):
    body = b"".join(struct.pack(">HH", i, 4 + len(d)) + d for i, d in sets)
    return struct.pack(">HHIII", 10, 16 + len(body), now + 100, sequence, 1) + body
out = open(name, "wb")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", port))
def send(m):
    out.write(m)
    s.send(m)
    time.sleep(0.001)
send(message([(2, b"".join(struct.pack(">HH", i, len(f)) +
     b"".join(struct.pack(">HH", *x) for x in f) for i, f in templates.items()))], 0))
done = 0
while done < count:
    t = r.choice([256, 256, 256, 257, 258])
    n = 8
    send(message([(t, b"".join(record(t) for _ in range(n)))], done))
    done += n
out.close()
PY

step "the same records to a file and to nfcapd"
port=$(free_port)
mkdir "$T/nf"
start nfcapd nfcapd -w "$T/nf" -p "$port" -b 127.0.0.1 -t 3600 -I x -B 4194304
nfcapd=$PID
wait_port udp "$port"
python3 "$T/make.py" "$T/all.ipfix" "$port" 20000 || fail "make.py"
sleep 1
stop "$nfcapd"
equal "records in the file" 20000 "$("$CONFLUX" read "$T/all.ipfix" | wc -l)"
equal "flows that nfcapd has" 20000 \
	"$(nfdump -R "$T/nf" -q -N -o fmt:%pr any 2>/dev/null | wc -l)"

step "equally many for each expression"
while IFS= read -r filter; do
	case $filter in '' | \#*) continue ;; esac
	nfdump -R "$T/nf" -q -N -o fmt:%pr "$filter" >"$T/theirs" 2>"$T/err" ||
		fail "nfdump: $filter: $(cat "$T/err")"
	"$CONFLUX" read -F "$filter" "$T/all.ipfix" >"$T/ours" 2>"$T/err" ||
		fail "conflux read: $filter: $(cat "$T/err")"
	theirs=$(lines "$T/theirs")
	echo "$theirs of 20000: $filter"
	equal "$filter" "$theirs" "$(lines "$T/ours")"
done <<'FILTERS'
any
proto tcp
proto 17
not proto udp
inet
ipv6
inet6 and proto tcp
src ip 10.0.0.1
dst ip 192.168.0.7
ip 10.1.0.2
host 10.1.0.2 or host 192.168.1.1
src ip 2001:db8::1
ip in [10.0.0.1 10.2.0.0/16 2001:db8::2]
net 10.0.0.0/8
src net 10.3.0.0/16
dst net 192.168.1.0/24
net 192.168.0.0 255.255.255.128
dst net 2001:db8:0:1::/64
port 80
src port 53
dst port 443 and proto tcp
src or dst port 80
src and dst port 80
port in [22 443]
not port in [22 443 80]
port > 50000
proto tcp and dst port < 1024
dst port >= 8080
flags S
flags SA
flags S and not flags AFRPU
flags F or flags R
flags 0x12
not flags S
packets > 1000
packets = 1024
packets > 1k
packets < 2
bytes > 1000000
bytes > 10k
bytes = 64k
bytes > 1m
bytes < 1500
packets > 10 and bytes < 100000
duration > 1000
duration = 1
duration < 1000
pps > 1000
bps > 100k
bpp > 1000
bpp = 64
if 3
in if 2
out if 1
src vlan 3
dst vlan 4
vlan 2
in src mac 00:1b:21:0a:0b:01
out dst mac 00:1b:21:0a:0b:02
in dst mac 00:1b:21:0a:0b:02
src mask 24
dst mask 8
tos 8
tos 184
next ip 203.0.0.2
icmp-type 8
icmp-type 3 and icmp-code 3
icmp-code 1
(proto tcp and dst port 80) or (proto udp and src port 53) and not net 10.0.0.0/16
not (not (src port 80 and (dst port 22 or dst port 443)))
proto tcp && (port 80 || port 443) && ! flags S
FILTERS

# records FILE: how many; octets FILE: their sum.
records()
{
	"$CONFLUX" read "$1" | wc -l
}
octets()
{
	"$CONFLUX" read -f json "$@" >"$T/json" || fail "conflux read $*"
	python3 -c "import json, sys
print(sum(json.loads(l).get('octetDeltaCount', 0) for l in open(sys.argv[1])))" \
		"$T/json"
}

# A process: NAME EXPRESSION, then what it leads to.
process()
{
	printf '<cx:intermediateProcess><cx:name>%s</cx:name>' "$1"
	printf '<cx:filter><![CDATA[%s]]></cx:filter>' "$2"
	printf '%s</cx:intermediateProcess>\n' "$3"
}
field()
{
	printf '<cacheField><name>%s</name><ieName>%s</ieName>%s</cacheField>' \
		"$1" "$1" "${2:-}"
}
writer()
{
	printf '<exportingProcess><name>%s</name><destination><name>d</name>' "$1"
	printf '<fileWriter><file>file://%s</file></fileWriter>' "$T/$1.ipfix"
	printf '</destination></exportingProcess>\n'
}
# The document: FILE, its sources, behind which "tcp" and "rest" stand.
document()
{
	cat >"$1" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
$(cat "$T/sources")
$(process large 'bytes > 10k' '<cx:exportingProcess>large</cx:exportingProcess>')
$(process tcp tcp '<cx:intermediateProcess>large</cx:intermediateProcess>
<cx:exportingProcess>tcp</cx:exportingProcess>')
$(process rest 'not proto tcp' '<cx:cache>protocols</cx:cache>')
$(process udp 'protocolIdentifier == udp' \
	'<cx:exportingProcess>udp</cx:exportingProcess>')
<cache><name>protocols</name><timeoutCache>
<activeTimeout>3600</activeTimeout><idleTimeout>3600</idleTimeout>
<cacheLayout>
$(field protocolIdentifier '<isFlowKey/>')
$(field octetDeltaCount)
$(field packetDeltaCount)
</cacheLayout></timeoutCache>
<cx:intermediateProcess>udp</cx:intermediateProcess></cache>
$(writer large)
$(writer tcp)
$(writer udp)
</ipfix>
XML
	"$CONFLUX" check "$1" || fail "conflux check $1"
}
# What came out, of the records in these files.
filtered()
{
	equal "tcp" "$("$CONFLUX" read "$@" tcp | wc -l)" \
		"$(records "$T/tcp.ipfix")"
	equal "tcp and large" "$("$CONFLUX" read "$@" 'tcp and bytes > 10k' |
		wc -l)" "$(records "$T/large.ipfix")"
	equal "udp, merged" "$(octets "$@" 'proto udp')" \
		"$(octets "$T/udp.ipfix")"
	equal "flows of udp" 1 "$(records "$T/udp.ipfix")"
}

step "chains behind a file and behind a cache"
cat >"$T/sources" <<XML
<cx:controlSocket>$T/sock</cx:controlSocket>
<collectingProcess><name>in</name>
<fileReader><name>r</name><file>file://$T/all.ipfix</file></fileReader>
<cx:intermediateProcess>tcp</cx:intermediateProcess>
<cx:intermediateProcess>rest</cx:intermediateProcess></collectingProcess>
XML
document "$T/file.xml"
start file "$CONFLUXD" -c "$T/file.xml"
wait_exit "$PID" 30
equal status 0 "$STATUS"
filtered "$T/all.ipfix"
tcp=$(records "$T/tcp.ipfix")
matches "the filter's own account" \
	"intermediateProcess tcp: in 20000, exported $tcp, merged 0, filtered $((20000 - tcp))," \
	"$T/file.err"

step "three workers, TCP and UDP"
port=$(free_port)
uport=$(free_port)
cat >"$T/sources" <<XML
<cx:workers>3</cx:workers>
<cx:controlSocket>$T/sock</cx:controlSocket>
<collectingProcess><name>in</name>
<tcpCollector><name>t</name><localPort>$port</localPort></tcpCollector>
<udpCollector><name>u</name><localPort>$uport</localPort></udpCollector>
<cx:intermediateProcess>tcp</cx:intermediateProcess>
<cx:intermediateProcess>rest</cx:intermediateProcess></collectingProcess>
XML
document "$T/workers.xml"
start workers "$CONFLUXD" -c "$T/workers.xml"
daemon=$PID
wait_port tcp "$port"
wait_port udp "$uport"
for i in 1 2 3 4; do
	"$MKIPFIX" -n 5000 -f 500 -s "$i" "$T/in$i.ipfix" >/dev/null
	"$MKIPFIX" -n 5000 -f 500 -s "$i" "tcp:127.0.0.1:$port" >/dev/null ||
		fail mkipfix
	"$MKIPFIX" -n 5000 -f 500 -s "$i" -r 20000 "udp:127.0.0.1:$uport" \
		>/dev/null || fail mkipfix
done
all_in()
{
	"$CONFLUX" status -j -s "$T/sock" ledger >"$T/status" &&
		[ "$(json "$T/status" "d['cx:total']['cx:ledger']['in']")" -ge 40000 ]
}
wait_for 20 all_in
"$CONFLUX" status -j -s "$T/sock" intermediateProcess >"$T/status" ||
	fail "conflux status"
equal "filters in three workers" 12 \
	"$(json "$T/status" "len(d['cx:intermediateProcess'])")"
matches "tells the expression" 'not proto tcp' "$T/status"
stop "$daemon"
filtered "$T/in1.ipfix" "$T/in2.ipfix" "$T/in3.ipfix" "$T/in4.ipfix" \
	"$T/in1.ipfix" "$T/in2.ipfix" "$T/in3.ipfix" "$T/in4.ipfix"

step "packets"
"$MKPCAP" -n 20000 -f 200 -o "$T/in.pcap" -t "$T/truth.csv"
cat >"$T/sources" <<XML
<cx:controlSocket>$T/sock</cx:controlSocket>
<observationPoint><name>p</name><observationDomainId>5</observationDomainId>
<cx:captureFile>$T/in.pcap</cx:captureFile>
<selectionProcess>all</selectionProcess></observationPoint>
<selectionProcess><name>all</name>
<selector><name>all</name><selectAll/></selector>
<cx:intermediateProcess>rest</cx:intermediateProcess></selectionProcess>
XML
document "$T/packets.xml" 2>"$T/warnings"
start packets "$CONFLUXD" -c "$T/packets.xml"
wait_exit "$PID" 30
equal status 0 "$STATUS"
equal "octets of udp" \
	"$(awk -F, '$5 == 17 { n += $7 } END { print n }' "$T/truth.csv")" \
	"$(octets "$T/udp.ipfix")"
udp=$("$CONFLUX" read -f json "$T/udp.ipfix" | sed 's/.*packetDeltaCount"://; s/[,}].*//')
equal "packets of udp" \
	"$(awk -F, '$5 == 17 { n += $6 } END { print n }' "$T/truth.csv")" "$udp"

step "mistakes are told with line and column"
sed 's/not proto tcp/not\n  prto tcp/' "$T/file.xml" >"$T/bad.xml"
line=$(grep -n '  prto tcp' "$T/bad.xml" | cut -d: -f1)
"$CONFLUX" check "$T/bad.xml" 2>"$T/err" && fail "a mistake is taken"
matches "file, line and column" \
	"bad.xml:$line: cx:filter: line 2, column 3: there is no element or word \"prto\", nearest is proto" "$T/err"
matches "a caret" '^    \^$' "$T/err"
