#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# DTLS when things go wrong: a collector that is killed and started again on the
# same port, once noticed by heartbeats, once by the replacement of sessions; and
# sessions replaced under load, without loss. Prints what it took.
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

# crash NAME EXPORTER COLLECTOR: kills the collector, and starts it again
crash()
{
	PORT=$(free_port)
	collector "$1-before" "$3"
	c=$PID
	exporter "$1-out" "$2"
	e=$PID
	wait_for 10 grep -q "session with collector.test" "$T/$1-out.err"
	feed 20 &
	f=$!
	PIDS="$PIDS $f"
	wait_for 10 has "$1-before" 2000
	stop $c KILL
	# Until somebody listens again, ICMP would tell.
	collector "$1-after" "$3"
	a=$PID
	since=$(now)
	wait_for 40 has "$1-after" 1
	echo "$1: records again after $(took $since) s"
	wait $f
	wait_for 10 has "$1-out" 40000
	sleep 1
	stop $e
	stop $a
	equal "status" 0 "$STATUS"
	ledger_holds "$T/$1-after.err"
}

step "a collector that is killed, noticed by heartbeats"
crash heartbeat "<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
	<cx:heartbeatTries>2</cx:heartbeatTries>" ""
grep -E "answer|refuse" "$T/heartbeat-out.err"
matches "death noticed" "does not answer heartbeats|closed" \
	"$T/heartbeat-out.err"
matches "doubtful messages counted" "[0-9]+ messages were sent since" \
	"$T/heartbeat-out.err"
matches "and their records, in the ledger" \
	"ledger: destination out/dtls: .*lost 0, doubtful [1-9]" \
	"$T/heartbeat-out.err"

step "a collector without heartbeats, its sessions replaced"
crash replaced "<cx:sessionLifetime>2</cx:sessionLifetime>" \
	"<cx:heartbeat>false</cx:heartbeat>"
matches "no heartbeat" "session with collector.test \([^,]*\)" \
	"$T/replaced-out.err"

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
