#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Many sessions of DTLS over UDP at one collector: 1000 exporters at once, while
# handshakes of others stall (all are counted, memory is bounded); and sessions
# that are replaced a hundred times under load, with not one record lost or
# doubled.
. "${SRC:-.}/tests/integration/lib.sh"
. "$SRC/tests/integration/lib_secure.sh"
need python3
MKSESSIONS=$BUILD/tests/tools/mksessions
[ -x "$MKSESSIONS" ] || skip "there is no $MKSESSIONS (make check builds it)"
# Of exporters: at least 1000 sockets.
ulimit -n 4096 2>/dev/null || skip "no 4096 files"

# account NAME EXPRESSION: of d, its status
account()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/$1.status" 2>/dev/null &&
		json "$T/$1.status" "$2"
}

# is NAME EXPRESSION WANTED
is()
{
	[ "$(account "$1" "$2")" = "$3" ]
}

ledger="d['cx:total']['cx:ledger']"
near="d['collectingProcess'][0]['udpCollector'][0]"
resident()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

step "1000 sessions at once, and 100 handshakes that stall"
PORT=$(free_port)
collects crowd "<udpCollector><name>dtls</name><localPort>$PORT</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<transportLayerSecurity>$to_exporter$psk
	<cx:maxHandshakes>1000</cx:maxHandshakes>
	<cx:handshakeRate>100000</cx:handshakeRate>
	<cx:handshakeTimeout>3000</cx:handshakeTimeout>
	</transportLayerSecurity></udpCollector>"
c=$PID
wait_port udp "$PORT"
"$MKIPFIX" -n 3000 -f 50 "$T/one.ipfix" >/dev/null || fail mkipfix
each=$(head -c "$(od -An -j2 -N2 -tu1 "$T/one.ipfix" |
	awk '{ print $1 * 256 + $2 }')" "$T/one.ipfix" >"$T/first.ipfix" &&
	"$CONFLUX" read -f json "$T/first.ipfix" | grep -c octetDeltaCount)
before=$(resident $c)
start sessions "$MKSESSIONS" -m "$T/one.ipfix" dtls "$PORT" 1000 "$T" exporter \
	collector.test
s=$PID
start stall python3 "$SRC/tests/integration/dtls_hostile.py" stall "$PORT" \
	"$SRC/tests/fuzz/corpus/dtls/hello-openssl" 100 6
wait_for 60 [ -s "$T/sessions.out" ]
cat "$T/sessions.out"
matches "all are up" "^1000 up, 0 failed" "$T/sessions.out"
wait_for 20 is crowd "$ledger['in']" $((1000 * each))
equal "sessions" "1000 1" "$(account crowd \
	"len($near['transportSession']), len(set(s['cx:peer'] for s in
	$near['transportSession']))" | tr -d '(),')"
after=$(resident $c)
echo "resident: $before kB before, $after kB with 1000 sessions"
# A sanitizer keeps what was freed.
[ -n "${ASAN_OPTIONS:-}" ] || [ $((after - before)) -lt 100000 ] ||
	fail "more than 100 kB a session"
wait_for 10 is crowd "$near.get('cx:failedHandshakes', 0)" 100
stop $s
equal "exit status of the exporters" 0 "$STATUS"
wait_for 10 is crowd "len($near['transportSession'])" 0
equal "sessions that ended" 1000 \
	"$(account crowd "$near['cx:endedSessions']['cx:sessions']")"
stop $c
ended crowd $c
holds "$T/crowd.ipfix" $((1000 * each))

# Exporters with addresses of their own: to the collector, each is another one.
step "sessions replaced a hundred times in all, at eight exporters"
PORT=$(free_port)
collects replaced "<udpCollector><name>dtls</name><localPort>$PORT</localPort>
	<localIPAddress>127.0.0.1</localIPAddress>
	<transportLayerSecurity>$to_exporter</transportLayerSecurity>
	</udpCollector>"
c=$PID
wait_port udp "$PORT"
FEED=$(free_port)
for n in 1 2 3 4 5 6 7 8; do
	printf '%s' "<destination><name>d$n</name><udpExporter>
		<sourceIPAddress>127.0.1.$n</sourceIPAddress>
		<destinationIPAddress>127.0.0.1</destinationIPAddress>
		<destinationPort>$PORT</destinationPort>
		<transportLayerSecurity>$to_collector
		<cx:sessionLifetime>1</cx:sessionLifetime>
		</transportLayerSecurity></udpExporter></destination>"
done >"$T/destinations"
document replaces "<cx:controlSocket>$T/replaces.sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<tcpCollector><name>t</name><localPort>$FEED</localPort>
	<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
	<exportingProcess>out</exportingProcess></collectingProcess>
	<exportingProcess><name>out</name>
	<exportMode>parallel</exportMode>
	$(cat "$T/destinations")</exportingProcess>"
"$CONFLUX" check "$T/replaces.xml" || fail "conflux check"
start replaces "$CONFLUXD" -l info -c "$T/replaces.xml"
e=$PID
sessions()
{
	grep -c "dtls .*: session with" "$T/replaces.err"
}
have()
{
	[ "$(sessions)" -ge "$1" ]
}
wait_for 20 have 8
fed=0
while [ "$(sessions)" -lt 108 ] && [ $fed -lt 30 ]; do
	fed=$((fed + 1))
	"$MKIPFIX" -n 20000 -s $fed -r ${RATE:-10000} "tcp:127.0.0.1:$FEED" \
		>"$T/feed.out" || fail mkipfix
done
all=$((fed * 20000))
wait_for 20 is replaces "sum(x['cx:ledger']['exported']
	for x in d['exportingProcess'][0]['destination'])" $((8 * all))
wait_for 20 is replaced "$ledger['in']" $((8 * all))
stop $e
equal "exit status of the exporters" 0 "$STATUS"
stop $c
equal "exit status of the collector" 0 "$STATUS"
echo "$(sessions) sessions, $((8 * all)) records"
[ "$(sessions)" -ge 108 ] || fail "only $(sessions) sessions"
ledger_holds "$T/replaced.err"
ledger_holds "$T/replaces.err"
matches "nothing missing" "collectingProcess in: in $((8 * all)),.* lost 0\$" \
	"$T/replaced.err"
# Each record as often as it was sent.
for n in $(seq $fed); do
	"$MKIPFIX" -n 20000 -s "$n" "$T/fed.ipfix" >/dev/null
	"$CONFLUX" read -f json "$T/fed.ipfix"
done | sed 's/"template":[0-9]*,//g' | sort | uniq -c |
	awk '{ $1 *= 8; print }' | md5sum >"$T/wanted"
"$CONFLUX" read -f json "$T/replaced.ipfix" | sed 's/"template":[0-9]*,//g' |
	sort | uniq -c | awk '{ $1 += 0; print }' | md5sum >"$T/got"
cmp "$T/wanted" "$T/got" || fail "the records differ"
exit 0
