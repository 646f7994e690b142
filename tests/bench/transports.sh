# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh: one Conflux sends RECORDS records to another over each
# transport on the loopback, ratios are to plain TCP in the same run. Both have
# this machine's cores to themselves and nothing to do but to pass records on.
# SCTP is usrsctp in UDP at both ends, and the kernel's where it has it.
# Handshakes of TLS are those of openssl s_time, which does not wait for us in
# between, against its own s_server; those of DTLS, and connections of TCP, are
# those of mksessions.
mksessions=$BUILD/tests/tools/mksessions

# transport_conf NAME PORT: sets $collects and $exports
transport_conf()
{
	at="<localPort>$2</localPort><localIPAddress>127.0.0.1</localIPAddress>"
	to="<destinationPort>$2</destinationPort><destinationIPAddress>127.0.0.1</destinationIPAddress>"
	kind=${1%%-*}
	tls= peer=
	own= other=
	case $1 in
	sctp | dtls-sctp)
		own="<cx:stack>userland</cx:stack><cx:localEncapsulationPort>$(($2 + 20000))</cx:localEncapsulationPort>"
		other="<cx:stack>userland</cx:stack><cx:localEncapsulationPort>$(($2 + 20001))</cx:localEncapsulationPort><cx:remoteEncapsulationPort>$(($2 + 20000))</cx:remoteEncapsulationPort>"
		;;
	sctp-kernel) own="<cx:stack>kernel</cx:stack>" other=$own ;;
	esac
	case $1 in
	tls | dtls | dtls-sctp)
		kind=tcp
		[ "$1" = dtls ] && kind=udp
		[ "$1" = dtls-sctp ] && kind=sctp
		tls="<transportLayerSecurity><remoteSubjectFQDN>b.test</remoteSubjectFQDN>$(pem a)</transportLayerSecurity>"
		peer="<transportLayerSecurity><remoteSubjectFQDN>a.test</remoteSubjectFQDN>$(pem b)</transportLayerSecurity>"
		;;
	*-psk)
		[ "$kind" = tls ] && kind=tcp || kind=udp
		tls="<transportLayerSecurity><cx:pskFile>$work/pki/psk</cx:pskFile></transportLayerSecurity>"
		peer="<transportLayerSecurity><cx:pskFile>$work/pki/psk</cx:pskFile><cx:pskIdentity>b.test</cx:pskIdentity></transportLayerSecurity>"
		;;
	esac
	collects="<${kind}Collector><name>c</name>$at$tls$own</${kind}Collector>"
	exports="<${kind}Exporter>$to$peer$other</${kind}Exporter>"
}

pem()
{
	printf '<cx:certificateFile>%s.pem</cx:certificateFile><cx:keyFile>%s.key</cx:keyFile><cx:authoritiesFile>%s</cx:authoritiesFile>' \
		"$work/pki/$1.test" "$work/pki/$1.test" "$work/pki/ca.pem"
}

# pass NAME SOURCE DESTINATION: records go from one to the other
pass()
{
	cat >"$work/$1.xml" <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	<cx:controlSocket>$work/$1.sock</cx:controlSocket>
	<collectingProcess><name>in</name>$2<exportingProcess>out</exportingProcess>
	</collectingProcess><exportingProcess><name>out</name><destination>
	<name>d</name>$3</destination></exportingProcess></ipfix>
	END
}

# 1000 sessions that stay: memory for each, plain, TLS and DTLS
bench_sessions()
{
	for name in tcp tls dtls; do
		port=$((port + 1))
		transport_conf $name $port
		pass many "$(echo "$collects" | sed \
			's|</tcpC|<cx:maxConnections>2000</cx:maxConnections>&|')" \
			"$(writer /dev/null)"
		(ulimit -n 4096 && exec "$confluxd" -c "$work/many.xml") \
			2>"$work/many.err" &
		collector=$!
		sleep 1
		before=$(resident $collector)
		rm -f "$work/many.out"
		case $name in
		tcp) set -- "$mksessions" tcp "$port" 1000 ;;
		dtls) set -- "$mksessions" dtls "$port" 1000 "$work/pki" \
			b.test a.test ;;
		tls) set -- python3 "$SRC/tests/bench/sessions.py" "$port" \
			1000 "$work/pki" ;;
		esac
		(ulimit -n 4096 && exec "$@" >"$work/many.out") &
		client=$!
		while [ ! -s "$work/many.out" ] && kill -0 $client 2>/dev/null
		do
			sleep 0.2
		done
		sleep 1
		say "transports: $name: 1000 sessions:" \
			"$(calc '%.1f' "($(resident $collector) - $before) / 1000")" \
			"KiB for each"
		kill $client $collector
		wait $client $collector 2>/dev/null
	done
}

resident()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# One turn: appends "wall sender's-CPU collector's-CPU received" to NAME.
transport_turn()
{
	port=$((20000 + ($$ + port_count * 2) % 10000))
	port_count=$((port_count + 1))
	transport_conf "$1" $port
	pass "in-$1" "$collects" "$(writer /dev/null)"
	pass "out-$1" "$(reader f "$work/k4.ipfix")" "$exports"
	"$confluxd" -c "$work/in-$1.xml" 2>"$work/in-$1.err" &
	collector=$!
	sleep 1
	cost "out-$1" "$confluxd" -c "$work/out-$1.xml" || {
		kill $collector
		return 1
	}
	cpu=$(cpu_of $collector)
	kill $collector
	wait $collector
	got=$(sed -n 's/.*collectingProcess in: in \([0-9]*\),.*/\1/p' \
		"$work/in-$1.err")
	tail -n 1 "$work/out-$1" | awk -v cpu="$cpu" -v got="${got:-0}" \
		'{ print $2, $1, cpu, got }' >>"$work/turn-$1"
}

bench_transports()
{
	port_count=0
	generate k4 10000
	"$BUILD/src/cli/conflux" pki "$work/pki" a.test b.test >/dev/null &&
		"$BUILD/src/cli/conflux" pki -p "$work/pki" b.test >/dev/null ||
		return
	transports="tcp udp tls tls-psk dtls dtls-psk sctp dtls-sctp"
	[ ! -d /proc/net/sctp ] || transports="$transports sctp-kernel"
	make -s -C "$BUILD" tests/tools/mksessions || return
	i=0
	while [ $i -lt "$RUNS" ]; do
		for name in $transports; do
			transport_turn $name || return
		done
		i=$((i + 1))
	done
	tcp=$(calc '%.0f' "$(median turn-tcp 4) / $(median turn-tcp 1)")
	for name in $transports; do
		rate=$(calc '%.0f' \
			"$(median turn-$name 4) / $(median turn-$name 1)")
		say "transports: $name: $rate records/s," \
			"$(calc '%.2f' "$rate / $tcp") of tcp;" \
			"$(calc '%.1f' "$(median turn-$name 2) * 1e9 / $RECORDS") ns" \
			"a record to send," \
			"$(calc '%.1f' "$(median turn-$name 3) * 1e9 / $RECORDS") to collect;" \
			"$(calc '%.0f' "$RECORDS - $(median turn-$name 4)") lost"
	done
	bench_handshakes
	bench_connections
	bench_sessions
}

# handshakes ARGUMENT...: full ones in a second, by s_time against $port
handshakes()
{
	openssl s_time -connect "127.0.0.1:$port" -new -time 5 \
		-cert "$work/pki/b.test.pem" -key "$work/pki/b.test.key" \
		-CAfile "$work/pki/ca.pem" "$@" 2>/dev/null |
		sed -n 's/^\([0-9]*\) connections in \([0-9]*\) real seconds.*/\1 \2/p' |
		awk '{ printf "%.0f", $1 / $2 }'
}

bench_handshakes()
{
	command -v openssl >/dev/null || return
	port=$((port + 1))
	transport_conf tls $port
	pass hands "$collects" "$(writer /dev/null)"
	"$confluxd" -c "$work/hands.xml" 2>"$work/hands.err" &
	collector=$!
	sleep 1
	for version in tls1_2 tls1_3; do
		handshakes -$version >"$work/hands-$version"
	done
	kill $collector
	wait $collector
	openssl s_server -accept "127.0.0.1:$port" -quiet -no_ticket \
		-cert "$work/pki/a.test.pem" -key "$work/pki/a.test.key" \
		-CAfile "$work/pki/ca.pem" -Verify 3 >/dev/null 2>&1 &
	server=$!
	sleep 1
	for version in tls1_2 tls1_3; do
		ours=$(cat "$work/hands-$version")
		peer=$(handshakes -$version)
		say "transports: $version: ${ours:-no} full handshakes/s with" \
			"certificates of both; openssl s_server ${peer:-no}"
	done
	kill $server
	wait $server 2>/dev/null
}

# connections KIND [ARGUMENT...]: that come up and end in a second, 32 at a time
connections()
{
	kind=$1
	shift
	"$mksessions" -e "$kind" "$port" 3000 "$@" 2>/dev/null |
		awk '{ printf "%.0f", $1 / $(NF - 1) }'
}

# Of DTLS, with certificates of both, by one client, which has as much work.
bench_connections()
{
	for name in tcp dtls; do
		port=$((port + 1))
		transport_conf $name $port
		pass short "$(echo "$collects" | sed \
			's|</transportL|<cx:maxHandshakes>65535</cx:maxHandshakes><cx:handshakeRate>1000000</cx:handshakeRate>&|')" \
			"$(writer /dev/null)"
		"$confluxd" -c "$work/short.xml" 2>"$work/short.err" &
		collector=$!
		sleep 1
		before=$(cpu_of $collector)
		[ $name = dtls ] && set -- "$work/pki" b.test a.test || set --
		rate=$(connections $name "$@")
		cpu=$(calc '%.0f' \
			"($(cpu_of $collector) - $before) * 1e6 / 3000")
		[ $name = dtls ] || tcp=$rate
		say "transports: $name: ${rate:-no} connections/s," \
			"$(calc '%.2f' "${rate:-0} / $tcp") of tcp;" \
			"$cpu us each to collect"
		kill $collector
		wait $collector
	done
}
