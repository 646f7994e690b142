#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The collector, inside, makes the connection to the exporter, outside; the
# firewall between them (nftables) lets no other through. Two Conflux over TCP
# and TLS, with certificates and keys; either ended, killed and turned away;
# then each of them with openssl at the other end, and tshark and ipfixDump for
# what came.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need nft python3 tshark ipfixDump
: "${CORPUS:=$SRC/../shared/corpus}"
hosts in out
IN=10.0.9.1 OUT=10.0.9.2 PORT=4740 FEED=9995

ip link add cx netns "$ns.in" type veth peer name cx netns "$ns.out" &&
	on in ip addr add $IN/24 dev cx && on out ip addr add $OUT/24 dev cx &&
	on in ip link set lo up && on out ip link set lo up &&
	on in ip link set cx up && on out ip link set cx up ||
	skip "no veth here"
on in nft -f - <<'RULES' || skip "no nftables here"
table inet wall {
	chain in {
		type filter hook input priority 0; policy drop;
		iifname "lo" accept
		ct state established,related accept
	}
}
RULES

# secured TLS: the element around these
secured()
{
	[ -z "$1" ] ||
		echo "<cx:transportLayerSecurity>$1</cx:transportLayerSecurity>"
}

# listener [TLS [MORE]]: a destination
listener()
{
	echo "<destination><name>far</name><cx:tcpListener>
		<cx:localIPAddress>$OUT</cx:localIPAddress>
		<cx:localPort>$PORT</cx:localPort>
		<cx:collectorIPAddress>$IN</cx:collectorIPAddress>
		$(secured "${1:-}")${2:-}</cx:tcpListener></destination>"
}

# dialer [TLS [MORE]]: a collector
dialer()
{
	echo "<cx:tcpDialer><cx:name>d</cx:name>
		<cx:exporterIPAddress>$OUT</cx:exporterIPAddress>
		<cx:exporterPort>$PORT</cx:exporterPort>$(secured "${1:-}")
		<cx:reconnectMin>50</cx:reconnectMin>
		<cx:reconnectMax>200</cx:reconnectMax>${2:-}</cx:tcpDialer>"
}

# daemon HOST NAME: starts it with $T/NAME.xml
daemon()
{
	"$CONFLUX" check "$T/$2.xml" || fail "conflux check $2"
	start "$2" ip netns exec "$ns.$1" "$CONFLUXD" -l info -c "$T/$2.xml"
}

# way NAME COLLECTORS DESTINATIONS
way()
{
	document "$1" "<cx:controlSocket>$T/$1.sock</cx:controlSocket>
		<collectingProcess><name>in</name>$2
		<exportingProcess>out</exportingProcess></collectingProcess>
		<exportingProcess><name>out</name>$3</exportingProcess>"
}

# inside NAME [TLS [MORE]]: dials, and writes what comes to $T/NAME.ipfix
inside()
{
	way "$1" "$(dialer "${2:-}" "${3:-}")" "<destination><name>f</name>
		<fileWriter><file>file://$T/$1.ipfix</file></fileWriter>
		</destination>"
	daemon in "$1"
}

# outside NAME [TLS [MORE]]: listens, and sends $T/in.ipfix
outside()
{
	way "$1" "<fileReader><name>f</name><file>file://$T/in.ipfix</file>
		</fileReader>" "$(listener "${2:-}" "${3:-}")"
	daemon out "$1"
}

# relay NAME [TLS [MORE]]: listens, and sends what `feed` gives it
relay()
{
	way "$1" "<tcpCollector><name>t</name><localPort>$FEED</localPort>
		<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>" \
		"$(listener "${2:-}" "${3:-}")"
	rm -f "$T/$1.sock"
	daemon out "$1"
	wait_for 10 status "$1"
}

# feed RECORDS SEED
feed()
{
	on out "$MKIPFIX" -n "$1" -S "$2" -6 0 -f 9999999 \
		"tcp:127.0.0.1:$FEED" >/dev/null
}

status()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null
}

# shows NAME REGEX: its status has a line like that
shows()
{
	status "$1" && tr -d ' \n' <"$T/status" | grep -qE "$2"
}

# arrived NAME COUNT: so many records came in
arrived()
{
	status "$1" && [ "$(json "$T/status" \
		"d['collectingProcess'][0]['cx:ledger']['in']")" -ge "$2" ]
}

# totals FILE...: records, octets and packets
totals()
{
	for file in "$@"; do
		"$CONFLUX" read -f json "$file" || fail "conflux read $file"
	done | python3 -c '
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

"$MKIPFIX" -n 5000 -f 1000 -e "$T/in.ipfix" >/dev/null || fail mkipfix
made=$(totals "$T/in.ipfix")
# Of the exporter and of the collector.
theirs="$(x509 exporter)<cx:remoteSubjectFQDN>collector.test</cx:remoteSubjectFQDN>"
ours="$(x509 collector)<cx:remoteSubjectFQDN>exporter.test</cx:remoteSubjectFQDN>"

step "no way in from outside"
start listen ip netns exec "$ns.in" python3 -c '
import socket, time
s = socket.create_server(("'$IN'", '$PORT'))
time.sleep(60)'
listen=$PID
wait_for 10 sh -c "ip netns exec $ns.in ss -ltn | grep -q :$PORT"
on out python3 -c '
import socket
try:
    socket.create_connection(("'$IN'", '$PORT'), 1)
    print("open")
except OSError:
    print("closed")' >"$T/way"
equal "from outside" closed "$(cat "$T/way")"
stop "$listen"

# whole NAME THEIRS OURS: all of a file comes
whole()
{
	step "$1"
	inside "in-$1" "$3"
	collector=$PID
	wait_for 10 shows "in-$1" '"cx:failedConnections":[1-9]'
	outside "out-$1" "$2"
	ended "out-$1" "$PID"
	wait_for 20 arrived "in-$1" "${made%% *}"
	stop "$collector"
	equal "status" 0 "$STATUS"
	equal "records, octets, packets" "$made" "$(totals "$T/in-$1.ipfix")"
}

whole tcp "" ""
whole tls "$theirs" "$ours"
matches "it proved who it is" 'connected to "collector.test" with TLSv1.3' \
	"$T/out-tls.err"
whole psk "$psk" "$psk<cx:pskIdentity>exporter</cx:pskIdentity>"
matches "it proved who it is" 'connected to "exporter" with TLSv1.3' \
	"$T/out-psk.err"

step "either end goes and comes back; what waits is in the spool"
spool="<cx:spool><cx:directory>$T/spool</cx:directory></cx:spool>"
relay far "$theirs" "$spool"
far=$PID
inside first "$ours"
near=$PID
feed 3000 11
wait_for 20 arrived first 3000
stop "$near"
equal "status" 0 "$STATUS"
feed 2000 12
wait_for 10 shows far '"cx:state":"awa'
wait_for 10 shows far '"records":2000,'
stop "$far" KILL
relay far "$theirs" "$spool"
far=$PID
matches "found" "2000 records of an earlier run are there" "$T/far.err"
feed 1000 13
inside second "$ours"
near=$PID
wait_for 20 arrived second 3000
stop "$far"
equal "status" 0 "$STATUS"
wait_for 10 shows second '"cx:failedConnections":[1-9]'
relay far "$theirs" "$spool"
far=$PID
feed 1000 14
wait_for 20 arrived second 4000
for n in 11:3000 12:2000 13:1000 14:1000; do
	"$MKIPFIX" -n ${n#*:} -S ${n%:*} -6 0 -f 9999999 \
		"$T/fed-$n.ipfix" >/dev/null
done

step "another collector is turned away, and one that may not be heard"
inside another "$(x509 other)<cx:remoteSubjectFQDN>exporter.test</cx:remoteSubjectFQDN>"
another=$PID
wait_for 10 shows far '"cx:rejectedPeers":[1-9]'
stop "$another"
matches "it says why" '"other.test" refused: domain name: expected "collector.test"' \
	"$T/far.err"
inside stranger "$(x509 foreign)<cx:remoteSubjectFQDN>exporter.test</cx:remoteSubjectFQDN>"
stranger=$PID
wait_for 10 grep -q 'foreign.test.* is issued by' "$T/far.err"
stop "$stranger"
inside mistaken "$(x509 collector)<cx:remoteSubjectFQDN>other.test</cx:remoteSubjectFQDN>"
mistaken=$PID
wait_for 10 shows mistaken '"cx:rejectedPeers":[1-9]'
stop "$mistaken"
matches "it says why" '"exporter.test" refused: domain name: expected "other.test"' \
	"$T/mistaken.err"
arrived second 4000 || fail "the one that is there"
stop "$far"
stop "$near"
equal "all that was fed" "$(totals "$T"/fed-*.ipfix)" \
	"$(totals "$T/first.ipfix" "$T/second.ipfix")"
# Either may talk to it; one does.
relay far "$(x509 exporter)<cx:remoteCertificationAuthorityDN>CN=ca</cx:remoteCertificationAuthorityDN>"
far=$PID
inside third "$ours"
near=$PID
wait_for 10 shows far '"cx:peer":"collector.test"'
inside fourth "$(x509 other)<cx:remoteSubjectFQDN>exporter.test</cx:remoteSubjectFQDN>"
fourth=$PID
wait_for 10 shows far '"cx:refusedSessions":[1-9]'
feed 1000 11
wait_for 10 arrived third 1000
stop "$near"
wait_for 10 shows far '"cx:peer":"other.test"'
feed 1000 12
wait_for 10 arrived fourth 1000
stop "$far"
stop "$fourth"
holds "$T/third.ipfix" 1000
holds "$T/fourth.ipfix" 1000

step "the path is cut without a word, and then is there again"
spool="<cx:spool><cx:directory>$T/cut</cx:directory></cx:spool>"
relay cut "$theirs" "$spool<cx:silenceTime>1</cx:silenceTime>"
far=$PID
inside before "$ours"
near=$PID
feed 1000 11
wait_for 10 arrived before 1000
on in nft add table inet cut
on in nft add chain inet cut in \
	'{ type filter hook input priority -1; policy drop; }'
feed 1000 12
wait_for 20 shows cut '"status":"inactive"'
matches "it says why" "does not acknowledge anything any more" "$T/cut.err"
wait_for 10 shows cut '"records":1000,'
on in nft delete table inet cut
inside after "$ours"
after=$PID
wait_for 10 arrived after 1000
stop "$far"
stop "$near"
stop "$after"
holds "$T/before.ipfix" 1000
holds "$T/after.ipfix" 1000

# Passes connections on and resets them, with what is on its way.
cat >"$T/breaker.py" <<PYTHON
import random, select, socket, struct
random.seed(1)
listener = socket.create_server(("$OUT", $PORT))
def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
broken = 0
while True:
    ends = [listener.accept()[0]]
    try:
        ends.append(socket.create_connection(("$OUT", $PORT + 1)))
    except OSError:
        reset(ends[0])
        continue
    left = random.randrange(2000, 90000) if broken < 15 else 1 << 60
    while left > 0:
        try:
            for s in select.select(ends, [], [])[0]:
                data = s.recv(min(4096, left))
                left = left - len(data) if data else 0
                if left > 0:
                    ends[s is ends[0]].sendall(data)
        except OSError:
            left = 0
    broken += 1
    print("broken", broken, flush=True)
    for s in ends:
        reset(s)
PYTHON

step "the connection breaks again and again, with acknowledgement"
yes="<cx:acknowledgement>true</cx:acknowledgement>"
spool="<cx:spool><cx:directory>$T/kept</cx:directory></cx:spool>"
start breaker ip netns exec "$ns.out" python3 "$T/breaker.py"
breaker=$PID
IN=$OUT PORT=$((PORT + 1)) relay exact "$theirs" \
	"$spool<cx:maxMessageSize>4000</cx:maxMessageSize>$yes"
far=$PID
inside once "$ours" "$yes"
near=$PID
feed 20000 11
wait_for 30 grep -q "broken 15" "$T/breaker.out"
wait_for 20 shows exact '"cx:spool":{"directory":"[^"]*","records":0,'
stop "$far"
equal "status" 0 "$STATUS"
stop "$breaker"
stop "$near"
"$MKIPFIX" -n 20000 -S 11 -6 0 -f 9999999 "$T/exact.ipfix" >/dev/null
equal "each once" "$(totals "$T/exact.ipfix")" "$(totals "$T/once.ipfix")"

step "to openssl s_client, read by ipfixDump and tshark"
outside to-client "$theirs"
far=$PID
wait_for 10 status to-client
on in openssl s_client -connect "$OUT:$PORT" -cert "$T/collector.pem" \
	-key "$T/collector.key" -CAfile "$T/ca.pem" -verify_return_error \
	-quiet </dev/null >"$T/client.ipfix" 2>"$T/client.err" ||
	fail "openssl s_client"
ended to-client "$far"
equal "records, octets, packets" "$made" "$(totals "$T/client.ipfix")"
ipfixDump --in "$T/client.ipfix" --stats >"$T/stats" || fail ipfixDump
tshark -r "$T/client.ipfix" >"$T/frames" 2>/dev/null ||
	fail "tshark cannot read it"
# It does not know how an Options Template is withdrawn, as is done in the last.
bad="_ws.expert.severity == error && frame.number < $(lines "$T/frames")"
tshark -r "$T/client.ipfix" -Y "$bad" 2>/dev/null | grep . &&
	fail "tshark complains"

step "from openssl s_server"
file=$T/in.ipfix
pcap=$CORPUS/flows/telegraf/ipfix_example.pcap
if [ -f "$pcap" ]; then
	tshark -r "$pcap" -d udp.port==4739,data -T fields -e udp.payload \
		2>/dev/null | python3 -c '
import sys
for line in sys.stdin:
    sys.stdout.buffer.write(bytes.fromhex(line.strip().replace(":", "")))' \
		>"$T/corpus.ipfix"
	cat "$T/corpus.ipfix" "$T/in.ipfix" >"$T/both.ipfix"
	file=$T/both.ipfix
fi
mkfifo "$T/to-server"
start_in server "$T/to-server" ip netns exec "$ns.out" openssl s_server \
	-accept "$OUT:$PORT" -cert "$T/exporter.pem" -key "$T/exporter.key" \
	-CAfile "$T/ca.pem" -Verify 3 -verify_return_error -quiet
server=$PID
exec 8>"$T/to-server"
inside from-server "$ours"
near=$PID
# If it has something to send before hands are shaken, it may then wait for
# something to read, for ever.
wait_for 10 shows from-server '"cx:peer":"exporter.test"'
cat "$file" >&8 &
PIDS="$PIDS $!"
wanted=$("$CONFLUX" read -f json "$file" | wc -l | tr -d ' ')
wait_for 20 arrived from-server "$wanted"
stop "$server"
exec 8>&-
stop "$near"
"$CONFLUX" read -f json "$T/from-server.ipfix" | wc -l >"$T/came"
equal "records" "$wanted" "$(tr -d ' ' <"$T/came")"
equal "records, octets, packets" "$(totals "$file")" \
	"$(totals "$T/from-server.ipfix")"
exit 0
