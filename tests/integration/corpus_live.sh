#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Whatever other projects have captured of IPFIX, NetFlow and sFlow, sent to a
# running confluxd: it stays up, discards what is none of them, and accounts for
# the rest. CORPUS is the folder of captures, REPLAY the program that sends one.
. "${SRC:-.}/tests/integration/lib.sh"
: "${CORPUS:=$SRC/../shared/corpus}" "${REPLAY:=$SRC/../shared/tools/replay.py}"
need python3
[ -d "$CORPUS/flows" ] || skip "there is no folder of captures ($CORPUS)"
[ -e "$REPLAY" ] || skip "there is no $REPLAY"

port=$(free_port)
cat >"$T/c.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:workers>2</cx:workers>
  <cx:controlSocket>$T/sock</cx:controlSocket>
  <collectingProcess><name>in</name>
    <udpCollector><name>udp</name><localPort>$port</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name>
    <destination><name>json</name><cx:jsonWriter>
      <cx:file>file://$T/out.json</cx:file></cx:jsonWriter></destination>
    <destination><name>file</name><fileWriter>
      <file>file://$T/out.ipfix</file></fileWriter></destination>
  </exportingProcess>
</ipfix>
XML

# ledger PROCESS NUMBER
ledger()
{
	sed -n "s/.*ledger: $1: //p" "$T/confluxd.err" | tr ',' '\n' |
		awk -v name="$2" '$1 == name { n = $2 } END { print n + 0 }'
}

start confluxd "$CONFLUXD" -c "$T/c.xml"
daemon=$PID
wait_port udp "$port"
for file in $(find "$CORPUS/flows" -name '*.pcap' | sort); do
	# Some are in a form that it does not read.
	python3 "$REPLAY" -r 5000 --spoof127 127.0.0.1 "$port" "$file" \
		2>"$T/replay" && cat "$T/replay" >>"$T/sent"
	running $daemon || fail "the daemon is gone after $file"
done
awk '{ n += $2 } END { print n " datagrams in " NR " captures" }' "$T/sent"
"$CONFLUX" status -s "$T/sock" -j >"$T/status" || fail "no status"
matches "what is malformed is discarded" '"discardedMessages":[1-9]' \
	"$T/status"
awk '/VmHWM/ { print $2 " kB resident at most" }' "/proc/$daemon/status"
stop $daemon
equal status 0 "$STATUS"
! grep -E 'Sanitizer|runtime error' "$T/confluxd.err" || fail sanitizer
for process in "collectingProcess in" "exportingProcess out" \
		"destination out.json" "destination out.file"; do
	equal "ledger of $process" "$(ledger "$process" in)" \
		"$(($(ledger "$process" exported) +
		$(ledger "$process" filtered) + $(ledger "$process" lost)))"
	equal "$process: no memory" 0 "$(ledger "$process" noMemory)"
done
equal lines "$(ledger "destination out.json" exported)" \
	"$(lines "$T/out.json")"
sed -n 's/.*notice: \(ledger: .*\)/\1/p' "$T/confluxd.err"
exit 0
