#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A path between two confluxd that loses up to a tenth of all datagrams, brings some
# twice and some late (udp_lossy). DTLS over UDP: handshakes come about, also
# those of sessions that replace others; what the path has lost, and only that, is
# missing by the sequence numbers; nothing is taken twice. SCTP in UDP, without
# and with DTLS: nothing is lost.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
LOSSY=$BUILD/tests/tools/udp_lossy
[ -x "$LOSSY" ] || skip "there is no $LOSSY (make check builds it)"

# between PORT LOSS%: $MIDDLE is the way to it, $RELAY the process
between()
{
	MIDDLE=$(free_port)
	start "relay$1" "$LOSSY" "$MIDDLE" "$1" "$2" 5 1 7 10
	RELAY=$PID
	wait_port udp "$MIDDLE"
}

# both NAME COLLECTOR EXPORTER FEED: $T/to-NAME.ipfix is what comes out
both()
{
	collects "to-$1" "$2"
	TO=$PID
	relays "$1" "$3" "<cx:flushTime>20</cx:flushTime>"
	FROM=$PID
}

# feed RECORDS SEED: 2000 a second, the same as in $T/fedSEED.ipfix
feed()
{
	"$MKIPFIX" -n "$1" -s "$2" -r 2000 "tcp:127.0.0.1:$FEED" \
		>"$T/feed.out" || fail mkipfix
	"$MKIPFIX" -n "$1" -s "$2" "$T/fed$2.ipfix" >/dev/null
}

# account NAME EXPRESSION: of l, its ledger
account()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/$1.status" 2>/dev/null &&
		json "$T/$1.status" \
			"(lambda l: $2)(d['cx:total']['cx:ledger'])"
}

# is NAME EXPRESSION WANTED
is()
{
	[ "$(account "$1" "$2")" = "$3" ]
}

# ends NAME: the sender, then the receiver
ends()
{
	stop "$FROM"
	equal "status of $1" 0 "$STATUS"
	stop "$TO"
	equal "status of to-$1" 0 "$STATUS"
	stop "$RELAY"
	cat "$T/relay$PORT.out"
	ledger_holds "$T/$1.err"
	ledger_holds "$T/to-$1.err"
}

# foreign NAME FILE...: records that came though nobody sent them (so often)
foreign()
{
	name=$1
	shift
	for f in "$@"; do
		"$CONFLUX" read -f json "$f"
	done | sed 's/"template":[0-9]*,//g' | sort >"$T/wanted.txt"
	"$CONFLUX" read -f json "$T/to-$name.ipfix" |
		sed 's/"template":[0-9]*,//g' | sort >"$T/got.txt"
	comm -13 "$T/wanted.txt" "$T/got.txt" | wc -l
}

# over_dtls NAME MORE LOSS%: more of the exporter
over_dtls()
{
	PORT=$(free_port)
	between "$PORT" "$3"
	both "$1" "<udpCollector><name>u</name><localPort>$PORT</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>
		<transportLayerSecurity>$to_exporter</transportLayerSecurity>
		</udpCollector>" "<udpExporter>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$MIDDLE</destinationPort>
		<maxPacketSize>1200</maxPacketSize>
		<templateRefreshPacket>10</templateRefreshPacket>
		<transportLayerSecurity>$to_collector$2
		</transportLayerSecurity></udpExporter>"
	wait_for 60 grep -q "session with collector.test" "$T/$1.err"
}

sessions()
{
	grep -c "session with" "$T/$1.err"
}

step "DTLS over UDP: what is missing"
over_dtls dtls "" 10
# What data without a Template means can't be counted to the unit.
kill -USR1 "$RELAY"
feed 100 1
wait_for 10 is to-dtls "l['in']" 100
kill -USR1 "$RELAY"
feed 8000 2
# The last ones that are lost show by one behind them.
kill -USR1 "$RELAY"
wait_for 10 is dtls "l['exported']" 8100
sleep 0.2
feed 100 3
wait_for 10 is to-dtls "l['in'] + l.get('sequenceGap', 0)" 8200
lost=$(account to-dtls "l.get('sequenceGap', 0)")
echo "$lost of 8200 records lost"
[ "$lost" -gt 300 ] && [ "$lost" -lt 1600 ] || fail "$lost records lost"
ends dtls
equal "records that nobody sent" 0 "$(foreign dtls "$T"/fed*.ipfix)"
equal "records missing" "$lost" \
	$(($(lines "$T/wanted.txt") - $(lines "$T/got.txt")))
rm "$T"/fed*.ipfix

step "DTLS over UDP: sessions that take the place of others"
over_dtls replaces "<cx:sessionLifetime>1</cx:sessionLifetime>" 5
# Handshakes take as long as their datagrams are lost.
fed=0
while [ $fed -lt 20 ] && [ "$(sessions replaces)" -lt 3 ]; do
	fed=$((fed + 1))
	feed 2000 $fed
done
[ "$(sessions replaces)" -ge 3 ] || fail "only $(sessions replaces) sessions"
wait_for 10 is replaces "l['exported']" $((fed * 2000))
sleep 0.2
ends replaces
equal "records that nobody sent" 0 "$(foreign replaces "$T"/fed*.ipfix)"
lost=$((fed * 2000 - $(lines "$T/got.txt")))
echo "$lost of $((fed * 2000)) records lost, in $(sessions replaces) sessions"
# With a session that the collector does not have, a second would be missing.
[ "$lost" -lt $((fed * 500)) ] || fail "$lost records lost"
rm "$T"/fed*.ipfix

# active NAME: its association is there
active()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q '"status": *"active"' "$T/status"
}

# over_sctp NAME [COLLECTOR'S-DTLS EXPORTER'S-DTLS]
over_sctp()
{
	PORT=$(free_port) sctp=$(free_port)
	between "$PORT" 3
	both "$1" "<sctpCollector><name>s</name><localPort>$sctp</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>${2:-}
		<cx:stack>userland</cx:stack>
		<cx:localEncapsulationPort>$PORT</cx:localEncapsulationPort>
		</sctpCollector>" "<sctpExporter>
		<destinationPort>$sctp</destinationPort>${3:-}
		<sourceIPAddress>127.0.0.1</sourceIPAddress>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<cx:stack>userland</cx:stack>
		<cx:localEncapsulationPort>$(free_port)</cx:localEncapsulationPort>
		<cx:remoteEncapsulationPort>$MIDDLE</cx:remoteEncapsulationPort>
		</sctpExporter>"
	wait_for 60 active "$1"
	feed 5000 1
	wait_for 60 is "to-$1" "[l['in'], l['lost']]" "[5000, 0]"
	ends "$1"
	foreign "$1" "$T/fed1.ipfix" >"$T/foreign"
	cmp -s "$T/wanted.txt" "$T/got.txt" || fail "$1: the records differ"
}

step "SCTP"
over_sctp sctp
step "DTLS over SCTP"
over_sctp dtls-sctp "<transportLayerSecurity>$to_exporter</transportLayerSecurity>" \
	"<transportLayerSecurity>$to_collector</transportLayerSecurity>"
exit 0
