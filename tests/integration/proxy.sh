#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# confluxd as a proxy: what is passed on says what came in, whatever Template
# ids it gets. Structured data (RFC 6313) names Templates within records: they
# are read behind the proxy by ourselves, libfixbuf and tshark. Options are about
# Templates and domains: behind the proxy they are about the same ones.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

# proxy NAME WORKERS FILE PORT: UDP and TCP in, a file out, as $T/NAME.xml
proxy()
{
	cat >"$T/$1.xml" <<-EOF
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$2</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <udpCollector><name>udp</name><localPort>$4</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	    <tcpCollector><name>tcp</name><localPort>$4</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name>
	      <fileWriter><file>file://$3</file></fileWriter></destination>
	  </exportingProcess>
	</ipfix>
	EOF
}

# What the records say, in an order of its own; ids are the sender's.
say()
{
	"$CONFLUX" read -f json "$1" | sed 's/"template":[0-9]*,//g' | sort
}

# Within lists: the Templates they name are known.
lists()
{
	"$CONFLUX" read -f json "$1" | grep -c '"subTemplateList":.*"records":\[{"sourceMacAddress":"02:00:00:00:00:01","interfaceName":"eth0"}'
}

# The second exporter sends the same shapes under the same ids; the first one
# sends flows of all kinds before, so that ours differ from theirs.
"$MKIPFIX" -n 300 -f 20 -e "$T/a.ipfix" >/dev/null || fail mkipfix
"$MKIPFIX" -n 300 -f 20 -s 2 -d 7 -e "$T/b.ipfix" >/dev/null || fail mkipfix
cat "$T/a.ipfix" "$T/b.ipfix" >"$T/in.ipfix"
WANTED=$(lists "$T/in.ipfix")
[ "$WANTED" -gt 50 ] || fail "mkipfix makes no lists"

for workers in 1 3; do
	step "structured data over UDP and TCP into a file, $workers workers"
	port=$(free_port)
	proxy lists$workers $workers "$T/out.ipfix" "$port"
	start lists$workers "$CONFLUXD" -c "$T/lists$workers.xml"
	wait_port udp "$port"
	"$MKIPFIX" -n 300 -f 20 -e -r 5000 "udp:127.0.0.1:$port" >/dev/null
	"$MKIPFIX" -n 300 -f 20 -s 2 -d 7 -e "tcp:127.0.0.1:$port" >/dev/null
	wait_for 10 sh -c "\"$CONFLUX\" status -s \"$T/lists$workers.sock\" \
		-j >\"$T/status\" && grep -q '\"in\": *604' \"$T/status\""
	ledger_holds "$T/status"
	stop $PID
	equal status 0 $STATUS
	ledger_holds "$T/lists$workers.err"
	say "$T/in.ipfix" >"$T/in.txt"
	say "$T/out.ipfix" >"$T/out.txt"
	equal "lists behind the proxy" "$WANTED" "$(lists "$T/out.ipfix")"
	cmp -s "$T/in.txt" "$T/out.txt" || {
		diff "$T/in.txt" "$T/out.txt" | head -n 5
		fail "the records differ"
	}
	if command -v ipfixDump >/dev/null 2>&1; then
		ipfixDump -i "$T/out.ipfix" >"$T/dump" 2>&1
		equal "lists that libfixbuf reads" "$((WANTED * 2))" \
			"$(grep -c 'sourceMacAddress : 02:00:00:00:00:0[12]' \
			"$T/dump")"
	fi
	if command -v tshark >/dev/null 2>&1; then
		tshark -r "$T/out.ipfix" -V >"$T/shark" 2>&1
		grep -qi 'malformed' "$T/shark" && fail "tshark complains"
	fi
done

# came NAME RECORDS: so many have come in, or more
came()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		[ "$(json "$T/status" "sum(c['cx:ledger']['in']
			for c in d['collectingProcess'])")" -ge "$2" ]
}

# Templates 400 (16 octets) and 401, flow keys of the one, anonymisation of the
# other, sampling of the domain, an interface; then 400 is withdrawn.
cat >"$T/options.py" <<'PYTHON'
import socket, struct, sys, time
def sets(*parts):
    return b''.join(struct.pack('!HH', i, len(b) + 4) + b for i, b in parts)
def message(sequence, body):
    return struct.pack('!HHIII', 10, len(body) + 16, int(time.time()),
                       sequence, 7) + body
def fields(*pairs):
    return b''.join(struct.pack('!HH', i, n) for i, n in pairs)
first = sets(
    (2, struct.pack('!HH', 400, 3) + fields((8, 4), (12, 4), (1, 8)) +
        struct.pack('!HH', 401, 2) + fields((27, 16), (1, 8))),
    (3, struct.pack('!HHH', 500, 2, 1) + fields((145, 2), (173, 8)) +
        struct.pack('!HHH', 501, 3, 2) +
        fields((145, 2), (303, 2), (286, 2)) +
        struct.pack('!HHH', 502, 2, 1) + fields((149, 4), (34, 4)) +
        struct.pack('!HHH', 503, 2, 1) + fields((10, 4), (82, 65535))),
    (500, struct.pack('!HQ', 400, 3)),
    (501, struct.pack('!HHH', 401, 27, 3)),
    (502, struct.pack('!II', 7, 100)),
    (503, struct.pack('!I', 9) + b'\x04eth9'),
    (401, bytes(15) + b'\x01' + struct.pack('!Q', 1)),
    (400, struct.pack('!IIQ', 1, 2, 3)))
second = sets((2, struct.pack('!HH', 400, 0)))
host, port = sys.argv[1], int(sys.argv[2])
s = socket.create_connection((host, port))
s.sendall(message(0, first) + message(6, second))
s.recv(1) # until the other side has seen the end of the test
PYTHON
for workers in 1 3; do
	step "options about Templates and domains, $workers workers"
	port=$(free_port)
	proxy about$workers $workers "$T/about.ipfix" "$port"
	start about$workers "$CONFLUXD" -c "$T/about$workers.xml"
	daemon=$PID
	wait_port tcp "$port"
	# The first exporter has the id of the domain, and other Templates.
	"$MKIPFIX" -n 10 -d 7 "tcp:127.0.0.1:$port" >/dev/null
	wait_for 20 came about$workers 10
	start other "$MKIPFIX" -n 1000000 -r 10 -d 7 "tcp:127.0.0.1:$port"
	other=$PID
	wait_for 20 came about$workers 11
	start sender python3 "$T/options.py" 127.0.0.1 "$port"
	sender=$PID
	wait_for 20 sh -c "\"$CONFLUX\" status -s \"$T/about$workers.sock\" \
		-j >\"$T/status\" && grep -q 'samplingInterval' \"$T/status\""
	stop "$sender"
	stop "$other"
	stop "$daemon"
	"$CONFLUX" read -o -t -f json "$T/about.ipfix" >"$T/about.json"
	python3 - "$T/about.json" <<-'PYTHON' || fail "what options are about"
	import json, sys
	OURS = 2147483648
	shape, seen = {}, set()
	for line in open(sys.argv[1]):
	    r = json.loads(line)
	    t = r.get('template')
	    if isinstance(t, dict) and t['observationDomainId'] == OURS:
	        shape[t['templateId']] = [f['ieId'] for f in t['field']]
	    o = r.get('options', {})
	    if 'flowKeyIndicator' in o:
	        assert shape[o['templateId']] == [8, 12, 1], o
	        seen.add('keys')
	    elif 'anonymizationTechnique' in o:
	        assert shape[o['templateId']] == [27, 1], o
	        seen.add('anonymised')
	    elif 'samplingInterval' in o:
	        assert o['observationDomainId'] == OURS, o
	        seen.add('sampling')
	    elif 'interfaceName' in o:
	        assert (o['ingressInterface'], o['interfaceName']) == \
	            (9, 'eth9'), o
	        seen.add('interface')
	assert len(seen) == 4, seen
	PYTHON
done
exit 0
