#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Acknowledgement between Conflux: records go from A by B to C, which writes
# them to files. What breaks under load: connections, and any but the first,
# killed without warning. Each record arrives once, and the accounts say so.
#
#	KILLS	how often, by hand (24): make integration T=ack KILLS=50
. "${SRC:-.}/tests/integration/lib.sh"
need python3

a=$(free_port) b=$(free_port) c=$(free_port)

# exporter PORT NAME: a destination that is acknowledged
exporter()
{
	cat <<-XML
	<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress>
	  <destinationPort>$1</destinationPort>
	  <cx:spool><cx:directory>$T/spool-$2</cx:directory></cx:spool>
	  <cx:maxMessageSize>4000</cx:maxMessageSize>
	  <cx:reconnectMin>20</cx:reconnectMin>
	  <cx:reconnectMax>100</cx:reconnectMax>
	  <cx:acknowledgement>true</cx:acknowledgement></tcpExporter>
	XML
}

# config NAME PORT ACKNOWLEDGES DESTINATION
config()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>1</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>t</name><localPort>$2</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress>
	      <cx:acknowledgement>$3</cx:acknowledgement></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>there</name>$4</destination>
	  </exportingProcess>
	</ipfix>
	XML
}

# nothing_waits NAME...: their spools are empty
nothing_waits()
{
	for name in "$@"; do
		"$CONFLUX" status -s "$T/$name.sock" -j >"$T/status" \
			2>/dev/null || return 1
		[ "$(json "$T/status" "d['exportingProcess'][0]['destination']\
[0]['cx:spool']['records']" 2>/dev/null)" = 0 ] || return 1
	done
}

# The flows of files, one a line; their source addresses count on.
flows()
{
	for file in "$@"; do
		"$CONFLUX" read -f json "$file" 2>>"$T/read.err"
	done | sed -n 's/.*"sourceIPv4Address":"\([0-9.]*\)".*/\1/p'
}

config a "$a" false "$(exporter "$b" a)"
config b "$b" true "$(exporter "$c" b)"
config c "$c" true "<fileWriter><file>file://$T/c.ipfix</file></fileWriter>"
sed "s|<cx:workers>|<cx:acknowledgementFile>$T/had</cx:acknowledgementFile>&|
	s|</fileWriter>|<cx:append>true</cx:append>&|" "$T/c.xml" >"$T/e.xml"

# breaker PORT TO: passes octets on both ways, and resets both connections after
# some, so that data and answers are lost on their way.
cat >"$T/breaker.py" <<'PY'
import random, select, socket, struct, sys
port, to, count = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
random.seed(1)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(16)
def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack("ii", 1, 0))
    s.close()
broken = 0
while True:
    one, _ = listener.accept()
    try:
        other = socket.create_connection(("127.0.0.1", to))
    except OSError:
        reset(one)
        continue
    left = random.randrange(2000, 60000) if broken < count else 1 << 60
    while left > 0:
        ready, _, _ = select.select([one, other], [], [])
        try:
            for s in ready:
                data = s.recv(min(4096, left))
                if not data:
                    left = 0
                    break
                left -= len(data)
                # The last ones are read, and go no further.
                if left > 0:
                    (other if s is one else one).sendall(data)
        except OSError:
            left = 0
    broken += 1
    print("broken", broken, flush=True)
    reset(one)
    reset(other)
PY

step "the connection breaks again and again"
middle=$(free_port)
sed "s/>$b</>$middle</" "$T/a.xml" >"$T/a1.xml"
start c "$CONFLUXD" -c "$T/c.xml"
pc=$PID
start b "$CONFLUXD" -c "$T/b.xml"
pb=$PID
start breaker python3 "$T/breaker.py" "$middle" "$b" 20
breaker=$PID
wait_port tcp "$middle"
start a "$CONFLUXD" -c "$T/a1.xml"
pa=$PID
wait_port tcp "$a"
"$MKIPFIX" -n 20000 -6 0 -f 9999999 "tcp:127.0.0.1:$a" >/dev/null
wait_for 20 grep -q "broken 20" "$T/breaker.out"
wait_for 20 nothing_waits a b
stop $pa
stop $breaker
stop $pb
stop $pc
flows "$T/c.ipfix" >"$T/got"
equal "arrived" 20000 "$(lines "$T/got")"
equal "each once" 20000 "$(sort -u "$T/got" | wc -l | tr -d ' ')"

# run NAME: it may have to wait for the port of the one before it
run()
{
	rm -f "$T/$1.sock"
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
}

# pause: up to half a second
pause()
{
	sleep 0.$(od -An -N1 -tu1 /dev/urandom | awk '{ printf "%02d", $1 % 50 }')
}

step "two relays and a collector are killed under load, again and again"
rm -rf "$T"/spool-* "$T/c.ipfix"
d=$(free_port)
config a "$a" false "$(exporter "$b" a)"
config b "$b" true "$(exporter "$d" b)"
config d "$d" true "$(exporter "$c" d)"
run e
pe=$PID
run b
pb=$PID
run d
pd=$PID
run a
pa=$PID
wait_port tcp "$a"
start feed "$MKIPFIX" -n 40000 -6 0 -f 9999999 -r 8000 "tcp:127.0.0.1:$a"
feed=$PID
kills=0
while running $feed || [ $kills -lt "${KILLS:-24}" ]; do
	pause
	case $((kills % 3)) in
	0)
		stop $pb KILL
		run b
		pb=$PID
		;;
	1)
		stop $pd KILL
		run d
		pd=$PID
		;;
	2)
		stop $pe KILL
		run e
		pe=$PID
		;;
	esac
	kills=$((kills + 1))
done
echo "$kills times"
wait_for 20 nothing_waits a b d
stop $pa
stop $pb
stop $pd
stop $pe
flows "$T/c.ipfix" >"$T/got"
equal "arrived" 40000 "$(lines "$T/got")"
equal "each once" 40000 "$(sort -u "$T/got" | wc -l | tr -d ' ')"

step "the disk of a relay is full while its collector is away, and it is killed"
no_disk()
{
	code=$?
	umount -l "$T/spool-b" 2>/dev/null
	(exit $code)
	cleanup
}
# Of 512 KiB there are less, as the disk is full.
reserve_is_used()
{
	[ "$(wc -c <"$T/spool-b/reserve")" -lt 524288 ]
}
rm -rf "$T"/spool-*
mkdir "$T/spool-b"
trap no_disk EXIT
if [ "$(id -u)" = 0 ] &&
		mount -t tmpfs -o size=1400k none "$T/spool-b" 2>/dev/null; then
	config b "$b" true "$(exporter "$c" b | sed \
		's|</cx:directory>|&<cx:whenFull>dropNewest</cx:whenFull>|')"
	run b
	pb=$PID
	run a
	pa=$PID
	wait_port tcp "$a"
	"$MKIPFIX" -n 40000 -6 0 -f 9999999 "tcp:127.0.0.1:$a" >/dev/null
	wait_for 20 reserve_is_used
	stop $pb KILL
	run b
	pb=$PID
	start c "$CONFLUXD" -c "$T/c.xml"
	pc=$PID
	wait_for 20 nothing_waits a b
	stop $pa
	stop $pb
	stop $pc
	flows "$T/c.ipfix" >"$T/got"
	equal "arrived" 40000 "$(lines "$T/got")"
	equal "each once" 40000 "$(sort -u "$T/got" | wc -l | tr -d ' ')"
	umount "$T/spool-b"
else
	echo "not tried: no tmpfs can be mounted"
fi

step "the collector, which writes a file, is ended, and comes back"
rm -rf "$T"/spool-* "$T"/*.sock "$T/c.ipfix"
sed "s/>$b</>$c</" "$T/a.xml" >"$T/a2.xml"
run e
pe=$PID
start a2 "$CONFLUXD" -c "$T/a2.xml"
pa=$PID
wait_port tcp "$a"
start feed "$MKIPFIX" -n 20000 -6 0 -f 9999999 -r 8000 "tcp:127.0.0.1:$a"
feed=$PID
for i in 1 2 3 4 5; do
	pause
	wait_for 10 "$CONFLUX" status -s "$T/c.sock"
	stop $pe
	equal "status" 0 "$STATUS"
	run e
	pe=$PID
done
wait_exit $feed 20
wait_for 20 nothing_waits a
stop $pa
stop $pe
flows "$T/c.ipfix" >"$T/got"
equal "arrived" 20000 "$(lines "$T/got")"
equal "each once" 20000 "$(sort -u "$T/got" | wc -l | tr -d ' ')"
matches "the file" "^end$" "$T/had"
exit 0
