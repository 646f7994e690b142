#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# What the Exporting Process sends, read by collectors that others wrote: tshark
# (file and UDP), libfixbuf's ipfixDump (file and TCP), nfcapd and nfdump (UDP),
# pmacct's nfacctd (UDP) and python3-ipfix (file). Numbers of records and sums are equal to the unit.
. "${SRC:-.}/tests/integration/lib.sh"
need tshark ipfixDump nfcapd nfdump python3
MKEXPORT=$BUILD/tests/tools/mkexport
need "$MKEXPORT"

# Takes messages as they come: receive udp|tcp PORT FILE. UDP goes into a
# capture file for tshark (raw IPv4 packets), TCP into a plain file.
cat >"$T/receive.py" <<'PY'
import signal, socket, struct, sys
kind, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
out = open(name, "wb")
signal.signal(signal.SIGTERM, lambda *_: (out.close(), sys.exit(0)))
if kind == "tcp":
    s = socket.create_server(("127.0.0.1", port))
    c, _ = s.accept()
    while True:
        data = c.recv(65536)
        if not data:
            break
        out.write(data)
    out.close()
    sys.exit(0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("127.0.0.1", port))
out.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
n = 0
while True:
    data, peer = s.recvfrom(65536)
    udp = struct.pack(">HHHH", peer[1], port, 8 + len(data), 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton(peer[0]), socket.inet_aton("127.0.0.1"))
    out.write(struct.pack("<IIII", 1700000000, n, len(ip + udp),
                          len(ip + udp)) + ip + udp)
    out.flush()
    n += 1
PY

# No complaint of tshark, and this number of records: dissected FILE WANTED ...
dissected()
{
	file=$1
	wanted=$2
	shift 2
	tshark -r "$file" "$@" -q -z expert >"$T/expert" 2>/dev/null ||
		fail "tshark cannot read $file"
	if grep -qE 'Errors|Warns|Notes' "$T/expert"; then
		cat "$T/expert"
		fail "tshark complains about $file"
	fi
	tshark -r "$file" "$@" -V >"$T/dissected" 2>/dev/null
	if grep -qiE 'malformed|no template found|expert info' "$T/dissected"
	then
		fail "tshark does not understand $file"
	fi
	equal "records that tshark sees in $file" "$wanted" \
		"$(grep -cE '^ +Flow [0-9]+( \[|$)' "$T/dissected")"
}

data_records()
{
	sed -n 's/^\*\*\* File Stats: [0-9]* Messages, \([0-9]*\) Data.*/\1/p' \
		"$1"
}

# The sum of an element in what ipfixDump printed: dumped ELEMENT FILE
dumped()
{
	awk -v element="$1" '$2 == element && $3 == ":" { n += $NF }
		END { print n }' "$2"
}

step "a file with all kinds of records and all options"
"$MKEXPORT" --file "$T/all.ipfix" --records 9000 --max 1400 --types --keys \
	--statistics >"$T/all.json" || fail "mkexport"
equal "lost" 0 "$(json "$T/all.json" "d['lost']")"
equal "exported" 9001 "$(json "$T/all.json" "d['exported']")"
"$MKEXPORT" --file "$T/some.ipfix" --records 9000 --max 1400 \
	>"$T/some.json" || fail "mkexport"

step "tshark reads the files"
dissected "$T/some.ipfix" 9001
ipfixDump --in "$T/all.ipfix" --stats >"$T/all.stats" || fail "ipfixDump"
dissected "$T/all.ipfix" "$(data_records "$T/all.stats")"
largest=$(tshark -r "$T/all.ipfix" -T fields -e cflow.len 2>/dev/null |
	sort -n | tail -n 1)
[ "$largest" -le 1400 ] || fail "a message of $largest octets"

step "libfixbuf reads the files, and learns our elements"
ipfixDump --in "$T/some.ipfix" --stats >"$T/some.stats" || fail "ipfixDump"
equal "records that libfixbuf sees" 9001 "$(data_records "$T/some.stats")"
ipfixDump --in "$T/all.ipfix" --rfc5610 >"$T/all.dump" || fail "ipfixDump"
matches "element learnt" '^[[:space:]]*ent: 32473  id:    12  type: uint32.*siteNumber$' \
	"$T/all.dump"
matches "element learnt" '^[[:space:]]*ent: 32473  id:    13  type: string.*siteName$' \
	"$T/all.dump"
matches "flow keys" '\(145\) \(S\) +templateId' "$T/all.dump"
matches "reliability" '\(144\) \(S\) +exportingProcessId : 5' "$T/all.dump"
equal "sum of octets that libfixbuf sees" \
	"$(json "$T/all.json" "d['octets']")" \
	"$(dumped octetDeltaCount "$T/all.dump")"

step "python3-ipfix reads the files"
if /usr/bin/python3 -c 'import ipfix' 2>/dev/null; then
	/usr/bin/python3 - "$T/some.ipfix" >"$T/py" <<'PY' || fail "python3-ipfix"
import ipfix.ie, ipfix.reader, sys
ipfix.ie.use_iana_default()
n = octets = 0
for r in ipfix.reader.from_stream(open(sys.argv[1], "rb")).namedict_iterator():
    if "samplingInterval" not in r:
        n += 1
    octets += r.get("octetDeltaCount", 0)
print(n, octets)
PY
	equal "records and octets that python3-ipfix sees" \
		"9000 $(json "$T/some.json" "d['octets']")" "$(cat "$T/py")"
else
	echo "there is no python3-ipfix: left out"
fi

step "UDP to nfcapd: equal sums"
port=$(free_port)
mkdir "$T/nf"
# A collector that has to wait for the processor must not lose anything.
start nfcapd nfcapd -w "$T/nf" -p "$port" -b 127.0.0.1 -t 3600 -I x -B 4194304
nfcapd=$PID
wait_port udp "$port"
"$MKEXPORT" --udp "127.0.0.1:$port" --records 50000 --plain --rate 1e6 \
	--refresh-packets 20 >"$T/nf.json" || fail "mkexport"
sleep 1
stop "$nfcapd"
cat "$T/nfcapd.out" "$T/nfcapd.err" >"$T/nfcapd.log"
matches "sequence" "Ident: 'x' .*Sequence Errors: 0, Bad Packets: 0" \
	"$T/nfcapd.log"
nfdump -R "$T/nf" -I >"$T/nfdump" 2>/dev/null
for sum in flows octets:Bytes packets; do
	name=${sum#*:}
	equal "$name that nfdump sees" \
		"$(json "$T/nf.json" "d['${sum%:*}']")" \
		"$(sed -n "s/^$name: //Ip" "$T/nfdump")"
done

step "UDP to nfacctd (pmacct): equal sums"
if command -v nfacctd >/dev/null; then
	port=$(free_port)
	cat >"$T/nfacctd.conf" <<-END
	daemonize: false
	nfacctd_ip: 127.0.0.1
	nfacctd_port: $port
	nfacctd_pipe_size: 4194304
	plugins: print
	aggregate: proto
	print_output: csv
	print_output_file: $T/nfacctd.csv
	print_refresh_time: 600
	END
	start nfacctd nfacctd -f "$T/nfacctd.conf"
	nfacctd=$PID
	wait_port udp "$port"
	wait_for 20 grep -q "waiting for NetFlow" "$T/nfacctd.err"
	"$MKEXPORT" --udp "127.0.0.1:$port" --records 20000 --plain \
		--rate 1e6 --refresh-packets 20 >"$T/acct.json" ||
		fail "mkexport"
	sleep 1
	# Its print plugin writes what it has when it ends.
	stop "$nfacctd" INT
	wait_for 10 test -s "$T/nfacctd.csv"
	for sum in octets:BYTES packets:PACKETS; do
		equal "${sum#*:} that nfacctd has" \
			"$(json "$T/acct.json" "d['${sum%:*}']")" \
			"$(awk -F, -v name="${sum#*:}" '
			NR == 1 { for (i = 1; i <= NF; i++)
				if ($i == name) at = i; next }
			{ n += $at } END { printf "%.0f\n", n }' \
			"$T/nfacctd.csv")"
	done
else
	echo "there is no nfacctd: left out"
fi

step "UDP to tshark"
port=$(free_port)
start receive python3 "$T/receive.py" udp "$port" "$T/udp.pcap"
receive=$PID
wait_port udp "$port"
"$MKEXPORT" --udp "127.0.0.1:$port" --records 3000 --types --keys \
	--rate 2e6 >"$T/udp.json" || fail "mkexport"
sleep 0.5
stop "$receive"
# 3000 flows, 1 sampling, 2 types and 2 keys, twice.
dissected "$T/udp.pcap" 3009 -d "udp.port==$port,cflow"

step "TCP, with the withdrawals at the end"
# tshark takes the withdrawal of an Options Template (4 octets, RFC 7011 8.1) to
# have a scope field count: only libfixbuf gets one.
for what in "" --plain; do
	port=$(free_port)
	start receive python3 "$T/receive.py" tcp "$port" "$T/tcp.ipfix"
	receive=$PID
	wait_port tcp "$port"
	"$MKEXPORT" --tcp "127.0.0.1:$port" --records 20000 $what \
		>"$T/tcp.json" || fail "mkexport"
	wait_exit "$receive" 10
	ipfixDump --in "$T/tcp.ipfix" --stats >"$T/tcp.stats" ||
		fail "ipfixDump"
	equal "records over TCP" "$(json "$T/tcp.json" "d['exported']")" \
		"$(data_records "$T/tcp.stats")"
done
dissected "$T/tcp.ipfix" 20000
equal "withdrawals" 1 "$(grep -cE 'Field Count: 0$' "$T/dissected")"

step "through confluxd: elements are learnt and taught, keys are told anew"
cat >"$T/proxy.xml" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp">
  <collectingProcess>
    <name>in</name>
    <fileReader><name>f</name><file>file://$T/all.ipfix</file></fileReader>
    <exportingProcess>out</exportingProcess>
  </collectingProcess>
  <exportingProcess>
    <name>out</name>
    <destination>
      <name>file</name>
      <fileWriter><file>file://$T/through.ipfix</file></fileWriter>
    </destination>
    <options>
      <name>types</name><optionsType>extendedTypeInformation</optionsType>
    </options>
    <options><name>keys</name><optionsType>flowKeys</optionsType></options>
  </exportingProcess>
</ipfix>
XML
"$CONFLUXD" -c "$T/proxy.xml" 2>"$T/proxy.err" || fail "confluxd"
ipfixDump --in "$T/through.ipfix" --stats >"$T/through.stats" ||
	fail "ipfixDump"
dissected "$T/through.ipfix" "$(data_records "$T/through.stats")"
ipfixDump --in "$T/through.ipfix" --rfc5610 >"$T/through.dump" ||
	fail "ipfixDump"
matches "element taught" 'ent: 32473  id:    13  type: string.*siteName$' \
	"$T/through.dump"
for element in octetDeltaCount packetDeltaCount; do
	equal "$element through confluxd" "$(dumped "$element" "$T/all.dump")" \
		"$(dumped "$element" "$T/through.dump")"
done
equal "Templates whose keys are told" 2 \
	"$(sed -n 's/.*(145) (S) *templateId : //p' "$T/through.dump" |
		sort -u | lines /dev/stdin)"

step "a collector that is killed and comes back"
port=$(free_port)
start receive python3 "$T/receive.py" tcp "$port" "$T/tcp1.ipfix"
receive=$PID
wait_port tcp "$port"
start mkexport "$MKEXPORT" --tcp "127.0.0.1:$port" --records 30000 --rate 4e5
mkexport=$PID
sleep 1
stop "$receive" KILL
start receive python3 "$T/receive.py" tcp "$port" "$T/tcp2.ipfix"
receive=$PID
wait_exit "$mkexport" 30
wait_exit "$receive" 10
ipfixDump --in "$T/tcp2.ipfix" --stats >"$T/tcp2.stats" ||
	fail "the second session does not stand alone"
equal "ledger" 0 "$(json "$T/mkexport.out" \
	"d['in'] - d['exported'] - d['lost'] - d['held']")"
equal "held at the end" 0 "$(json "$T/mkexport.out" "d['held']")"
second=$(data_records "$T/tcp2.stats")
[ "$second" -gt 1000 ] || fail "only $second records in the second session"
exit 0
