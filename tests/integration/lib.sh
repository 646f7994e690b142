# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Helpers for integration tests (POSIX sh). A test is an executable script
# tests/integration/NAME.sh that begins with
#
#	#!/bin/sh
#	# SPDX lines, then what is tested here against which peer
#	. "${SRC:-.}/tests/integration/lib.sh"
#
# and ends by exit: 0 passed, 77 skipped, anything else failed. It is run by
# tests/integration/run (make integration) in the order of the names, with
#
#	SRC	the source directory, absolute
#	BUILD	the build directory, absolute
#
# By hand: SRC=$PWD BUILD=$PWD/.build sh tests/integration/NAME.sh
#
# This file sets -u, makes a directory $T for the test's files (removed at the
# end unless KEEP=1), and at the end, however the test ends, stops the processes
# that the test started with `start`, and no others. If the test fails, the
# logs of these processes are shown. Ports are chosen free; none is fixed.
#
#	CONFLUXD CONFLUX FLOWMETER MKIPFIX MKPCAP MKMMDB	programs of the build
#
#	skip WHY		ends the test as skipped
#	fail WHY		ends the test as failed
#	need PROGRAM...		skips the test unless all are there
#	step TEXT		says what comes next
#	equal WHAT WANTED GOT	fails unless equal
#	matches WHAT REGEX FILE	fails unless a line of FILE matches (grep -E)
#	free_port		prints a port that is free for UDP and TCP
#	start NAME COMMAND...	runs it in the background: $PID is its id, its
#				output goes to $T/NAME.out and $T/NAME.err
#	start_in NAME FILE COMMAND...	the same with FILE as standard input
#	stop PID [SIGNAL]	ends it (TERM), waits; status in $STATUS
#	wait_exit PID SECONDS	waits for it to end by itself; status in $STATUS;
#				fails when the time is over
#	wait_port udp|tcp PORT [SECONDS]	waits until somebody listens there
#	wait_for SECONDS COMMAND...	repeats the command until it succeeds
#	hosts NAME...		makes network namespaces $ns.NAME, which go at
#				the end; skips the test where that can't be
#	on NAME COMMAND...	runs it in one of them
#	json FILE EXPRESSION	prints a Python expression over d, the JSON in
#				FILE ("d['cx:ledger']['in']"); needs python3
#	lines FILE		prints how many lines it has
#	ledger_holds FILE	fails unless in = exported + merged + filtered +
#				lost (+ held) in each account in FILE, and each
#				loss has a reason; FILE is what "conflux status
#				-j" printed, or the log of a confluxd that ended.
#				At the end of a test this is asked of all $T/*.err

set -u
: "${SRC:=$(pwd)}" "${BUILD:=$SRC/.build}"
CONFLUXD=$BUILD/src/daemon/confluxd
CONFLUX=$BUILD/src/cli/conflux
FLOWMETER=$BUILD/src/metermib/agent/flowmeter
MKIPFIX=$BUILD/tests/tools/mkipfix
MKPCAP=$BUILD/tests/tools/mkpcap
MKMMDB=$BUILD/tests/tools/mkmmdb
TZ=UTC LC_ALL=C
export SRC BUILD TZ LC_ALL

T=$(mktemp -d "${TMPDIR:-/tmp}/conflux-test.XXXXXX") || exit 1
ns=cx$$
NAMESPACES=
PIDS=
PID=
STATUS=

# A process that has ended but was not waited for is still there as a zombie.
running()
{
	kill -0 "$1" 2>/dev/null || return 1
	! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# Processes are waited for, so that none outlives the test.
cleanup()
{
	code=$?
	trap - EXIT
	trap '' HUP INT TERM
	for p in $PIDS; do
		kill "$p" 2>/dev/null
	done
	for p in $PIDS; do
		n=0
		while running "$p" && [ $n -lt 100 ]; do
			sleep 0.1
			n=$((n + 1))
			# The shell may lose a signal between fork and exec.
			[ $((n % 10)) -eq 0 ] && kill "$p" 2>/dev/null
		done
		kill -9 "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	for host in $NAMESPACES; do
		ip netns del "$host" 2>/dev/null
	done
	# Not if it was skipped (77), or interrupted at a terminal (130).
	if [ $code -ne 0 ] && [ $code -ne 77 ] && [ $code -ne 130 ]; then
		for f in "$T"/*.err; do
			[ -s "$f" ] || continue
			echo "--- ${f##*/} (end)"
			tail -n 25 "$f"
		done
	fi
	if [ "${KEEP:-0}" = 1 ]; then
		echo "kept: $T"
	else
		rm -rf "$T"
	fi
	exit $code
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

skip()
{
	echo "skipped: $*"
	exit 77
}

fail()
{
	echo "FAILED: $*"
	exit 1
}

need()
{
	for program in "$@"; do
		command -v "$program" >/dev/null 2>&1 ||
			skip "there is no $program"
	done
}

hosts()
{
	need ip
	for host in "$@"; do
		ip netns add "$ns.$host" 2>/dev/null ||
			skip "no network namespaces here"
		NAMESPACES="$NAMESPACES $ns.$host"
	done
}

on()
{
	host=$1
	shift
	ip netns exec "$ns.$host" "$@"
}

step()
{
	echo "== $*"
}

equal()
{
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

matches()
{
	grep -qE -- "$2" "$3" && return
	echo "--- ${3##*/}"
	tail -n 25 "$3"
	fail "$1: no line matches '$2'"
}

lines()
{
	wc -l <"$1" | tr -d ' '
}

# The kernel's tables hold ports in hexadecimal behind the local address. State
# 0A is a TCP socket that listens; with "any" every socket counts.
port_in_use()
{
	hex=$(printf ':%04X' "$2")
	case $1 in
	udp) set -- /proc/net/udp /proc/net/udp6 ;;
	tcp) set -- /proc/net/tcp /proc/net/tcp6 0A ;;
	any) set -- /proc/net/udp /proc/net/tcp /proc/net/udp6 /proc/net/tcp6 ;;
	esac
	cat "$@" 2>/dev/null | awk -v port="$hex\$" -v state="${3:-}" '
		$2 ~ port && (length(state) != 2 || $4 == state) { found = 1 }
		END { exit !found }'
}

# Below the range from which the kernel takes ports by itself (32768 on).
free_port()
{
	while :; do
		n=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
		n=$((10000 + n % 22000))
		grep -qx "$n" "$T/ports" 2>/dev/null && continue
		port_in_use any "$n" && continue
		echo "$n" >>"$T/ports"
		echo "$n"
		return
	done
}

start_in()
{
	name=$1
	in=$2
	shift 2
	"$@" <"$in" >"$T/$name.out" 2>"$T/$name.err" &
	PID=$!
	PIDS="$PIDS $PID"
}

start()
{
	name=$1
	shift
	start_in "$name" /dev/null "$@"
}

stop()
{
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait_exit "$1" 20
}

wait_exit()
{
	n=0
	while running "$1"; do
		[ $n -lt $(($2 * 10)) ] || fail "process $1 goes on"
		sleep 0.1
		n=$((n + 1))
	done
	wait "$1" 2>/dev/null
	STATUS=$?
}

wait_for()
{
	limit=$(($1 * 10))
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		[ $tries -lt $limit ] || fail "waited in vain for: $*"
		sleep 0.1
		tries=$((tries + 1))
	done
}

wait_port()
{
	wait_for "${3:-10}" port_in_use "$1" "$2"
}

json()
{
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# Prints each account as a line of words: where, then name and number in turn.
accounts()
{
	# A log has one in a line: NAME: in 1, exported 1 ...
	sed -n 's/.*ledger: //p' "$1" | awk '
	{
		at = index($0, ": in ")
		where = substr($0, 1, at - 1)
		copied = ""
		if (match(where, /copied [0-9]+/))
			copied = substr(where, RSTART, RLENGTH)
		gsub(/ /, "_", where)
		rest = substr($0, at + 2)
		gsub(/,/, "", rest)
		print where, copied, rest
	}'
	# In JSON it is an object of numbers; the one of all has the copies.
	tr -d ' \n\t' <"$1" |
		grep -oE '("copied":[0-9]+,)?"(cx:)?ledger":\{[^}]*\}' |
		tr -d '"}' | sed 's/^/json,/; s/cx://; s/ledger:{//' | tr ',:' '  '
}

ledger_holds()
{
	accounts "$1" >"$T/accounts"
	[ -s "$T/accounts" ] || fail "no account in ${1##*/}"
	awk '
	{
		for (name in n)
			delete n[name]
		reasons = 0
		for (i = 2; i < NF; i += 2) {
			n[$i] = $(i + 1)
			if (after && $i !~ \
			    /^(held|sequenceGap|kernelDrop|doubtful)$/)
				reasons += $(i + 1)
			if ($i == "lost")
				after = 1
		}
		after = 0
		if (n["in"] + n["split"] + n["copied"] != n["exported"] + \
		    n["merged"] + n["filtered"] + n["lost"] + n["held"] ||
		    reasons != n["lost"]) {
			print "does not add up: " $0
			bad = 1
		}
	}
	END { exit bad }' "$T/accounts" || fail "the account in ${1##*/}"
}
