#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over SCTP from one confluxd to another, by userland SCTP in UDP on
# loopback, which needs neither privileges nor SCTP in the kernel. What comes out
# is what went in, whichever end is started anew; streams by Template (RFC 6526),
# unordered data and lifetimes are in use.
#
# sctp_kernel.sh runs this with other stacks: SCTP_SENDER and SCTP_RECEIVER, their
# UDP ports SCTP_FROM and SCTP_TO ("": over IP), only in SCTP_WAYS if that is set,
# and without starting ends anew if SCTP_SHORT is.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

IN=$(free_port) PORT=$(free_port)
FROM=${SCTP_FROM-$(free_port)} TO=${SCTP_TO-$(free_port)}

# leaf NAME TEXT: an element of ours, if there is something to say
leaf()
{
	[ -z "$2" ] || echo "<cx:$1>$2</cx:$1>"
}

# sender NAME [XML]: TCP in, SCTP out, as $T/NAME.xml
sender()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>tcp</name><localPort>$IN</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <cx:flushTime>20</cx:flushTime>
	    <destination><name>far</name><sctpExporter>
	      <destinationPort>$PORT</destinationPort>
	      <sourceIPAddress>127.0.0.1</sourceIPAddress>
	      <destinationIPAddress>127.0.0.1</destinationIPAddress>
	      <cx:stack>${SCTP_SENDER:-userland}</cx:stack>
	      $(leaf localEncapsulationPort "$FROM")
	      $(leaf remoteEncapsulationPort "$TO")
	      <cx:reconnectMin>50</cx:reconnectMin>
	      <cx:reconnectMax>200</cx:reconnectMax>
	      ${2:-}
	    </sctpExporter></destination>
	  </exportingProcess>
	</ipfix>
	XML
}

# receiver NAME [WORKERS]: SCTP in, $T/NAME.ipfix out, as $T/NAME.xml
receiver()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>${2:-1}</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <sctpCollector><name>sctp</name><localPort>$PORT</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress>
	      <cx:stack>${SCTP_RECEIVER:-userland}</cx:stack>
	      $(leaf localEncapsulationPort "$TO")
	    </sctpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name><fileWriter>
	      <file>file://$T/$1.ipfix</file></fileWriter></destination>
	  </exportingProcess>
	</ipfix>
	XML
}

up()
{
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	wait_for 10 "$CONFLUX" status -s "$T/$1.sock"
}

# state NAME EXPRESSION: of a Python expression over its status
state()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		json "$T/status" "$2"
}

# await NAME EXPRESSION WANTED: until it is that; in one process, as starting
# them is slow in user-mode Linux
await()
{
	python3 - "$CONFLUX" "$T/$1.sock" "$2" "$3" <<-'PYTHON' || fail "$1"
	import json, subprocess, sys, time
	program, socket, expression, wanted = sys.argv[1:]
	until = time.time() + 30
	while True:
	    status = subprocess.run([program, 'status', '-s', socket, '-j'],
	                            capture_output=True).stdout
	    try:
	        d = json.loads(status)
	        got = str(eval(expression))
	    except Exception as e:
	        got = repr(e)
	    if got == wanted:
	        break
	    if time.time() > until:
	        sys.exit('%s: waited for %s, got %s' % (expression, wanted, got))
	    time.sleep(0.1)
	PYTHON
}

far="d['exportingProcess'][0]['destination'][0]"
near="d['collectingProcess'][0]['sctpCollector'][0]"

# What the records say, in an order of its own; ids are the sender's.
say()
{
	for f in "$@"; do
		"$CONFLUX" read -f json "$f"
	done | sed 's/"template":[0-9]*,//g' | sort
}

# same WHAT FILE FILE...: do the others hold what the first one does?
same()
{
	what=$1
	say "$2" >"$T/wanted.txt"
	shift 2
	say "$@" >"$T/got.txt"
	cmp -s "$T/wanted.txt" "$T/got.txt" && return
	diff "$T/wanted.txt" "$T/got.txt" | head -n 5
	fail "$what: the records differ"
}

"$MKIPFIX" -n 400 -f 20 -e "$T/in.ipfix" >"$T/made" || fail mkipfix
RECORDS=$(json "$T/made" "d['records'] + d['options']")

# feed: all of it, at once
feed()
{
	"$MKIPFIX" -n 400 -f 20 -e "tcp:127.0.0.1:$IN" >/dev/null ||
		fail "mkipfix to $IN"
}

for way in ${SCTP_WAYS:-plain template unordered}; do
	step "from end to end: $way"
	case $way in
	plain) sender $way ;;
	template)
		sender $way "<timedReliability>60000</timedReliability>
			<cx:streams>40</cx:streams>
			<cx:streamPerTemplate>true</cx:streamPerTemplate>" ;;
	unordered)
		sender $way "<timedReliability>60000</timedReliability>
			<cx:unordered>true</cx:unordered>" ;;
	esac
	receiver to-$way $([ $way = plain ] || echo 3)
	up to-$way
	to=$PID
	up $way
	from=$PID
	feed
	# Templates on streams of their own; the sender's own word on how the
	# data goes is not passed on.
	[ $way != template ] || await to-template \
		"[len(set(x['cx:stream'] for s in $near['transportSession']
			for o in s['cx:observationDomain']
			for x in o['cx:streams'])),
		d['exportingProcess'][0]['cx:ledger']['filtered']]" "[4, 4]"
	# Loss by the sequence numbers, and the id of the association.
	await to-$way "[d['collectingProcess'][0]['cx:ledger']['in'] >= $RECORDS,
		sum(o['cx:sequenceLost'] for s in $near['transportSession']
			for o in s['cx:observationDomain']),
		$near['transportSession'][0]['sctpAssocId'] != 0]" \
		"[True, 0, True]"
	await $way "[$far['cx:ledger']['exported'],
		$far['sctpExporter']['transportSession']['status']]" \
		"[$RECORDS, 'active']"
	stop "$from"
	equal "status of the sender" 0 $STATUS
	stop "$to"
	equal "status of the receiver" 0 $STATUS
	ledger_holds "$T/$way.err"
	ledger_holds "$T/to-$way.err"
	same "$way" "$T/in.ipfix" "$T/to-$way.ipfix"
done

[ -z "${SCTP_SHORT:-}" ] || exit 0

# feed FILE: a TCP connection with what is in it, at 2000 records a second
"$MKIPFIX" -n 6000 -f 500 "$T/more.ipfix" >/dev/null || fail mkipfix
feed_slowly()
{
	start feed "$MKIPFIX" -n 6000 -f 500 -r 2000 "tcp:127.0.0.1:$IN"
}

step "the receiver ends in order and comes back, while records are on their way"
sender restart
receiver one
receiver two
up one
one=$PID
up restart
from=$PID
feed_slowly
feeder=$PID
sleep 1
stop $one
equal "status of the first receiver" 0 $STATUS
sleep 0.3
up two
two=$PID
wait_exit $feeder 20
await restart "$far['cx:ledger']['exported']" 6000
[ "$("$CONFLUX" read -f json "$T/one.ipfix" | wc -l)" -gt 100 ] ||
	fail "the first one got nothing"
matches "why" 'sctp 127.0.0.1:[0-9]*: the peer ended the association' \
	"$T/restart.err"

step "the sender ends in order and comes back"
stop $from
equal "status of the sender" 0 $STATUS
up restart
from=$PID
feed
await restart "d['collectingProcess'][0]['cx:ledger']['in']" "$RECORDS"
stop $from
equal "status of the sender" 0 $STATUS
await two \
	"d['collectingProcess'][0]['cx:ledger']['in'] > $RECORDS" True
await two "$near['cx:endedSessions']['cx:sessions']" 2
stop $two
cat "$T/more.ipfix" "$T/in.ipfix" >"$T/both.ipfix"
same restart "$T/both.ipfix" "$T/one.ipfix" "$T/two.ipfix"
for name in one two restart; do
	ledger_holds "$T/$name.err"
done

step "the receiver is killed and comes back: it is noticed, loss is counted"
receiver three
receiver four
up three
three=$PID
sender killed
up killed
from=$PID
feed
await killed "$far['cx:ledger']['exported']" "$RECORDS"
await three "d['collectingProcess'][0]['cx:ledger']['in']" "$RECORDS"
# Acknowledgements are late by up to a fifth of a second.
sleep 1
stop $three KILL
up four
four=$PID
begin=$(date +%s)
feed
await killed "[$far['cx:sessions'], $far['cx:ledger']['held']]" "[2, 0]"
echo "noticed and back after $(($(date +%s) - begin)) s"
exported=$(state killed "$far['cx:ledger']['exported']")
await four "d['collectingProcess'][0]['cx:ledger']['in']" $((exported - RECORDS))
# A kernel ends the associations of a process that is killed.
[ "${SCTP_RECEIVER:-}" = kernel ] ||
	matches "why" 'the peer aborted the association' "$T/killed.err"
stop $from
stop $four
ledger_holds "$T/killed.err"
exit 0
