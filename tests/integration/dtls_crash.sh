#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# DTLS when things go wrong: a collector that is killed and started again on the
# same port, noticed by heartbeats, by the replacement of sessions, or not at all;
# and sessions replaced under load, without loss. Prints what it took, for the
# table in confluxd(8).
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3

# collector NAME [MORE]: on $PORT
collector()
{
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<udpCollector><name>dtls</name><localPort>$PORT</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>
		<transportLayerSecurity>$to_exporter${2:-}
		</transportLayerSecurity>
		</udpCollector><exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>
		<destination><name>file</name><fileWriter>
		<file>file://$T/$1.ipfix</file></fileWriter></destination>
		</exportingProcess>"
	start "$1" "$CONFLUXD" -l info -c "$T/$1.xml"
	wait_port udp "$PORT"
}

# exporter NAME MORE: from UDP port $FEED to $PORT
exporter()
{
	FEED=$(free_port)
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<udpCollector><name>u</name><localPort>$FEED</localPort>
		<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
		<exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>
		<destination><name>dtls</name><udpExporter>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$PORT</destinationPort>
		<maxPacketSize>0</maxPacketSize>
		<transportLayerSecurity>$to_collector$2
		</transportLayerSecurity>
		</udpExporter></destination></exportingProcess>"
	start "$1" "$CONFLUXD" -l info -c "$T/$1.xml"
	wait_port udp "$FEED"
}

now()
{
	python3 -c 'import time; print(time.time())'
}

# took SINCE: the seconds
took()
{
	python3 -c "import time; print(round(time.time() - $1, 1))"
}

# feed SECONDS: 2000 records a second
feed()
{
	"$MKIPFIX" -n $(($1 * 2000)) -r 2000 -t 0 "udp:127.0.0.1:$FEED" \
		>"$T/feed.out"
}

# records NAME: that it has collected
records()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/$1.status" 2>/dev/null &&
		json "$T/$1.status" "d['cx:total']['cx:ledger']['in']"
}

# has NAME COUNT: at least so many have come
has()
{
	got=$(records "$1") && [ "${got:-0}" -ge "$2" ]
}

# begin NAME EXPORTER COLLECTOR: one that is fed for 14 seconds
begin()
{
	PORT=$(free_port)
	collector "$1-before" "$3"
	eval "c_$1=$PID port_$1=$PORT"
	exporter "$1-out" "$2"
	eval "e_$1=$PID"
	wait_for 10 grep -q "session with collector.test" "$T/$1-out.err"
	feed 14 &
	eval "f_$1=$!"
	PIDS="$PIDS $!"
}

# Three at a time, each with an exporter of its own. What the collector had when
# it was killed is known to a tenth of a second.
step "a collector is killed and comes back: heartbeats, replacement, nothing"
lifetime="<cx:sessionLifetime>2</cx:sessionLifetime>"
none="<cx:heartbeat>false</cx:heartbeat>"
begin heartbeat "<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
	<cx:heartbeatTries>2</cx:heartbeatTries>" ""
begin replaced "$lifetime" "$none"
begin nothing "$none<cx:sessionLifetime>0</cx:sessionLifetime>" "$none"
for way in heartbeat replaced nothing; do
	wait_for 10 has $way-before 2000
done
since=$(now)
for way in heartbeat replaced nothing; do
	eval "PORT=\$port_$way p=\$c_$way"
	eval "before_$way=$(records $way-before)"
	stop $p KILL
	# Until somebody listens again, ICMP would tell.
	more=$none
	[ $way != heartbeat ] || more=
	collector $way-after "$more"
	eval "a_$way=$PID"
done
sent="d['exportingProcess'][0]['destination'][0]['udpExporter'][
	'transportSession']"
seen=
n=0
until [ "$seen" = " heartbeat replaced" ] || [ "$seen" = " replaced heartbeat" ]
do
	for way in heartbeat replaced; do
		case $seen in *$way*) continue ;; esac
		has $way-after 1 || continue
		seen="$seen $way"
		eval "took_$way='again after $(took $since) s'"
	done
	n=$((n + 1))
	[ $n -lt 300 ] || fail "no records any more, but of:$seen"
	sleep 0.1
done
took_nothing="never again"
for way in heartbeat replaced nothing; do
	eval "f=\$f_$way e=\$e_$way a=\$a_$way before=\$before_$way"
	wait "$f"
	wait_for 10 has $way-out 28000
	sleep 0.5
	lost=$((28000 - before - $(records $way-after)))
	"$CONFLUX" status -s "$T/$way-out.sock" -j >"$T/status" || fail status
	eval "echo $way: records came \$took_$way, lost were $lost of 28000 in \
		$(json "$T/status" "$lost * $sent['messages'] // $sent['records']") \
		messages"
	stop "$e"
	stop "$a"
	equal "status" 0 "$STATUS"
	has $way-after 1 && ledger_holds "$T/$way-after.err"
done
matches "death noticed" "does not answer heartbeats|closed" \
	"$T/heartbeat-out.err"
matches "doubtful messages counted" "[0-9]+ messages were sent since" \
	"$T/heartbeat-out.err"
grep "were sent since" "$T/heartbeat-out.err"
matches "and their records, in the ledger" \
	"ledger: destination out/dtls: .*lost 0, doubtful [1-9]" \
	"$T/heartbeat-out.err"
matches "no heartbeat" "session with collector.test \([^,]*\)" \
	"$T/replaced-out.err"
equal "sessions without both" 1 \
	"$(grep -c "session with" "$T/nothing-out.err")"

step "a session a second under load: nothing is lost, nothing doubled"
PORT=$(free_port)
collector rotates
c=$PID
exporter rotating "<cx:sessionLifetime>1</cx:sessionLifetime>"
e=$PID
wait_for 10 grep -q "session with collector.test" "$T/rotating.err"
feed 12
wait_for 10 has rotating 24000
sleep 1
stop $e
sleep 0.3
stop $c
sessions=$(grep -c "session with collector.test" "$T/rotating.err")
[ "$sessions" -ge 8 ] || fail "only $sessions sessions"
echo "$sessions sessions"
equal "status" 0 "$STATUS"
ledger_holds "$T/rotates.err"
holds "$T/rotates.ipfix" 24000
one_domain "$T/rotates.ipfix"
exit 0
