# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh: the same flows as NetFlow of the versions 9 and 5 and as
# IPFIX (netflow.c), over UDP through confluxd as a proxy that makes IPFIX of
# them: processor time for each record that came.

# netflow_turn VERSION: appends nanoseconds a record to netflow-VERSION
netflow_turn()
{
	from=$((20000 + ($$ + netflow_count) % 20000))
	to=$((from + 1))
	netflow_count=$((netflow_count + 2))
	"$work/relay" udp $to >"$work/sink.out" &
	sink=$!
	pass netflow "<udpCollector><name>c</name><localPort>$from</localPort><localIPAddress>127.0.0.1</localIPAddress></udpCollector>" \
		"<udpExporter><destinationPort>$to</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress></udpExporter>"
	"$confluxd" -c "$work/netflow.xml" 2>"$work/netflow.err" &
	middle=$!
	sleep 1
	cpu0=$(cpu_of $middle)
	"$work/netflow" "$1" $from "$RECORDS" "${PROXY_RATE:-2000000}" \
		>"$work/netflow.out"
	sleep 1
	cpu=$(calc '%.3f' "$(cpu_of $middle) - $cpu0")
	kill $middle
	wait $middle
	kill $sink
	wait $sink
	came=$(sed -n 's/.*collectingProcess in: in \([0-9]*\),.*/\1/p' \
		"$work/netflow.err")
	calc '%.1f\n' "$cpu * 1e9 / ${came:-1}" >>"$work/netflow-$1"
}

bench_netflow()
{
	for program in relay netflow; do
		cc -O2 -std=c11 -D_GNU_SOURCE -o "$work/$program" \
			"$SRC/tests/bench/$program.c" || return
	done
	netflow_count=0
	i=0
	while [ $i -lt "$RUNS" ]; do
		for version in 10 9 5; do
			netflow_turn $version
		done
		i=$((i + 1))
	done
	ipfix=$(median netflow-10 1)
	say "netflow: IPFIX: $ipfix ns a record"
	for version in 9 5; do
		ours=$(median netflow-$version 1)
		say "netflow: version $version: $ours ns a record," \
			"$(calc '%.2f' "$ours / $ipfix") times IPFIX"
	done
}
