#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The program confluxd: what comes in is accounted for to the unit, over files,
# UDP and TCP, with one worker and with several; orderly ends; usage errors. No
# other program than ours is needed.
. "${SRC:-.}/tests/integration/lib.sh"

# config NAME WORKERS SOURCES DESTINATION: makes $T/NAME.xml
config()
{
	cat >"$T/$1.xml" <<-EOF
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$2</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>$3
	    <cx:cache>merge</cx:cache></collectingProcess>
	  <cache><name>merge</name>
	    <timeoutCache><activeTimeout>600</activeTimeout>
	      <idleTimeout>600</idleTimeout>
	      <cacheLayout>
	      $(fields key sourceIPv4Address destinationIPv4Address \
			sourceIPv6Address destinationIPv6Address \
			protocolIdentifier sourceTransportPort \
			destinationTransportPort)
	      $(fields value octetDeltaCount packetDeltaCount)
	      </cacheLayout></timeoutCache>
	    <exportingProcess>out</exportingProcess></cache>
	  <exportingProcess><name>out</name>
	    <destination><name>there</name>$4</destination>
	  </exportingProcess>
	</ipfix>
	EOF
}

# fields key|value NAME...
fields()
{
	kind=$1
	shift
	for field in "$@"; do
		echo "<cacheField><name>$field</name><ieName>$field</ieName>"
		[ "$kind" = key ] && echo "<isFlowKey/>"
		echo "</cacheField>"
	done
}

file_reader()
{
	echo "<fileReader><name>${1##*/}</name><file>file://$1</file></fileReader>"
}

file_writer()
{
	echo "<fileWriter><file>file://$1</file></fileWriter>"
}

# collector udp|tcp PORT ADDRESS
collector()
{
	echo "<$1Collector><name>$1 $3</name><localPort>$2</localPort>
	<localIPAddress>$3</localIPAddress></$1Collector>"
}

# truth NAME: the sum of a number over outputs of mkipfix
truth()
{
	name=$1
	cat "$T"/truth.* | tr -d '{}"' | tr ',' '\n' |
		awk -F: -v name="$name" '$1 == name { n += $2 } END { printf "%.0f\n", n }'
}

# sum FILE NAME: of an element over the records of an IPFIX file
sum()
{
	"$CONFLUX" read -f json "$1" | tr -d '{}"' | tr ',' '\n' |
		awk -F: -v name="$2" '$1 == name { n += $2 } END { printf "%.0f\n", n }'
}

# ledger LOG PROCESS NUMBER: one number of the line of a process
ledger()
{
	sed -n "s/.*ledger: $2: //p" "$1" | tr ',' '\n' |
		awk -v name="$3" '$1 == name { print $2 }'
}

# exact LOG FILE: the account holds, and what came in is in the file
exact()
{
	equal "records in" "$(truth records)" "$(ledger "$1" all in)"
	equal "records out" "$(ledger "$1" all exported)" \
		"$("$CONFLUX" read -f json "$2" | wc -l | tr -d ' ')"
	equal "in = exported + merged" "$(ledger "$1" all in)" \
		"$(($(ledger "$1" all exported) + $(ledger "$1" all merged)))"
	equal lost 0 "$(ledger "$1" all lost)"
	equal octets "$(truth octets)" "$(sum "$2" octetDeltaCount)"
	equal packets "$(truth packets)" "$(sum "$2" packetDeltaCount)"
}

have_ipv6()
{
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6
}

step "usage"
"$CONFLUXD" -V | grep -q '^confluxd [0-9]' || fail "-V"
"$CONFLUXD" -h | grep -q '^usage: confluxd' || fail "-h"
for wrong in -x "-l loud" "file.xml"; do
	# shellcheck disable=SC2086
	"$CONFLUXD" $wrong >"$T/out" 2>"$T/err"
	equal "status of confluxd $wrong" 2 $?
	[ -s "$T/err" ] || fail "confluxd $wrong says nothing"
done
"$CONFLUXD" -c "$T/none.xml" 2>"$T/err"
equal "no configuration" 1 $?
matches "no configuration" "none.xml: .*No such file" "$T/err"
config wrong 1 "$(file_reader "$T/none.ipfix")" "$(file_writer "$T/o.ipfix")"
"$CONFLUXD" -c "$T/wrong.xml" 2>"$T/err"
equal "no input file" 1 $?
matches "no input file" "none.ipfix.*No such file" "$T/err"

"$MKIPFIX" -n 20000 -f 500 "$T/a.ipfix" >"$T/truth.a" || fail mkipfix
"$MKIPFIX" -n 10000 -f 700 -s 2 "$T/b.ipfix" >"$T/truth.b" || fail mkipfix
"$MKIPFIX" -n 15000 -f 500 "$T/c.ipfix" >"$T/truth.c" || fail mkipfix
files="$(file_reader "$T/a.ipfix")$(file_reader "$T/b.ipfix")
	$(file_reader "$T/c.ipfix")"
for workers in 1 2 4; do
	step "files in, a cache, a file out; $workers workers; ends by itself"
	config files$workers $workers "$files" "$(file_writer "$T/out.ipfix")"
	start files$workers "$CONFLUXD" -c "$T/files$workers.xml"
	wait_exit $PID 30
	equal status 0 $STATUS
	exact "$T/files$workers.err" "$T/out.ipfix"
	equal "Flows of a and c, and of b" 1200 \
		"$(ledger "$T/files$workers.err" all exported)"
	[ -e "$T/files$workers.sock" ] && fail "it left its socket behind"
done

step "standard input"
config stdin 1 "$(file_reader /dev/stdin)" "$(file_writer "$T/out.ipfix")"
mkdir "$T/kept" && mv "$T/truth.a" "$T/truth.c" "$T/kept"
start_in stdin "$T/b.ipfix" "$CONFLUXD" -c "$T/stdin.xml"
wait_exit $PID 30
equal status 0 $STATUS
exact "$T/stdin.err" "$T/out.ipfix"

for workers in 1 3; do
	step "UDP and TCP in, TCP out, SIGTERM flushes; $workers workers"
	from=$(free_port) to=$(free_port)
	rm -f "$T"/truth.*
	sources="$(collector udp "$from" 127.0.0.1)$(collector tcp "$from" 127.0.0.1)"
	have_ipv6 && sources="$sources$(collector udp "$from" ::1)"
	config live$workers $workers "$sources" \
		"<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$to</destinationPort></tcpExporter>"
	# The collector of what is exported: ourselves, writing a file.
	config sink$workers 1 "$(collector tcp "$to" 127.0.0.1)" \
		"$(file_writer "$T/sunk.ipfix")"
	start sink$workers "$CONFLUXD" -c "$T/sink$workers.xml"
	sink=$PID
	wait_port tcp "$to"
	start live$workers "$CONFLUXD" -c "$T/live$workers.xml"
	live=$PID
	wait_port udp "$from"
	"$MKIPFIX" -n 4000 -f 300 -d 1 -r 20000 "udp:127.0.0.1:$from" \
		>"$T/truth.1" || fail "sending"
	"$MKIPFIX" -n 4000 -f 400 -d 2 -s 2 -r 20000 "udp:127.0.0.1:$from" \
		>"$T/truth.2" || fail "sending"
	"$MKIPFIX" -n 30000 -f 500 -d 3 "tcp:127.0.0.1:$from" \
		>"$T/truth.3" || fail "sending"
	if have_ipv6; then
		"$MKIPFIX" -n 4000 -f 500 -d 3 -r 20000 "udp:::1:$from" \
			>"$T/truth.4" || fail "sending"
	fi
	"$CONFLUX" status -s "$T/live$workers.sock" -j >"$T/status" ||
		fail "status"
	matches "status" "udpCollector" "$T/status"
	ledger_holds "$T/status"
	stop $live
	equal "status at SIGTERM" 0 $STATUS
	stop $sink
	equal "status of the collector" 0 $STATUS
	exact "$T/live$workers.err" "$T/sunk.ipfix"
done

step "SIGHUP does not end it, but of a terminal that goes away, in order"
from=$(free_port)
config hup 1 "$(collector udp "$from" 127.0.0.1)" "$(file_writer "$T/hup.ipfix")"
start hup "$CONFLUXD" -c "$T/hup.xml"
wait_port udp "$from"
kill -HUP $PID
wait_for 5 grep -q "no certificates or keys to read again" "$T/hup.err"
stop $PID
equal "status at SIGTERM" 0 $STATUS
cat >"$T/terminal.py" <<'EOF'
import os, pty, sys, time
pid, master = pty.fork()
if pid == 0:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 2)
    os.execv(sys.argv[2], sys.argv[2:])
while "collecting:" not in open(sys.argv[1]).read():
    time.sleep(0.05)
os.close(master)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
: >"$T/terminal.err"
timeout 30 python3 "$T/terminal.py" "$T/terminal.err" "$CONFLUXD" \
	-c "$T/hup.xml" || fail "status $? when the terminal goes away"
matches "in order" "SIGHUP: flushing, then ending" "$T/terminal.err"

step "SIGINT ends it too; without a destination it ends in bounded time"
from=$(free_port) to=$(free_port)
rm -f "$T"/truth.*
config down 1 "$(collector udp "$from" 127.0.0.1)" \
	"<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
	<destinationPort>$to</destinationPort></tcpExporter>"
start down "$CONFLUXD" -c "$T/down.xml"
wait_port udp "$from"
"$MKIPFIX" -n 1000 -f 100 "udp:127.0.0.1:$from" >"$T/truth.1"
sleep 0.5
stop $PID INT
equal "status at SIGINT" 0 $STATUS
equal "what could not be sent is lost" 100 \
	"$(ledger "$T/down.err" "destination out.there" lost)"
equal "nothing was exported" "0 100" "$(ledger "$T/down.err" all exported) \
$(ledger "$T/down.err" all lost)"

step "a second signal ends it at once"
start twice "$CONFLUXD" -c "$T/down.xml"
wait_port udp "$from"
"$MKIPFIX" -n 1000 -f 100 "udp:127.0.0.1:$from" >/dev/null
sleep 0.5
kill "$PID"
sleep 0.5
stop $PID
equal "status" 143 $STATUS

step "JSON lines on standard output"
cat >"$T/lines.xml" <<EOF
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:controlSocket>$T/lines.sock</cx:controlSocket>
  <collectingProcess><name>in</name>$(file_reader "$T/a.ipfix")
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name>
    <destination><name>lines</name><cx:jsonWriter/></destination>
  </exportingProcess>
</ipfix>
EOF
echo before >"$T/lines.json"
"$CONFLUXD" -c "$T/lines.xml" >>"$T/lines.json" 2>"$T/lines.err" ||
	fail "status $?"
equal "lines, and what was there before" 20001 "$(lines "$T/lines.json")"
equal "records exported" 20000 "$(ledger "$T/lines.err" all exported)"
exit 0
