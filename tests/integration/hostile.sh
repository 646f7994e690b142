#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Honest exporters beside hostile ones. The hostile ones send noise, good
# messages with bits turned, Templates and Observation Domains without end, data
# without Templates, and TCP connections that break off anywhere. Not one record
# of the honest ones may be missing or changed, the account has to hold, and
# memory must not grow without bound.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

port=$(free_port)
sock=$T/sock
cat >"$T/c.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>u</name><localPort>$port</localPort></udpCollector>
<tcpCollector><name>t</name><localPort>$port</localPort></tcpCollector>
<exportingProcess>raw</exportingProcess></collectingProcess>
<exportingProcess><name>raw</name><destination><name>j</name><cx:jsonWriter>
<cx:file>file://$T/raw.json</cx:file></cx:jsonWriter></destination>
</exportingProcess>
</ipfix>
END

cat >"$T/hostile.py" <<'END'
import glob, random, socket, struct, sys, time
host, port, seconds, corpus = sys.argv[1], int(sys.argv[2]), \
    float(sys.argv[3]), sys.argv[4]
random.seed(5)

def seeds():
    """Messages of the corpus of the fuzz target: pieces with a length."""
    found = []
    for path in sorted(glob.glob(corpus + '/*')):
        data, at = open(path, 'rb').read(), 1
        while at + 2 < len(data):
            n = struct.unpack('>H', data[at:at + 2])[0]
            found.append(data[at + 2:at + 2 + n])
            at += 2 + n
    return [m for m in found if len(m) > 16]

def message(sequence, domain, *sets):
    body = b''.join(struct.pack('>HH', i, len(c) + 4) + c for i, c in sets)
    return struct.pack('>HHIII', 10, 16 + len(body), 1700000000, sequence,
                       domain) + body

def words(*numbers):
    return struct.pack('>%dH' % len(numbers), *numbers)

def templates():
    """Many, with elements that nobody knows."""
    first = random.randrange(256, 65000)
    return (2, b''.join(
        words(first + i, 3, 8, 4, 0x8000 | random.randrange(1, 32767), 8) +
        struct.pack('>I', random.randrange(1 << 32)) +
        words(random.randrange(1, 500), random.choice((4, 65535)))
        for i in range(20)))

SEEDS = seeds()

def evil():
    kind = random.randrange(6)
    if kind == 0:
        return random.randbytes(random.randrange(0, 1400))
    if kind == 1:
        return message(random.randrange(1 << 32), random.randrange(1 << 32),
                       templates())
    if kind == 2:
        return message(0, random.randrange(3),
                       (random.randrange(256, 65536), random.randbytes(1300)))
    data = bytearray(random.choice(SEEDS))
    for _ in range(random.randrange(1, 6)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    if kind == 3:
        data = data[:random.randrange(len(data))]
    return bytes(data)

def udp_socket():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.%d' % random.randrange(2, 9), 0))
    s.connect((host, port))
    return s

def tcp():
    s = socket.create_connection((host, port))
    try:
        for _ in range(random.randrange(1, 5)):
            s.sendall(evil())
        if random.random() < .5:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack('ii', 1, 0))
    except OSError:
        pass
    s.close()

end, sockets, sent = time.time() + seconds, [], 0
while time.time() < end:
    if len(sockets) < 200:
        sockets.append(udp_socket())
    for _ in range(20):
        try:
            random.choice(sockets).send(evil())
        except OSError:
            pass
        sent += 1
    tcp()
    time.sleep(.005)
print(sent, 'datagrams')
END

cat >"$T/compare.py" <<'END'
import json, sys
path, first = sys.argv[1], sys.argv[2] + '.'
truths = [json.load(open(p)) for p in sys.argv[3:]]
got = [0, 0, 0]
for line in open(path):
    r = json.loads(line)
    if str(r.get('sourceIPv4Address', '')).startswith(first):
        got = [got[0] + 1, got[1] + r['octetDeltaCount'],
               got[2] + r['packetDeltaCount']]
want = [sum(t[k] for t in truths) for k in ('records', 'octets', 'packets')]
if got != want:
    sys.exit('records, octets, packets: %s, expected %s' % (got, want))
END

start confluxd "$CONFLUXD" -c "$T/c.xml"
daemon=$PID
wait_port udp "$port"
wait_port tcp "$port"

step "two honest exporters among hostile ones"
start hostile python3 "$T/hostile.py" 127.0.0.1 "$port" 8 \
	"$SRC/tests/fuzz/corpus/collecting"
hostile=$PID
start tcp "$MKIPFIX" -n 60000 -6 0 -S 77 -r 10000 "tcp:127.0.0.1:$port"
tcp=$PID
start udp "$MKIPFIX" -n 60000 -6 0 -S 77 -r 10000 "udp:127.0.0.1:$port"
udp=$PID
wait_exit "$tcp" 30
equal "honest exporter over TCP" 0 "$STATUS"
wait_exit "$udp" 30
equal "honest exporter over UDP" 0 "$STATUS"
wait_exit "$hostile" 60
equal "hostile exporter" 0 "$STATUS"
cat "$T/hostile.out"

step "confluxd goes on, with the memory it needs"
"$CONFLUX" status --json --socket "$sock" >"$T/status.json" ||
	fail "no status"
peak=$(awk '/VmHWM/ { print $2 }' "/proc/$daemon/status")
echo "peak memory: $peak KiB"
# Fixed parts, and the bounds of what a peer can make grow.
[ "$peak" -lt 300000 ] || fail "memory grew to $peak KiB"
lines "$T/confluxd.err"
[ "$(lines "$T/confluxd.err")" -lt 3000 ] || fail "the log was flooded"

step "the account"
stop "$daemon"
equal "exit status of confluxd" 0 "$STATUS"
python3 "$T/compare.py" "$T/raw.json" 77 "$T/tcp.out" "$T/udp.out" ||
	fail "honest records are missing or changed"
python3 - "$T/confluxd.err" <<'END' || fail "the ledger does not hold"
import re, sys
line = [l for l in open(sys.argv[1]) if 'ledger: all:' in l][-1]
n = {k: int(v) for k, v in re.findall(r'(\w+) (\d+)', line)}
print(line.strip())
sys.exit(n['in'] != n['exported'] + n['merged'] + n['filtered'] + n['lost'])
END
