#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Exporters of NetFlow that others wrote send to confluxd: softflowd meters a
# capture that is made here, pmacctd (nfprobe) likewise, nfreplay sends what
# nfcapd has stored of softflowd's, and what nfpcapd meters of it; nfprobe sends
# IPFIX, too. What arrives as IPFIX at a second confluxd is
# compared with the truth, flow by flow to the unit, its times with those that
# nfcapd has of the same flows.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
sock=$T/sock

# The edge takes NetFlow and sends IPFIX; the centre writes what it gets.
config()
{
	cat >"$T/edge.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	<cx:workers>2</cx:workers>
	<cx:controlSocket>$sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>u</name><localPort>$port</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<cx:ignoreSourcePort>true</cx:ignoreSourcePort></udpCollector>
	<exportingProcess>out</exportingProcess></collectingProcess>
	<exportingProcess><name>out</name><destination><name>d</name>
	<tcpExporter><destinationPort>$centre</destinationPort>
	<destinationIPAddress>127.0.0.1</destinationIPAddress></tcpExporter>
	</destination></exportingProcess>
	</ipfix>
	END
	cat >"$T/centre.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	<cx:controlSocket>$sock.centre</cx:controlSocket>
	<collectingProcess><name>in</name>
	<tcpCollector><name>t</name><localPort>$centre</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	<exportingProcess>out</exportingProcess></collectingProcess>
	<exportingProcess><name>out</name><destination><name>j</name>
	<cx:jsonWriter><cx:file>file://$T/out.json</cx:file></cx:jsonWriter>
	</destination></exportingProcess>
	</ipfix>
	END
}

begin()
{
	rm -f "$T/out.json"
	port=$(free_port)
	centre=$(free_port)
	config
	start centre "$CONFLUXD" -c "$T/centre.xml"
	centre_pid=$PID
	wait_port tcp "$centre"
	start edge "$CONFLUXD" -c "$T/edge.xml"
	edge_pid=$PID
	wait_port udp "$port"
}

arrived()
{
	[ "$(grep -c octetDeltaCount "$T/out.json")" -ge "$1" ]
}

# end FLOWS: waits until so many are there, then stops both, the edge first.
end()
{
	wait_for 20 arrived "$1"
	"$CONFLUX" status -j -s "$sock" >"$T/status.json" || fail "no status"
	stop "$edge_pid"
	equal "exit status of the edge" 0 "$STATUS"
	stop "$centre_pid"
	equal "exit status of the centre" 0 "$STATUS"
	! grep -E "warning.*(malformed|discarded|did not arrive)" \
		"$T/edge.err" || fail "something is lost"
}

cat >"$T/truth.py" <<'END'
import collections, ipaddress, json, random, socket, struct, sys, time

def capture(path, packets):
    """UDP packets between few hosts, in the last minutes."""
    random.seed(5)
    start = int(time.time()) - 200
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(packets):
            s, d = random.randrange(1, 9), random.randrange(1, 9)
            size = random.randrange(1, 1300)
            udp = struct.pack('>HHHH', 1000 + s, 2000 + d, 8 + size, 0) + \
                bytes(size)
            ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), i & 65535, 0,
                             64, 17, 0) + bytes([10, 0, 0, s, 10, 0, 1, d])
            f = bytes(12) + b'\x08\0' + ip + udp
            out.write(struct.pack('<IIII', start + i // 50, i % 50 * 20000,
                                  len(f), len(f)) + f)

def truth(path):
    flows = collections.Counter()
    octets = open(path, 'rb').read()[24:]
    while octets:
        s, us, n, _ = struct.unpack('<IIII', octets[:16])
        f, octets = octets[16:16 + n], octets[16 + n:]
        key = (str(ipaddress.ip_address(f[26:30])),
               str(ipaddress.ip_address(f[30:34])), *struct.unpack(
                   '>HH', f[34:38]))
        flows[key + ('octets',)] += n - 14
        flows[key + ('packets',)] += 1
    return flows

def key(r):
    return (r['sourceIPv4Address'], r['destinationIPv4Address'],
            r['sourceTransportPort'], r['destinationTransportPort'])

def records(path):
    return [r for r in map(json.loads, open(path)) if 'octetDeltaCount' in r]

def arrived(path):
    flows = collections.Counter()
    for r in records(path):
        flows[key(r) + ('octets',)] += r['octetDeltaCount']
        flows[key(r) + ('packets',)] += r['packetDeltaCount']
        if 'flowStartMilliseconds' not in r or 'flowStartSysUpTime' in r:
            sys.exit('times are not absolute: %r' % r)
    return flows

def millisecond(text):
    """2026-11-26T15:00:00.123Z, or with a blank and no Z, in UTC."""
    from datetime import datetime
    text = text.rstrip('Z').replace(' ', 'T') + '+00:00'
    return round(datetime.fromisoformat(text).timestamp() * 1000)

def spans(rows):
    """First and last millisecond of each flow."""
    found = {}
    for k, first, last in rows:
        a, b = found.get(k, (first, last))
        found[k] = (min(a, first), max(b, last))
    return found

def compare(folder):
    want, got = truth(folder + '/c.pcap'), arrived(folder + '/out.json')
    if want != got:
        sys.exit('flows differ: %s' % sorted(
            set(want.items()) ^ set(got.items()))[:6])
    print('%d flows, %d octets: equal' % (
        len(want) / 2, sum(v for k, v in want.items() if k[4] == 'octets')))

def objects(path):
    """JSON objects, whatever stands between them: versions differ."""
    text, at, decoder = open(path).read(), 0, json.JSONDecoder()
    while (at := text.find('{', at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found

def sent(path):
    """First and last millisecond of the packets of each flow."""
    rows, octets = [], open(path, 'rb').read()[24:]
    while octets:
        s, us, n, _ = struct.unpack('<IIII', octets[:16])
        f, octets = octets[16:16 + n], octets[16 + n:]
        ms = s * 1000 + us // 1000
        rows.append(((str(ipaddress.ip_address(f[26:30])),
                      str(ipaddress.ip_address(f[30:34])),
                      *struct.unpack('>HH', f[34:38])), ms, ms))
    return spans(rows)

def times(folder, dump):
    """Those of the packets, as far as the exporter's clock tells, and those of
    nfdump (-o json), which takes a sysUpTime behind the header's for a wrap."""
    theirs = spans(((r['src4_addr'], r['dst4_addr'], r['src_port'],
                     r['dst_port']), millisecond(r['first']),
                    millisecond(r['last'])) for r in objects(dump))
    ours = spans((key(r), millisecond(r['flowStartMilliseconds']),
                  millisecond(r['flowEndMilliseconds']))
                 for r in records(folder + '/out.json'))
    truth = sent(folder + '/c.pcap')
    if not theirs.keys() == ours.keys() == truth.keys():
        sys.exit('%d flows, nfdump %d' % (len(ours), len(theirs)))
    exact = 0
    for k in ours:
        if any(abs(a - b) > 2000 for a, b in zip(ours[k], truth[k])):
            sys.exit('times of %r: %r, of its packets %r' %
                     (k, ours[k], truth[k]))
        exact += all((a - b) % (1 << 32) == 0
                     for a, b in zip(ours[k], theirs[k]))
    print('times of %d flows are right, of %d those of nfdump to the '
          'millisecond' % (len(ours), exact))
    exact == len(ours) or sys.exit(1)

END
export PYTHONPATH="$T"
python3 -c "import truth; truth.capture('$T/c.pcap', 5000)"
flows=$(python3 -c "import truth; print(len(truth.truth('$T/c.pcap')) // 2)")
done=0

# nfcapd stores the same datagrams: softflowd sends them to both.
store()
{
	nfcapd_port=$(free_port)
	rm -rf "$T/store"
	mkdir -p "$T/store"
	start nfcapd nfcapd -p "$nfcapd_port" -b 127.0.0.1 -w "$T/store" -t 3600
	nfcapd_pid=$PID
	wait_port udp "$nfcapd_port"
}

if command -v softflowd >/dev/null; then
	for version in 5 9; do
		step "softflowd, version $version"
		begin
		to=127.0.0.1:$port
		if command -v nfcapd >/dev/null; then
			store
			to=$to,127.0.0.1:$nfcapd_port
		fi
		softflowd -r "$T/c.pcap" -n "$to" -v $version -d \
			>"$T/softflowd.out" 2>&1 || fail softflowd
		end "$flows"
		python3 -c "import truth; truth.compare('$T')" ||
			fail "flows of version $version"
		equal protocol "NetFlow $version" "$(json "$T/status.json" \
			"[o['cx:protocol'] for p in d['collectingProcess'] for u in p['udpCollector'] for s in u['transportSession'] for o in s['cx:observationDomain']][0]")"
		done=$((done + 1))
		command -v nfcapd >/dev/null || continue
		stop "$nfcapd_pid"
		nfdump -q -R "$T/store" -o json >"$T/nfdump.json" 2>"$T/nfdump.txt"
		python3 -c "import truth; truth.times('$T', '$T/nfdump.json')" ||
			fail "times of version $version"
	done
fi

if [ -d "$T/store" ] && command -v nfreplay >/dev/null; then
	for version in 5 9; do
		step "nfreplay, version $version"
		begin
		nfreplay -r "$(echo "$T/store"/nfcapd.*)" -H 127.0.0.1 \
			-p "$port" -v $version >"$T/nfreplay.out" 2>&1 ||
			fail nfreplay
		end "$flows"
		python3 -c "import truth; truth.compare('$T')" ||
			fail "flows of version $version"
		done=$((done + 1))
	done
fi

if command -v nfpcapd >/dev/null && command -v nfreplay >/dev/null; then
	step "nfpcapd, by nfreplay"
	mkdir "$T/pcapd"
	nfpcapd -r "$T/c.pcap" -l "$T/pcapd" -t 3600 >"$T/nfpcapd.out" 2>&1 ||
		fail nfpcapd
	begin
	for file in "$T"/pcapd/nfcapd.*; do
		nfreplay -r "$file" -H 127.0.0.1 -p "$port" -v 9 \
			>"$T/nfreplay.out" 2>&1 || fail nfreplay
	done
	end "$flows"
	python3 -c "import truth; truth.compare('$T')" || fail "its flows"
	done=$((done + 1))
fi

if command -v pmacctd >/dev/null; then
	for version in 5 9 10; do
		step "pmacctd (nfprobe), version $version"
		begin
		cat >"$T/pmacctd.conf" <<-END
		daemonize: false
		pcap_savefile: $T/c.pcap
		pcap_savefile_wait: false
		aggregate: src_host, dst_host, src_port, dst_port, proto
		plugins: nfprobe
		nfprobe_receiver: 127.0.0.1:$port
		nfprobe_version: $version
		nfprobe_timeouts: expint=1:udp=1
		END
		start pmacctd pmacctd -f "$T/pmacctd.conf"
		pmacctd_pid=$PID
		end "$flows"
		stop "$pmacctd_pid"
		python3 -c "import truth; truth.compare('$T')" ||
			fail "flows of version $version"
		done=$((done + 1))
	done
fi
[ $done -gt 0 ] || skip "there is no exporter of NetFlow"
exit 0
