#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Malformations that broke other collectors, sent to confluxd over UDP and TCP
# between good records of the same sessions: good records survive, each bad one
# is counted by its reason, told at a limited rate, and costs only itself. Then
# exporters that try to use up memory: every bound holds.
. "${SRC:-.}/tests/integration/lib.sh"

MKBAD=$BUILD/tests/tools/mkbad MKFLOOD=$BUILD/tests/tools/mkflood
[ -x "$MKBAD" ] && [ -x "$MKFLOOD" ] || skip "there is no mkbad or mkflood"

# config NAME LIMITS PROCESSES: $3 stands below the collecting process
config()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>${WORKERS:-1}</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <cx:limits>$2</cx:limits>
	  <collectingProcess><name>in</name>
	    <udpCollector><name>udp</name><localPort>$port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	    <tcpCollector><name>tcp</name><localPort>$port</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess>
	    <cx:cache>merge</cx:cache></collectingProcess>
	  <cache><name>merge</name>
	    <timeoutCache><maxFlows>100000</maxFlows>
	      <activeTimeout>600</activeTimeout><idleTimeout>600</idleTimeout>
	      <cacheLayout>
	      <cacheField><name>s</name><ieName>sourceIPv4Address</ieName>
		<isFlowKey/></cacheField>
	      <cacheField><name>d</name><ieName>destinationIPv4Address</ieName>
		<isFlowKey/></cacheField>
	      <cacheField><name>i</name><ieName>interfaceName</ieName>
		</cacheField>
	      <cacheField><name>o</name><ieName>octetDeltaCount</ieName>
		</cacheField>
	      </cacheLayout></timeoutCache>
	    <exportingProcess>merged</exportingProcess></cache>
	  <exportingProcess><name>out</name>
	    <destination><name>json</name>
	      <cx:jsonWriter><cx:file>file://$T/$1.json</cx:file>
	      </cx:jsonWriter></destination>
	    <destination><name>file</name>
	      <fileWriter><file>file://$T/$1.ipfix</file></fileWriter>
	      </destination></exportingProcess>
	  <exportingProcess><name>merged</name>
	    <destination><name>file</name>
	      <fileWriter><file>file://$T/$1-merged.ipfix</file></fileWriter>
	      </destination></exportingProcess>
	</ipfix>
	XML
}

# ledger LOG PROCESS NUMBER: one number of the line of a process
ledger()
{
	sed -n "s/.*ledger: $2: //p" "$1" | tr ',' '\n' |
		awk -v name="$3" '$1 == name { n = $2 } END { print n + 0 }'
}

# balanced LOG: the account of each stage, and of all
balanced()
{
	copied=$(sed -n 's/.*ledger: all (copied \([0-9]*\)):.*/\1/p' "$1")
	for process in "all.*" "collectingProcess in" "cache merge" \
			"exportingProcess out" "exportingProcess merged" \
			"destination out.json" "destination out.file" \
			"destination merged.file"; do
		in=$(ledger "$1" "$process" in)
		in=$((in + $(ledger "$1" "$process" split)))
		[ "$process" = "all.*" ] && in=$((in + ${copied:-0}))
		equal "ledger of $process" "$in" \
			"$(($(ledger "$1" "$process" exported) +
			$(ledger "$1" "$process" merged) +
			$(ledger "$1" "$process" filtered) +
			$(ledger "$1" "$process" lost) +
			$(ledger "$1" "$process" held)))"
		equal "$process: no memory" 0 \
			"$(ledger "$1" "$process" noMemory)"
	done
}

# end NAME: SIGTERM; then all adds up
end()
{
	kill -TERM $PID
	wait_exit $PID 20
	equal "status of $1" 0 "$STATUS"
	! grep -E 'Sanitizer|runtime error' "$T/$1.err" || fail "sanitizer"
	balanced "$T/$1.err"
}

# of JSON-FILE NAME: the sum over the lines of the file
of()
{
	tr -d '{}"' <"$1" | tr ',' '\n' |
		awk -F: -v name="$2" '$1 == name { n += $2 } END { print n + 0 }'
}

# in_status NAME MEMBER: the sum of all members of that name
in_status()
{
	"$CONFLUX" status -s "$T/$1.sock" -j collectingProcess |
		grep -o "\"$2\":[0-9]*" | sed 's/.*://' |
		awk '{ n += $1 } END { print n + 0 }'
}

port=$(free_port)
for WORKERS in 1 3; do
	for how in udp tcp "-1 tcp"; do
		name=bad-$WORKERS-$(echo "$how" | tr -d ' -')
		step "malformations: $how, $WORKERS workers"
		config "$name" "<cx:heldTime>300</cx:heldTime>"
		start "$name" "$CONFLUXD" -c "$T/$name.xml"
		wait_port tcp "$port"
		wait_port udp "$port"
		# Others who do everything right, at the same time.
		"$MKIPFIX" -n 3000 -r 3000 -d 1 "udp:127.0.0.1:$port" \
			>"$T/right.udp" &
		right=$!
		"$MKIPFIX" -n 3000 -d 2 "tcp:127.0.0.1:$port" >"$T/right.tcp"
		# shellcheck disable=SC2086
		"$MKBAD" $how 127.0.0.1 "$port" >"$T/truth" || fail mkbad
		wait $right
		sleep 1
		equal "discarded messages" "$(of "$T/truth" discarded)" \
			"$(in_status "$name" discardedMessages)"
		equal "reserved sets" "$(of "$T/truth" reserved)" \
			"$(in_status "$name" cx:reservedSets)"
		end "$name"
		log=$T/$name.err
		equal malformed "$(of "$T/truth" malformed)" \
			"$(ledger "$log" "collectingProcess in" malformed)"
		equal noTemplate "$(of "$T/truth" noTemplate)" \
			"$(ledger "$log" "collectingProcess in" noTemplate)"
		equal "good records" \
			"$(($(of "$T/truth" good) + $(of "$T/truth" records) +
			6000))" \
			"$(ledger "$log" "collectingProcess in" exported)"
		equal "lines" "$(lines "$T/$name.json")" \
			"$(ledger "$log" "destination out.json" exported)"
		equal "records in the file" "$(lines "$T/$name.json")" \
			"$("$CONFLUX" read -o -f json "$T/$name.ipfix" \
				2>/dev/null | wc -l | tr -d ' ')"
		equal "good ones unchanged" "$(of "$T/truth" good)" \
			"$(grep -c '"octetDeltaCount":1000,"packetDeltaCount":1}' \
				"$T/$name.json")"
		equal "all sequence numbers explained" 0 \
			"$(ledger "$log" "collectingProcess in" sequenceGap)"
		matches "who, what, consequence" \
			"127.0.0.1:[0-9]+: domain 10[0-9]*: .* lost" "$log"
		[ "$(lines "$log")" -lt 120 ] || fail "the log is flooded"
	done
done
WORKERS=1

limits="<cx:maxSessions>200</cx:maxSessions>
	<cx:maxDomainsPerSession>50</cx:maxDomainsPerSession>
	<cx:maxTemplatesPerSession>500</cx:maxTemplatesPerSession>
	<cx:maxFieldsPerTemplate>400</cx:maxFieldsPerTemplate>
	<cx:maxLearntElements>300</cx:maxLearntElements>
	<cx:heldOctets>200000</cx:heldOctets><cx:heldTime>300</cx:heldTime>
	<cx:maxOptionsRecords>400</cx:maxOptionsRecords>"

# flood KIND COUNT udp|tcp: what it left is in the status
flood()
{
	step "flood of $1: $2 over $3"
	"$MKFLOOD" "$1" "$2" "$3" 127.0.0.1 "$port" >"$T/$1.truth" ||
		fail "mkflood $1"
	running $PID || fail "the daemon is gone"
	"$CONFLUX" status -s "$T/flood.sock" -j >"$T/$1.status" ||
		fail "no status"
	awk '/VmRSS|VmHWM/ { printf "%s %d kB  ", $1, $2 }' \
		"/proc/$PID/status"
	echo "status $(wc -c <"$T/$1.status") octets"
}

# at_most WHAT LIMIT GOT
at_most()
{
	[ "$3" -le "$2" ] || fail "$1: $3 are more than $2"
}

config flood "$limits"
start flood "$CONFLUXD" -c "$T/flood.xml"
wait_port tcp "$port"
flood noise 20000 udp
for transport in udp tcp; do
	flood domains 3000 $transport
	flood templates 3000 $transport
	flood fields 1000 $transport
	flood unknown 3000 $transport
	flood elements 3000 $transport
	flood options 3000 $transport
	flood held 3000 $transport
	flood flows 300000 $transport
done
flood sessions 3000 udp
at_most sessions 201 "$(grep -o '"sourcePort"' "$T/sessions.status" | wc -l)"
matches "refused sessions are counted" '"cx:refusedMessages":[1-9]' \
	"$T/sessions.status"
flood sessions 2000 tcp
flood parts 900 tcp
sleep 0.5
at_most "held octets" 200000 "$(in_status flood cx:heldOctets)"
rss=$(awk '/VmHWM/ { print $2 }' "/proc/$PID/status")
# Sanitizers keep what was freed.
if ! ldd "$CONFLUXD" | grep -q libasan &&
		! grep -qE '__[at]san_init' "$CONFLUXD"; then
	at_most "resident kB" 150000 "$rss"
fi
"$MKIPFIX" -n 5000 -6 0 -S 99 "tcp:127.0.0.1:$port" >"$T/right"
sleep 1
end flood
equal "a good exporter after all that" 5000 \
	"$(grep -c '"sourceIPv4Address":"99\.' "$T/flood.json")"
matches "limits are told" "as many Observation Domains as allowed" \
	"$T/flood.err"
[ "$(lines "$T/flood.err")" -lt 2000 ] || fail "the log is flooded"
exit 0
