#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over DTLS over SCTP (RFC 6083) from one confluxd to another, by userland
# SCTP in UDP on loopback: certificates and pre-shared keys, several workers,
# streams, a collector that is killed; who is turned away, and why. There is no
# other program that speaks it with a DTLS library of Debian's.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

PORT=$(free_port) TO=$(free_port)
records=2000
"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix
"$CONFLUX" pki "$T/pki" collector.test exporter.test other.test >/dev/null &&
	"$CONFLUX" pki -p "$T/pki" exporter.test >/dev/null || fail "conflux pki"
sed 's/:.*/:000102030405060708090a0b0c0d0e0f/' "$T/pki/psk" >"$T/wrong.psk"
chmod 600 "$T/wrong.psk"

# pem NAME PEER
pem()
{
	printf '%s' "<remoteSubjectFQDN>$2</remoteSubjectFQDN>
		<cx:certificateFile>$T/pki/$1.pem</cx:certificateFile>
		<cx:keyFile>$T/pki/$1.key</cx:keyFile>
		<cx:authoritiesFile>$T/pki/ca.pem</cx:authoritiesFile>"
}

document()
{
	printf '%s\n' '<ipfix
		xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
		xmlns:cx="urn:conflux:config:1">' "$2" '</ipfix>' >"$T/$1.xml"
	"$CONFLUX" check "$T/$1.xml" || fail "conflux check"
}

# collector NAME TLS [WORKERS]
collector()
{
	document "$1" "<cx:workers>${3:-1}</cx:workers>
		<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<sctpCollector><name>s</name><localPort>$PORT</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>
		<transportLayerSecurity>$2</transportLayerSecurity>
		<cx:stack>userland</cx:stack>
		<cx:localEncapsulationPort>$TO</cx:localEncapsulationPort>
		</sctpCollector><exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>
		<destination><name>file</name><fileWriter>
		<file>file://$T/$1.ipfix</file></fileWriter></destination>
		</exportingProcess>"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	wait_for 10 "$CONFLUX" status -s "$T/$1.sock"
}

# exporter NAME TLS [MORE]: sends the records and ends
exporter()
{
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<fileReader><name>f</name><file>file://$T/in.ipfix</file>
		</fileReader><exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>
		<destination><name>far</name><sctpExporter>
		<destinationPort>$PORT</destinationPort>
		<transportLayerSecurity>$2</transportLayerSecurity>
		<sourceIPAddress>127.0.0.1</sourceIPAddress>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<cx:stack>userland</cx:stack>
		<cx:localEncapsulationPort>$(free_port)</cx:localEncapsulationPort>
		<cx:remoteEncapsulationPort>$TO</cx:remoteEncapsulationPort>
		<cx:reconnectMin>100</cx:reconnectMin>
		<cx:reconnectMax>200</cx:reconnectMax>
		${3:-}</sctpExporter></destination></exportingProcess>"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
}

ended()
{
	wait_exit "$2" 30
	equal "status of $1" 0 "$STATUS"
	ledger_holds "$T/$1.err"
}

# A second order to end does not wait for the collector.
give_up()
{
	kill "$1"
	sleep 0.3
	stop "$1"
}

# arrives NAME COUNT
arrives()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q "\"in\": *$2\b" "$T/status"
}

psk="<cx:pskFile>$T/pki/psk</cx:pskFile>"
ours="<cx:pskFile>$T/pki/exporter.test.psk</cx:pskFile>
	<cx:pskIdentity>exporter.test</cx:pskIdentity>"

step "certificates and keys; streams by Template, unordered"
collector both "$(pem collector.test exporter.test)$psk" 2
c=$PID
exporter x509 "$(pem exporter.test collector.test)"
ended x509 $PID
wait_for 10 arrives both $records
exporter psk "$ours" "<cx:streams>8</cx:streams>
	<cx:streamPerTemplate>true</cx:streamPerTemplate>"
ended psk $PID
wait_for 10 arrives both $((2 * records))
exporter unordered "$ours" "<cx:unordered>true</cx:unordered>"
ended unordered $PID
wait_for 10 arrives both $((3 * records))

step "who is turned away, and why"
exporter other "$(pem other.test collector.test)"
e=$PID
wait_for 10 grep -q 'dtls/sctp .*"other.test" refused: .*exporter.test' \
	"$T/both.err"
give_up $e
exporter wrong "<cx:pskFile>$T/wrong.psk</cx:pskFile>
	<cx:pskIdentity>exporter.test</cx:pskIdentity>"
e=$PID
wait_for 15 grep -q 'key' "$T/wrong.err"
give_up $e
exporter elsewhere "$(pem exporter.test nobody.test)"
e=$PID
wait_for 10 grep -q 'nobody.test.*collector.test' "$T/elsewhere.err"
give_up $e
arrives both $((3 * records)) || fail "records of strangers"
stop $c
ended both $c
equal "records" $((3 * records)) \
	"$("$CONFLUX" read -f json "$T/both.ipfix" | grep -c octetDeltaCount)"

step "a collector that is killed and comes back"
collector first "$psk"
c=$PID
exporter on "$ours" "<rateLimit>20000</rateLimit>"
e=$PID
some()
{
	"$CONFLUX" status -s "$T/first.sock" -j >"$T/status" &&
		grep -q '"in": *[1-9]' "$T/status"
}
wait_for 10 some
stop $c KILL
collector second "$psk"
c=$PID
ended on $e
stop $c
ended second $c
[ "$("$CONFLUX" read -f json "$T/second.ipfix" | grep -c octetDeltaCount)" \
	-gt 0 ] || fail "nothing came after the restart"
exit 0
