#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Exporters that others wrote send to confluxd: softflowd meters a capture that
# is made here, python3-ipfix writes and sends Messages with reduced lengths,
# strings and an enterprise element. What confluxd makes of it is compared with
# the truth, to the unit, record by record and merged in a cache.
. "${SRC:-.}/tests/integration/lib.sh"

python=/usr/bin/python3
[ -x $python ] || skip "there is no $python"
sock=$T/sock

config()
{
	cat <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	<cx:controlSocket>$sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>u</name><localPort>$port</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	<tcpCollector><name>t</name><localPort>$port</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	<exportingProcess>raw</exportingProcess><cx:cache>hosts</cx:cache>
	</collectingProcess>
	<cache><name>hosts</name><timeoutCache><idleTimeout>600</idleTimeout>
	<cacheLayout>
	<cacheField><name>s</name><ieName>sourceIPv4Address</ieName><isFlowKey/></cacheField>
	<cacheField><name>s6</name><ieName>sourceIPv6Address</ieName><isFlowKey/></cacheField>
	<cacheField><name>o</name><ieName>octetDeltaCount</ieName></cacheField>
	<cacheField><name>p</name><ieName>packetDeltaCount</ieName></cacheField>
	</cacheLayout></timeoutCache>
	<exportingProcess>merged</exportingProcess></cache>
	<exportingProcess><name>raw</name><destination><name>j</name><cx:jsonWriter>
	<cx:file>file://$T/raw.json</cx:file></cx:jsonWriter></destination></exportingProcess>
	<exportingProcess><name>merged</name><destination><name>j</name><cx:jsonWriter>
	<cx:file>file://$T/merged.json</cx:file></cx:jsonWriter></destination></exportingProcess>
	</ipfix>
	END
}

begin()
{
	port=$(free_port)
	config >"$T/c.xml"
	start confluxd "$CONFLUXD" -c "$T/c.xml"
	daemon=$PID
	wait_port udp "$port"
}

# end RECORDS: waits until so many have come, then stops confluxd in order.
end()
{
	wait_for 20 enough "$1"
	stop "$daemon"
	equal "exit status of confluxd" 0 "$STATUS"
}

enough()
{
	"$CONFLUX" status --json --socket "$sock" >"$T/status.json" || return
	[ "$(json "$T/status.json" "sum(p['cx:ledger']['in'] for p in d['collectingProcess'])")" -ge "$1" ]
}

cat >"$T/truth.py" <<'END'
import json, random, socket, struct, sys

def capture(path, packets):
    """A capture of UDP packets between few hosts; returns octets and packets
    by (source, destination, ports)."""
    random.seed(4)
    truth, out = {}, open(path, 'wb')
    out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for i in range(packets):
        six = i % 5 == 0
        s, d = random.randrange(1, 9), random.randrange(1, 9)
        sport, dport = 1000 + s, 2000 + d
        size = random.randrange(1, 1300)
        udp = struct.pack('>HHHH', sport, dport, 8 + size, 0) + bytes(size)
        if six:
            a, b = '2001:db8::%x' % s, '2001:db8::ff:%x' % d
            ip = struct.pack('>IHBB', 6 << 28, len(udp), 17, 64) + \
                socket.inet_pton(socket.AF_INET6, a) + \
                socket.inet_pton(socket.AF_INET6, b)
        else:
            a, b = '10.0.0.%d' % s, '10.0.1.%d' % d
            ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), i & 65535, 0,
                             64, 17, 0) + socket.inet_aton(a) + \
                socket.inet_aton(b)
        frame = bytes(12) + (b'\x86\xdd' if six else b'\x08\0') + ip + udp
        out.write(struct.pack('<IIII', 1700000000 + i // 1000,
                              i % 1000 * 1000, len(frame), len(frame)) + frame)
        o, p = truth.get((a, b, sport, dport), (0, 0))
        truth[(a, b, sport, dport)] = (o + len(ip) + len(udp), p + 1)
    out.close()
    return truth

def by_source(truth):
    hosts = {}
    for (a, b, s, d), (o, p) in truth.items():
        x, y = hosts.get(a, (0, 0))
        hosts[a] = (x + o, y + p)
    return hosts

def lines(path):
    return [json.loads(l) for l in open(path)]

def source(r):
    return r.get('sourceIPv4Address') or r.get('sourceIPv6Address')

def destination(r):
    return r.get('destinationIPv4Address') or r.get('destinationIPv6Address')

def raw(path):
    got = {}
    for r in lines(path):
        if 'octetDeltaCount' not in r:
            continue
        k = (source(r), destination(r), r['sourceTransportPort'],
             r['destinationTransportPort'])
        o, p = got.get(k, (0, 0))
        got[k] = (o + r['octetDeltaCount'], p + r['packetDeltaCount'])
    return got

def merged(path):
    got = {}
    for r in lines(path):
        assert source(r) not in got, 'two records for ' + source(r)
        got[source(r)] = (r['octetDeltaCount'], r['packetDeltaCount'])
    return got

def compare(truth, folder):
    a, b = raw(folder + '/raw.json'), merged(folder + '/merged.json')
    if a != truth:
        sys.exit('records differ: %s' % sorted(set(a.items()) ^
                                               set(truth.items()))[:6])
    if b != by_source(truth):
        sys.exit('merged flows differ: %s' % sorted(
            set(b.items()) ^ set(by_source(truth).items()))[:6])
    print('%d flows, %d hosts, %d octets: equal' % (
        len(a), len(b), sum(o for o, p in truth.values())))
END

done=0
if command -v softflowd >/dev/null; then
	step "softflowd, IPFIX over UDP"
	begin
	$python - "$T" <<-END || fail "making the capture"
	import sys; sys.path.insert(0, sys.argv[1]); import truth, pickle
	t = truth.capture(sys.argv[1] + '/c.pcap', 5000)
	pickle.dump(t, open(sys.argv[1] + '/t', 'wb'))
	END
	softflowd -r "$T/c.pcap" -n "127.0.0.1:$port" -v 10 -d \
		>"$T/softflowd.out" 2>&1 || fail "softflowd"
	flows=$($python -c "import pickle; print(len(pickle.load(open('$T/t','rb'))))")
	end "$flows"
	$python - "$T" <<-END || fail "softflowd's flows"
	import sys; sys.path.insert(0, sys.argv[1]); import truth, pickle
	truth.compare(pickle.load(open(sys.argv[1] + '/t', 'rb')), sys.argv[1])
	END
	done=$((done + 1))
fi

if $python -c 'import ipfix.writer' 2>/dev/null; then
	step "python3-ipfix over TCP"
	begin
	$python - "$T" "$port" <<-'END' || fail "python3-ipfix as exporter"
	import sys, socket, random, ipaddress, pickle
	import ipfix.ie, ipfix.template, ipfix.writer
	ipfix.ie.use_iana_default()
	ipfix.ie.for_spec('acmeNote(32473/7)<string>')
	t = ipfix.template.from_ielist(257, ipfix.ie.spec_list([
	    'sourceIPv4Address', 'destinationIPv4Address',
	    'sourceTransportPort', 'destinationTransportPort',
	    'octetDeltaCount[4]', 'packetDeltaCount[2]', 'interfaceName',
	    'acmeNote(32473/7)<string>', 'flowStartMilliseconds']))
	s = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
	w = ipfix.writer.to_stream(s.makefile('wb'), mtu=1400)
	w.set_domain(99)
	w.add_template(t)
	w.set_export_template(257)
	random.seed(9)
	truth = {}
	for i in range(3000):
	    k = ('10.1.0.%d' % random.randrange(1, 30),
	         '10.2.0.%d' % random.randrange(1, 30),
	         random.randrange(1, 4), random.randrange(1, 4))
	    o, p = random.randrange(1 << 31), random.randrange(65536)
	    x, y = truth.get(k, (0, 0))
	    truth[k] = (x + o, y + p)
	    w.export_namedict({
	        'sourceIPv4Address': ipaddress.ip_address(k[0]),
	        'destinationIPv4Address': ipaddress.ip_address(k[1]),
	        'sourceTransportPort': k[2], 'destinationTransportPort': k[3],
	        'octetDeltaCount': o, 'packetDeltaCount': p,
	        'interfaceName': 'eth%d' % (i % 3),
	        'acmeNote': 'x' * (i % 300),
	        'flowStartMilliseconds': __import__('datetime').datetime(
	            2023, 11, 14, 22, 13, 20)})
	w.flush()
	w.stream.flush() if hasattr(w, 'stream') else None
	s.shutdown(socket.SHUT_WR)
	s.recv(1)
	pickle.dump(truth, open(sys.argv[1] + '/t', 'wb'))
	END
	end 3000
	$python - "$T" <<-END || fail "python3-ipfix's flows"
	import sys; sys.path.insert(0, sys.argv[1]); import truth, pickle
	truth.compare(pickle.load(open(sys.argv[1] + '/t', 'rb')), sys.argv[1])
	n = sum('e32473id7' in r for r in truth.lines(sys.argv[1] + '/raw.json'))
	n == 3000 or sys.exit('%d of 3000 enterprise fields' % n)
	END
	done=$((done + 1))
fi
[ $done -gt 0 ] || skip "neither softflowd nor python3-ipfix is there"
exit 0
