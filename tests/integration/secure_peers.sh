#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Peers that others wrote, over TLS and DTLS: sessions that are resumed, and
# python3-ipfix over TCP and TLS in both roles. With tls.sh and dtls.sh, of each
# way (full and resumed, X.509 and pre-shared keys) is tested with
#
#	peer			TLS 1.2 and 1.3		DTLS 1.2
#	openssl s_server	all: tls.sh, here	all: dtls.sh, here
#	openssl s_client	all: tls.sh		all: dtls.sh
#	gnutls-serv		all: tls.sh, here	all: dtls.sh, here
#	gnutls-cli		X.509: tls.sh, here	X.509: dtls.sh, here (1)
#	python3-ipfix		X.509: here		(its module ssl has none)
#	YAF, yafcollect		X.509: here (2)
#	Conflux			all: tls.sh, unit tests	all: dtls.sh, dtls_crowd.sh
#
# (1) With a pre-shared key it falls over its own report (3.7.9).
# (2) Where they are installed: libfixbuf, which does it for them, is built
# without TLS by Debian, and its one tool, ipfixDump, reads files only.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
python=/usr/bin/python3

# Stands between an exporter and a server. When there is a FILE, it cuts the
# connection (TCP), or answers get lost until the exporter ends the session (UDP).
cat >"$T/between.py" <<'PYTHON'
"""between.py tcp|udp PORT SERVER-PORT FILE"""
import os, select, socket, sys
kind, port, server, file = sys.argv[1:5]
at, to = ('127.0.0.1', int(port)), ('127.0.0.1', int(server))
cut = lambda: os.path.exists(file)
def udp():
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(at)
    far.connect(to)
    client = None
    while True:
        for s in select.select([near, far], [], [])[0]:
            try:
                if s is near:
                    data, client = near.recvfrom(65536)
                    far.send(data)
                    if cut() and data[0] == 21: # an alert
                        os.unlink(file)
                else:
                    data = far.recv(65536)
                    if client and not cut():
                        near.sendto(data, client)
            except ConnectionError:
                pass
def tcp():
    listener = socket.create_server(at)
    while True:
        ends = [listener.accept()[0], socket.create_connection(to)]
        while not cut():
            for s in select.select(ends, [], [], 0.1)[0]:
                data = s.recv(65536)
                ends[s is ends[0]].sendall(data)
                if not data:
                    break
        os.unlink(file)
        for s in ends:
            s.close()
udp() if kind == 'udp' else tcp()
PYTHON

# server NAME KIND VERSION: in $server; with a certificate and a key
serve()
{
	PORT=$(free_port)
	server_port=$PORT
	case $1 in
	openssl-psk-*)
		set -- "$1" "$3" -nocert -psk "$key" -psk_identity exporter ;;
	openssl-*)
		set -- "$1" "$3" -cert "$T/collector.pem" \
			-key "$T/collector.key" -CAfile "$T/ca.pem" -Verify 3 \
			-verify_return_error ;;
	esac
	case $1 in
	openssl-*)
		run=$1 version=$2
		shift 2
		mkfifo "$T/$run.in"
		sleep 60 >"$T/$run.in" &
		PIDS="$PIDS $!"
		start_in "$run" "$T/$run.in" openssl s_server "-$version" \
			-accept "127.0.0.1:$PORT" "$@" ;;
	*)
		udp=''
		case $3 in
		tls1_2) protocol=VERS-TLS1.2 ;;
		tls1_3) protocol=VERS-TLS1.3 ;;
		dtls1_2) udp=--udp protocol=VERS-DTLS1.2 ;;
		esac
		start "$1" gnutls-serv $udp -p "$PORT" --echo \
			--x509certfile "$T/collector.pem" \
			--x509keyfile "$T/collector.key" \
			--x509cafile "$T/ca.pem" --verify-client-cert \
			--heartbeat --pskpasswd "$T/psk" --priority \
			"NORMAL:-VERS-ALL:+$protocol:+ECDHE-PSK:+DHE-PSK" ;;
	esac
}

# to NAME tcp|udp KIND: an exporter to this server, through the middle
to()
{
	credentials=$to_collector more=
	[ "$3" = x509 ] || credentials=$psk$ours
	[ "$2" = tcp ] || more="<cx:heartbeatPeriod>1</cx:heartbeatPeriod>
		<cx:heartbeatTries>1</cx:heartbeatTries>
		<cx:renegotiationPeriod>1</cx:renegotiationPeriod>"
	wait_port "$2" "$server_port"
	PORT=$(free_port)
	start "between-$1" python3 "$T/between.py" "$2" "$PORT" \
		"$server_port" "$T/$1.cut"
	wait_port "$2" "$PORT"
	relays "to-$1" "<$2Exporter>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$PORT</destinationPort>
		<transportLayerSecurity>$credentials$more
		</transportLayerSecurity></$2Exporter>"
}

# sessions NAME COUNT [resumed]: it has told of so many
sessions()
{
	[ "$(grep -cE "(connected to|session with).*${3:-}" \
		"$T/to-$1.err")" -ge "$2" ]
}

step "to openssl s_server and gnutls-serv, resumed"
servers=openssl
! command -v gnutls-serv >/dev/null 2>&1 || servers="openssl gnutls"
all=
for maker in $servers; do
	for kind in x509 psk; do
		for version in tls1_2 tls1_3 dtls1_2; do
			one=$maker-$kind-$version
			serve "$one" $kind $version
			transport=tcp
			[ $version != dtls1_2 ] || transport=udp
			to "$one" $transport $kind
			all="$all $one"
		done
	done
done
for one in $all; do
	wait_for 20 sessions "$one" 1
done
sleep 0.5 # TLS 1.3 gives its tickets after the handshake
for one in $all; do
	: >"$T/$one.cut"
done
# With a key of TLS 1.3 all are told to be.
for one in $all; do
	case $one in
	*-psk-tls1_3) wait_for 60 sessions "$one" 2 resumed ;;
	*) wait_for 60 sessions "$one" 1 resumed ;;
	esac
	echo "$one"
done
for p in $PIDS; do
	kill "$p" 2>/dev/null
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

# They never read: late tickets would cost the last flows. yafcollect does not
# end by itself, and prints what it holds back when it is interrupted.
if command -v yaf >/dev/null && command -v yafcollect >/dev/null; then
	set -- --in "$T/in.pcap" --no-stats --no-tombstone \
		--no-element-metadata --no-template-metadata
	"$MKPCAP" -n 4000 -f 40 -o "$T/in.pcap" || fail mkpcap
	yaf "$@" --out "$T/in.ipfix" || fail "yaf"
	flows=$("$CONFLUX" read -f json "$T/in.ipfix" | wc -l)
	PORT=$(free_port)
	collects fixbuf "<tcpCollector><name>tls</name>
		<localPort>$PORT</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>
		<transportLayerSecurity>$to_exporter</transportLayerSecurity>
		</tcpCollector>"
	c=$PID
	wait_port tcp "$PORT"

	step "from YAF over TLS"
	yaf "$@" --out 127.0.0.1 --ipfix=tcp --ipfix-port="$PORT" --tls \
		--tls-ca="$T/ca.pem" --tls-cert="$T/exporter.pem" \
		--tls-key="$T/exporter.key" || fail "yaf"
	wait_for 10 counts fixbuf "$flows"
	stop $c
	ended fixbuf $c

	step "to yafcollect over TLS"
	port=$(free_port)
	start yafcollect yafcollect --in 127.0.0.1 --port="$port" \
		--transport=tcp --tls --tls-ca="$T/ca.pem" \
		--tls-cert="$T/collector.pem" --tls-key="$T/collector.key" \
		--print-all --out "$T/yafcollect"
	c=$PID
	exports yaf "<tcpExporter>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$port</destinationPort>
		<transportLayerSecurity>$to_collector</transportLayerSecurity>
		</tcpExporter>"
	ended yaf $PID
	sleep 1
	kill -INT $c
	wait_exit $c 10
	equal "flows that yafcollect prints" "$flows" \
		"$(grep -c "^flow: " "$T/yafcollect.out")"
fi
exit 0
