#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# conflux status against a running confluxd: sections, JSON with the names of
# RFC 6728, watching, several clients, two daemons that want one socket.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

port=$(free_port)
sock=$T/run/control.sock
cat >"$T/c.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:controlSocket>$sock</cx:controlSocket>
  <collectingProcess><name>in</name>
    <udpCollector><name>u</name><localPort>$port</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
    <cx:cache>c</cx:cache></collectingProcess>
  <cache><name>c</name><timeoutCache><maxFlows>1000</maxFlows><cacheLayout>
    <cacheField><name>k</name><ieName>sourceIPv4Address</ieName><isFlowKey/>
      </cacheField>
    <cacheField><name>o</name><ieName>octetDeltaCount</ieName></cacheField>
  </cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>
  <exportingProcess><name>out</name><destination><name>d</name>
    <fileWriter><file>file://$T/out.ipfix</file></fileWriter>
  </destination></exportingProcess>
</ipfix>
XML

step "a daemon and a few records"
start daemon "$CONFLUXD" -c "$T/c.xml"
daemon=$PID
wait_for 10 test -S "$sock"
wait_port udp "$port"
"$MKIPFIX" -6 0 -f 50 -n 500 -r 2000 "udp:127.0.0.1:$port" >"$T/truth" ||
	fail mkipfix

all_there()
{
	"$CONFLUX" status -s "$sock" -j >"$T/all.json" &&
		[ "$(json "$T/all.json" "d['collectingProcess'][0]['cx:ledger']['in']")" \
			-eq 500 ]
}
wait_for 10 all_there

step "JSON has the names of RFC 6728"
session="d['collectingProcess'][0]['udpCollector'][0]['transportSession'][0]"
equal records 500 "$(json "$T/all.json" "${session}['records']")"
equal source 127.0.0.1 "$(json "$T/all.json" "${session}['sourceAddress']")"
equal port "$port" "$(json "$T/all.json" "${session}['destinationPort']")"
equal templates 2 "$(json "$T/all.json" "len(${session}['template'])")"
equal cache 1000 "$(json "$T/all.json" \
	"d['cache'][0]['timeoutCache']['maxFlows']")"
equal flows 50 "$(json "$T/all.json" \
	"d['cache'][0]['timeoutCache']['activeFlows']")"
equal total "500 450 50" "$(json "$T/all.json" \
	"'%(in)d %(merged)d %(held)d' % d['cx:total']['cx:ledger']")"

step "text, and sections"
"$CONFLUX" status -s "$sock" >"$T/out" || fail "text"
matches text '^ +timeoutCache maxFlows 1000 activeFlows 50 ' "$T/out"
"$CONFLUX" status -s "$sock" cache >"$T/out" || fail "section"
matches section '^ +timeoutCache maxFlows 1000 activeFlows 50 ' "$T/out"
if grep -q collectingProcess "$T/out"; then
	fail "other sections in one"
fi
"$CONFLUX" status -s "$sock" nosuch >"$T/out" 2>"$T/err"
equal "status of an unknown section" 1 $?
matches "unknown section" 'there is no section "nosuch"' "$T/err"

step "watching ends with the daemon; silent clients disturb nobody"
start watch "$CONFLUX" status -s "$sock" -w 0.2 total
watch=$PID
start silent python3 -c '
import socket, sys, time
all = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for s in all:
	s.setblocking(False)
	try:
		s.connect(sys.argv[1])
	except BlockingIOError:
		pass
time.sleep(60)' "$sock"
thrice()
{
	[ "$(grep -c '^cx:total' "$T/watch.out")" -ge 3 ]
}
wait_for 20 thrice
stop "$PID"

step "a second daemon does not take the socket away"
sed "s/>$port</>$(free_port)</; s/out.ipfix/two.ipfix/" "$T/c.xml" >"$T/d.xml"
start second "$CONFLUXD" -c "$T/d.xml"
second=$PID
said()
{
	grep -q "control socket .*another process" "$T/second.err"
}
wait_for 10 said
running "$second" && stop "$second"
"$CONFLUX" status -s "$sock" total >"$T/out" || fail "the first is gone"
stop "$daemon"
equal "status of the daemon" 0 "$STATUS"
[ -e "$sock" ] && fail "its socket is still there"
wait_exit "$watch" 15
equal "status of watching" 1 "$STATUS"
matches "watching" "no answer at" "$T/watch.err"
exit 0
