#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# A chain of three: a site, a proxy between two firewalls, a centre, each in a
# network namespace of its own. The firewall (nftables) lets connections be made
# from the site to the proxy and from there to the centre, and no others. Each
# transport is once the first hop and once the second; what comes out is what
# went in.
#
# CHAIN_RECORDS: so many records for each pair of transports (20000).
# CHAIN_PAIRS: of the pairs only these, as "udp-tcp tls-dtls" (all).
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need nft python3
RECORDS=${CHAIN_RECORDS:-20000}
PATIENCE=$((60 + RECORDS / 10000))
hosts site wall proxy centre

# host NAME NUMBER: 10.0.NUMBER.2 behind the firewall, which is .1
host()
{
	ip link add cx netns "$ns.$1" type veth peer name "cx$1" \
		netns "$ns.wall" &&
		on "$1" ip addr add "10.0.$2.2/24" dev cx &&
		on wall ip addr add "10.0.$2.1/24" dev "cx$1" &&
		on "$1" ip link set lo up && on "$1" ip link set cx up &&
		on wall ip link set "cx$1" up &&
		on "$1" ip route add default via "10.0.$2.1"
}

# SCTP is the library's, in UDP.
PORT=4739 TO=9899
host site 1 && host proxy 2 && host centre 3 &&
	on wall sysctl -qw net.ipv4.ip_forward=1 || skip "no veth here"
on wall nft -f - <<RULES || skip "no nftables here"
table inet wall {
	chain made {
		ip daddr 10.0.2.2 iifname "cxsite" accept
		ip daddr 10.0.3.2 iifname "cxproxy" accept
	}
	chain through {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		tcp dport $PORT ct state new jump made
		udp dport { $PORT, $TO } ct state new jump made
	}
}
RULES

# secured SIDE TRANSPORT: the elements of that end
secured()
{
	case $2 in
	tls | dtls | dtls-sctp) ;;
	*) return ;;
	esac
	echo "<transportLayerSecurity>"
	if [ "$1" = in ]; then echo "$to_exporter"; else echo "$to_collector"; fi
	echo "</transportLayerSecurity>"
}

# collector TRANSPORT ADDRESS
collector()
{
	head="<name>c</name><localPort>$PORT</localPort>
		<localIPAddress>$2</localIPAddress>"
	case $1 in
	udp | dtls)
		echo "<udpCollector>$head$(secured in "$1")</udpCollector>" ;;
	tcp | tls)
		echo "<tcpCollector>$head$(secured in "$1")</tcpCollector>" ;;
	*)
		echo "<sctpCollector>$head$(secured in "$1")
			<cx:stack>userland</cx:stack>
			<cx:localEncapsulationPort>$TO</cx:localEncapsulationPort>
			</sctpCollector>" ;;
	esac
}

# exporter TRANSPORT ADDRESS TO-ADDRESS
exporter()
{
	from="<sourceIPAddress>$2</sourceIPAddress>"
	to="<destinationIPAddress>$3</destinationIPAddress>"
	head="<destinationPort>$PORT</destinationPort>"
	# What a datagram meets is a queue; loss is not what is shown here.
	rate="<rateLimit>4000000</rateLimit>"
	case $1 in
	udp | dtls)
		echo "<udpExporter>$head$(secured out "$1")$from$to$rate
			</udpExporter>" ;;
	tcp | tls)
		echo "<tcpExporter>$head$(secured out "$1")$from$to
			</tcpExporter>" ;;
	*)
		echo "<sctpExporter>$head$(secured out "$1")$from$to
			<cx:stack>userland</cx:stack>
			<cx:localEncapsulationPort>$TO</cx:localEncapsulationPort>
			<cx:remoteEncapsulationPort>$TO</cx:remoteEncapsulationPort>
			</sctpExporter>" ;;
	esac
}

# daemon HOST NAME: starts it with $T/NAME.xml
daemon()
{
	start "$2" ip netns exec "$ns.$1" "$CONFLUXD" -c "$T/$2.xml"
}

# arrived NAME COUNT: so many came in
arrived()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null &&
		[ "$(json "$T/status" "d['collectingProcess'][0]['cx:ledger']['in']")" \
			-ge "$2" ]
}

# totals FILE: records, octets and packets
totals()
{
	"$CONFLUX" read -f json "$1" | python3 -c '
import json, sys
n = octets = packets = 0
for line in sys.stdin:
    d = json.loads(line)
    if "octetDeltaCount" in d:
        n += 1
        octets += d["octetDeltaCount"]
        packets += d["packetDeltaCount"]
print(n, octets, packets)'
}

# chain FIRST SECOND
chain()
{
	pair=$1-$2
	case " ${CHAIN_PAIRS:-$pair} " in *" $pair "*) ;; *) return ;; esac
	step "$1, then $2"
	document "$pair-centre" "<cx:controlSocket>$T/$pair-centre.sock</cx:controlSocket>
		<collectingProcess><name>in</name>$(collector "$2" 10.0.3.2)
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name><destination><name>f</name>
		<fileWriter><file>file://$T/$pair.ipfix</file></fileWriter>
		</destination></exportingProcess>"
	document "$pair-proxy" "<cx:controlSocket>$T/$pair-proxy.sock</cx:controlSocket>
		<collectingProcess><name>in</name>$(collector "$1" 10.0.2.2)
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name><destination><name>f</name>
		$(exporter "$2" 10.0.2.2 10.0.3.2)</destination>
		</exportingProcess>"
	document "$pair-site" "<cx:controlSocket>$T/$pair-site.sock</cx:controlSocket>
		<collectingProcess><name>in</name><fileReader><name>f</name>
		<file>file://$T/in.ipfix</file></fileReader>
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name><destination><name>f</name>
		$(exporter "$1" 10.0.1.2 10.0.2.2)</destination>
		</exportingProcess>"
	for part in centre proxy site; do
		"$CONFLUX" check "$T/$pair-$part.xml" || fail "conflux check"
	done
	daemon centre "$pair-centre"
	centre=$PID
	daemon proxy "$pair-proxy"
	proxy=$PID
	wait_for 60 arrived "$pair-centre" 0
	wait_for 60 arrived "$pair-proxy" 0
	daemon site "$pair-site"
	wait_exit "$PID" $PATIENCE
	ended "$pair-site" "$PID"
	wait_for 60 arrived "$pair-proxy" "$RECORDS"
	stop "$proxy"
	equal "status of the proxy" 0 "$STATUS"
	wait_for 60 arrived "$pair-centre" "$RECORDS"
	stop "$centre"
	equal "status of the centre" 0 "$STATUS"
	equal "records, octets, packets" "$made" "$(totals "$T/$pair.ipfix")"
	rm -f "$T/$pair.ipfix"
}

"$MKIPFIX" -n "$RECORDS" -f 1000 "$T/in.ipfix" >/dev/null || fail mkipfix
made=$(totals "$T/in.ipfix")

step "no other way than that of the chain"
cat >"$T/listen.py" <<PYTHON
import socket, time
s = socket.create_server(("10.0.3.2", $PORT))
time.sleep(60)
PYTHON
start listen ip netns exec "$ns.centre" python3 "$T/listen.py"
listen=$PID
wait_for 10 sh -c "ip netns exec $ns.centre ss -ltn | grep -q :$PORT"
# way FROM ADDRESS: whether that is open or closed
way()
{
	on "$1" python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], '$PORT'), 1).close()
    print("open")
except OSError:
    print("closed")' "$2"
}
for from in site proxy; do
	way $from 10.0.3.2 >"$T/way.$from"
done
# Now all know where the others are: else the first burst of datagrams has to wait
# for an answer, and the kernel lets less than a hundred wait.
way site 10.0.2.2 >/dev/null
equal "from the site to the centre" closed "$(cat "$T/way.site")"
equal "from the proxy to the centre" open "$(cat "$T/way.proxy")"
stop "$listen"

chain udp tcp
chain tcp tls
chain tls dtls
chain dtls sctp
chain sctp dtls-sctp
chain dtls-sctp udp
exit 0
