#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over DTLS over SCTP (RFC 6083) from one confluxd to another, by userland
# SCTP in UDP on loopback: certificates and pre-shared keys, several workers,
# streams, associations that are replaced, a collector that is killed; who is
# turned away, and why. There is no other program that speaks it with a DTLS
# library of Debian's. sctp_kernel.sh runs it with the kernel's SCTP
# (SCTP_STACK), without what is not of the stack.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
PORT=$(free_port) TO=$(free_port) STACK=${SCTP_STACK:-userland}
records=2000
"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix

# udp local|remote PORT: for SCTP in UDP
udp()
{
	[ "$STACK" = kernel ] ||
		echo "<cx:$1EncapsulationPort>$2</cx:$1EncapsulationPort>"
}

# collector NAME DTLS [WORKERS]; at $host, or 127.0.0.1
collector()
{
	collects "$1" "<sctpCollector><name>s</name><localPort>$PORT</localPort>
		<localIPAddress>${host:-127.0.0.1}</localIPAddress>
		<transportLayerSecurity>$2</transportLayerSecurity>
		<cx:stack>$STACK</cx:stack>
		$(udp local "$TO")
		</sctpCollector>" "<cx:workers>${3:-1}</cx:workers>"
	wait_for 10 "$CONFLUX" status -s "$T/$1.sock"
}

# exporter NAME DTLS [MORE]: sends the records and ends
exporter()
{
	exports "$1" "<sctpExporter>
		<destinationPort>$PORT</destinationPort>
		<transportLayerSecurity>$2</transportLayerSecurity>
		<sourceIPAddress>${host:-127.0.0.1}</sourceIPAddress>
		<destinationIPAddress>${host:-127.0.0.1}</destinationIPAddress>
		<cx:stack>$STACK</cx:stack>
		$(udp local "$(free_port)")
		$(udp remote "$TO")
		<cx:reconnectMin>100</cx:reconnectMin>
		<cx:reconnectMax>200</cx:reconnectMax>
		${3:-}</sctpExporter>"
}

# arrives NAME COUNT
arrives()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q "\"in\": *$2\b" "$T/status"
}

step "certificates and keys; streams by Template, unordered"
collector both "$to_exporter$psk" 2
c=$PID
exporter x509 "$to_collector"
ended x509 $PID
wait_for 10 arrives both $records
exporter psk "$psk$ours" "<cx:streams>8</cx:streams>
	<cx:streamPerTemplate>true</cx:streamPerTemplate>"
ended psk $PID
wait_for 10 arrives both $((2 * records))
exporter unordered "$psk$ours" "<cx:unordered>true</cx:unordered>"
ended unordered $PID
wait_for 10 arrives both $((3 * records))

turned_away()
{
	step "who is turned away, and why"
	exporter other "$(x509 other)
		<remoteSubjectFQDN>collector.test</remoteSubjectFQDN>"
	e=$PID
	wait_for 10 grep -q 'dtls/sctp .*"other.test" refused: .*EXPORTER.test' \
		"$T/both.err"
	give_up $e
	exporter wrong "<cx:pskFile>$T/psk.wrong</cx:pskFile>$ours"
	e=$PID
	wait_for 15 grep -q 'key' "$T/wrong.err"
	give_up $e
	exporter elsewhere "$(x509 exporter)
		<remoteSubjectFQDN>nobody.test</remoteSubjectFQDN>"
	e=$PID
	wait_for 10 grep -q 'nobody.test.*collector.test' "$T/elsewhere.err"
	give_up $e
	arrives both $((3 * records)) || fail "records of strangers"
}
[ "$STACK" = kernel ] || turned_away
stop $c
ended both $c
holds "$T/both.ipfix" $((3 * records))

step "IPv6"
host=::1
collector six "$psk"
c=$PID
exporter to-six "$psk$ours"
ended to-six $PID
wait_for 10 arrives six $records
stop $c
ended six $c
host=

step "an association a second under full load: nothing is lost, nothing doubled"
collector rotates "$to_exporter"
r=$PID
# The kernel's has to do with the speed of user-mode Linux.
more=900000 rate=
[ "$STACK" = userland ] || more=60000 rate="<rateLimit>350000</rateLimit>"
"$MKIPFIX" -n $more -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix
level=info
exporter rotating "$to_collector<cx:sessionLifetime>1</cx:sessionLifetime>" \
	"$rate<cx:streams>8</cx:streams>
	<cx:streamPerTemplate>true</cx:streamPerTemplate>"
level=
ended rotating $PID
wait_for 10 arrives rotates $more
stop $r
ended rotates $r
holds "$T/rotates.ipfix" $more
sessions=$(grep -c "association up" "$T/rotating.err")
[ "$sessions" -ge 3 ] || fail "only $sessions sessions"
echo "$sessions sessions"
one_domain "$T/rotates.ipfix"
[ "$STACK" = userland ] || exit 0

"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix
step "a collector that is killed and comes back"
collector first "$psk"
c=$PID
exporter on "$psk$ours" "<rateLimit>20000</rateLimit>"
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
