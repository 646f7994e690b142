#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX over DTLS over UDP, both roles, with certificates and pre-shared keys,
# full and resumed, against openssl s_client and s_server, gnutls-cli and
# gnutls-serv and against ourselves; and who is turned away, in which words.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
records=3000
"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix

# collector NAME DTLS: $PORT, $T/NAME.ipfix, $T/NAME.sock
collector()
{
	PORT=$(free_port)
	collects "$1" "<udpCollector><name>dtls</name>
		<localPort>$PORT</localPort>
		<transportLayerSecurity>$2</transportLayerSecurity>
		</udpCollector>"
	wait_port udp "$PORT"
}

# exporter NAME PORT DTLS [ADDRESS [SIZE]]: sends the records, no faster than
# the socket of any peer takes them, and ends
exporter()
{
	exports "$1" "<udpExporter>
		<destinationIPAddress>${4:-127.0.0.1}</destinationIPAddress>
		<destinationPort>$2</destinationPort>
		<rateLimit>400000</rateLimit>
		<maxPacketSize>${5:-1400}</maxPacketSize>
		<transportLayerSecurity>$3</transportLayerSecurity>
		</udpExporter>"
}

step "Conflux to Conflux, certificates, IPv4 and IPv6, sizes fixed and probed"
for address in 127.0.0.1 127.0.0.9 ::1; do
	for size in 1400 0; do
		both=both-$address-$size
		collector "$both" "$to_exporter"
		c=$PID
		exporter "to-$both" "$PORT" "$to_collector" $address $size
		ended "to-$both" $PID
		stop $c
		ended "$both" $c
		holds "$T/$both.ipfix" $records
	done
done

step "Conflux to Conflux, pre-shared keys"
collector both-psk "$psk"
c=$PID
exporter to-psk "$PORT" "$psk$ours"
ended to-psk $PID
stop $c
ended both-psk $c
holds "$T/both-psk.ipfix" $records

# Message by message, so that each becomes a datagram of its own: the client sends
# what it reads at a time, and on a busy machine that may be several.
cat >"$T/messages.py" <<'END'
import sys, time
data = open(sys.argv[1], 'rb').read()
while data:
    length = int.from_bytes(data[2:4], 'big')
    sys.stdout.buffer.write(data[:length])
    sys.stdout.buffer.flush()
    data = data[length:]
    time.sleep(0.1)
time.sleep(float(sys.argv[2]))
END

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
	start_in "$serves" "$T/$serves.in" openssl s_server -dtls1_2 -quiet \
		-listen -accept "127.0.0.1:$PORT" "$@"
	serv=$PID
	wait_port udp "$PORT"
}

step "to openssl s_server"
serves server-x509 -cert "$T/collector.pem" -key "$T/collector.key" \
	-CAfile "$T/ca.pem" -Verify 3 -verify_return_error
exporter x509 "$PORT" "$to_collector"
ended x509 $PID
sleep 0.3; kill $serv
holds "$T/server-x509.out" $records
serves server-psk -nocert -psk "$key" -psk_identity exporter
exporter psk "$PORT" "$psk$ours"
ended psk $PID
sleep 0.3; kill $serv
holds "$T/server-psk.out" $records

# It echoes: what comes back is of no interest. What it got, it does not say.
if command -v gnutls-serv >/dev/null 2>&1; then
	step "to gnutls-serv, with heartbeats where it has them"
	for kind in x509 psk; do
		PORT=$(free_port)
		start serv-$kind gnutls-serv --udp -p "$PORT" --echo \
			--heartbeat --x509certfile "$T/collector.pem" \
			--x509keyfile "$T/collector.key" \
			--x509cafile "$T/ca.pem" --verify-client-cert \
			--require-client-cert --pskpasswd "$T/psk" \
			--priority "NORMAL:+ECDHE-PSK:+DHE-PSK"
		serv=$PID
		wait_port udp "$PORT"
		credentials=$to_collector
		[ $kind = psk ] && credentials=$psk$ours
		exporter g-$kind "$PORT" "$credentials" 127.0.0.1 0
		ended g-$kind $PID
		matches "all went out" "out/far: .*exported $records," \
			"$T/g-$kind.err"
		kill $serv
	done
fi

# Without heartbeats: a handshake within the session each second, for which one
# server says that it wants none, and the other does it.
step "handshakes within a session, with openssl s_server and gnutls-serv"
"$MKIPFIX" -n 30000 -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix
answered()
{
	times=$(grep -c "within the session was answered" "$T/$1.err")
	[ "$times" -ge 2 ] || fail "only $times answers"
	echo "$1: $times answers"
}
again="<cx:heartbeat>false</cx:heartbeat>
	<cx:renegotiationPeriod>1</cx:renegotiationPeriod>"
level=debug
serves again -cert "$T/collector.pem" -key "$T/collector.key" \
	-CAfile "$T/ca.pem" -Verify 3 -verify_return_error
exporter again-out "$PORT" "$to_collector$again"
ended again-out $PID
sleep 0.3; kill $serv
holds "$T/again.out" 30000
equal "sessions" 1 "$(grep -c "session with" "$T/again-out.err")"
matches "all went out" "out/far: .*exported 30000," "$T/again-out.err"
answered again-out
if command -v gnutls-serv >/dev/null 2>&1; then
	PORT=$(free_port)
	start again-serv gnutls-serv --udp -p "$PORT" --echo \
		--x509certfile "$T/collector.pem" \
		--x509keyfile "$T/collector.key" --x509cafile "$T/ca.pem"
	serv=$PID
	wait_port udp "$PORT"
	exporter again-gnutls "$PORT" "$to_collector$again"
	ended again-gnutls $PID
	kill $serv
	equal "sessions" 1 "$(grep -c "session with" "$T/again-gnutls.err")"
	matches "all went out" "out/far: .*exported 30000," \
		"$T/again-gnutls.err"
	answered again-gnutls
fi
level=
"$MKIPFIX" -n $records -f 50 "$T/in.ipfix" >/dev/null || fail mkipfix

# counts NAME COUNT: as many records have come
counts()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" &&
		grep -q "\"in\": *$2\b" "$T/status"
}

step "from openssl s_client, full and resumed"
need python3
collector collects "$to_exporter$psk"
c=$PID
sum=0
client()
{
	name=$1
	shift
	python3 "$T/messages.py" "$T/few.ipfix" 0.5 | openssl s_client \
		-dtls1_2 -connect "127.0.0.1:$PORT" "$@" >"$T/$name.out" \
		2>"$T/$name.err" || fail "openssl s_client: $name"
	sum=$((sum + few))
	wait_for 10 counts collects $sum
}
few=300
"$MKIPFIX" -n $few -f 50 "$T/few.ipfix" >/dev/null || fail mkipfix
set -- -cert "$T/exporter.pem" -key "$T/exporter.key" -CAfile "$T/ca.pem" \
	-verify_return_error
client full "$@" -sess_out "$T/session"
matches "new" '^New, ' "$T/full.out"
client resumed "$@" -sess_in "$T/session"
matches "resumed" '^Reused, ' "$T/resumed.out"
set -- -psk "$key" -psk_identity exporter -cipher
client psk "$@" ECDHE-PSK-CHACHA20-POLY1305 -sess_out "$T/session.psk"
client psk-resumed "$@" ECDHE-PSK-CHACHA20-POLY1305 \
	-sess_in "$T/session.psk"
matches "resumed" '^Reused, ' "$T/psk-resumed.out"
client psk-dhe "$@" DHE-PSK-AES128-GCM-SHA256
client wild -cert "$T/wild.pem" -key "$T/wild.key" -CAfile "$T/ca.pem"

if command -v gnutls-cli >/dev/null 2>&1; then
	# It sends line by line, which is no way to send messages.
	step "from gnutls-cli"
	sleep 5 | gnutls-cli --udp --x509certfile "$T/exporter.pem" \
		--x509keyfile "$T/exporter.key" --x509cafile "$T/ca.pem" \
		--verify-hostname collector.test --heartbeat -p "$PORT" \
		127.0.0.1 >"$T/gnutls.out" 2>&1 &
	PIDS="$PIDS $!"
	established()
	{
		"$CONFLUX" status -s "$T/collects.sock" -j >"$T/status" &&
			grep -q "cx:cipherSuite.*AES-256-GCM, heartbeat" \
				"$T/status"
	}
	wait_for 10 established
fi

step "who is turned away, and why"
# refused NAME REGEX CLIENT...
refused()
{
	name=$1
	regex=$2
	shift 2
	sleep 8 | timeout 10 "$@" >"$T/$name.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_for 10 grep -qE "dtls .*no session: .*$regex" "$T/collects.err"
}
set -- openssl s_client -dtls1_2 -connect "127.0.0.1:$PORT"
refused other "EXPORTER.test.*other.test" "$@" -cert "$T/other.pem" \
	-key "$T/other.key"
refused foreign "" "$@" -cert "$T/foreign.pem" -key "$T/foreign.key"
refused none "certificate" "$@"
refused wrong-key "pre-shared key is not ours" "$@" -cipher PSK \
	-psk 00112233445566778899aabbccddeeff -psk_identity exporter
counts collects $sum || fail "records of strangers were taken"
"$CONFLUX" status -s "$T/collects.sock" -j >"$T/status"
matches "rejected peers" '"cx:rejectedPeers": *4' "$T/status"
stop $c
ended collects $c

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
	wait_for 10 grep -qE 'dtls 127.*(identity|pre-shared key)' \
		"$T/psk-$wrong.err"
	give_up $e
done
stop $c
exit 0
