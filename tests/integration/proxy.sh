#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# confluxd as a proxy: what is passed on says what came in, whatever Template
# ids it gets. Structured data (RFC 6313) names Templates within records: they
# are read behind the proxy by ourselves, libfixbuf and tshark.
. "${SRC:-.}/tests/integration/lib.sh"

# proxy NAME WORKERS FILE PORT: UDP and TCP in, a file out, as $T/NAME.xml
proxy()
{
	cat >"$T/$1.xml" <<-EOF
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>$2</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <udpCollector><name>udp</name><localPort>$4</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	    <tcpCollector><name>tcp</name><localPort>$4</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name>
	      <fileWriter><file>file://$3</file></fileWriter></destination>
	  </exportingProcess>
	</ipfix>
	EOF
}

# What the records say, in an order of its own; ids are the sender's.
say()
{
	"$CONFLUX" read -f json "$1" | sed 's/"template":[0-9]*,//g' | sort
}

# Within lists: the Templates they name are known.
lists()
{
	"$CONFLUX" read -f json "$1" | grep -c '"subTemplateList":.*"records":\[{"sourceMacAddress":"02:00:00:00:00:01","interfaceName":"eth0"}'
}

# The second exporter sends the same shapes under the same ids; the first one
# sends flows of all kinds before, so that ours differ from theirs.
"$MKIPFIX" -n 300 -f 20 -e "$T/a.ipfix" >/dev/null || fail mkipfix
"$MKIPFIX" -n 300 -f 20 -s 2 -d 7 -e "$T/b.ipfix" >/dev/null || fail mkipfix
cat "$T/a.ipfix" "$T/b.ipfix" >"$T/in.ipfix"
WANTED=$(lists "$T/in.ipfix")
[ "$WANTED" -gt 50 ] || fail "mkipfix makes no lists"

for workers in 1 3; do
	step "structured data over UDP and TCP into a file, $workers workers"
	port=$(free_port)
	proxy lists$workers $workers "$T/out.ipfix" "$port"
	start lists$workers "$CONFLUXD" -c "$T/lists$workers.xml"
	wait_port udp "$port"
	"$MKIPFIX" -n 300 -f 20 -e -r 5000 "udp:127.0.0.1:$port" >/dev/null
	"$MKIPFIX" -n 300 -f 20 -s 2 -d 7 -e "tcp:127.0.0.1:$port" >/dev/null
	wait_for 10 sh -c "\"$CONFLUX\" status -s \"$T/lists$workers.sock\" \
		-j >\"$T/status\" && grep -q '\"in\": *604' \"$T/status\""
	ledger_holds "$T/status"
	stop $PID
	equal status 0 $STATUS
	ledger_holds "$T/lists$workers.err"
	say "$T/in.ipfix" >"$T/in.txt"
	say "$T/out.ipfix" >"$T/out.txt"
	equal "lists behind the proxy" "$WANTED" "$(lists "$T/out.ipfix")"
	cmp -s "$T/in.txt" "$T/out.txt" || {
		diff "$T/in.txt" "$T/out.txt" | head -n 5
		fail "the records differ"
	}
	if command -v ipfixDump >/dev/null 2>&1; then
		ipfixDump -i "$T/out.ipfix" >"$T/dump" 2>&1
		equal "lists that libfixbuf reads" "$((WANTED * 2))" \
			"$(grep -c 'sourceMacAddress : 02:00:00:00:00:0[12]' \
			"$T/dump")"
	fi
	if command -v tshark >/dev/null 2>&1; then
		tshark -r "$T/out.ipfix" -V >"$T/shark" 2>&1
		grep -qi 'malformed' "$T/shark" && fail "tshark complains"
	fi
done
exit 0
