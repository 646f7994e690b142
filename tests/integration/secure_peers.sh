#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Peers that others wrote, over TLS and DTLS: sessions that are resumed, and
# python3-ipfix over TCP and TLS in both roles. With tls.sh and dtls.sh, of each
# way (full and resumed, X.509 and pre-shared keys) is tested with
#
#	peer			TLS 1.2 and 1.3		DTLS 1.2
#	openssl s_server	all: tls.sh, here (1)	full: dtls.sh (2)
#	openssl s_client	all: tls.sh (1)		all: dtls.sh
#	gnutls-serv		full: tls.sh		full: dtls.sh
#	gnutls-cli		X.509: tls.sh, here	X.509: dtls.sh, here
#	python3-ipfix		X.509: here		(its module ssl has none)
#	Conflux			all: tls.sh, unit tests	all: dtls.sh, dtls_crowd.sh
#
# (1) Neither of our ends resumes TLS with a pre-shared key: that saves nothing.
# (2) It stays with the address of its first client: there is no second session.
# gnutls-cli with a pre-shared key falls over its own report. gnutls-serv ends no
# session, so there is none to resume. libfixbuf is built without TLS by Debian,
# and its one tool, ipfixDump, reads files only.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
python=/usr/bin/python3

# It ends a session when it reads a line that begins with q.
step "to openssl s_server, which ends the session: the next one is resumed"
for version in tls1_2 tls1_3; do
	PORT=$(free_port)
	mkfifo "$T/$version.in"
	sleep 60 >"$T/$version.in" &
	PIDS="$PIDS $!"
	start_in "server-$version" "$T/$version.in" openssl s_server -$version \
		-accept "127.0.0.1:$PORT" -cert "$T/collector.pem" \
		-key "$T/collector.key" -CAfile "$T/ca.pem" -Verify 3 \
		-verify_return_error
	s=$PID
	wait_port tcp "$PORT"
	relays "to-$version" "<tcpExporter>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$PORT</destinationPort>
		<cx:reconnectMin>100</cx:reconnectMin>
		<transportLayerSecurity>$to_collector</transportLayerSecurity>
		</tcpExporter>"
	e=$PID
	wait_for 20 grep -q "CIPHER is" "$T/server-$version.out"
	# TLS 1.3 gives its tickets after the handshake.
	"$MKIPFIX" -n 20 "tcp:127.0.0.1:$FEED" >/dev/null
	sleep 0.5
	echo q >"$T/$version.in"
	wait_for 30 grep -q "Reused session-id" "$T/server-$version.out"
	kill $s
	give_up $e
done

# counts NAME COUNT: as many records have come
counts()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q "\"in\": *$2\b" "$T/status"
}

few=300
"$MKIPFIX" -n $few -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix
PORT=$(free_port)
collects collects "<tcpCollector><name>tls</name><localPort>$PORT</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<transportLayerSecurity>$to_exporter$psk
	<cx:lateTickets>true</cx:lateTickets></transportLayerSecurity>
	</tcpCollector><tcpCollector><name>tcp</name>
	<localPort>$((PORT + 1))</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	<udpCollector><name>dtls</name><localPort>$PORT</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<transportLayerSecurity>$to_exporter$psk</transportLayerSecurity>
	</udpCollector>"
c=$PID
wait_port tcp "$PORT"
wait_port udp "$PORT"
sum=0

if command -v gnutls-cli >/dev/null 2>&1; then
	step "from gnutls-cli, resumed"
	for way in "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2" \
		"--priority NORMAL:-VERS-ALL:+VERS-TLS1.3" --udp; do
		# shellcheck disable=SC2086 # words
		sleep 3 | gnutls-cli $way --resume \
			--x509certfile "$T/exporter.pem" \
			--x509keyfile "$T/exporter.key" \
			--x509cafile "$T/ca.pem" --verify-hostname \
			collector.test -p "$PORT" 127.0.0.1 \
			>"$T/gnutls.out" 2>&1
		matches "resumed: $way" "This is a resumed session" \
			"$T/gnutls.out"
	done
fi

cat >"$T/peer.py" <<'PYTHON'
"""peer.py collect|export PORT tcp|tls FOLDER [RECORDS]: one session"""
import ipaddress, socket, ssl, sys
import ipfix.ie, ipfix.reader, ipfix.template, ipfix.writer
ipfix.ie.use_iana_default()
role, port, kind, folder = sys.argv[1:5]
at = ('127.0.0.1', int(port))
if role == 'collect':
    listener = socket.create_server(at)
    s = listener.accept()[0]
    if kind == 'tls':
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH,
                                             cafile=folder + '/ca.pem')
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder + '/collector.pem',
                                folder + '/collector.key')
        s = context.wrap_socket(s, server_side=True)
    records = octets = 0
    for r in ipfix.reader.from_stream(s.makefile('rb')).namedict_iterator():
        records += 'octetDeltaCount' in r
        octets += r.get('octetDeltaCount', 0)
    print(records, octets)
else:
    s = socket.create_connection(at)
    if kind == 'tls':
        context = ssl.create_default_context(cafile=folder + '/ca.pem')
        context.load_cert_chain(folder + '/exporter.pem',
                                folder + '/exporter.key')
        s = context.wrap_socket(s, server_hostname='collector.test')
    out = s.makefile('wb')
    writer = ipfix.writer.to_stream(out, mtu=1400)
    writer.set_domain(7)
    writer.add_template(ipfix.template.for_specs(
        300, 'sourceIPv4Address', 'destinationIPv4Address',
        'octetDeltaCount', 'packetDeltaCount'))
    writer.set_export_template(300)
    for i in range(int(sys.argv[5])):
        writer.export_namedict({
            'sourceIPv4Address': ipaddress.ip_address(0x0a000000 + i),
            'destinationIPv4Address': ipaddress.ip_address('192.0.2.1'),
            'octetDeltaCount': 1000 + i, 'packetDeltaCount': i})
    writer.flush()
    out.flush()
    if kind == 'tls':
        s.unwrap()
    s.close()
PYTHON
if $python -c 'import ipfix' 2>/dev/null; then
	for kind in tcp tls; do
		step "from python3-ipfix over $kind"
		port=$PORT
		[ $kind = tls ] || port=$((PORT + 1))
		$python "$T/peer.py" export "$port" $kind "$T" 1000 ||
			fail "python3-ipfix"
		sum=$((sum + 1000))
		wait_for 10 counts collects $sum

		step "to python3-ipfix over $kind"
		port=$(free_port)
		start "reader-$kind" $python "$T/peer.py" collect "$port" $kind \
			"$T"
		r=$PID
		wait_port tcp "$port"
		tls="<transportLayerSecurity>$to_collector</transportLayerSecurity>"
		[ $kind = tls ] || tls=
		exports "python-$kind" "<tcpExporter>
			<destinationIPAddress>127.0.0.1</destinationIPAddress>
			<destinationPort>$port</destinationPort>$tls
			</tcpExporter>"
		ended "python-$kind" $PID
		wait_exit $r 10
		equal "status of python3-ipfix" 0 "$STATUS"
		equal "records and octets that python3-ipfix sees" \
			"$few $("$CONFLUX" read -f json "$T/in.ipfix" |
			sed -n 's/.*"octetDeltaCount":\([0-9]*\).*/\1/p' |
			awk '{ n += $1 } END { print n }')" \
			"$(cat "$T/reader-$kind.out")"
	done
fi
stop $c
ended collects $c
exit 0
