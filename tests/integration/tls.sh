#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over TLS, both roles, with certificates and pre-shared keys, full and
# resumed, against openssl s_client and s_server, gnutls-cli and gnutls-serv and
# against ourselves; and who is turned away, in which words.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
records=3000
"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix

# collector NAME TLS [MORE]: $PORT, $T/NAME.ipfix, $T/NAME.sock
collector()
{
	PORT=$(free_port)
	collects "$1" "<tcpCollector><name>tls</name>
		<localPort>$PORT</localPort>
		<localIPAddress>127.0.0.1</localIPAddress>
		<localIPAddress>::1</localIPAddress>
		<transportLayerSecurity>$2</transportLayerSecurity>
		</tcpCollector>"
	wait_port tcp "$PORT"
}

# exporter NAME PORT TLS [ADDRESS]: sends the records and ends
exporter()
{
	exports "$1" "<tcpExporter>
		<destinationIPAddress>${4:-127.0.0.1}</destinationIPAddress>
		<destinationPort>$2</destinationPort>
		<cx:reconnectMin>100</cx:reconnectMin>
		<transportLayerSecurity>$3</transportLayerSecurity>
		</tcpExporter>"
}

step "Conflux to Conflux, certificates, both versions, IPv4 and IPv6"
for version in 1.2 1.3; do
	for address in 127.0.0.1 ::1; do
		both=both-$version-$address
		collector "$both" "$to_exporter"
		c=$PID
		exporter "to-$both" "$PORT" "$to_collector
			<cx:maxVersion>$version</cx:maxVersion>" $address
		ended "to-$both" $PID
		stop $c
		ended "$both" $c
		holds "$T/$both.ipfix" $records
	done
done

step "Conflux to Conflux, pre-shared keys, both versions"
for version in 1.2 1.3; do
	collector psk$version "$psk"
	c=$PID
	exporter to-psk$version "$PORT" "$psk$ours
		<cx:maxVersion>$version</cx:maxVersion>"
	ended to-psk$version $PID
	stop $c
	ended psk$version $c
	holds "$T/psk$version.ipfix" $records
done

# serves NAME ARGUMENT...: openssl s_server, what came in $T/NAME.out
serves()
{
	PORT=$(free_port)
	serves=$1
	shift
	# It ends with its input.
	mkfifo "$T/$serves.in"
	sleep 60 >"$T/$serves.in" &
	PIDS="$PIDS $!"
	start_in "$serves" "$T/$serves.in" openssl s_server -quiet \
		-naccept 1 -accept "127.0.0.1:$PORT" "$@"
	wait_port tcp "$PORT"
}

step "to openssl s_server"
for version in tls1_2 tls1_3; do
	serves server-$version -$version -cert "$T/collector.pem" \
		-key "$T/collector.key" -CAfile "$T/ca.pem" -Verify 3 \
		-verify_return_error
	exporter x-$version "$PORT" "$to_collector"
	ended x-$version $PID
	holds "$T/server-$version.out" $records
	serves server-psk-$version -$version -nocert -psk "$key" \
		-psk_identity exporter
	exporter p-$version "$PORT" "$psk$ours"
	ended p-$version $PID
	holds "$T/server-psk-$version.out" $records
done

# It echoes: what comes back has to be read. What it got, it does not say.
if command -v gnutls-serv >/dev/null 2>&1; then
	step "to gnutls-serv"
	for version in 1.2 1.3; do
		for kind in x509 psk; do
			PORT=$(free_port)
			start serv-$kind-$version gnutls-serv -p "$PORT" \
				--echo --x509certfile "$T/collector.pem" \
				--x509keyfile "$T/collector.key" \
				--x509cafile "$T/ca.pem" --verify-client-cert \
				--pskpasswd "$T/psk" --priority \
				"NORMAL:-VERS-ALL:+VERS-TLS$version:+ECDHE-PSK:+DHE-PSK"
			serv=$PID
			wait_port tcp "$PORT"
			credentials=$to_collector
			[ $kind = psk ] && credentials=$psk$ours
			exporter g-$kind-$version "$PORT" "$credentials"
			ended g-$kind-$version $PID
			matches "all went out" "out/far: .*exported $records," \
				"$T/g-$kind-$version.err"
			kill $serv
			matches "the server's view" "Version: TLS$version" \
				"$T/serv-$kind-$version.out"
		done
	done
fi

# counts NAME COUNT: as many records have come
counts()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q "\"in\": *$2\b" "$T/status"
}

step "from openssl s_client, full and resumed"
collector collects "$to_exporter$psk<cx:lateTickets>true</cx:lateTickets>"
c=$PID
sum=0
client()
{
	name=$1
	shift
	# It has to be there until the ticket has come.
	(cat "$T/in.ipfix"; sleep 1) | openssl s_client \
		-connect "127.0.0.1:$PORT" "$@" >"$T/$name.out" \
		2>"$T/$name.err" || fail "openssl s_client: $name"
	sum=$((sum + records))
	wait_for 10 counts collects $sum
}
for version in tls1_2 tls1_3; do
	set -- -$version -cert "$T/exporter.pem" -key "$T/exporter.key" \
		-CAfile "$T/ca.pem" -verify_return_error
	client full-$version "$@" -sess_out "$T/$version.session"
	matches "new" '^New, ' "$T/full-$version.out"
	client resumed-$version "$@" -sess_in "$T/$version.session"
	matches "resumed" '^Reused, ' "$T/resumed-$version.out"
	set -- -$version -psk "$key" -psk_identity exporter
	client psk-$version "$@" -sess_out "$T/psk-$version.session"
	# In TLS 1.3 all sessions with keys are "Reused": this one has only
	# the ticket to show.
	[ $version = tls1_2 ] || set -- -$version
	client psk-again-$version "$@" -sess_in "$T/psk-$version.session"
	matches "resumed" '^Reused, ' "$T/psk-again-$version.out"
done
client wild -cert "$T/wild.pem" -key "$T/wild.key" -CAfile "$T/ca.pem"

if command -v gnutls-cli >/dev/null 2>&1; then
	# With a pre-shared key this program (3.7.9) falls over its own report.
	step "from gnutls-cli"
	for priority in NORMAL:-VERS-ALL:+VERS-TLS1.2 \
		NORMAL:-VERS-ALL:+VERS-TLS1.3; do
		gnutls-cli --x509certfile "$T/exporter.pem" \
			--x509keyfile "$T/exporter.key" \
			--x509cafile "$T/ca.pem" \
			--verify-hostname collector.test \
			--priority "$priority" -p "$PORT" 127.0.0.1 \
			<"$T/in.ipfix" >"$T/gnutls.out" 2>&1 ||
			fail "gnutls-cli: $(tail -n 3 "$T/gnutls.out")"
		sum=$((sum + records))
		wait_for 10 counts collects $sum
	done
fi

step "a ticket is worth what its key is"
cp "$T/psk" "$T/psk.kept"
cp "$T/psk.wrong" "$T/psk"
kill -HUP $c
wait_for 10 grep -q "keys were read again" "$T/collects.err"
for version in tls1_2 tls1_3; do
	set -- -psk "$key" -psk_identity exporter
	[ $version = tls1_2 ] || set --
	! openssl s_client -$version -connect "127.0.0.1:$PORT" "$@" \
		-verify_return_error -sess_in "$T/psk-$version.session" \
		<"$T/in.ipfix" >"$T/late.out" 2>&1 || fail "it was taken"
done
cp "$T/psk.kept" "$T/psk"
kill -HUP $c

step "who is turned away, and why"
# refused NAME REGEX CLIENT...
refused()
{
	name=$1
	regex=$2
	shift 2
	timeout 10 "$@" <"$T/in.ipfix" >"$T/$name.out" 2>&1
	wait_for 10 grep -qE "tls .*refused: .*$regex" "$T/collects.err"
}
refused other "EXPORTER.test.*other.test" openssl s_client \
	-connect "127.0.0.1:$PORT" -cert "$T/other.pem" -key "$T/other.key"
refused foreign "" openssl s_client -connect "127.0.0.1:$PORT" \
	-cert "$T/foreign.pem" -key "$T/foreign.key"
refused none "no certificate" openssl s_client -connect "127.0.0.1:$PORT" \
	-tls1_3
refused wrong-key "keys of the two ends differ" openssl s_client \
	-connect "127.0.0.1:$PORT" -psk 00112233445566778899aabbccddeeff \
	-psk_identity exporter
counts collects $sum || fail "records of strangers were taken"
"$CONFLUX" status -s "$T/collects.sock" -j >"$T/status"
matches "rejected peers" '"cx:rejectedPeers": *2' "$T/status"
matches "failed handshakes" '"cx:failedHandshakes"' "$T/status"
stop $c
ended collects $c

step "a revoked certificate"
openssl ca -config "$T/ca.cnf" -cert "$T/ca.pem" -keyfile "$T/ca.key" \
	-revoke "$T/exporter.pem" 2>/dev/null
openssl ca -config "$T/ca.cnf" -cert "$T/ca.pem" -keyfile "$T/ca.key" \
	-gencrl -out "$T/crl.pem" 2>/dev/null || fail "openssl ca"
collector revokes "$to_exporter
	<cx:revocationsFile>$T/crl.pem</cx:revocationsFile>"
c=$PID
exporter revoked "$PORT" "$to_collector"
e=$PID
wait_for 10 grep -q 'refused: .*revoked' "$T/revokes.err"
wait_for 10 grep -q 'tls 127.*does not accept our certificate' \
	"$T/revoked.err"
give_up $e
stop $c
ended revokes $c

step "what an exporter says of a collector that is not the right one"
collector right "$to_exporter$psk"
c=$PID
exporter elsewhere "$PORT" "$(x509 exporter)
	<remoteSubjectFQDN>elsewhere.test</remoteSubjectFQDN>"
e=$PID
wait_for 10 grep -q 'elsewhere.test.*collector.test' "$T/elsewhere.err"
give_up $e
for wrong in wrong unknown; do
	exporter psk-$wrong "$PORT" "<cx:pskFile>$T/psk.$wrong</cx:pskFile>
		<cx:pskIdentity>$(sed 's/:.*//' "$T/psk.$wrong")</cx:pskIdentity>"
	e=$PID
	wait_for 10 grep -qE 'tls 127.*(differ|identity|key)' \
		"$T/psk-$wrong.err"
	give_up $e
done
stop $c

# Among them some that never go on, and some that talk nonsense.
if command -v python3 >/dev/null && ulimit -n 4096 2>/dev/null; then
	step "1000 sessions at once"
	collector crowd "$to_exporter
		<cx:handshakeTimeout>3000</cx:handshakeTimeout>"
	sed -i 's|</tcpC|<cx:maxConnections>2000</cx:maxConnections>&|' \
		"$T/crowd.xml"
	stop $PID
	start crowd "$CONFLUXD" -c "$T/crowd.xml"
	c=$PID
	wait_port tcp "$PORT"
	cat >"$T/crowd.py" <<-'PYTHON'
	import os, socket, ssl, struct, sys, time
	port, folder = int(sys.argv[1]), sys.argv[2]
	data = open(folder + '/in.ipfix', 'rb').read()
	data = data[:struct.unpack('>H', data[2:4])[0]]
	context = ssl.create_default_context(cafile=folder + '/ca.pem')
	context.load_cert_chain(folder + '/exporter.pem',
	                        folder + '/exporter.key')
	sessions, others = [], []
	for i in range(1000):
	    if i % 10 == 0:
	        others.append(socket.create_connection(('127.0.0.1', port)))
	        if i % 20 == 0:
	            others[-1].send(os.urandom(300))
	    s = socket.create_connection(('127.0.0.1', port))
	    sessions.append(context.wrap_socket(s,
	                    server_hostname='collector.test'))
	for s in sessions:
	    s.send(data)
	time.sleep(4)
	for s in sessions:
	    s.unwrap()
	PYTHON
	python3 "$T/crowd.py" "$PORT" "$T" || fail "1000 sessions"
	"$CONFLUX" status -s "$T/crowd.sock" -j >"$T/status" || fail status
	matches "those that did not go on" '"cx:failedHandshakes": *100' \
		"$T/status"
	stop $c
	ended crowd $c
	"$CONFLUX" read -f json "$T/crowd.ipfix" >"$T/crowd.json"
	[ $(($(lines "$T/crowd.json") % 1000)) -eq 0 ] &&
		[ -s "$T/crowd.json" ] || fail "records of 1000 sessions"
fi

step "an exporter that is killed: that it was cut is told"
collector cut "$to_exporter"
c=$PID
(head -c 1000 "$T/in.ipfix"; sleep 20) | openssl s_client \
	-connect "127.0.0.1:$PORT" -cert "$T/exporter.pem" \
	-key "$T/exporter.key" -CAfile "$T/ca.pem" >/dev/null 2>&1 &
victim=$!
PIDS="$PIDS $victim"
established()
{
	"$CONFLUX" status -s "$T/cut.sock" -j >"$T/status" &&
		grep -q '"cx:peer": *"exporter.test"' "$T/status"
}
wait_for 10 established
kill -9 $victim
wait_for 10 grep -qE 'cut|reset|within a message' "$T/cut.err"
stop $c
exit 0
