#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# exportMode with three collectors of which some end and come back: with load
# balancing each record arrives once, whoever is there, and what waited for one
# that is away arrives elsewhere. Under SIGKILL in the middle nothing arrives
# twice, and no more is missing than what the kernel had taken. What a
# destination is configured to take is what it gets. With spools nothing is lost
# when nobody is there, nor when the mediator is killed then.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

feed_port=$(free_port)
for who in 1 2 3; do
	eval "port$who=$(free_port)"
done
turn=0

# collector N: listens at its port, writes a file of its own each time.
collector()
{
	turn=$((turn + 1))
	eval "port=\$port$1"
	cat >"$T/c$1.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:controlSocket>$T/c$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>tcp</name><localPort>$port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name><fileWriter>
	      <file>file://$T/got.$1.$turn.ipfix</file></fileWriter>
	    </destination></exportingProcess>
	</ipfix>
	END
	start "c$1.$turn" "$CONFLUXD" -c "$T/c$1.xml"
	eval "pid$1=$PID"
	wait_port tcp "$port"
}

# destination N [MORE [MORE-OF-TCP]]
destination()
{
	eval "port=\$port$1"
	cat <<-END
	<destination><name>c$1</name>${2:-}<tcpExporter>${3:-}
	  <destinationIPAddress>127.0.0.1</destinationIPAddress>
	  <destinationPort>$port</destinationPort>
	  <cx:reconnectMin>50</cx:reconnectMin>
	  <cx:reconnectMax>100</cx:reconnectMax>
	</tcpExporter></destination>
	END
}

# mediator NAME EXPORTING: the lines of its exporting process
mediator()
{
	cat >"$T/$1.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:controlSocket>$T/m.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>tcp</name><localPort>$feed_port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <cx:flushTime>20</cx:flushTime>
	    <cx:graceTime>100</cx:graceTime><cx:holdTime>200</cx:holdTime>
	    $2</exportingProcess>
	</ipfix>
	END
	"$CONFLUX" check "$T/$1.xml" >/dev/null || fail "check $1"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	wait_port tcp "$feed_port"
}

fed=0 octets=0 seed=0

# feed RECORDS [RATE]
feed()
{
	seed=$((seed + 1))
	"$MKIPFIX" -n "$1" -f "$1" -s $seed -r "${2:-0}" \
		"tcp:127.0.0.1:$feed_port" >"$T/truth" || fail mkipfix
	fed=$((fed + $1))
	octets=$((octets + $(json "$T/truth" "d['octets']")))
}

# Each destination's "NAME STATE HELD EXPORTED MOVED".
states()
{
	"$CONFLUX" status -j -s "$T/m.sock" >"$T/status" || return 1
	json "$T/status" "'\n'.join('%s %s %d %d %d' % (x['name'],
	    x['cx:state'], x['cx:ledger']['held'], x['cx:ledger']['exported'],
	    x.get('cx:movedRecords', 0)) for e in
	    d['exportingProcess']
	    for x in e['destination'])" >"$T/states"
}

# state NAME STATE
state()
{
	states && grep -q "^$1 $2 " "$T/states"
}

# All that was fed has been sent.
sent()
{
	states && [ "$(awk '{ h += $3; e += $4 } END { print e + 1000 * h }' \
		"$T/states")" = $fed ]
}

# What all collectors have written: records and octets. They have ended.
got()
{
	for file in "$T"/got.*.ipfix; do
		"$CONFLUX" read -f json "$file" || fail "read $file"
	done >"$T/got"
	lines "$T/got"
}

got_octets()
{
	sed 's/.*"octetDeltaCount":\([0-9]*\).*/\1/' "$T/got" |
		awk '{ n += $1 } END { printf "%.0f\n", n }'
}

step "load balancing, message by message: all are there"
collector 1
collector 2
collector 3
mediator turns "<exportMode>loadBalancing</exportMode>
	<cx:loadBalancing>roundRobin</cx:loadBalancing>
	$(destination 1)$(destination 2)$(destination 3)"
mediator=$PID
for who in 1 2 3; do
	wait_for 20 state c$who well
done
feed 30000
wait_for 20 sent
awk '$4 < 5000 { exit 1 }' "$T/states" || fail "shares: $(cat "$T/states")"

step "two of them end, and records come"
stop "$pid1"
stop "$pid2"
feed 20000
wait_for 20 state c1 away
wait_for 20 state c2 away
feed 20000
wait_for 20 sent

step "nobody is there; the first to come back gets what waits"
stop "$pid3"
wait_for 20 state c3 away
feed 20000
collector 2
wait_for 20 sent
awk '$1 != "c2" { n += $5 } END { exit n < 5000 }' "$T/states" ||
	fail "moved: $(cat "$T/states")"

step "all come back, and have their share again"
collector 1
collector 3
for who in 1 2 3; do
	wait_for 20 state c$who well
done
feed 30000
wait_for 20 sent
for who in 1 2 3; do
	eval "stop \$pid$who"
	matches "c$who came back" "destination c$who is well again" "$T/turns.err"
done
stop "$mediator"
equal "exit" 0 "$STATUS"
equal "records" "$fed" "$(got)"
equal "octets" "$octets" "$(got_octets)"
equal "records that came twice" 0 "$(sort "$T/got" | uniq -d | wc -l)"

step "by flow key, two are killed under load"
rm -f "$T"/got.*
fed=0
for who in 1 2 3; do
	collector $who
done
mediator keys "<exportMode>loadBalancing</exportMode>
	<cx:loadBalancing>flowKey</cx:loadBalancing>
	$(destination 1)$(destination 2)$(destination 3)"
mediator=$PID
for who in 1 2 3; do
	wait_for 20 state c$who well
done
seed=$((seed + 1))
start load "$MKIPFIX" -n 60000 -f 60000 -s $seed -r 20000 "tcp:127.0.0.1:$feed_port"
load=$PID
fed=60000
exported()
{
	states && awk -v n="$1" '{ e += $4 } END { exit e < n }' "$T/states"
}
wait_for 20 exported 10000
stop "$pid1" KILL
wait_for 20 exported 20000
stop "$pid2" KILL
collector 1
wait_for 20 exported 30000
collector 2
wait_exit "$load" 60
wait_for 20 exported 59000
wait_for 20 state c1 well
wait_for 20 state c2 well
for who in 1 2 3; do
	eval "stop \$pid$who"
done
stop "$mediator"
ledger_holds "$T/keys.err"
got=$(got)
equal "records that came twice" 0 "$(sort "$T/got" | uniq -d | wc -l)"
echo "$got of $fed: the others were on their way"
[ "$got" -gt 40000 ] || fail "only $got of $fed"

step "what a destination takes"
rm -f "$T"/got.*
for who in 1 2 3; do
	collector $who
done
mediator select "$(destination 1 '<cx:filter>inet6</cx:filter>')
	$(destination 2 '<cx:filter>not exists sourceIPv6Address</cx:filter>')
	$(destination 3 '<cx:observationDomain>2</cx:observationDomain>')"
mediator=$PID
for who in 1 2 3; do
	wait_for 20 state c$who well
done
fed=0
feed 10000
wait_for 20 sent
equal "for no domain 1" "0" "$(awk '$1 == "c3" { print $4 }' "$T/states")"
awk '$4 > 0 && $4 < 10000 { n++ } END { exit n != 2 }' "$T/states" ||
	fail "selection: $(cat "$T/states")"
for who in 1 2 3; do
	eval "stop \$pid$who"
done
stop "$mediator"
equal "records" "$fed" "$(got)"

# spooled N
spooled()
{
	destination "$1" "" "<cx:spool><cx:directory>$T/spool$1</cx:directory>
		<cx:replayShare>50</cx:replayShare></cx:spool>"
}

# held NAME RECORDS
held()
{
	states && grep -q "^$1 [a-z]* $2 " "$T/states"
}

# all_held RECORDS
all_held()
{
	states && [ "$(awk '{ h += $3 } END { print h }' "$T/states")" = "$1" ]
}

# each_once: all that was fed has arrived
each_once()
{
	equal "records" "$fed" "$(got)"
	equal "octets" "$octets" "$(got_octets)"
	equal "records that came twice" 0 "$(sort "$T/got" | uniq -d | wc -l)"
}

step "fallback with spools: nobody is there, the second comes, then the first"
rm -f "$T"/got.*
fed=0 octets=0
mediator fallback "<exportMode>fallback</exportMode>
	$(spooled 1)$(spooled 2)"
mediator=$PID
feed 20000
wait_for 20 held c1 20000
collector 2
wait_for 20 state c2 well
feed 10000
wait_for 20 all_held 20000
held c1 20000 || fail "held: $(cat "$T/states")"
collector 1
wait_for 20 state c1 well
feed 10000
wait_for 20 sent
awk '$1 == "c1" && $4 < 25000 { exit 1 }' "$T/states" ||
	fail "the first: $(cat "$T/states")"
for who in 1 2; do
	eval "stop \$pid$who"
done
stop "$mediator"
ledger_holds "$T/fallback.err"
each_once

step "load balancing with spools: both are gone, and the mediator is killed"
rm -f "$T"/got.*
fed=0 octets=0
collector 1
collector 2
mediator spools "<exportMode>loadBalancing</exportMode>
	<cx:loadBalancing>roundRobin</cx:loadBalancing>
	$(spooled 1)$(spooled 2)"
mediator=$PID
for who in 1 2; do
	wait_for 20 state c$who well
done
feed 10000
wait_for 20 sent
for who in 1 2; do
	eval "stop \$pid$who"
	wait_for 20 state c$who away
done
feed 20000
wait_for 20 all_held 20000
stop "$mediator" KILL
rm -f "$T/m.sock"
start spools2 "$CONFLUXD" -c "$T/spools.xml"
mediator=$PID
wait_for 20 all_held 20000
for who in 1 2; do
	collector $who
done
wait_for 20 all_held 0
feed 10000
wait_for 20 all_held 0
for who in 1 2; do
	wait_for 20 state c$who well
	eval "stop \$pid$who"
done
stop "$mediator"
ledger_holds "$T/spools2.err"
each_once

step "a spool at its bound: what is new is lost, or waits"
rm -f "$T"/got.* "$T"/spool1/*
fed=0 octets=0
mediator bound "$(destination 1 "" "<cx:spool>
	<cx:directory>$T/spool1</cx:directory><cx:maxSize>1048576</cx:maxSize>
	<cx:whenFull>dropNewest</cx:whenFull></cx:spool>")
	<cx:queueOctets>262144</cx:queueOctets>"
mediator=$PID
seed=$((seed + 1))
start wait "$MKIPFIX" -n 200000 -f 200000 -s $seed "tcp:127.0.0.1:$feed_port"
load=$PID
wait_for 20 grep -q "it is full" "$T/bound.err"
sleep 1
running "$load" || fail "the source did not wait"
collector 1
wait_exit "$load" 60
fed=200000
wait_for 60 sent
stop "$pid1"
stop "$mediator"
ledger_holds "$T/bound.err"
equal "records" "$fed" "$(got)"

step "an expression that is none"
sed 's/inet6/inet66 x/' "$T/select.xml" >"$T/bad.xml"
"$CONFLUX" check "$T/bad.xml" >"$T/check.out" 2>&1 && fail "it was taken"
matches "why" 'bad.xml:[0-9]+: cx:filter: column [0-9]+: ' "$T/check.out"
