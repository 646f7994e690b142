#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# exportMode fallback where the first destination is of DTLS: its collector stops
# without a word, which only heartbeats tell; the second gets the records, until
# the first is back for the hold time.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3

first_port=$(free_port) second_port=$(free_port)
collects first "<udpCollector><name>c</name><localPort>$first_port</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<transportLayerSecurity>$to_exporter</transportLayerSecurity>
	</udpCollector>"
first=$PID
wait_port udp "$first_port"
collects second "<tcpCollector><name>c</name>
	<localPort>$second_port</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>"
second=$PID
wait_port tcp "$second_port"
relays both "<udpExporter>
	<destinationIPAddress>127.0.0.1</destinationIPAddress>
	<destinationPort>$first_port</destinationPort>
	<transportLayerSecurity>$to_collector
	<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
	<cx:heartbeatTries>2</cx:heartbeatTries></transportLayerSecurity>
	</udpExporter></destination><destination><name>second</name>
	<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
	<destinationPort>$second_port</destinationPort></tcpExporter>" \
	"<exportMode>fallback</exportMode>
	<cx:graceTime>100</cx:graceTime><cx:holdTime>500</cx:holdTime>"
both=$PID

# has NAME COUNT: it has collected at least so many
has()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		[ "$(json "$T/status" "d['cx:total']['cx:ledger']['in']")" \
			-ge "$2" ]
}

wait_for 20 grep -q "session with collector.test" "$T/both.err"
start feed "$MKIPFIX" -n 9000000 -r 2000 "tcp:127.0.0.1:$FEED"
feed=$PID

step "the first answers no more"
wait_for 20 has first 1000
has second 1 && fail "both get records"
kill -STOP "$first"
wait_for 40 has second 1000
matches "why" "does not answer heartbeats" "$T/both.err"
matches "it is told" "destination far is away: others get its records" \
	"$T/both.err"

step "and then it does"
kill -CONT "$first"
wait_for 40 grep -q "records go to destination far, and no longer to second" \
	"$T/both.err"
has first 1 || fail "it has none"
before=$(json "$T/status" "d['cx:total']['cx:ledger']['in']")
wait_for 20 has first $((before + 1000))
stop "$feed"
stop "$both"
equal "status" 0 "$STATUS"
ledger_holds "$T/both.err"
stop "$first"
stop "$second"
exit 0
