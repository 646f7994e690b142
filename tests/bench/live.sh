# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh: packets on an interface in a namespace of its own, sent by
# blast.c. Sender and probe share this machine, and to send a packet costs ten
# times as much as to meter it, so a probe would never be the one that is slow.
# Therefore each of its threads has the same small share of a processor, by a
# control group; then the highest rate without a loss is searched, for one
# worker, two, and tcpdump. What a packet costs is also measured without that
# limit, all at the same rate, and of other meters too.

LIVE_QUOTA=${LIVE_QUOTA:-1500} # microseconds that each thread may run
LIVE_PERIOD=100000	       # in so many
LIVE_SECONDS=2		       # of sending
LIVE_RATE=100000	       # packets/s at which costs are compared

# Control groups for threads: version 1 takes them as they are, version 2 wants
# a folder for the process first.
live_groups()
{
	groups=$(awk '$3 == "cgroup" && $4 ~ /(^|,)cpu(,|$)/ { print $2 }' \
		/proc/mounts | head -n 1)
	if [ -n "$groups" ]; then
		groups=$groups/$ns
		mkdir "$groups" && [ -w "$groups/cpu.cfs_quota_us" ]
		return
	fi
	groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$groups" ] && echo +cpu >"$groups/cgroup.subtree_control" &&
		groups=$groups/$ns && mkdir -p "$groups/0" &&
		echo threaded >"$groups/0/cgroup.type" &&
		echo +cpu >"$groups/cgroup.subtree_control"
}

# live_limit PID: each of its threads
live_limit()
{
	n=0
	[ ! -e "$groups/cgroup.threads" ] ||
		echo "$1" >"$groups/cgroup.procs" || return
	for thread in "/proc/$1/task"/*; do
		group=$groups/$n n=$((n + 1))
		mkdir -p "$group"
		if [ -e "$group/cgroup.threads" ]; then
			[ "$(cat "$group/cgroup.type")" = threaded ] ||
				echo threaded >"$group/cgroup.type"
			echo "$LIVE_QUOTA $LIVE_PERIOD" >"$group/cpu.max" &&
				echo "${thread##*/}" >"$group/cgroup.threads"
		else
			echo $LIVE_PERIOD >"$group/cpu.cfs_period_us" &&
				echo "$LIVE_QUOTA" >"$group/cpu.cfs_quota_us" &&
				echo "${thread##*/}" >"$group/tasks"
		fi || return
	done
}

live_lift()
{
	for group in "$groups"/*/; do
		[ ! -e "$group/cpu.max" ] || echo max >"$group/cpu.max"
		[ ! -e "$group/cpu.cfs_quota_us" ] ||
			echo -1 >"$group/cpu.cfs_quota_us"
	done
}

# nanoseconds that the threads of a process have run
live_ran()
{
	cat "/proc/$1/task"/*/schedstat | awk '{ n += $1 } END { print n }'
}

# live_try LIMITED RATE COMMAND...: starts it in the namespace and sends at that
# rate; sets what both say of it, $sent, $real (packets/s) and $seen, and $ran
live_try()
{
	limited=$1 rate=$2
	shift 2
	ip netns exec "$ns" "$@" >"$work/live.out" 2>"$work/live.err" &
	pid=$!
	sleep 0.7
	[ "$limited" = 0 ] || live_limit $pid || say "live: no limit was set"
	before=$(live_ran $pid)
	# shellcheck disable=SC2086 # a command, or nothing
	ip netns exec "$ns" $live_first "$work/blast" cxb "$work/live.pcap" \
		$((rate * LIVE_SECONDS)) "$rate" >"$work/blast.out"
	sleep 0.3
	ran=$(($(live_ran $pid) - before))
	[ "$limited" = 0 ] || live_lift
	kill -s "$live_end" "$pid"
	wait "$pid" 2>/dev/null
	sent=$(sed -n 's/^sent=\([0-9]*\).*/\1/p' "$work/blast.out")
	real=$(sed -n 's/.* rate=\([0-9]*\).*/\1/p' "$work/blast.out")
	# confluxd, tcpdump
	seen=$(sed -n -e 's/.*observationPoint p: in \([0-9]*\).*/\1/p' \
		-e 's/^\([0-9]*\) packets captured/\1/p' "$work/live.err" |
		tail -n 1)
}

# live_search NAME COMMAND...: the highest rate without a loss, in steps of 6 %,
# as a line in $work/live-NAME
live_search()
{
	live_name=$1 low=0 high=48 best=0
	shift
	while [ $((high - low)) -gt 1 ]; do
		middle=$(((low + high) / 2))
		live_try 1 "$(calc '%d' "40000 * 1.06 ^ $middle")" "$@"
		if [ "${seen:-0}" -lt "${sent:-1}" ]; then
			high=$middle
			continue
		fi
		low=$middle best=$real
		# The sender has reached its own limit.
		[ "$(calc '%d' "$real < $rate * 0.95")" = 0 ] || {
			: >"$work/live-$live_name.sender"
			break
		}
	done
	echo "$best" >>"$work/live-$live_name"
}

# live_cost NAME COMMAND...: at LIVE_RATE, without a limit
live_cost()
{
	live_name=$1
	shift
	live_try 0 $LIVE_RATE "$@"
	calc '%.1f\n' "$ran / $sent" >>"$work/live-cost-$live_name"
}

live_turn()
{
	live_end=INT
	for workers in 1 2; do
		$1 "$workers" "$confluxd" -c "$work/live$workers.xml"
	done
	! command -v tcpdump >/dev/null ||
		$1 tcpdump tcpdump -i cxa -B 16384 -s 512 -w /dev/null ip
}

live_others()
{
	live_end=KILL # they need not tell what they have
	! command -v softflowd >/dev/null ||
		live_cost softflowd softflowd -i cxa -d -n 127.0.0.1:9 -v 10 \
			-m 4000000 -p "$work/pid" -c "$work/ctl"
	! command -v yaf >/dev/null ||
		live_cost yaf yaf --live pcap --in cxa \
			--out "$work/yaf.ipfix"
}

# live_say NAME TEXT
live_say()
{
	[ -s "$work/live-cost-$1" ] || return 0
	limit=
	[ ! -e "$work/live-$1.sender" ] ||
		limit=", where the sender ends: it may take more"
	[ ! -s "$work/live-$1" ] ||
		say "live: $2: no loss up to $(median "live-$1" 1)" \
			"packets/s, if a thread runs $LIVE_QUOTA of" \
			"$LIVE_PERIOD us$limit"
	say "live: $2: $(median "live-cost-$1" 1) ns a packet at $LIVE_RATE" \
		"packets/s"
}

live_measure()
{
	make -s -C "$tools" pcapgen >/dev/null &&
		cc -O2 -std=c11 -D_GNU_SOURCE -o "$work/blast" \
			"$SRC/tests/bench/blast.c" || return
	"$tools/pcapgen" --packets 1000000 --flows 10000 --size 82 \
		--out "$work/live.pcap" >/dev/null
	for workers in 1 2; do
		probe_config "<ifName>cxa</ifName><cx:filter>ip</cx:filter>" \
			"$(writer "$work/out.ipfix")" >"$work/live$workers.xml"
	done
	# The sender goes before all else that this machine may do.
	live_first=
	! chrt -f 1 true 2>/dev/null || live_first="chrt -f 1"
	i=0
	while [ $i -lt "$RUNS" ]; do
		live_turn live_cost
		live_others
		[ -z "$groups" ] || live_turn live_search
		i=$((i + 1))
	done
	workers=1
	live_say 1 "confluxd, one worker"
	live_say 2 "confluxd, two workers"
	live_say tcpdump "tcpdump -w /dev/null"
	live_say softflowd softflowd
	live_say yaf yaf
	[ ! -s "$work/live-2" ] ||
		say "live: two workers take" "$(calc '%.2f' \
			"$(median live-2 1) / $(median live-1 1)")" \
			"times what one takes (at least 1.6)"
}

bench_live()
{
	[ "$(id -u)" -eq 0 ] || {
		say "live: needs root"
		return
	}
	ns=cxbench$$
	ip netns add "$ns" && ip -n "$ns" link add cxa type veth peer name cxb &&
		ip -n "$ns" link set cxa up && ip -n "$ns" link set cxb up &&
		ip -n "$ns" link set lo up || return
	live_groups 2>/dev/null || {
		say "live: no control groups for threads here: costs only"
		groups=
	}
	live_measure
	ip netns del "$ns"
	[ -z "$groups" ] ||
		rmdir "$groups"/*/ "$groups" 2>/dev/null
}
