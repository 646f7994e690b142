#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Shows the main job of Conflux on this machine, in less than a minute after
# the build: packets are metered, the meter is read by SNMP, a router sends
# IPFIX, and both are merged into one view of the traffic and sent on as IPFIX.
# The packets are made up, so that what they are is known. Installs what is
# missing to build it (Debian 12 or 13, as root or with sudo), and nothing else;
# all runs on the loopback interface, on free ports, in a folder of its own, and
# ends by itself.
#
# SECONDS_OF_TRAFFIC sets how long it is (16); BUILD is a folder where everything
# is built already, so that nothing is installed or built.

set -u
SRC=$(cd "$(dirname "$0")/.." && pwd) || exit 1
traffic=${SECONDS_OF_TRAFFIC:-16}

# ---- build ------------------------------------------------------------------

die()
{
	echo "quickstart: $*" >&2
	exit 1
}

# watch WHAT FILE: as long as this script lives, tells how far the work is whose
# output goes to the file: on a terminal how long it has taken and its last line
watch()
{
	begin=$(date +%s)
	while kill -0 $$ 2>/dev/null; do
		last=$(tail -n 1 "$2" 2>/dev/null | tr -dc '[:print:]' |
			cut -c 1-50)
		printf '\r%s: %d s %-50s' "$1" $(($(date +%s) - begin)) \
			"$last"
		sleep 1
	done
}

# work WHAT COMMAND...: runs it, with its output in $log
work()
{
	what=$1
	shift
	watcher=
	: >"$log" || die "nothing can be written to $log"
	if [ -t 1 ]; then
		watch "$what" "$log" &
		watcher=$!
	else
		echo "$what ..."
	fi
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	unwatch
	return $status
}

unwatch()
{
	[ -z "${watcher:-}" ] && return
	kill "$watcher" 2>/dev/null
	wait "$watcher" 2>/dev/null
	watcher=
	printf '\r%-78s\r' ""
}

build()
(
	# One at a time: somebody may be building there already.
	flock 9 || exit 1
	cd "$SRC" || exit 1
	[ -x configure ] || autoreconf -fi || exit 1
	cd "$BUILD" || exit 1
	[ -f Makefile ] || ../configure -q || exit 1
	make -s -j"$(nproc)"
)

install_and_build()
{
	. "$SRC/tests/packages.sh"
	log=${TMPDIR:-/tmp}/conflux-quickstart-build.$$
	trap 'unwatch; rm -f "$log"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# shellcheck disable=SC2086 # a list of names
	missing=$(packages_missing $packages_build)
	if [ "$missing" ]; then
		echo "packages that are missing:" $missing
		# The password is asked for before anything else is shown.
		[ "$(id -u)" -eq 0 ] || ! command -v sudo >/dev/null || sudo -v
		# shellcheck disable=SC2086
		work "installing packages" packages_need $missing || {
			tail -n 20 "$log"
			die "packages that are needed could not be installed"
		}
	fi
	mkdir -p "$BUILD" && [ -w "$BUILD" ] && [ -w "$SRC" ] ||
		die "no right to write to $SRC and $BUILD: take a copy of your own"
	exec 9>"$BUILD/lock" || die "$BUILD/lock cannot be written"
	work "building in $BUILD" build || {
		tail -n 30 "$log"
		die "the build failed"
	}
	exec 9>&-
	rm -f "$log"
	trap - EXIT INT TERM
}

if [ -z "${BUILD:-}" ]; then
	BUILD=$SRC/.build
	install_and_build
fi

# ---- run --------------------------------------------------------------------

# Free ports, a temporary folder, processes that end with this script.
. "$SRC/tests/integration/lib.sh"

# settle FILE: the configuration with ports and a folder of our own
settle()
{
	sed "s/>11161</>$meter_port</; s/>14739</>$router_port</
		s/>14740</>$collector_port</
		s|/tmp/conflux-quickstart/|$T/|" \
		"$SRC/examples/$1" >"$T/$1"
}

# Records as a table. JSON lines come in, one record each.
table()
{
	awk '
	function get(name,	s) {
		if (!match($0, "\"" name "\":(\"[^\"]*\"|[0-9]+)"))
			return ""
		s = substr($0, RSTART + length(name) + 3,
			RLENGTH - length(name) - 3)
		gsub("\"", "", s)
		return s
	}
	# With the prefix lengths of the configuration.
	function network(end, prefix,	a) {
		a = get(end "IPv4Address")
		return a == "" ? get(end "IPv6Address") "/64" : a "/" prefix
	}
	BEGIN {
		protocol[1] = "icmp"
		protocol[6] = "tcp"
		protocol[17] = "udp"
		protocol[58] = "icmp6"
	}
	NR <= 6 {
		p = get("protocolIdentifier")
		printf("  %-20s %-20s %-6s %8s packets %10s octets %5s records\n",
			network("source", 29), network("destination", 24),
			p in protocol ? protocol[p] : p,
			get("packetDeltaCount"), get("octetDeltaCount"),
			get("deltaFlowCount"))
	}
	END {
		if (NR > 6)
			printf("  ... and %d more\n", NR - 6)
	}'
}

# sum FILE ELEMENT: over JSON lines
sum()
{
	awk -v name="$2" '
	match($0, "\"" name "\":[0-9]+") {
		s += substr($0, RSTART + length(name) + 3,
			RLENGTH - length(name) - 3)
	}
	END {
		printf("%.0f", s)
	}' "$1"
}

# number NAME: of the ledger of a report on standard input
number()
{
	sed -n "s/^ *cx:ledger\( .*\)* $1 \([0-9]*\).*\$/\2/p" | head -n 1
}

meter_port=$(free_port)
router_port=$(free_port)
collector_port=$(free_port)
settle quickstart.xml
settle quickstart-collector.xml
settle quickstart-probe.xml
cp "$SRC/examples/quickstart.rules" "$T" || exit 1

start collector "$CONFLUXD" -c "$T/quickstart-collector.xml"
collector=$PID
wait_port tcp "$collector_port"
# Two networks with some two hundred conversations, as they would be seen on a
# wire: the probe gets each packet when its time has come.
mkfifo "$T/wire" || exit 1
start packets sh -c "exec '$MKPCAP' -r 500 -n $((traffic * 450)) -f 200 \
	-H 64 -t '$T/truth' -o - >'$T/wire'"
packets=$PID
start_in probe "$T/wire" "$CONFLUXD" -c "$T/quickstart-probe.xml"
probe=$PID
wait_port udp "$meter_port"
start conflux "$CONFLUXD" -c "$T/quickstart.xml"
conflux=$PID
wait_port udp "$router_port"
start router "$MKIPFIX" -t 0 -r 500 -n $((traffic * 500)) -f 200 \
	"udp:127.0.0.1:$router_port"
router=$PID

cat <<END

  packets --> probe  127.0.0.1:$meter_port (SNMP) <-- asks --.
                                                      confluxd --> collector
              router 127.0.0.1:$router_port (UDP) -- sends -->'      127.0.0.1:$collector_port

Merged flows as the collector gets them, for about $((traffic + 10)) seconds:

END

seen=0
shows=0
show()
{
	now=$(lines "$T/collector.out")
	if [ "$now" -gt "$seen" ]; then
		sed -n "$((seen + 1)),${now}p" "$T/collector.out" | table
		seen=$now
	fi
	shows=$((shows + 1))
	[ $((shows % 4)) -eq 0 ] || return 0
	"$CONFLUX" status -s "$T/control.sock" total >"$T/ledger" 2>&1 ||
		return 0
	echo "  -- ledger: in $(number in <"$T/ledger"), merged" \
		"$(number merged <"$T/ledger"), exported" \
		"$(number exported <"$T/ledger"), held" \
		"$(number held <"$T/ledger")"
}

while running "$router" || running "$packets"; do
	running "$conflux" || fail "confluxd has ended"
	running "$probe" || fail "the probe has ended"
	[ "$shows" -le $((traffic + 20)) ] || fail "the traffic does not end"
	sleep 1
	show
done
# The probe is asked every two seconds: twice more, to be sure.
for second in 1 2 3 4 5; do
	sleep 1
	show
done

# ---- what went in, what came out --------------------------------------------

stop "$conflux"
[ $STATUS -eq 0 ] || fail "confluxd ended with status $STATUS"
# What it sent at the end is on its way.
sleep 1
show
stop "$collector"
[ $STATUS -eq 0 ] || fail "the collector ended with status $STATUS"
stop "$probe"
[ $STATUS -eq 0 ] || fail "the probe ended with status $STATUS"
wait_exit "$router" 5

truth_sum()
{
	awk -F, -v n="$1" '{ s += $n } END { printf("%.0f", s) }' "$T/truth"
}
meter_packets=$(truth_sum 6)
meter_octets=$(truth_sum 7)
router_octets=$(sed 's/.*"octets":\([0-9]*\).*/\1/' "$T/router.out")
router_packets=$(sed 's/.*"packets":\([0-9]*\).*/\1/' "$T/router.out")
router_records=$(sed 's/.*"records":\([0-9]*\).*/\1/' "$T/router.out")
out_octets=$(sum "$T/collector.out" octetDeltaCount)
out_packets=$(sum "$T/collector.out" packetDeltaCount)
out_flows=$(sum "$T/collector.out" deltaFlowCount)
out_records=$(lines "$T/collector.out")
in_octets=$((meter_octets + router_octets))
in_packets=$((meter_packets + router_packets))

printf '\n%-26s %14s %14s %14s\n' "" records packets octets
row()
{
	printf '%-26s %14s %14s %14s\n' "$@"
}
row "in: packets on the wire" - "$meter_packets" "$meter_octets"
row "in: sent by the router" "$router_records" "$router_packets" \
	"$router_octets"
row "in, together" "$out_flows" "$in_packets" "$in_octets"
row "out: at the collector" "$out_records" "$out_packets" "$out_octets"
echo
sed -n 's/^.*notice: \(ledger: .*\)$/\1/p' "$T/conflux.err"

# account NAME: a number of the line for all
account()
{
	n=$(sed -n "s/^.*ledger: all: .*$1 \([0-9]*\).*\$/\1/p" \
		"$T/conflux.err")
	echo "${n:-0}"
}

left=$(($(account exported) + $(account merged) + $(account filtered) +
	$(account lost) + $(account held)))
[ $(($(account in) + $(account split))) -eq $left ] ||
	fail "the ledger does not add up"
[ "$(account lost)" -eq 0 ] || fail "records were lost"
[ "$in_octets" = "$out_octets" ] || fail "octets in are not octets out"
[ "$in_packets" = "$out_packets" ] || fail "packets in are not packets out"
[ "$out_records" -gt 0 ] || fail "nothing came out"
echo
echo "Every octet and packet that went in came out, in $out_records flows; the"
echo "ledger adds up, and nothing was lost."
echo "To look closer: examples/quickstart.xml, and conflux.xml(5)."
exit 0
