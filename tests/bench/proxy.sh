# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh: RECORDS records through confluxd as a proxy, from the
# loopback to the loopback over the same transport, against a bare receive and
# send of the same messages (relay.c). What is compared is the processor time of
# the one in between, user and system: on a machine whose cores the sender and
# the receiver share it says what a core can pass on, where the wall clock would
# say what they leave. UDP at a rate at which nothing is lost (PROXY_RATE). 16.4
# million records a second and core over TCP are four times what the forwarder of
# IPFIXcol2 was measured at.

# proxy_send KIND: what a sender says is thrown away
proxy_send()
{
	if [ "$1" = tcp ]; then
		"$tools/ipfixgen" --in "$work/k4.ipfix" --tcp "127.0.0.1:$from"
	else
		"$tools/ipfixgen" --in "$work/k4.ipfix" \
			--rate "${PROXY_RATE:-3000000}" \
			--udp "127.0.0.1:$from"
	fi >/dev/null 2>&1
	sleep 1
}

# proxy_turn KIND RELAY|CONFLUX: appends "seconds octets" to proxy-KIND-NAME
proxy_turn()
{
	from=$((20000 + ($$ + proxy_count) % 20000))
	to=$((from + 1))
	proxy_count=$((proxy_count + 2))
	"$work/relay" "$1" $to >"$work/sink.out" &
	sink=$!
	sleep 0.5
	if [ "$2" = relay ]; then
		"$work/relay" "$1" $from $to >"$work/relay.out" &
	else
		pass proxy "<${1}Collector><name>c</name><localPort>$from</localPort><localIPAddress>127.0.0.1</localIPAddress></${1}Collector>" \
			"<${1}Exporter><destinationPort>$to</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></${1}Exporter>"
		"$confluxd" -c "$work/proxy.xml" 2>"$work/proxy.err" &
	fi
	middle=$!
	sleep 1
	cpu0=$(cpu_of $middle)
	proxy_send "$1"
	[ -d /proc/$middle ] && cpu=$(calc '%.3f' "$(cpu_of $middle) - $cpu0")
	kill $middle 2>/dev/null
	wait $middle
	kill $sink 2>/dev/null
	wait $sink
	[ "$2" = relay ] && cpu=$(sed -n 's/.*seconds=//p' "$work/relay.out")
	echo "$cpu $(sed -n 's/octets=\([0-9]*\).*/\1/p' "$work/sink.out")" \
		>>"$work/proxy-$1-$2"
}

bench_proxy()
{
	generate k4 10000
	cc -O2 -std=c11 -D_GNU_SOURCE -o "$work/relay" \
		"$SRC/tests/bench/relay.c" || return
	proxy_count=0
	for kind in tcp udp; do
		case $kind in
		tcp) rate=" (at least 16.4)" goal="at least 0.50" ;;
		udp) rate= goal="at least 0.60" ;;
		esac
		i=0
		while [ $i -lt "$RUNS" ]; do
			proxy_turn $kind relay
			proxy_turn $kind conflux
			i=$((i + 1))
		done
		bare=$(median proxy-$kind-relay 1)
		ours=$(median proxy-$kind-conflux 1)
		say "proxy: $kind: $(calc '%.1f' "$ours * 1e9 / $RECORDS") ns" \
			"a record, $(calc '%.1f' "$RECORDS / $ours / 1e6")" \
			"million records a second and core$rate; a bare receive" \
			"and send $(calc '%.1f' "$bare * 1e9 / $RECORDS") ns:" \
			"$(calc '%.2f' "$bare / $ours") of it ($goal);" \
			"$(calc '%.1f' "100 * $(median proxy-$kind-conflux 2) / \
				$(median proxy-$kind-relay 2)") % of its octets"
	done
}
