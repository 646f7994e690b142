#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Store and forward: a collector that is away, that breaks connections under
# load, confluxd itself ended and killed, and disks that are full. What arrives
# is counted record by record.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

from=$(free_port) to=$(free_port)

# config NAME [LEAVES-OF-THE-SPOOL [LEAVES-OF-THE-PROCESS]]
config()
{
	cat >"$T/$1.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:workers>1</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <tcpCollector><name>t</name><localPort>$from</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>there</name><tcpExporter>
	      <destinationIPAddress>127.0.0.1</destinationIPAddress>
	      <destinationPort>$to</destinationPort>
	      <cx:spool><cx:directory>${FOLDER:-$T/spool}</cx:directory>
	        ${2:-}</cx:spool>
	      <cx:maxMessageSize>4000</cx:maxMessageSize>
	      <cx:reconnectMin>50</cx:reconnectMin>
	      <cx:reconnectMax>100</cx:reconnectMax></tcpExporter>
	    </destination>${3:-}
	  </exportingProcess>
	</ipfix>
	XML
}

# A collector that is exact: what the kernel acknowledged for it is in its file.
# It reads at most so many octets a second. At SIGTERM it reads no more, waits
# until the window is closed or all has come, takes what the kernel has without
# opening the window, and resets the connection.
cat >"$T/collector.py" <<'PY'
import fcntl, signal, socket, struct, sys, termios, time
port, name, rate = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
listener.bind(("127.0.0.1", port))
listener.listen(1)
ending = False
def end(*_):
    global ending
    ending = True
signal.signal(signal.SIGTERM, end)
def waiting(s):
    return struct.unpack("i", fcntl.ioctl(s, termios.FIONREAD, b"\0" * 4))[0]
listener.settimeout(0.1)
rest = b""
with open(name, "wb") as out:
    def take(data):
        global rest
        rest += data
        at = 0
        while len(rest) - at >= 4:
            version, length = struct.unpack_from(">HH", rest, at)
            assert version == 10
            if len(rest) - at < length:
                break
            at += length
        out.write(rest[:at])
        out.flush()
        rest = rest[at:]
    s = None
    while not ending and s is None:
        try:
            s, _ = listener.accept()
        except socket.timeout:
            pass
    if s is not None:
        s.settimeout(0.1)
        while not ending:
            try:
                data = s.recv(65536)
            except socket.timeout:
                continue
            if not data:
                break
            take(data)
            time.sleep(len(data) / rate)
        before, since = -1, time.time()
        while time.time() - since < 0.3:
            n = waiting(s)
            if n != before:
                before, since = n, time.time()
            time.sleep(0.01)
        if before:
            take(s.recv(before, socket.MSG_PEEK))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
        s.close()
PY

collector()
{
	start "$1" python3 "$T/collector.py" "$to" "$T/$1.ipfix" "${2:-99999999}"
	wait_port tcp "$to"
}

# The flows of a file, one a line; their source addresses count on.
flows()
{
	for file in "$@"; do
		"$CONFLUX" read -f json "$file" 2>>"$T/read.err"
	done | sed -n 's/.*"sourceIPv4Address":"\([0-9.]*\)".*/\1/p'
}

in_order()
{
	awk -F. '{ n = (($1 * 256 + $2) * 256 + $3) * 256 + $4
		if (n <= last) { print NR; exit 1 } last = n }' "$1" ||
		fail "records are out of order in $1"
}

status()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/status" 2>/dev/null
}

# spool_has NAME MEMBER EXPRESSION-OF-v
spool_has()
{
	status "$1" && python3 - "$T/status" "$2" "$3" <<-'PY'
	import json, sys
	def find(node):
	    if isinstance(node, dict):
	        if "cx:spool" in node:
	            return node["cx:spool"]
	        node = list(node.values())
	    for child in node if isinstance(node, list) else []:
	        found = find(child)
	        if found:
	            return found
	v = find(json.load(open(sys.argv[1]))).get(sys.argv[2], 0)
	sys.exit(not eval(sys.argv[3]))
	PY
}

# ledger LOG NUMBER: of the destination, at the end
ledger()
{
	sed -n "s/.*ledger: destination out.there: //p" "$1" | tr ',' '\n' |
		awk -v name="$2" '$1 == name { n = $2 } END { print n + 0 }'
}

run()
{
	start "$1" "$CONFLUXD" -c "$T/${2:-$1}.xml"
	live=$PID
	wait_port tcp "$from"
}

ended()
{
	stop $live
	equal "status of $1" 0 "$STATUS"
	ledger_holds "$T/$1.err"
}

send()
{
	"$MKIPFIX" -n "$1" -6 0 -f 9999999 -S "${2:-11}" \
		"tcp:127.0.0.1:$from" >/dev/null
}

step "the collector is away; confluxd ends and comes back, and then the collector"
config away
run away
send 20000
wait_for 10 spool_has away records "v == 20000"
spool_has away replaying "not v" || fail "nothing can be replayed now"
ended away
equal "in" 20000 "$(ledger "$T/away.err" in)"
equal "held" 20000 "$(ledger "$T/away.err" held)"
matches "it is told" "20000 records that wait for it are kept" "$T/away.err"
flows "$T"/spool/*.ipfix >"$T/stored"
equal "in the segments" 20000 "$(lines "$T/stored")"
rm "$T/away.sock"
run back away
matches "found" "20000 records of an earlier run are there" "$T/back.err"
collector got
wait_for 20 spool_has away records "v == 0"
ended back
equal "in" 20000 "$(ledger "$T/back.err" in)"
equal "sent" 20000 "$(ledger "$T/back.err" exported)"
stop $(echo $PIDS | awk '{ print $NF }')
flows "$T/got.ipfix" >"$T/got"
cmp "$T/stored" "$T/got" || fail "what arrived is not what was stored"
in_order "$T/got"
[ ! -e "$T"/spool/*.ipfix ] || fail "the spool is not empty"

step "the collector resets its connection under load, again and again"
config broken "" "<cx:queueOctets>131072</cx:queueOctets>"
run broken
start feed "$MKIPFIX" -n 30000 -6 0 -f 9999999 -r 20000 "tcp:127.0.0.1:$from"
feed=$PID
files=
for i in 1 2 3; do
	collector part$i 600000
	part=$PID
	files="$files $T/part$i.ipfix"
	if [ $i = 3 ]; then
		wait_exit $feed 30
		break
	fi
	wait_for 10 test -s "$T/part$i.ipfix"
	sleep 0.5
	stop $part
	equal "status of the collector" 0 "$STATUS"
done
stop $part
collector last
part=$PID
wait_for 20 spool_has broken records "v == 0"
ended broken
stop $part
equal "in" 30000 "$(ledger "$T/broken.err" in)"
equal "sent" 30000 "$(ledger "$T/broken.err" exported)"
equal "lost" 0 "$(ledger "$T/broken.err" lost)"
flows $files "$T/last.ipfix" | sort >"$T/got"
equal "arrived" 30000 "$(lines "$T/got")"
equal "each once" 30000 "$(uniq "$T/got" | wc -l | tr -d ' ')"

step "confluxd is killed while it stores, and while it replays"
config killed "<cx:replayRate>30000</cx:replayRate>"
run killed
send 40000
wait_for 10 spool_has killed records "v == 40000"
stop $live KILL
size=$(cat "$T"/spool/*.ipfix | wc -c)
rm -f "$T/killed.sock"
run killed2 killed
matches "all is there" "40000 records of an earlier run" "$T/killed2.err"
collector first
part=$PID
wait_for 10 spool_has killed replayedRecords "v > 5000"
stop $live KILL
wait_exit $part 10
rm -f "$T/killed.sock"
run killed3 killed
collector second
wait_for 20 spool_has killed records "v == 0"
part=$PID
ended killed3
stop $part
flows "$T/first.ipfix" "$T/second.ipfix" | sort >"$T/got"
equal "each record" 40000 "$(uniq "$T/got" | wc -l | tr -d ' ')"
# Not more than what is read ahead: 1 MiB and a message.
most=$(((1048576 + 4000) * 40000 / size))
again=$(($(lines "$T/got") - 40000))
[ $again -le $most ] || fail "$again records came again, at most $most should"
echo "$again records came again"

# full NAME RULE: the disk can't hold all that comes; then it can
full()
{
	config "$1" "<cx:whenFull>$2</cx:whenFull>
		<cx:segmentSize>65536</cx:segmentSize>" \
		"<cx:queueOctets>131072</cx:queueOctets>"
	run "$1"
	"$MKIPFIX" -n 40000 -6 0 -f 9999999 -r 40000 \
		"tcp:127.0.0.1:$from" >/dev/null &
	feed=$!
	wait_for 10 grep -q "No space left on device" "$T/$1.err"
	if [ "$2" = dropOldest ]; then
		wait $feed
		wait_for 5 spool_has "$1" records "v > 0"
	fi
	mount -o remount,size=50m "$FOLDER"
	collector "got-$1"
	part=$PID
	wait $feed
	wait_for 20 spool_has "$1" records "v == 0"
	ended "$1"
	stop $part
	equal "in" 40000 "$(ledger "$T/$1.err" in)"
	got=$(flows "$T/got-$1.ipfix" | sort -u | wc -l | tr -d ' ')
	equal "arrived" "$(ledger "$T/$1.err" exported)" "$got"
	equal "the rest" $((40000 - got)) "$(ledger "$T/$1.err" lost)"
	[ "$(lines "$T/$1.err")" -lt 60 ] || fail "the log is flooded"
	echo "$got arrived, of the others it is said: $(grep -o 'diskFull [0-9]*' \
		"$T/$1.err" | tail -n 1)"
}

step "the disk is full"
FOLDER=$T/disk
mkdir "$FOLDER"
no_disk()
{
	code=$?
	umount -l "$T/disk" 2>/dev/null
	(exit $code)
	cleanup
}
trap no_disk EXIT
if [ "$(id -u)" = 0 ] &&
		mount -t tmpfs -o size=600k none "$FOLDER" 2>/dev/null; then
	full oldest dropOldest
	[ "$(ledger "$T/oldest.err" lost)" -gt 0 ] || fail "nothing was lost"
	mount -o remount,size=600k "$FOLDER"
	# Sources that can wait do so instead.
	full newest dropNewest
else
	echo "not tried: no tmpfs can be mounted"
fi

step "a folder has one user"
FOLDER=
config one
run one
sed "s/$from/$(free_port)/; s/one.sock/two.sock/" "$T/one.xml" >"$T/two.xml"
"$CONFLUXD" -c "$T/two.xml" 2>"$T/two.log"
equal "status" 1 $?
matches "why" "spool: another process or destination has it" "$T/two.log"
ended one
exit 0
