#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A whole session of confluxd in valgrind: files, UDP and TCP in, good and bad,
# a cache, TCP and a file out, status, SIGTERM. No error, nothing lost.
. "${SRC:-.}/tests/integration/lib.sh"
need valgrind

MKBAD=$BUILD/tests/tools/mkbad
[ -x "$MKBAD" ] || skip "there is no mkbad"
! grep -qE '__asan_init|__tsan_init' "$CONFLUXD" ||
	skip "a sanitizer is built in"

from=$(free_port) to=$(free_port)
cat >"$T/c.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:workers>2</cx:workers>
  <cx:controlSocket>$T/sock</cx:controlSocket>
  <cx:limits><cx:heldTime>300</cx:heldTime></cx:limits>
  <collectingProcess><name>net</name>
    <udpCollector><name>udp</name><localPort>$from</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
    <tcpCollector><name>tcp</name><localPort>$from</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
    <cx:cache>merge</cx:cache></collectingProcess>
  <collectingProcess><name>files</name>
    <fileReader><name>a</name><file>file://$T/a.ipfix</file></fileReader>
    <fileReader><name>b</name><file>file://$T/b.ipfix</file></fileReader>
    <exportingProcess>out</exportingProcess>
    <cx:cache>merge</cx:cache></collectingProcess>
  <cache><name>merge</name>
    <timeoutCache><maxFlows>10000</maxFlows>
      <activeTimeout>2</activeTimeout><idleTimeout>1</idleTimeout>
      <cacheLayout>
      <cacheField><name>s</name><ieName>sourceIPv4Address</ieName>
	<isFlowKey/></cacheField>
      <cacheField><name>s6</name><ieName>sourceIPv6Address</ieName>
	<isFlowKey/></cacheField>
      <cacheField><name>i</name><ieName>interfaceName</ieName></cacheField>
      <cacheField><name>o</name><ieName>octetDeltaCount</ieName></cacheField>
      </cacheLayout></timeoutCache>
    <exportingProcess>out</exportingProcess></cache>
  <exportingProcess><name>out</name>
    <destination><name>tcp</name><tcpExporter>
      <destinationIPAddress>127.0.0.1</destinationIPAddress>
      <destinationPort>$to</destinationPort></tcpExporter></destination>
    <destination><name>file</name><fileWriter>
      <file>file://$T/out.ipfix</file></fileWriter></destination>
  </exportingProcess>
</ipfix>
XML
cat >"$T/sink.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:controlSocket>$T/sink.sock</cx:controlSocket>
  <collectingProcess><name>in</name>
    <tcpCollector><name>tcp</name><localPort>$to</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name><destination><name>file</name>
    <fileWriter><file>file://$T/sunk.ipfix</file></fileWriter></destination>
  </exportingProcess>
</ipfix>
XML

"$MKIPFIX" -e -n 2000 "$T/a.ipfix" >/dev/null || fail mkipfix
"$MKIPFIX" -e -n 2000 -s 2 "$T/b.ipfix" >/dev/null || fail mkipfix
start sink "$CONFLUXD" -c "$T/sink.xml"
sink=$PID
wait_port tcp "$to"
start memcheck valgrind -q --error-exitcode=99 --leak-check=full \
	--show-leak-kinds=definite,indirect,possible \
	--errors-for-leak-kinds=definite,indirect,possible \
	--suppressions="$SRC/tests/valgrind.supp" \
	--log-file="$T/valgrind.err" "$CONFLUXD" -c "$T/c.xml"
daemon=$PID
wait_port tcp "$from" 60
wait_port udp "$from" 60
"$MKIPFIX" -e -n 1000 -r 1000 "udp:127.0.0.1:$from" >/dev/null
"$MKIPFIX" -e -n 3000 -d 2 "tcp:127.0.0.1:$from" >/dev/null
"$MKBAD" tcp 127.0.0.1 "$from" >/dev/null || fail "mkbad tcp"
"$MKBAD" udp 127.0.0.1 "$from" >/dev/null || fail "mkbad udp"
"$CONFLUX" status -s "$T/sock" -j >"$T/status" || fail status
"$CONFLUX" status -s "$T/sock" >"$T/status.text" || fail status
sleep 4
kill -TERM $daemon
wait_exit $daemon 60
cat "$T/valgrind.err"
equal "status in valgrind" 0 "$STATUS"
[ -s "$T/valgrind.err" ] && fail "valgrind complains"
stop $sink
equal "records at both destinations" \
	"$("$CONFLUX" read -o -f json "$T/out.ipfix" 2>/dev/null | wc -l)" \
	"$("$CONFLUX" read -o -f json "$T/sunk.ipfix" 2>/dev/null | wc -l)"
exit 0
