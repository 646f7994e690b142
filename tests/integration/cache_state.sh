#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Flows that outlive confluxd: it is stopped and started ten times under load,
# with other numbers of workers, and killed; what comes out at the end is what
# mkipfix has sent, to the octet, or less by what came after the last time that
# the flows were saved. Nothing comes twice.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

port=$(free_port)
output=0

# configure WORKERS INTERVAL save|export [FIELD]
configure()
{
	output=$((output + 1))
	cat >"$T/c.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$1</cx:workers>
	  <cx:controlSocket>$T/c.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>tcp</name><localPort>$port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <cx:cache>flows</cx:cache></collectingProcess>
	  <cache><name>flows</name><timeoutCache>
	    <activeTimeout>${active:-0}</activeTimeout><idleTimeout>0</idleTimeout>
	    <cx:stateFile>$T/state</cx:stateFile>
	    <cx:stateInterval>$2</cx:stateInterval>
	    <cx:stateAtEnd>$3</cx:stateAtEnd>
	    <cx:stateJournal>${journal:-0}</cx:stateJournal>
	    <cacheLayout>
	      <cacheField><name>1</name><ieName>sourceIPv4Address</ieName>
		<isFlowKey/></cacheField>
	      <cacheField><name>2</name><ieName>sourceIPv6Address</ieName>
		<isFlowKey/></cacheField>
	      <cacheField><name>3</name><ieName>sourceTransportPort</ieName>
		<isFlowKey/></cacheField>
	      <cacheField><name>4</name><ieName>octetDeltaCount</ieName>
	      </cacheField>
	      <cacheField><name>5</name><ieName>packetDeltaCount</ieName>
	      </cacheField>
	      ${4:-}
	    </cacheLayout></timeoutCache>
	    <exportingProcess>out</exportingProcess></cache>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name><cx:jsonWriter>
	      <cx:file>file://$T/out.$output.json</cx:file></cx:jsonWriter>
	    </destination></exportingProcess>
	</ipfix>
	END
	start "run$output" "$CONFLUXD" -c "$T/c.xml"
	pid=$PID
	wait_port tcp "$port"
}

# send SEED: 20000 records of 3000 flows
send()
{
	"$MKIPFIX" -n 20000 -f 3000 -s "$1" "tcp:127.0.0.1:$port" \
		>>"$T/truth" || fail mkipfix
}

status()
{
	"$CONFLUX" status -j -s "$T/c.sock" >"$T/status"
}

# state NAME: of the cache in the first worker
state()
{
	json "$T/status" "next(c['cx:state'] for c in d['cache'] if 'cx:state' in c)['$1']"
}

# taken RECORDS: the first cache has them, those of the others merged
taken()
{
	status && [ "$(json "$T/status" "sum(c['cx:ledger']['in'] for c in
	    d['collectingProcess']) == $1 and not sum(c['cx:ledger']['held']
	    for c in d['cache'] if 'cx:state' not in c)")" = True ]
}

# journaled: what was sent is in the file
journaled()
{
	status && [ "$(state journalRecords)" = 20000 ]
}

# sums: octets and packets of what was sent, and of what came out
sent()
{
	python3 - "$T/truth" <<-'PY'
	import json, sys
	t = [json.loads(l) for l in open(sys.argv[1])]
	print(sum(x["octets"] for x in t), sum(x["packets"] for x in t))
	PY
}

got()
{
	cat "$T"/out.*.json | python3 -c '
import json, sys
o = p = 0
for l in sys.stdin:
    r = json.loads(l)
    r = r.get("record", r)
    o += r.get("octetDeltaCount", 0)
    p += r.get("packetDeltaCount", 0)
print(o, p)'
}

step "stopped and started ten times, with one to three workers"
round=0
while [ $round -lt 10 ]; do
	configure $((round % 3 + 1)) 0 save
	send $((round % 2 + 1))
	# Half of the time it is stopped while all is still on its way.
	[ $((round % 2)) = 0 ] || wait_for 20 taken 20000
	stop "$pid"
	equal exit 0 "$STATUS"
	round=$((round + 1))
done
equal "what came out meanwhile" "0 0" "$(got)"
configure 2 0 export
status
# Two seeds make two times as many flows, less those that are the same.
restored=$(state restoredFlows)
[ "$restored" -ge 3000 ] || fail "only $restored flows go on"
"$CONFLUX" read "$T/state" >"$T/read" || fail "conflux read"
matches "the file is IPFIX" 'octetDeltaCount' "$T/read"
stop "$pid"
equal "octets and packets" "$(sent)" "$(got)"
cat "$T"/out.*.json >"$T/flows"
equal "flows" "$restored" "$(lines "$T/flows")"

step "with an active timeout, killed after the flows were saved"
rm -f "$T"/out.* "$T/truth"
active=3600
configure 2 1 save
send 3
wait_for 20 taken 20000
saved()
{
	status && [ "$(state generations)" -gt "$generations" ]
}
generations=$(state generations)
# Two: the one that was being written may have begun before.
wait_for 20 saved
generations=$(state generations)
wait_for 20 saved
send 4
stop "$pid" KILL
configure 3 0 save
status
equal "flows" 3000 "$(state restoredFlows)"
stop "$pid"
configure 1 0 export
stop "$pid"
sent >"$T/sent"
got >"$T/got"
python3 - "$T/sent" "$T/got" "$T/truth" <<'PY' || fail "$(cat "$T/got") of $(cat "$T/sent")"
import json, sys
sent, got = [[int(x) for x in open(f).read().split()] for f in sys.argv[1:3]]
first = json.loads(open(sys.argv[3]).readline())
# All of the first load; of the second one what was saved before the kill.
sys.exit(not (first["octets"] <= got[0] <= sent[0] and
              first["packets"] <= got[1] <= sent[1]))
PY

step "killed again and again while flows leave"
rm -f "$T"/out.* "$T/truth"
active=1
round=0
while [ $round -lt 4 ]; do
	configure 2 1 save
	send $((round + 5))
	wait_for 20 taken 20000
	[ $round = 3 ] || sleep 0.$((round * 3 + 1))
	[ $round = 3 ] || stop "$pid" KILL
	round=$((round + 1))
done
stop "$pid"
configure 2 0 export
stop "$pid"
sent >"$T/sent"
got >"$T/got"
python3 - "$T/sent" "$T/got" <<'PY' || fail "$(cat "$T/got") of $(cat "$T/sent")"
import sys
sent, got = [[int(x) for x in open(f).read().split()] for f in sys.argv[1:3]]
sys.exit(not (got[0] <= sent[0] and got[1] <= sent[1]))
PY

step "killed with a journal: nothing is lost"
rm -f "$T"/out.* "$T/truth"
active=0
journal=1000000
round=0
while [ $round -lt 5 ]; do
	configure $((round % 2 + 1)) 1 save
	send $((round + 5))
	wait_for 20 journaled
	stop "$pid" KILL
	round=$((round + 1))
done
configure 2 0 export
stop "$pid"
equal "octets and packets" "$(sent)" "$(got)"
journal=0

step "other fields: the flows leave as they were"
rm -f "$T"/out.* "$T/truth"
active=0
configure 1 0 save
send 9
wait_for 20 taken 20000
stop "$pid"
configure 2 0 save "<cacheField><name>6</name>
	<ieName>protocolIdentifier</ieName><isFlowKey/></cacheField>"
gone()
{
	status && [ "$(state exportedFlows)" = 3000 ]
}
wait_for 20 gone
stop "$pid"
equal "octets and packets" "$(sent)" "$(got)"
matches "it says so" 'configured otherwise' "$T/run$output.err"
