#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# SIGHUP: certificates, keys, revocation lists and pre-shared keys are read
# again, and not a record is lost; what can't be used changes nothing.
. "${SRC:-.}/tests/integration/lib.sh"
need openssl python3
pki=$T/pki

pki()
{
	"$CONFLUX" pki "$@" >"$T/pki.out" 2>&1 || {
		cat "$T/pki.out"
		fail "conflux pki $*"
	}
}

# files NAME
files()
{
	printf '%s' "<cx:certificateFile>$pki/$1.pem</cx:certificateFile>
		<cx:keyFile>$pki/$1.key</cx:keyFile>
		<cx:authoritiesFile>$pki/ca.pem</cx:authoritiesFile>
		<cx:revocationsFile>$pki/crl.pem</cx:revocationsFile>"
}

# Of the link that is secured: tcp (TLS) or udp (DTLS).
transport=tcp
retry="<cx:reconnectMin>50</cx:reconnectMin>
      <cx:reconnectMax>200</cx:reconnectMax>"

# collector WORKERS: $to, $collector
collector()
{
	to=$(free_port)
	cat >"$T/collector.xml" <<EOF
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:controlSocket>$T/collector.sock</cx:controlSocket>
  <cx:workers>$1</cx:workers>
  <collectingProcess><name>in</name>
    <${transport}Collector><name>tls</name><localPort>$to</localPort>
      <localIPAddress>127.0.0.1</localIPAddress>
      <transportLayerSecurity>
	<remoteSubjectFQDN>exporter.test</remoteSubjectFQDN>
	$(files collector.test)
	<cx:pskFile>$pki/psk</cx:pskFile>
      </transportLayerSecurity></${transport}Collector>
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name><destination><name>file</name>
    <fileWriter><file>file://$T/out.ipfix</file></fileWriter>
    </destination></exportingProcess>
</ipfix>
EOF
	"$CONFLUX" check "$T/collector.xml" || fail check
	start collector "$CONFLUXD" -c "$T/collector.xml"
	collector=$PID
	wait_port $transport "$to"
}

# exporter NAME TLS: $from, $exporter
exporter()
{
	from=$(free_port)
	cat >"$T/$1.xml" <<EOF
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
  <collectingProcess><name>in</name>
    <tcpCollector><name>tcp</name><localPort>$from</localPort>
      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name><destination><name>centre</name>
    <${transport}Exporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
      <destinationPort>$to</destinationPort>
      $retry
      <transportLayerSecurity>$2</transportLayerSecurity></${transport}Exporter>
    </destination></exportingProcess>
</ipfix>
EOF
	"$CONFLUX" check "$T/$1.xml" || fail check
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	exporter=$PID
	wait_port tcp "$from"
}

secured="$(files exporter.test)
	<remoteSubjectFQDN>collector.test</remoteSubjectFQDN>"

# reload NAME PID: and wait until it is done
reload()
{
	count=$(grep -c 'certificates and keys were read again' "$T/$1.err")
	kill -HUP "$2"
	wait_for 10 more "$T/$1.err" 'certificates and keys were read again' \
		"$count"
	# That was the first worker; the others are told then.
	sleep 0.3
}

# more FILE TEXT COUNT: more lines than that
more()
{
	[ "$(grep -c "$2" "$1")" -gt "$3" ]
}

# state NAME EXPRESSION
state()
{
	"$CONFLUX" status -j -s "$T/$1.sock" >"$T/state" 2>/dev/null || return 1
	json "$T/state" "$2"
}

has_received()
{
	[ "$(state collector "d['cx:total']['cx:ledger']['in']")" = "$1" ]
}

is_up()
{
	[ "$(state exporter "d['exportingProcess'][0]['destination'][0][
		'${transport}Exporter']['transportSession']['status']")" = active ]
}

is_down()
{
	! is_up
}

# send COUNT
send()
{
	"$MKIPFIX" -n "$1" -f 50 -d "$1" "tcp:127.0.0.1:$from" >/dev/null ||
		fail mkipfix
}

# client FILES-OF OPTION...: what openssl says of the collector
client()
{
	cert=$1
	shift
	timeout 10 openssl s_client -connect "127.0.0.1:$to" \
		-CAfile "$pki/ca.pem" -cert "$cert.pem" -key "$cert.key" "$@" \
		</dev/null >"$T/client" 2>&1
	# Who is turned away in TLS 1.3 hears of it behind the handshake.
	! grep -q 'alert' "$T/client"
}

serial()
{
	openssl x509 -noout -serial -in "$1"
}

pki "$pki" collector.test exporter.test
pki -p "$pki" exporter.test

for workers in 1 3; do
	step "new files for new sessions, old sessions go on; $workers workers"
	collector $workers
	exporter exporter "$secured"
	send 500
	wait_for 10 has_received 500
	rm -rf "$T/old"
	mkdir "$T/old"
	cp -p "$pki"/*.test.* "$T/old"
	pki --renew "$pki" collector.test exporter.test
	reload exporter $exporter
	reload collector $collector
	send 700
	wait_for 10 has_received 1200
	equal "sessions of the exporter" 1 "$(state exporter \
		"d['exportingProcess'][0]['destination'][0]['cx:sessions']")"
	# Enough connections for each worker to have some.
	for n in 1 2 3 4 5 6 7 8; do
		client "$pki/exporter.test" -tls1_2 || fail "new certificate"
		equal serial "$(serial "$pki/collector.test.pem")" \
			"$(serial "$T/client")"
		client "$T/old/exporter.test" -tls1_2 ||
			fail "a certificate that is still valid"
	done

	step "who is revoked has to go; $workers workers"
	pki -r exporter.test "$pki"
	pki "$pki" exporter.test
	reload collector $collector
	for n in 1 2 3 4 5 6 7 8; do
		client "$pki/exporter.test" -tls1_2 || fail "new certificate"
		client "$T/old/exporter.test" -tls1_2 &&
			fail "a revoked certificate is taken"
	done
	matches "why" "exporter.test.*certificate revoked" "$T/collector.err"
	matches "session" "its certificate was revoked" "$T/collector.err"
	# It comes back as soon as it knows that it is somebody else.
	sleep 1
	is_up && fail "the revoked exporter is up"
	reload exporter $exporter
	wait_for 10 is_up
	send 300
	wait_for 10 has_received 1500

	step "what can't be used changes nothing; $workers workers"
	mv "$pki/collector.test.key" "$T/key"
	reload collector $collector
	equal "told once" 1 "$(grep -c \
		'collector.test.key: No such file.*goes on' "$T/collector.err")"
	matches "told" "read again: 0 of 1 collectors and destinations" \
		"$T/collector.err"
	echo "garbage" >"$pki/collector.test.key"
	chmod 600 "$pki/collector.test.key"
	reload collector $collector
	matches "told" "collector.test.key: no private key.*goes on" \
		"$T/collector.err"
	client "$pki/exporter.test" -tls1_2 || fail "the present certificate"
	mv "$T/key" "$pki/collector.test.key"

	step "a key more; $workers workers"
	pki -p "$pki" second$workers.test
	reload collector $collector
	key=$(cut -d: -f2 "$pki/second$workers.test.psk")
	for n in 1 2 3 4 5 6; do
		client "$pki/exporter.test" -psk "$key" -tls1_3 \
			-psk_identity second$workers.test ||
			fail "the new pre-shared key"
		matches "key in use" "^Reused, TLSv1.3" "$T/client"
	done

	step "nothing was lost; $workers workers"
	stop $exporter
	equal "status of the exporter" 0 $STATUS
	stop $collector
	equal "status of the collector" 0 $STATUS
	"$CONFLUX" read -f json "$T/out.ipfix" >"$T/records"
	equal records 1500 "$(lines "$T/records")"
done

step "the same over DTLS"
transport=udp retry=
collector 2
exporter exporter "$secured"
wait_for 10 is_up
send 500
wait_for 10 has_received 500
pki --renew "$pki" collector.test exporter.test
reload exporter $exporter
reload collector $collector
send 700
wait_for 10 has_received 1200
pki -r exporter.test "$pki"
pki "$pki" exporter.test
reload collector $collector
matches "session" "exporter.test.*its certificate was revoked" \
	"$T/collector.err"
wait_for 10 is_down
reload exporter $exporter
wait_for 20 is_up
send 300
wait_for 10 has_received 1500
# Now the other end.
pki -r collector.test "$pki"
pki "$pki" collector.test
reload exporter $exporter
matches "session" "its certificate was revoked" "$T/exporter.err"
is_up && fail "a revoked collector is used"
reload collector $collector
wait_for 20 is_up
stop $exporter
stop $collector
transport=tcp

step "what should be seen to is told at the start and at a reload"
collector 1
grep 'warning' "$T/collector.err" && fail "nothing is wrong"
chmod 640 "$pki/collector.test.key"
reload collector $collector
matches "key" "collecting: in/tls: $pki/collector.test.key: its group may read" \
	"$T/collector.err"
stop $collector
exit 0
