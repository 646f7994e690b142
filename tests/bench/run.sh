#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# make bench: what Conflux costs, as whole processes, against a peer or a
# ceiling that is measured in the same run. Each figure is the median of RUNS
# runs; the two sides take turns, so a machine that gets slower meanwhile hurts
# both. Nothing here passes or fails; what a figure is meant to be stands in
# brackets behind it. All parts
# take 7 minutes with RECORDS=1000000 RUNS=1 (on two cores that had other work).
#
#	SRC=. BUILD=.build sh tests/bench/run.sh [file] [workers] [udp] [meters]
#		[probe] [biflow] [live] [transports] [proxy] [netflow]
#		[filter] [anonymize] [mediation] [chain] [spool]
#
# The load generator and the ceilings are in the folder that LOAD_TOOLS names
# (ipfixgen.c, ipfixsink.c, ceiling.c, fixbufsum.c); without it there is nothing
# to measure with. fixbufsum needs libfixbuf-dev. RECORDS sets the size of the
# files (10 million), RUNS how often (3).
set -u
: "${SRC:=$(pwd)}" "${BUILD:=$SRC/.build}" "${RUNS:=3}" "${RECORDS:=10000000}"
: "${LOAD_TOOLS:=$SRC/../shared/tools}"
confluxd=$BUILD/src/daemon/confluxd
[ $# -gt 0 ] || set -- file workers udp meters probe biflow live transports \
	proxy netflow filter anonymize mediation chain spool
if [ ! -f "$LOAD_TOOLS/ipfixgen.c" ]; then
	echo "bench: no load generator in $LOAD_TOOLS (set LOAD_TOOLS)"
	exit 77
fi
if [ ! -x /usr/bin/time ]; then
	echo "bench: needs /usr/bin/time (package time)"
	exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/conflux-bench.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/tools"
cp "$LOAD_TOOLS"/* "$work/tools"
make -s -C "$work/tools" ipfixgen ipfixsink ceiling >/dev/null || exit 1
if ! make -s -C "$work/tools" fixbufsum >/dev/null 2>&1; then
	echo "bench: no libfixbuf-dev: the peer for files is left out"
fi
tools=$work/tools

say()
{
	printf '%s\n' "$*"
}

# cost NAME COMMAND...: runs it, notes user+sys seconds, wall seconds and
# resident kilobytes as a line in $work/NAME.
cost()
{
	cost_name=$1
	shift
	if ! /usr/bin/time -o "$work/time" -f '%U %S %e %M' "$@" \
		>"$work/$cost_name.out" 2>"$work/$cost_name.err"; then
		say "bench: $cost_name failed:"
		tail -n 3 "$work/$cost_name.err"
		return 1
	fi
	awk '{ print $1 + $2, $3, $4 }' "$work/time" >>"$work/$cost_name"
}

# median NAME COLUMN
median()
{
	awk -v c="$2" '{ print $c }' "$work/$1" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

calc()
{
	awk "BEGIN { printf \"$1\", $2 }"
}

field()
{
	printf '<cacheField><name>%s</name><ieName>%s</ieName>%s</cacheField>' \
		"$1" "$1" "${2:-}"
}

# 5-tuple flows with the four usual values and more: $1 what feeds the cache c,
# $2 destination, $3 and $4 active and idle timeout, $5 more values, $6 more of
# the cache
document()
{
	cat <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	<cx:workers>${workers:-1}</cx:workers>
	<cx:controlSocket>$work/sock</cx:controlSocket>
	$1
	<cache><name>c</name><timeoutCache><maxFlows>4000000</maxFlows>
	<activeTimeout>$3</activeTimeout><idleTimeout>$4</idleTimeout>${6:-}<cacheLayout>
	$(for f in sourceIPv4Address destinationIPv4Address sourceTransportPort \
		destinationTransportPort protocolIdentifier; do
		field "$f" '<isFlowKey/>'
	done
	for f in octetDeltaCount packetDeltaCount flowStartMilliseconds \
		flowEndMilliseconds ${5:-}; do
		field "$f"
	done)
	</cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>
	<exportingProcess><name>out</name><destination><name>d</name>$2</destination>
	</exportingProcess></ipfix>
	END
}

# Flows of records: $1 sources, $2 destination
config()
{
	document "<collectingProcess><name>in</name>$1<cx:cache>c</cx:cache></collectingProcess>" \
		"$2" 1800 900
}

# Flows of packets: $1 of the observationPoint, $2 destination, $3 more values,
# $4 more of the cache
probe_config()
{
	document "<observationPoint><name>p</name>
	<observationDomainId>1</observationDomainId>$1
	<selectionProcess>s</selectionProcess></observationPoint>
	<selectionProcess><name>s</name><selector><name>all</name><selectAll/>
	</selector><cache>c</cache></selectionProcess>" \
		"$2" 0 0 "tcpControlBits ${3:-}" "${4:-}"
}

reader()
{
	printf '<fileReader><name>%s</name><file>file://%s</file></fileReader>' \
		"$1" "$2"
}

writer()
{
	printf '<fileWriter><file>file://%s</file></fileWriter>' "$1"
}

generate()
{
	[ -f "$work/$1.ipfix" ] ||
		"$tools/ipfixgen" --records "$RECORDS" --flows "$2" \
			--seed "${3:-1}" --file "$work/$1.ipfix" >/dev/null
}

# IPFIX file in, 5-tuple cache, IPFIX file out, against libfixbuf decoding and
# summing only.
bench_file()
{
	for size in 10000:k4 1000000:m6; do
		flows=${size%:*} name=${size#*:}
		generate "$name" "$flows"
		config "$(reader r "$work/$name.ipfix")" \
			"$(writer "$work/out.ipfix")" >"$work/$name.xml"
		i=0
		while [ $i -lt "$RUNS" ]; do
			cost "conflux-$name" "$confluxd" -c "$work/$name.xml" ||
				return
			[ ! -x "$tools/fixbufsum" ] ||
				cost "fixbuf-$name" "$tools/fixbufsum" \
					"$work/$name.ipfix" || return
			i=$((i + 1))
		done
		cpu=$(median "conflux-$name" 1)
		rss=$(median "conflux-$name" 3)
		say "file: $RECORDS records, $flows flows:" \
			"$(calc '%.1f' "$cpu * 1e9 / $RECORDS") ns a record," \
			"$rss KiB resident"
		[ -f "$work/fixbuf-$name" ] || continue
		peer=$(median "fixbuf-$name" 1)
		say "file: $flows flows: libfixbuf with a hash table takes" \
			"$(calc '%.1f' "$peer * 1e9 / $RECORDS") ns," \
			"$(calc '%.2f' "$peer / $cpu") times ours"
		if [ "$name" = m6 ]; then
			small=$(median conflux-k4 3)
			say "file: octets for each flow more:" \
				"$(calc '%.1f' "($rss - $small) * 1024 / 990000")"
		fi
	done
}

# Two workers with a file each against one with both.
bench_workers()
{
	generate k4 10000
	generate k4b 10000 2
	for workers in 1 2; do
		config "$(reader a "$work/k4.ipfix")$(reader b \
			"$work/k4b.ipfix")" "$(writer "$work/out.ipfix")" \
			>"$work/w$workers.xml"
	done
	i=0
	while [ $i -lt "$RUNS" ]; do
		cost w1 "$confluxd" -c "$work/w1.xml" || return
		cost w2 "$confluxd" -c "$work/w2.xml" || return
		i=$((i + 1))
	done
	workers=1
	say "workers: two files, one worker $(median w1 2) s, two" \
		"$(median w2 2) s of wall clock:" \
		"$(calc '%.2f' "$(median w1 2) / $(median w2 2)") times as fast"
}

# ratio PEER NAME: what the peer takes, if it was measured
ratio()
{
	[ -s "$work/$1-$2" ] || return 0
	peer=$(median "$1-$2" 1)
	case $1-$flows in
	yaf-10000) goal=" (at least 1.5)" ;;
	yaf-*) goal=" (at least 3)" ;;
	softflowd-* | nfpcapd-*) goal=" (at least 4, without YAF)" ;;
	*) goal= ;;
	esac
	say "probe: $flows flows: $1 takes" \
		"$(calc '%.1f' "$peer * 1e9 / $RECORDS") ns a packet," \
		"$(calc '%.2f' "$peer / $cpu") times ours$goal"
}

# One turn of all that meter a capture file.
probe_turn()
{
	cost "conflux-$1" "$confluxd" -c "$work/$1.xml" || return
	[ ! -x "$tools/pcapread" ] ||
		cost "libpcap-$1" "$tools/pcapread" dispatch "$work/$1.pcap"
	[ ! -x "$tools/pcapread" ] ||
		cost "mapped-$1" "$tools/pcapread" mmap "$work/$1.pcap"
	! command -v yaf >/dev/null ||
		cost "yaf-$1" yaf --in "$work/$1.pcap" --out "$work/yaf.ipfix" \
			--idle-timeout 3600 --active-timeout 3600
	! command -v softflowd >/dev/null ||
		cost "softflowd-$1" softflowd -r "$work/$1.pcap" \
			-n 127.0.0.1:9 -v 10 -d -m 4000000
	rm -rf "$work/nf"
	mkdir "$work/nf"
	! command -v nfpcapd >/dev/null ||
		cost "nfpcapd-$1" nfpcapd -r "$work/$1.pcap" -l "$work/nf"
}

# A capture file in, 5-tuple flows with octets, packets, times and flags out as
# an IPFIX file, against other meters and against reading alone.
bench_probe()
{
	make -s -C "$tools" pcapgen >/dev/null || return
	make -s -C "$tools" pcapread >/dev/null 2>&1 ||
		say "bench: no libpcap-dev: its ceiling is left out"
	for size in 10000:p4 1000000:p6; do
		flows=${size%:*} name=${size#*:}
		"$tools/pcapgen" --packets "$RECORDS" --flows "$flows" \
			--size 82 --out "$work/$name.pcap" >/dev/null
		probe_config "<cx:captureFile>$work/$name.pcap</cx:captureFile>" \
			"$(writer "$work/out.ipfix")" >"$work/$name.xml"
		i=0
		while [ $i -lt "$RUNS" ]; do
			probe_turn "$name" || return
			i=$((i + 1))
		done
		cpu=$(median "conflux-$name" 1)
		rss=$(median "conflux-$name" 3)
		say "probe: $RECORDS packets, $flows flows:" \
			"$(calc '%.1f' "$cpu * 1e9 / $RECORDS") ns a packet," \
			"$rss KiB resident"
		for peer_name in libpcap mapped yaf softflowd nfpcapd; do
			ratio $peer_name "$name"
		done
		rm -f "$work/$name.pcap"
	done
	small=$(median conflux-p4 3)
	say "probe: octets for each flow more:" \
		"$(calc '%.1f' "($rss - $small) * 1024 / 990000")" \
		"(at most 128)"
}

# The same packets, of conversations whose sides take turns, as biflows and as
# uniflows.
bench_biflow()
{
	make -s -C "$tools" pcapgen >/dev/null || return
	for size in 5000:b3 500000:b5; do
		flows=${size%:*} name=${size#*:}
		"$tools/pcapgen" --packets "$RECORDS" --flows "$flows" \
			--bidir 1 --size 82 --out "$work/$name.pcap" >/dev/null
		point="<cx:captureFile>$work/$name.pcap</cx:captureFile>"
		probe_config "$point" "$(writer "$work/out.ipfix")" \
			>"$work/uni-$name.xml"
		probe_config "$point" "$(writer "$work/out.ipfix")" \
			"reverseOctetDeltaCount reversePacketDeltaCount" \
			"<cx:biflow>true</cx:biflow>" >"$work/bi-$name.xml"
		i=0
		while [ $i -lt "$RUNS" ]; do
			for way in uni bi; do
				cost "$way-$name" "$confluxd" \
					-c "$work/$way-$name.xml" || return
			done
			i=$((i + 1))
		done
		uni=$(median "uni-$name" 1) bi=$(median "bi-$name" 1)
		say "biflow: $RECORDS packets, $flows biflows:" \
			"$(calc '%.1f' "$bi * 1e9 / $RECORDS") ns a packet," \
			"$(calc '%.2f' "$bi / $uni") times the uniflows'"
		rm -f "$work/$name.pcap"
	done
}

drops()
{
	awk -v port="$(printf ':%04X' "$1")" \
		'index($2, port) == length($2) - 4 { n += $NF } END { print n + 0 }' \
		/proc/net/udp
}

# user and system seconds of a process so far
cpu_of()
{
	awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' \
		"/proc/$1/stat"
}

# Messages of 21 records at a rising rate; the ceiling is a receiver that does
# nothing but recvmmsg.
bench_udp()
{
	port=$((20000 + $$ % 20000))
	workers=${UDP_WORKERS:-1}
	config "<udpCollector><name>u</name><localPort>$port</localPort><localIPAddress>127.0.0.1</localIPAddress></udpCollector>" \
		"$(writer "$work/out.ipfix")" >"$work/udp.xml"
	workers=1
	for rate in 1000000 2000000 4000000; do
		"$confluxd" -c "$work/udp.xml" 2>"$work/udp.err" &
		pid=$!
		sleep 1
		sent=$((rate * 4))
		c0=$(cpu_of $pid)
		"$tools/ipfixgen" --records $sent --flows 10000 --rate $rate \
			--udp "127.0.0.1:$port" >"$work/gen.out"
		sleep 1
		lost=$(drops $port)
		c1=$(cpu_of $pid)
		kill $pid
		wait $pid
		say "udp: $rate records/s asked for," \
			"$(sed -n 's/.*records_per_s=\([0-9]*\).*/\1/p' \
				"$work/gen.out") sent:" \
			"$lost datagrams dropped," \
			"$(calc '%.1f' "($c1 - $c0) * 1e9 / $sent") ns a record"
	done
	say "udp: the ceiling, a bare recvmmsg receiver:"
	"$tools/ceiling" udp 3 1400 | sed 's/^/udp: /'
}

# 100 meters of 1,000 flows each, drained in one pass, against snmpbulkwalk on
# one meter with as many; an object is the data package of one flow. All on this
# machine; answers of 8192 octets, as confluxd asks for over the loopback.
bench_meters()
{
	reader=$BUILD/tests/integration/meter_reader
	meter=$BUILD/src/metermib/agent/flowmeter
	make -s -C "$BUILD" tests/integration/meter_reader || return
	command -v snmpbulkwalk >/dev/null || {
		say "bench: no snmpbulkwalk (package snmp)"
		return
	}
	base=$((20000 + $$ % 20000)) n=0 pids=
	while [ $n -lt 100 ]; do
		"$meter" -w bench -p $((base + n)) --flows 1000 --rate 0 \
			--seed $n -l error >/dev/null 2>&1 &
		pids="$pids $!"
		n=$((n + 1))
	done
	"$meter" -w bench -p $((base + n)) --flows 100000 --rate 0 \
		-l error >/dev/null 2>&1 &
	pids="$pids $!"
	sleep 5
	# The attributes that the reader asks for, too.
	table=.1.3.6.1.2.1.40.2.3.1.5.12.8.9.10.19.20.11.12.22.27.28.29.30.1.0
	i=0
	while [ $i -lt "$RUNS" ]; do
		cost walk snmpbulkwalk -v2c -c bench -Cr50 -Oqn -m '' -M '' \
			"127.0.0.1:$((base + n))" $table || break
		objects=$(grep -c '^\.1' "$work/walk.out")
		"$reader" -c bench -p $base --ports 100 --passes 1 --count \
			--jitter 0 --stop 0 --quiet --message 8192 >/dev/null \
			2>"$work/reader.err"
		awk '$1 == "records" { r = $2 } $1 == "milliseconds" { m = $2 }
			$1 == "stoodStillMicroseconds" { u = $2 }
			END { if (m) print r, m, u }' "$work/reader.err" \
			>>"$work/drain"
		i=$((i + 1))
	done
	for pid in $pids; do
		kill "$pid"
	done
	wait
	if [ ! -s "$work/drain" ]; then
		tail -n 4 "$work/reader.err" | sed 's/^/meters: /'
		return
	fi
	ours=$(awk '{ print $1 * 1000 / $2 }' "$work/drain" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
	peer=$(calc '%.0f' "$objects / $(median walk 2)")
	say "meters: 100 meters of 1000 flows: $(calc '%.0f' "$ours")" \
		"objects/s; snmpbulkwalk on one: $peer;" \
		"$(calc '%.2f' "$ours / $peer") times as many"
	say "meters: the event loop stood still for at most" \
		"$(awk '$3 > n { n = $3 } END { print n }' "$work/drain") us"
}

# alone FILE [WHAT]: an Intermediate Process alone, in one thread, on records in
# memory; what it costs to step through them without one is taken off. Sets $cost
# (ns a record), $records and $passed; without WHAT, $cost is that of stepping.
alone()
{
	process=$BUILD/tests/bench/mediation_bench
	[ "${stepped:-}" = "$1" ] || stepping=$("$process" "$1" "$RUNS")
	stepped=$1
	cost=${stepping##*=}
	[ $# -gt 1 ] || return 0
	line=$("$process" "$1" "$RUNS" "$2")
	cost=$(calc '%.1f' "${line##*=} - $cost")
	records=${line#*records=} passed=${line#*passed=}
	records=${records%% *} passed=${passed%% *}
}

bench_filter()
{
	generate k4 10000
	alone "$work/k4.ipfix"
	say "filter: $RECORDS records; without one $cost ns a record"
	while IFS= read -r text; do
		alone "$work/k4.ipfix" "$text"
		say "filter: $cost ns a record, $passed pass: $text"
	done <<-'END'
	any
	ipv6 and exists vlanId
	proto tcp
	not proto tcp
	packets > 2000000000
	src net 10.0.0.0/8 and dst port 443
	proto tcp and dst port in [80, 443] and not src net 10.0.0.0/8
	port in [22, 25, 53, 80, 110, 143, 443, 993, 995, 1024-2048, 8080]
	proto tcp and bps > 1m and duration > 1000
	END
}

# There are 10000 flows, and then so many that hardly an address comes twice.
bench_anonymize()
{
	for flows in 10000 "$RECORDS"; do
		generate "a$flows" "$flows"
		for rule in prefix-preserving permutation truncation remove \
		    binning port-permutation precision noise all; do
			alone "$work/a$flows.ipfix" "--anonymize=$rule"
			say "anonymize: $cost ns a record, $flows flows: $rule"
		done
	done
}

# Biflows of packets to a file, and how many.
biflow_file()
{
	make -s -C "$tools" pcapgen >/dev/null || return
	"$tools/pcapgen" --packets "$RECORDS" --flows $((RECORDS / 5)) \
		--bidir 1 --size 82 --out "$work/bi.pcap" >/dev/null
	probe_config "<cx:captureFile>$work/bi.pcap</cx:captureFile>" \
		"$(writer "$work/bi.ipfix")" \
		"reverseOctetDeltaCount reversePacketDeltaCount" \
		"<cx:biflow>true</cx:biflow>" >"$work/bi.xml"
	"$confluxd" -c "$work/bi.xml" 2>"$work/bi.err"
	rm -f "$work/bi.pcap"
}

# 150000 networks, and those of ipfixgen among them, as a file of networks and
# as a database
lookup_files()
{
	make -s -C "$BUILD" tests/tools/mkmmdb || return
	awk 'BEGIN {
		for (i = 0; i < 256; i++)
			for (k = 0; k < 256; k += 16) {
				print "10." i "." k ".0/20", 64512 + i
				if (i >= 64 && i < 128)
					print "100." i "." k ".0/20", 64768 + i
			}
		for (i = 0; i < 145000; i++)
			printf "%d.%d.%d.0/22 %d\n", 11 + i / 2048, \
				i / 8 % 256, i % 8 * 32, i % 60000 + 1
	}' >"$work/prefixes"
	(echo prefix as && cat "$work/prefixes") >"$work/networks.txt"
	sed 's/ / autonomous_system_number=/' "$work/prefixes" |
		"$BUILD/tests/tools/mkmmdb" "$work/networks.mmdb" AS
}

# mediated FILE WHAT TEXT
mediated()
{
	alone "$1" "$2"
	say "mediation: $3: $cost ns a record, $records in, $passed out"
}

# Other Intermediate Processes alone, as filters.
bench_mediation()
{
	biflow_file && mediated "$work/bi.ipfix" --split "biflows split"
	for size in 10000:k4 1000000:k6; do
		generate "${size#*:}" "${size%:*}"
		for what in --owner --again; do
			mediated "$work/${size#*:}.ipfix" $what \
				"de-duplication, ${size%:*} flows, ${what#--}"
		done
	done
	lookup_files
	for size in 10000:k4 1000000:k6; do
		for what in txt mmdb; do
			mediated "$work/${size#*:}.ipfix" \
				"--lookup=$work/networks.$what" \
				"two lookups, ${size%:*} flows, networks.$what"
		done
	done
	for what in drop seconds nanoseconds narrow constant string all; do
		mediated "$work/k4.ipfix" "--convert=$what" "conversion, $what"
	done
}

. "$SRC/tests/bench/live.sh"
. "$SRC/tests/bench/transports.sh"
. "$SRC/tests/bench/spool.sh"
. "$SRC/tests/bench/proxy.sh"
. "$SRC/tests/bench/netflow.sh"
. "$SRC/tests/bench/chain.sh"
[ -x "$confluxd" ] || { say "bench: no $confluxd"; exit 1; }
for part; do
	case $part in
	file | workers | udp | meters | probe | biflow | live | transports | \
		proxy | netflow | filter | anonymize | mediation | chain | spool)
		begun=$(date +%s)
		"bench_$part"
		say "bench: $part took $(($(date +%s) - begun)) s"
		;;
	*) say "bench: no part '$part' (file, workers, udp, meters, probe," \
		"biflow, live, transports, proxy, netflow, filter, anonymize," \
		"mediation, chain, spool)" ;;
	esac
done
