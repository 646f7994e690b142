#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A collector of DTLS among strangers: a flood of ClientHellos from thousands of
# addresses, garbage, handshakes that stall; and an exporter whose datagrams all
# come twice, with forged copies between them. Its session goes on, and the
# memory stays what it was.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
hostile()
{
	python3 "$SRC/tests/integration/dtls_hostile.py" "$@"
}
hello=$SRC/tests/fuzz/corpus/dtls/hello-openssl
PORT=$(free_port)
document collects "<cx:controlSocket>$T/collects.sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>dtls</name><localPort>$PORT</localPort>
	<transportLayerSecurity>$psk
	<cx:maxHandshakes>32</cx:maxHandshakes>
	<cx:handshakeTimeout>3000</cx:handshakeTimeout>
	</transportLayerSecurity>
	</udpCollector><exportingProcess>out</exportingProcess>
	</collectingProcess><exportingProcess><name>out</name>
	<destination><name>file</name><fileWriter>
	<file>file://$T/collects.ipfix</file></fileWriter></destination>
	</exportingProcess>"
start collects "$CONFLUXD" -c "$T/collects.xml"
c=$PID
wait_port udp "$PORT"
MIDDLE=$(free_port)
start relay python3 "$SRC/tests/integration/dtls_hostile.py" relay "$MIDDLE" \
	"$PORT"
r=$PID
wait_port udp "$MIDDLE"
FEED=$(free_port)
document exports "<cx:controlSocket>$T/exports.sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>u</name><localPort>$FEED</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
	<exportingProcess>out</exportingProcess>
	</collectingProcess><exportingProcess><name>out</name>
	<destination><name>dtls</name><udpExporter>
	<destinationIPAddress>127.0.0.1</destinationIPAddress>
	<destinationPort>$MIDDLE</destinationPort>
	<transportLayerSecurity>$psk$ours
	<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
	</transportLayerSecurity>
	</udpExporter></destination></exportingProcess>"
start exports "$CONFLUXD" -l info -c "$T/exports.xml"
e=$PID
wait_for 20 grep -q "session with" "$T/exports.err"
resident()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$c/status"
}

step "an exporter whose datagrams come twice, and forged"
"$MKIPFIX" -n 5000 -r 2000 -t 0 "udp:127.0.0.1:$FEED" >"$T/sent"
arrived()
{
	"$CONFLUX" status -s "$T/collects.sock" -j >"$T/status" &&
		[ "$(json "$T/status" \
			"d['cx:total']['cx:ledger']['in']")" = "$1" ]
}
wait_for 10 arrived 5000

step "a flood of ClientHellos from 20000 addresses"
hostile flood "$PORT" "$hello" 2000 2 >"$T/flood.out" || fail "flood"
before=$(resident)
hostile flood "$PORT" "$hello" 20000 2 || fail "flood"
after=$(resident)
echo "resident: $before kB before, $after kB after"
[ $((after - before)) -lt 1024 ] || fail "the memory has grown"

step "garbage"
hostile garbage "$PORT" 20000 || fail "garbage"

step "handshakes that stall: so many at a time, and then again"
began=$(hostile stall "$PORT" "$hello" 100) || fail "stall"
equal "handshakes" 32 "$began"
sleep 4
began=$(hostile stall "$PORT" "$hello" 20) || fail "stall"
equal "handshakes" 20 "$began"
matches "it says so" "too many handshakes \(at most 32" "$T/collects.err"

step "the session has seen nothing of it"
"$MKIPFIX" -n 5000 -r 2000 -t 0 -s 2 "udp:127.0.0.1:$FEED" >"$T/sent"
wait_for 10 arrived 10000
equal "sessions" 1 "$(grep -c "session with" "$T/exports.err")"
stop $e
sleep 0.3
stop $r
stop $c
ledger_holds "$T/collects.err"
exit 0
