#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# What happens to confluxd when the world around it breaks: collectors that go,
# come back or do not read, disks that are full, descriptors that run out, its
# own sudden death, files and ports that cannot be had. It stays up, accounts
# for every record, and ends in bounded time with status 0.
. "${SRC:-.}/tests/integration/lib.sh"

MKFLOOD=$BUILD/tests/tools/mkflood
[ -x "$MKFLOOD" ] || skip "there is no mkflood"

# config NAME SOURCES DESTINATION [PROCESS-LEAVES]
config()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>${WORKERS:-1}</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>$2
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>${4:-}
	    <destination><name>there</name>$3</destination>
	  </exportingProcess>
	</ipfix>
	XML
}

# collector udp|tcp PORT
collector()
{
	echo "<$1Collector><name>$1</name><localPort>$2</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></$1Collector>"
}

# exporter udp|tcp PORT
exporter()
{
	echo "<$1Exporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
	<destinationPort>$2</destinationPort>"
	[ "$1" = udp ] || echo "<cx:reconnectMin>100</cx:reconnectMin>
		<cx:reconnectMax>200</cx:reconnectMax>"
	echo "</$1Exporter>"
}

file_writer()
{
	echo "<fileWriter><file>file://$1</file></fileWriter>"
}

# ledger LOG PROCESS NUMBER: one number of the line of a process
ledger()
{
	sed -n "s/.*ledger: $2: //p" "$1" | tr ',' '\n' |
		awk -v name="$3" '$1 == name { n = $2 } END { print n + 0 }'
}

# balanced LOG: the account of the whole and of the destination
balanced()
{
	for process in all "collectingProcess in" "exportingProcess out" \
			"destination out.there"; do
		equal "ledger of $process" "$(ledger "$1" "$process" in)" \
			"$(($(ledger "$1" "$process" exported) +
			$(ledger "$1" "$process" merged) +
			$(ledger "$1" "$process" filtered) +
			$(ledger "$1" "$process" lost) +
			$(ledger "$1" "$process" held)))"
	done
	equal "held at the end" 0 "$(ledger "$1" "destination out.there" held)"
}

# no_report LOG: of a sanitizer
no_report()
{
	! grep -E 'Sanitizer|runtime error' "$1" || fail "sanitizer: $1"
}

# ended NAME SECONDS: $PID was told to end, and does so in order
ended()
{
	wait_exit "$PID" "$2"
	equal "status of $1" 0 "$STATUS"
	no_report "$T/$1.err"
	balanced "$T/$1.err"
}

records()
{
	"$CONFLUX" read -f json "$1" 2>>"$T/read.err" | wc -l | tr -d ' '
}

# The sources of mkipfix count on, so what is out of order can be seen.
in_order()
{
	cat "$@" | sed 's/.*"sourceIPv4Address":"\([0-9.]*\)".*/\1/' |
		awk -F. '{ n = (($1 * 256 + $2) * 256 + $3) * 256 + $4
			if (n <= last) { print NR; exit 1 } last = n }' ||
		fail "records are out of order"
}

# status NAME EXPRESSION: a number out of the JSON by its name
status_has()
{
	"$CONFLUX" status -s "$T/$1.sock" -j 2>/dev/null | grep -qE "$2"
}

alive()
{
	running "$1" || fail "the daemon is gone"
}

step "a TCP collector goes between records, comes back: nothing is lost"
from=$(free_port) to=$(free_port)
config live "$(collector tcp "$from")" "$(exporter tcp "$to")"
config sink "$(collector tcp "$to")" "$(file_writer "$T/sink1.ipfix")"
start sink "$CONFLUXD" -c "$T/sink.xml"
sink=$PID
wait_port tcp "$to"
start live "$CONFLUXD" -c "$T/live.xml"
live=$PID
wait_port tcp "$from"
"$MKIPFIX" -n 5000 -6 0 -f 9999999 "tcp:127.0.0.1:$from" >/dev/null
wait_for 10 status_has sink '"records":5000'
stop $sink
matches "it is told" "the peer closed the connection" "$T/live.err"
"$MKIPFIX" -n 5000 -6 0 -f 9999999 -S 11 "tcp:127.0.0.1:$from" >/dev/null
sed -i 's/sink1/sink2/' "$T/sink.xml"
start sink2 "$CONFLUXD" -c "$T/sink.xml"
sink=$PID
wait_for 10 status_has sink '"records":5000'
PID=$live
kill -TERM $PID
ended live 10
equal "lost" 0 "$(ledger "$T/live.err" "destination out.there" lost)"
equal "sent" 10000 "$(ledger "$T/live.err" "destination out.there" exported)"
stop $sink
equal "at the first" 5000 "$(records "$T/sink1.ipfix")"
equal "at the second" 5000 "$(records "$T/sink2.ipfix")"
"$CONFLUX" read -f json "$T/sink1.ipfix" "$T/sink2.ipfix" >"$T/all.json"
in_order "$T/all.json"

step "a TCP collector is killed while records flow, several times"
config live "$(collector tcp "$from")" "$(exporter tcp "$to")"
start kill "$CONFLUXD" -c "$T/live.xml"
live=$PID
wait_port tcp "$from"
start feed "$MKIPFIX" -n 30000 -6 0 -f 9999999 -r 8000 "tcp:127.0.0.1:$from"
feed=$PID
: >"$T/all.json"
for round in 1 2 3 4; do
	sed -i "s/sink[0-9]*.ipfix/sink$round.ipfix/" "$T/sink.xml"
	rm -f "$T/sink.sock"
	start sink "$CONFLUXD" -c "$T/sink.xml"
	sink=$PID
	if [ $round = 4 ]; then
		wait_exit $feed 60
		sleep 1
		PID=$live
		kill -TERM $PID
		ended kill 10
		stop $sink
	else
		sleep 0.8
		stop $sink KILL
	fi
	"$CONFLUX" read -f json "$T/sink$round.ipfix" >>"$T/all.json" \
		2>>"$T/read.err"
done
equal "in" 30000 "$(ledger "$T/kill.err" "destination out.there" in)"
sent=$(ledger "$T/kill.err" "destination out.there" exported)
got=$(lines "$T/all.json")
[ "$got" -le "$sent" ] || fail "$got arrived, $sent were sent"
[ "$got" -gt 5000 ] || fail "only $got arrived"
in_order "$T/all.json"
echo "sent $sent, of them written by the killed collectors $got"

step "nobody listens at the UDP destination"
nobody=$(free_port)
config refused "$(collector tcp "$from")" "$(exporter udp "$nobody")"
start refused "$CONFLUXD" -c "$T/refused.xml"
live=$PID
wait_port tcp "$from"
"$MKIPFIX" -n 20000 "tcp:127.0.0.1:$from" >/dev/null
sleep 0.5
alive $live
PID=$live
kill -TERM $PID
ended refused 10
matches "refused" "Connection refused" "$T/refused.err"
[ "$(lines "$T/refused.err")" -lt 40 ] || fail "the log is flooded"

for source in tcp udp; do
	step "a TCP collector does not read; $source in"
	to=$(free_port)
	start deaf "$MKFLOOD" deaf 60 tcp 127.0.0.1 "$to"
	deaf=$PID
	wait_port tcp "$to"
	config slow-$source "$(collector $source "$from")" \
		"$(exporter tcp "$to")" \
		"<cx:queueOctets>400000</cx:queueOctets>"
	start slow-$source "$CONFLUXD" -c "$T/slow-$source.xml"
	live=$PID
	wait_port $source "$from"
	# The kernel's buffers take some megaoctets.
	start feed "$MKIPFIX" -n 600000 -6 0 "$source:127.0.0.1:$from"
	feed=$PID
	sleep 4
	alive $live
	if [ $source = tcp ]; then
		running $feed || fail "the sender was not held up"
		status_has slow-tcp '"queueFull":[1-9]' &&
			fail "records were lost that could wait"
	else
		wait_for 5 status_has slow-udp '"queueFull":[1-9]'
	fi
	rss=$(awk '/VmHWM/ { print $2 }' "/proc/$live/status")
	echo "resident: $rss kB"
	begin=$(date +%s)
	kill -TERM $live
	PID=$live
	ended slow-$source 45
	echo "ended after $(($(date +%s) - begin)) s"
	stop $feed
	stop $deaf
	[ "$(lines "$T/slow-$source.err")" -lt 60 ] ||
		fail "the log is flooded"
done

# full NAME FILE COMMAND...: the file cannot hold all; 40000 records come
full()
{
	name=$1 file=$2
	shift 2
	config "$name" "$(collector tcp "$from")" "$(file_writer "$file")"
	start "$name" "$@" "$CONFLUXD" -c "$T/$name.xml"
	live=$PID
	wait_port tcp "$from"
	"$MKIPFIX" -n 40000 "tcp:127.0.0.1:$from" >/dev/null
	wait_for 10 status_has "$name" '"writeError":[1-9]'
	alive $live
	kill -TERM $live
	PID=$live
	ended "$name" 20
	before=$(lines "$T/read.err")
	got=$(records "$file")
	equal "messages about the file" "$before" "$(lines "$T/read.err")"
	equal "whole records in the file" "$got" \
		"$(ledger "$T/$name.err" "destination out.there" exported)"
	[ "$got" -gt 0 ] || fail "nothing was written"
	[ "$(lines "$T/$name.err")" -lt 40 ] || fail "the log is flooded"
}

cat >"$T/limited" <<'SH'
ulimit "$1" "$2"
shift 2
exec "$@"
SH
: >"$T/read.err"

step "a file reaches its limit"
full limit "$T/limit.ipfix" sh "$T/limited" -f 800

step "a disk is full"
mkdir "$T/disk"
if [ "$(id -u)" = 0 ] &&
		mount -t tmpfs -o size=300k none "$T/disk" 2>/dev/null; then
	full disk "$T/disk/o.ipfix"
	umount "$T/disk"
else
	echo "not tried: no tmpfs can be mounted"
fi

step "confluxd is killed: the file can be read up to the last whole message"
config killed "$(collector tcp "$from")" "$(file_writer "$T/killed.ipfix")"
start killed "$CONFLUXD" -c "$T/killed.xml"
live=$PID
wait_port tcp "$from"
"$MKIPFIX" -n 100000 "tcp:127.0.0.1:$from" >/dev/null
wait_for 10 test -s "$T/killed.ipfix"
stop $live KILL
got=$(records "$T/killed.ipfix")
[ "$got" -gt 0 ] || fail "nothing can be read"
size=$(wc -c <"$T/killed.ipfix")
head -c $((size - 7)) "$T/killed.ipfix" >"$T/torn.ipfix"
"$CONFLUX" read -f json "$T/torn.ipfix" >"$T/torn.json" 2>"$T/torn.err"
equal "status of conflux read" 1 $?
[ -s "$T/torn.err" ] || fail "the torn message is not told"
[ "$(lines "$T/torn.json")" -gt 0 ] || fail "nothing of the torn file is read"
start again "$CONFLUXD" -c "$T/killed.xml"
wait_port tcp "$from"
stop "$PID"
equal "it starts again over the socket that was left" 0 "$STATUS"

step "descriptors run out"
config few "$(collector tcp "$from")" "$(file_writer "$T/few.ipfix")"
start few sh "$T/limited" -n 32 "$CONFLUXD" -c "$T/few.xml"
live=$PID
wait_port tcp "$from"
start parts "$MKFLOOD" parts 60 tcp 127.0.0.1 "$from"
parts=$PID
sleep 2
alive $live
matches "it is told" "no connection can be accepted now" "$T/few.err"
wait_exit $parts 20
"$MKIPFIX" -n 5000 "tcp:127.0.0.1:$from" >/dev/null
wait_for 20 status_has few '"records":5000'
kill -TERM $live
PID=$live
ended few 10
equal "records behind it" 5000 "$(records "$T/few.ipfix")"
[ "$(lines "$T/few.err")" -lt 300 ] || fail "the log is flooded"

for WORKERS in 1 3; do
	step "SIGTERM while many send as fast as they can; $WORKERS workers"
	config flood "$(collector tcp "$from")$(collector udp "$from")" \
		"$(file_writer /dev/null)"
	start flood$WORKERS "$CONFLUXD" -c "$T/flood.xml"
	live=$PID
	wait_port tcp "$from"
	feeds=
	for i in 1 2 3 4 5 6; do
		start feed$i "$MKIPFIX" -n 90000000 -d $i \
			"tcp:127.0.0.1:$from"
		feeds="$feeds $PID"
	done
	start feed7 "$MKIPFIX" -n 90000000 -d 7 "udp:127.0.0.1:$from"
	feeds="$feeds $PID"
	sleep 1
	begin=$(date +%s)
	kill -TERM $live
	PID=$live
	ended flood$WORKERS 20
	echo "ended after $(($(date +%s) - begin)) s"
	for feed in $feeds; do
		stop "$feed" KILL
	done
done
WORKERS=1

# refuses NAME REGEX: it does not start, and says why
refuses()
{
	"$CONFLUXD" -c "$T/$1.xml" >"$T/$1.out" 2>"$T/$1.err"
	equal "status of $1" 1 $?
	matches "$1" "$2" "$T/$1.err"
}

step "errors at the start"
start holder "$CONFLUXD" -c "$T/killed.xml"
wait_port tcp "$from"
config taken "$(collector tcp "$from")" "$(file_writer "$T/none.ipfix")"
refuses taken "tcpCollector.*$from: Address already in use"
stop "$PID"
config folder "$(collector tcp "$from")" "$(file_writer "$T/no/o.ipfix")"
refuses folder "no/o.ipfix: No such file"
config isfolder "$(collector tcp "$from")" "$(file_writer "$T/disk")"
refuses isfolder "disk: Is a directory"
config absent "<fileReader><name>f</name><file>file://$T/no.ipfix</file>
	</fileReader>" "$(file_writer "$T/none.ipfix")"
refuses absent "no.ipfix: No such file"
config address "<tcpCollector><name>t</name><localPort>$from</localPort>
	<localIPAddress>192.0.2.77</localIPAddress></tcpCollector>" \
	"$(file_writer "$T/none.ipfix")"
refuses address "192.0.2.77.*Cannot assign"
exit 0
