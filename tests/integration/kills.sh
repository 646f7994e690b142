#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A site, a relay and a centre under load, over each transport that can tell what
# became of a message. The relay or the centre is killed by SIGKILL, at random,
# stays away for a while, and is started again. Site and relay have spools, and
# nothing acknowledges: what is missing in the end is no more than what SPOOL in
# conflux.xml(5) says a killed process has in memory, and the accounts of those
# that live say how much it is.
#
# KILLS: so many for each transport (1). KILLS_TRANSPORTS: only these. KILLS_SEED:
# another order.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
KILLS=${KILLS:-1}
RATE=5000

# secured SIDE TRANSPORT MORE
secured()
{
	case $2 in tls | dtls) ;; *) return ;; esac
	if [ "$1" = in ]; then who=$to_exporter; else who=$to_collector; fi
	echo "<transportLayerSecurity>$who$3</transportLayerSecurity>"
}

# takes TRANSPORT PORT ENCAPSULATION
takes()
{
	head="<name>c</name><localPort>$2</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>"
	case $1 in
	dtls) echo "<udpCollector>$head$(secured in "$1" "")</udpCollector>" ;;
	sctp)
		echo "<sctpCollector>$head<cx:stack>userland</cx:stack>
			<cx:localEncapsulationPort>$3</cx:localEncapsulationPort>
			</sctpCollector>" ;;
	*) echo "<tcpCollector>$head$(secured in "$1" "")</tcpCollector>" ;;
	esac
}

# gives TRANSPORT PORT FROM-ENCAPSULATION TO-ENCAPSULATION SPOOL
gives()
{
	head="<destinationPort>$2</destinationPort>"
	to="<destinationIPAddress>127.0.0.1</destinationIPAddress>"
	spool="<cx:spool><cx:directory>$5</cx:directory></cx:spool>"
	again="<cx:reconnectMin>50</cx:reconnectMin>
		<cx:reconnectMax>200</cx:reconnectMax>"
	case $1 in
	dtls)
		alive="<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
			<cx:heartbeatTries>2</cx:heartbeatTries>"
		echo "<udpExporter>$head$spool$(secured out "$1" "$alive")$to
			</udpExporter>" ;;
	sctp)
		echo "<sctpExporter>$head$spool
			<sourceIPAddress>127.0.0.1</sourceIPAddress>$to
			<cx:stack>userland</cx:stack>
			<cx:localEncapsulationPort>$3</cx:localEncapsulationPort>
			<cx:remoteEncapsulationPort>$4</cx:remoteEncapsulationPort>
			$again</sctpExporter>" ;;
	*)
		echo "<tcpExporter>$head$spool$(secured out "$1" "")$to$again
			</tcpExporter>" ;;
	esac
}

# part NAME TAKES GIVES: one confluxd in $T/NAME.xml
part()
{
	document "$1" "<cx:workers>1</cx:workers>
		<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>$2
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name>
		<destination><name>far</name>$3</destination>
		</exportingProcess>"
	"$CONFLUX" check "$T/$1.xml" >/dev/null || fail "conflux check $1"
}

# up NAME RUN [XML]
up()
{
	rm -f "$T/$1.sock"
	start "$1.$2" "$CONFLUXD" -c "$T/$1.xml"
	eval "$1=$PID"
	wait_for 20 "$CONFLUX" status -s "$T/$1.sock"
}

# count NAME EXPRESSION: of a Python expression over its status
count()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		json "$T/status" "$2"
}
came="d['cx:total']['cx:ledger']['in']"
held="d['cx:total']['cx:ledger'].get('held', 0)"

# has NAME EXPRESSION COUNT: at least
has()
{
	[ "$(count "$1" "$2")" -ge "$3" ]
}

# nothing_held NAME
nothing_held()
{
	[ "$(count "$1" "$held")" = 0 ]
}

# is_still NAME: nothing comes in any more
is_still()
{
	still=$(count "$1" "$came")
	sleep 0.3
	[ "$(count "$1" "$came")" = "$still" ]
}

# ledger LOG NUMBER: of all, at the end
ledger()
{
	sed -n 's/.*ledger: all: //p' "$1" | tr ',' '\n' |
		awk -v name="$2" '$1 == name { n = $2 } END { print n + 0 }'
}


# kill_one NUMBER: the relay or the centre, of two each once; it is away for 0.1
# to 0.9 s.
kill_one()
{
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	[ $(($1 % 2)) = 0 ] || other=$((seed / 65536 % 2))
	if [ "$other" = 0 ]; then victim=relay; else victim=centre; fi
	other=$((1 - other))
	eval "stop \$$victim KILL"
	eval "killed_$victim=\$((killed_$victim + 1))"
	sleep "0.$((1 + seed / 131072 % 9))"
	turn=$((turn + 1))
	[ $victim = centre ] && part centre "$gets" "<fileWriter>
		<file>file://$T/got.$turn.ipfix</file></fileWriter>"
	up $victim $turn
	before=$(count centre "$came")
	wait_for 40 has centre "$came" $((before + RATE / 5))
}

# The flows in files, one a line; their source addresses count on.
flows()
{
	for file in "$@"; do
		"$CONFLUX" read -f json "$file" 2>>"$T/read.err"
	done | sed -n 's/.*"sourceIPv4Address":"\([0-9.]*\)".*/\1/p'
}

# kills TRANSPORT
kills()
{
	step "$1"
	feed_at=$(free_port) site_to=$(free_port) relay_to=$(free_port)
	from=$(free_port) middle=$(free_port) to=$(free_port)
	seed=$((seed + 1)) turn=0 killed_relay=0 killed_centre=0
	rm -rf "$T"/got.*.ipfix "$T"/spool.*
	gets=$(takes "$1" "$relay_to" "$to")
	part site "$(takes tcp "$feed_at")" \
		"$(gives "$1" "$site_to" "$from" "$middle" "$T/spool.site")"
	part relay "$(takes "$1" "$site_to" "$middle")" \
		"$(gives "$1" "$relay_to" "$middle" "$to" "$T/spool.relay")"
	part centre "$gets" "<fileWriter>
		<file>file://$T/got.0.ipfix</file></fileWriter>"
	up centre 0
	up relay 0
	up site 0
	start feed "$MKIPFIX" -n 9000000 -f 9999999 -6 0 -r $RATE \
		"tcp:127.0.0.1:$feed_at"
	feed=$PID
	wait_for 20 has centre "$came" $((RATE / 10))
	done=0
	while [ $done -lt "$KILLS" ]; do
		done=$((done + 1))
		kill_one $done
	done
	stop "$feed"
	wait_for 60 nothing_held site
	wait_for 60 nothing_held relay
	wait_for 60 is_still centre
	for who in site relay centre; do
		eval "stop \$$who"
		equal "status of $who" 0 "$STATUS"
	done
	judge "$1"
}

# judge TRANSPORT
judge()
{
	ledger_holds "$T/site.0.err"
	fed=$(ledger "$T/site.0.err" in)
	equal "lost at the site" 0 "$(ledger "$T/site.0.err" lost)"
	flows "$T"/got.*.ipfix | sort >"$T/all"
	got=$(uniq "$T/all" | wc -l | tr -d ' ')
	twice=$(($(lines "$T/all") - got))
	missing=$((fed - got))
	echo "   $killed_relay kills of the relay, $killed_centre of the" \
		"centre: of $fed records $missing are missing, $twice came twice"
	[ "$got" -le "$fed" ] || fail "more arrived than were sent"
	# A file is written each second. What is in memory while a collector is
	# well, and in sockets, is of less than that.
	doubtful=$(ledger "$T/site.0.err" doubtful)
	most=$((doubtful + killed_relay * RATE + killed_centre * 2 * RATE))
	[ $missing -le $most ] || fail "$missing are missing, at most $most may"
	# Read ahead in a spool, at 46 octets a record; DTLS sends all again
	# that was not answered for, which is of 3 seconds.
	most=$(((killed_relay + killed_centre) * (1048576 / 46 + 4 * RATE)))
	[ $twice -le $most ] || fail "$twice came twice, at most $most may"
	[ "$1" = dtls ] || [ $killed_relay -gt 0 ] || equal twice 0 $twice
}

seed=${KILLS_SEED:-1}
for transport in ${KILLS_TRANSPORTS:-tcp tls sctp dtls}; do
	kills "$transport"
done
exit 0
