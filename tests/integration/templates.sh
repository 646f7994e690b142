#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Templates over restarts: exporters of IPFIX and NetFlow version 9 over UDP
# tell their Templates once; confluxd ends, or is killed, and after its restart
# no record waits for them, with as many workers as before or not.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

port=$(free_port)

# Ten exporters of each kind, with their own ports, kept over its runs.
cat >"$T/exporter.py" <<'PY'
import socket, struct, sys
port, base = int(sys.argv[1]), [int(x) for x in sys.argv[2].split(",")]
template, sequence = sys.argv[3] == "template", int(sys.argv[4])
up = 0 if sys.argv[3] == "restarted" else 900000
now = 1700000000 + sequence + (60 if up == 0 else 0)
fields = struct.pack(">HHHHHH", 300, 2, 8, 4, 1, 4)
data = struct.pack(">HHIIII", 300, 20, 0x0a000001, 1, 0x0a000002, 2)
def send(source, header, set_id, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", source))
    body = data
    if template:
        body = struct.pack(">HH", set_id, 16) + fields + data
    s.sendto(header(len(body), count) + body, ("127.0.0.1", port))
    s.close()
for i, source in enumerate(base):
    if i % 2:
        send(source, lambda n, c: struct.pack(">HHIII", 10, 16 + n,
             now, sequence, 7), 2, 2)
    else:
        send(source, lambda n, c: struct.pack(">HHIIII", 9, c,
             up + 1000 * sequence, now, sequence, 7), 0, 2)
PY
ports=$(python3 -c 'import socket
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(20)]
for x in s: x.bind(("127.0.0.1", 0))
print(",".join(str(x.getsockname()[1]) for x in s))')

# run NAME WORKERS
run()
{
	cat >"$T/$1.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$2</cx:workers>
	  <cx:controlSocket>$T/c.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <udpCollector><name>udp</name><localPort>$port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	    <cx:templateFile>$T/templates</cx:templateFile>
	    <cx:templateFileInterval>1</cx:templateFileInterval>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name><cx:jsonWriter>
	      <cx:file>file://$T/$1.json</cx:file></cx:jsonWriter>
	    </destination></exportingProcess>
	</ipfix>
	END
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	pid=$PID
	wait_port udp "$port"
}

# exported RECORDS: so many have come, and none waits
exported()
{
	"$CONFLUX" status -j -s "$T/c.sock" >"$T/status" &&
		[ "$(json "$T/status" "sum(x['cx:ledger']['exported'] for x in
		    d['collectingProcess'])")" = "$1" ]
}

send()
{
	python3 "$T/exporter.py" "$port" "$ports" "$1" "$2" || fail exporter
}

step "they tell their Templates"
run first 3
send template 2
wait_for 20 exported 40
stop "$pid"
equal exit 0 "$STATUS"

step "after a restart with fewer workers"
run second 2
send data 4
wait_for 20 exported 40
equal "restored" 20 "$(json "$T/status" "sum(x.get('cx:restoredTemplates', 0) for x in
    d['collectingProcess'])")"

step "after SIGKILL"
# Its files are written at an interval: each worker has its own.
saved()
{
	[ "$(find "$T" -name 'templates*' -newer "$T/mark" | wc -l)" -ge 2 ]
}
touch "$T/mark"
wait_for 20 saved
stop "$pid" KILL
run third 1
send data 6
wait_for 20 exported 40

step "exporters that were restarted have to tell them again"
stop "$pid"
run fourth 1
send restarted 1
got()
{
	"$CONFLUX" status -j -s "$T/c.sock" >"$T/status" &&
		[ "$(json "$T/status" "sum(s['messages'] for c in
		    d['collectingProcess'] for u in c['udpCollector'] for s in
		    u['transportSession'])")" = 20 ]
}
wait_for 20 got
equal "read" 0 "$(json "$T/status" "d['collectingProcess'][0]['cx:ledger']['exported']")"
stop "$pid"
for name in first third fourth; do
	ledger_holds "$T/$name.err"
done

step "a file that was torn is told, and does no harm"
head -c 20 "$T/templates" >"$T/torn" && mv "$T/torn" "$T/templates"
run fifth 1
send template 8
wait_for 20 exported 40
stop "$pid"
matches torn 'templates is not whole' "$T/fifth.err"
