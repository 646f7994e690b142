#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over SCTP from one confluxd to another, by userland SCTP in UDP on
# loopback, which needs neither privileges nor SCTP in the kernel. What comes out
# is what went in, whichever end is started anew; streams by Template (RFC 6526),
# unordered data and lifetimes are in use.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

IN=$(free_port) PORT=$(free_port) FROM=$(free_port) TO=$(free_port)

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
	      <cx:stack>userland</cx:stack>
	      <cx:localEncapsulationPort>$FROM</cx:localEncapsulationPort>
	      <cx:remoteEncapsulationPort>$TO</cx:remoteEncapsulationPort>
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
	      <cx:stack>userland</cx:stack>
	      <cx:localEncapsulationPort>$TO</cx:localEncapsulationPort>
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

# has NAME EXPRESSION WANTED
has()
{
	[ "$(state "$1" "$2")" = "$3" ]
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

for way in plain template unordered; do
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
	wait_for 10 has $way "$far['cx:ledger']['exported']" "$RECORDS"
	wait_for 10 has to-$way \
		"d['collectingProcess'][0]['cx:ledger']['in'] >= $RECORDS" True
	equal "status" active "$(state $way \
		"$far['sctpExporter']['transportSession']['status']")"
	equal "loss" 0 "$(state to-$way "sum(o['cx:sequenceLost']
		for s in $near['transportSession']
		for o in s['cx:observationDomain'])")"
	equal "has an id" True "$(state to-$way \
		"$near['transportSession'][0]['sctpAssocId'] != 0")"
	if [ $way = template ]; then
		# The sender's own word on how the data goes is not passed on.
		equal "Templates on streams of their own" 4 "$(state to-$way \
			"len(set(x['cx:stream']
			for s in $near['transportSession']
			for o in s['cx:observationDomain']
			for x in o['cx:streams']))")"
		equal "told of" 4 "$(state to-$way \
			"d['exportingProcess'][0]['cx:ledger']['filtered']")"
	fi
	stop "$from"
	equal "status of the sender" 0 $STATUS
	stop "$to"
	equal "status of the receiver" 0 $STATUS
	ledger_holds "$T/$way.err"
	ledger_holds "$T/to-$way.err"
	same "$way" "$T/in.ipfix" "$T/to-$way.ipfix"
done

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
wait_for 10 has restart "$far['cx:ledger']['exported']" 6000
[ "$("$CONFLUX" read -f json "$T/one.ipfix" | wc -l)" -gt 100 ] ||
	fail "the first one got nothing"
matches "why" 'sctp 127.0.0.1:[0-9]*: the peer ended the association' \
	"$T/restart.err"

step "the sender ends in order and comes back"
stop $from
equal "status of the sender" 0 $STATUS
same restart "$T/more.ipfix" "$T/one.ipfix" "$T/two.ipfix"
up restart
from=$PID
feed
stop $from
equal "status of the sender" 0 $STATUS
wait_for 10 has two \
	"d['collectingProcess'][0]['cx:ledger']['in'] > $RECORDS" True
equal "sessions before" 2 "$(state two "$near['cx:endedSessions']['cx:sessions']")"
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
wait_for 10 has killed "$far['cx:ledger']['exported']" "$RECORDS"
stop $three KILL
up four
four=$PID
begin=$(date +%s)
feed
wait_for 30 has killed "$far['cx:sessions']" 2
echo "noticed and back after $(($(date +%s) - begin)) s"
wait_for 10 has killed "$far['cx:ledger']['held']" 0
exported=$(state killed "$far['cx:ledger']['exported']")
[ "$exported" -lt $((2 * RECORDS)) ] || fail "nothing was lost"
equal "what came" $((exported - RECORDS)) \
	"$(state four "d['collectingProcess'][0]['cx:ledger']['in']")"
matches "why" 'the peer aborted the association' "$T/killed.err"
stop $from
stop $four
ledger_holds "$T/killed.err"
exit 0
