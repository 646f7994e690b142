# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# What tests of TLS and DTLS share, after lib.sh: certificates and keys in $T,
# and
#
#	authority NAME			makes one
#	certificate AUTHORITY NAME [DNSNAME]
#	x509 NAME			the elements for this certificate
#	document NAME XML		$T/NAME.xml
#	collects NAME XML [MORE]	starts one with this collector, records
#					go to $T/NAME.ipfix
#	exports NAME XML		starts one that sends $T/in.ipfix to
#					this exporter's destination, and ends;
#					$level is what it logs
#	relays NAME XML [MORE]		starts one that sends what comes in at
#					TCP port $FEED to this destination; MORE
#					is of its exportingProcess
#	give_up PID			ends one that would wait for its peer
#	ended NAME PID			waits; fails unless all went well
#	holds FILE RECORDS		fails unless it has so many
#	one_domain FILE			fails unless all is in domain 1
#	$to_collector, $to_exporter	elements of an exporter, of a collector
#	$key, $psk, $ours		a pre-shared key; elements of both, and
#					what an exporter needs beside it

need openssl

# authority NAME
authority()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$T/$1.key" -out "$T/$1.pem" -subj "/CN=$1" \
		-days 2 2>/dev/null || fail "openssl req"
	: >"$T/$1.index"
	echo 01 >"$T/$1.crlnumber"
	printf '%s\n' "[ca]" "default_ca=a" "[a]" "database=$T/$1.index" \
		"crlnumber=$T/$1.crlnumber" default_md=sha256 \
		default_crl_days=2 >"$T/$1.cnf"
}

# certificate AUTHORITY NAME [DNSNAME]
certificate()
{
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$T/$2.key" -out "$T/$2.csr" -subj "/CN=$2.test" \
		2>/dev/null || fail "openssl req"
	printf '%s\n' "subjectAltName=DNS:${3:-$2.test}" \
		"extendedKeyUsage=clientAuth,serverAuth" >"$T/ext"
	openssl x509 -req -in "$T/$2.csr" -CA "$T/$1.pem" \
		-CAkey "$T/$1.key" -CAcreateserial -days 2 -out "$T/$2.pem" \
		-extfile "$T/ext" 2>/dev/null || fail "openssl x509"
	chmod 600 "$T/$2.key"
}

authority ca
authority stranger
certificate ca collector
certificate ca exporter
certificate ca other
certificate ca wild '*.wild.test'
certificate stranger foreign
umask 077
key=$(openssl rand -hex 32)
printf '%s\n' "# keys" "exporter:$key" "second:$(openssl rand -hex 16)" \
	>"$T/psk"
printf '%s\n' "exporter:$(openssl rand -hex 32)" >"$T/psk.wrong"
printf '%s\n' "nobody:$key" >"$T/psk.unknown"

x509()
{
	printf '%s' "<cx:certificateFile>$T/$1.pem</cx:certificateFile>
		<cx:keyFile>$T/$1.key</cx:keyFile>
		<cx:authoritiesFile>$T/ca.pem</cx:authoritiesFile>"
}

document()
{
	printf '%s\n' '<ipfix
		xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
		xmlns:cx="urn:conflux:config:1">' "$2" '</ipfix>' >"$T/$1.xml"
}

collects()
{
	document "$1" "${3:-}<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>$2
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name>
		<destination><name>file</name><fileWriter>
		<file>file://$T/$1.ipfix</file></fileWriter></destination>
		</exportingProcess>"
	"$CONFLUX" check "$T/$1.xml" || fail "conflux check"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
}

exports()
{
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<fileReader><name>f</name><file>file://$T/in.ipfix</file>
		</fileReader><exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>
		<destination><name>far</name>$2</destination>
		</exportingProcess>"
	"$CONFLUX" check "$T/$1.xml" || fail "conflux check"
	start "$1" "$CONFLUXD" -l "${level:-notice}" -c "$T/$1.xml"
}

relays()
{
	FEED=$(free_port)
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>
		<tcpCollector><name>t</name><localPort>$FEED</localPort>
		<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
		<exportingProcess>out</exportingProcess>
		</collectingProcess><exportingProcess><name>out</name>${3:-}
		<destination><name>far</name>$2</destination>
		</exportingProcess>"
	"$CONFLUX" check "$T/$1.xml" || fail "conflux check"
	start "$1" "$CONFLUXD" -l info -c "$T/$1.xml"
	wait_port tcp "$FEED"
}

# A second order to end does not wait for the peer.
give_up()
{
	kill "$1"
	sleep 0.3
	stop "$1"
}

# ended NAME PID: all went well
ended()
{
	wait_exit "$2" 30
	equal "status of $1" 0 "$STATUS"
	ledger_holds "$T/$1.err"
}

# holds FILE RECORDS
holds()
{
	equal "records of ${1##*/}" "$2" \
		"$("$CONFLUX" read -f json "$1" | grep -c octetDeltaCount)"
}

one_domain()
{
	need python3
	equal "domains" "{1}" "$(python3 - "$1" <<'END'
import sys
data, domains = open(sys.argv[1], 'rb').read(), set()
while data:
    domains.add(int.from_bytes(data[12:16], 'big'))
    data = data[int.from_bytes(data[2:4], 'big'):]
print(domains)
END
)"
}

to_collector=$(x509 exporter)'<remoteSubjectFQDN>collector.test</remoteSubjectFQDN>'
to_exporter=$(x509 collector)'<remoteSubjectFQDN>EXPORTER.test</remoteSubjectFQDN>
	<remoteSubjectFQDN>a.wild.test</remoteSubjectFQDN>'
psk="<cx:pskFile>$T/psk</cx:pskFile>"
ours="<cx:pskIdentity>exporter</cx:pskIdentity>"
