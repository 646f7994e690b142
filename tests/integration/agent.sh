#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The flow agent, as flowmeter runs it, against Net-SNMP's command line tools:
# SNMPv1, v2c and v3, reader and manager rows, rule sets, packages, both styles
# of TimeFilter, recycling, flood mode, restart, RFC 2064, AgentX below snmpd.
# What is read is compared with what flowmeter says it counted.
. "${SRC:-.}/tests/integration/lib.sh"

need snmpget snmpset snmpbulkwalk snmpgetnext snmpwalk
[ -x "$FLOWMETER" ] || fail "there is no $FLOWMETER"

# Tools without configuration, and without a trace in the system.
HOME=$T SNMPCONFPATH=$T SNMP_PERSISTENT_DIR=$T/snmp MIBS=
mkdir -p "$T/snmp/cert_indexes"
export HOME SNMPCONFPATH SNMP_PERSISTENT_DIR MIBS
MIB="-M $SRC/mibs -m FLOW-METER-MIB -t 2 -r 2"

# meter NAME OPTION...: starts one, waits until it listens: $PID, $AT
meter()
{
	name=$1
	start "$@"
	wait_for 20 grep -q '^listening' "$T/$name.out"
	AT=127.0.0.1:$(awk '/^listening/ { print $3; exit }' "$T/$name.out")
}

counted()
{
	wait_for 60 grep -q '^counted' "$T/$1.out"
}

# Access by the write community, unless $AS says otherwise.
AS="-v2c -c secret-w"

# shellcheck disable=SC2086
{
	get() { snmpget $AS $MIB -Oqve "$AT" "$@" 2>&1; }
	getnext() { snmpgetnext $AS $MIB -Ir -Oqne "$AT" "$@" 2>&1; }
	walk() { snmpbulkwalk $AS $MIB "$@" 2>&1; }
	set_quiet() { snmpset $AS $MIB -Ir -Oqve "$AT" "$@" 2>&1; }
}

# must OID TYPE VALUE...: a SET that succeeds
must()
{
	set_quiet "$@" >"$T/set" || {
		cat "$T/set"
		fail "SET $*"
	}
}

# refused REASON OID TYPE VALUE...: a SET that fails for that reason
refused()
{
	reason=$1
	shift
	set_quiet "$@" >"$T/set" && fail "SET $* succeeded"
	matches "SET $*" "Reason:.*$reason" "$T/set"
}

active=1 create_and_go=4 create_and_wait=5 destroy=6

# Adds up the numbers of each package on standard input, with how many there
# were: BER in hexadecimal, numbers only.
packages()
{
	awk '
	function digit(c) { return index("0123456789ABCDEF", c) - 1 }
	function hex(s) {
		return 16 * digit(substr(s, 1, 1)) + digit(substr(s, 2, 1))
	}
	function decode(p,    i, j, n, k, len, v) {
		n = split(p, byte, " ")
		if (!n) return
		if (byte[1] != "30" || hex(byte[2]) != n - 2) { bad = 1; return }
		rows++
		k = 0
		for (i = 3; i <= n; i += 2 + len) {
			len = hex(byte[i + 1])
			v = 0
			for (j = 0; j < len; j++)
				v = v * 256 + hex(byte[i + 2 + j])
			sum[++k] += v
		}
		if (k > most) most = k
	}
	# Each is in quotation marks, over several lines if it is long.
	BEGIN { RS = "\"" }
	NR % 2 == 0 { decode($0) }
	END {
		if (bad) print "broken package"
		printf "%d", rows
		for (k = 1; k <= most; k++) printf " %.0f", sum[k]
		print ""
	}'
}

# The same of the flows of a rule set in a truth file: rows and sums.
truth()
{
	awk -F, -v set="$2" -v end="$3" '
		$1 == set && (end == "" || $18 == end) {
			rows++
			a += $14; b += $15; c += $16; d += $17
		}
		END { printf "%d %.0f %.0f %.0f %.0f\n", rows, a, b, c, d }' "$1"
}

sum_column()
{
	walk -Oqv "$AT" "$1" | awk '{ n++; s += $1 } END { printf "%d %.0f\n", n, s }'
}

F=.1.3.6.1.2.1.40
package=$F.2.3.1.5

step "a meter with 300 flows that have done counting"
meter one "$FLOWMETER" -c secret-r -w secret-w --flows 300 --rate 50000 \
	--updates 5000 --truth "$T/one.csv" \
	-u nobody,ro -u auth,SHA,authpass-1 \
	-u priv,SHA-256,authpass-2,AES,privpass-2
one=$PID
counted one
equal flowMaxFlows 1200 "$(get flowMaxFlows.0)"
equal flowFloodMode 2 "$(get flowFloodMode.0)"
tr '\0' '\n' <"/proc/$one/cmdline" | grep -E 'secret|pass-' &&
	fail "the process list shows a secret"
equal sysDescr '"Conflux flowmeter"' "$(get .1.3.6.1.2.1.1.1.0)"

step "who may do what"
AS="-v2c -c secret-r"
equal "read community" 1200 "$(get flowMaxFlows.0)"
refused noAccess flowFloodMark.0 i 90
AS="-v2c -c wrong -t 0.3 -r 0"
get flowMaxFlows.0 >"$T/out" && fail "any community may read"
matches "wrong community" "No Response" "$T/out"
AS="-v1 -c secret-r"
equal "v1" 1200 "$(get flowMaxFlows.0)"
AS="-v3 -u nobody -l noAuthNoPriv"
equal "v3 noAuth" 1200 "$(get flowMaxFlows.0)"
refused noAccess flowFloodMark.0 i 90
AS="-v3 -u auth -l authNoPriv -a SHA -A authpass-1"
equal "v3 auth" 1200 "$(get flowMaxFlows.0)"
must flowFloodMark.0 i 90
AS="-v3 -u priv -l authPriv -a SHA-256 -A authpass-2 -x AES -X privpass-2"
equal "v3 authPriv" 90 "$(get flowFloodMark.0)"
AS="-v3 -u priv -l authNoPriv -a SHA-256 -A authpass-2"
get flowMaxFlows.0 >"$T/out" && fail "privacy can be left out"
matches "v3 without privacy" authorizationError "$T/out"
AS="-v3 -u auth -l authNoPriv -a SHA -A authpass-x -t 0.5 -r 0"
get flowMaxFlows.0 >"$T/out" && fail "a wrong passphrase will do"
AS="-v3 -u somebody -l noAuthNoPriv -t 0.5 -r 0"
get flowMaxFlows.0 >"$T/out" && fail "any user may read"
AS="-v2c -c secret-w"

step "a reader registers"
refused inconsistentName flowReaderTimeout.7 i 60
refused inconsistentValue flowReaderStatus.7 i $create_and_go
must flowReaderStatus.7 i $create_and_go flowReaderTimeout.7 i 60 \
	flowReaderOwner.7 s "integration test" flowReaderRuleSet.7 i 1
refused inconsistentValue flowReaderStatus.7 i $create_and_go
refused inconsistentValue flowReaderRuleSet.7 i 2
refused notWritable flowReaderPreviousTime.7 t 2
refused wrongType flowReaderLastTime.7 i 2
refused wrongValue flowReaderTimeout.7 i -1
equal "status" 1 "$(get flowReaderStatus.7)"
equal "owner" 'integration test' "$(get flowReaderOwner.7)"

ticks()
{
	# shellcheck disable=SC2086
	snmpget $AS $MIB -Oqvt "$AT" "$1"
}

step "LastTime: what is written does not matter"
must flowReaderLastTime.7 t 42
last=$(ticks flowReaderLastTime.7)
up=$(ticks .1.3.6.1.2.1.1.3.0)
[ "$last" -gt 42 ] && [ "$last" -le "$up" ] ||
	fail "LastTime is $last, sysUpTime $up"
equal PreviousTime 0 "$(ticks flowReaderPreviousTime.7)"

step "packages and columns say the same"
selector=4.27.28.29.30
walk -Cr50 -Ox -Oqv "$AT" $package.$selector.1.0 | packages >"$T/packages"
read -r rows to_octets to_pdus from_octets from_pdus <"$T/packages"
equal "flows" "$(get flowActiveFlows.0)" "$rows"
equal "records" "$rows" "$(get flowRuleInfoFlowRecords.1)"
equal "packets to" "$rows $to_pdus" "$(sum_column flowDataToPDUs)"
equal "packets from" "$rows $from_pdus" "$(sum_column flowDataFromPDUs)"

step "v1 sees packages but no Counter64"
# shellcheck disable=SC2086
snmpwalk -v1 -c secret-r $MIB -Ox -Oqv "$AT" $package.$selector.1.0 2>&1 |
	packages >"$T/out"
equal "packages by v1" "$(cat "$T/packages")" "$(cat "$T/out")"
# shellcheck disable=SC2086
equal "after octetScale" "flowDataFirstTime" "$(snmpgetnext -v1 -c secret-r \
	$MIB -Oqs "$AT" flowDataToOctets | sed 's/\..*//')"

step "a time filter"
equal "nothing since LastTime" 0 "$(walk -Oqv "$AT" $package.$selector.1.$last |
	grep -c '^"')"
equal "GETNEXT goes to the rules" "$F.3.1.1.3.1.1 0" \
	"$(getnext $package.$selector.1.$last.0)"
equal "all since 0 have T 0" "1.0" "$(walk -Oqn "$AT" $F.2.1.1.28 |
	sed "s/^$F.2.1.1.28.//; s/\.[0-9]* .*//" | sort -u)"

step "flows are recycled when they were read twice"
must flowInactivityTimeout.0 i 0
sleep 0.3
equal "still there" "$rows" "$(get flowActiveFlows.0)"
must flowReaderLastTime.7 t 0
equal PreviousTime "$last" "$(ticks flowReaderPreviousTime.7)"
none_left() { [ "$(get flowActiveFlows.0)" = 0 ]; }
wait_for 10 none_left
must flowReaderTimeout.7 i 1
row_gone() { get flowReaderStatus.7 | grep -q 'No Such Instance'; }
wait_for 10 row_gone
refused inconsistentName flowReaderLastTime.7 t 0
stop $one
equal "exit status" 0 "$STATUS"
# Scaled counters are shown shifted: octets are compared by the others.
equal "the truth of packets" "$rows $to_pdus $from_pdus" \
	"$(truth "$T/one.csv" 1 recycled | cut -d ' ' -f 1,3,5)"
equal "the truth of octets" "$(awk -F, 'NR > 1 { s += $14 + $16 }
	END { printf "%.0f", s }' "$T/one.csv")" \
	"$(sed -n 's/.* counts, \([0-9]*\) octets.*/\1/p' "$T/one.err")"
[ "$to_octets" -gt 0 ] && [ "$from_octets" -gt 0 ] || fail "no octets"
grep -qE 'secret|pass-|somebody' "$T/one.err" && fail "a secret was logged"

step "a manager downloads a rule set and runs it"
meter two "$FLOWMETER" -w secret-w --flows 50 --rate 2000 --inactivity 3600
two=$PID
must flowRuleInfoStatus.9 i $create_and_wait
equal "not ready" 3 "$(get flowRuleInfoStatus.9)"
refused inconsistentName flowRuleSelector.9.1 i 0
must flowRuleInfoSize.9 i 2 flowRuleInfoOwner.9 s tester \
	flowRuleInfoName.9 s "web"
refused inconsistentName flowRuleSelector.9.3 i 0
refused inconsistentValue flowRuleInfoStatus.9 i $active
refused wrongLength flowRuleMask.9.1 x FF
refused wrongValue flowRuleSelector.9.1 i 7
must flowRuleSelector.9.1 i 8 flowRuleMask.9.1 x FF00 \
	flowRuleMatchedValue.9.1 x 0100 flowRuleAction.9.1 i 15 \
	flowRuleParameter.9.1 i 2 flowRuleSelector.9.2 i 0 \
	flowRuleAction.9.2 i 3 flowRuleParameter.9.2 i 0
equal "ready" 2 "$(get flowRuleInfoStatus.9)"
equal "mask" '"FF 00 "' "$(get flowRuleMask.9.1)"
refused inconsistentValue flowManagerStatus.5 i $create_and_go \
	flowManagerCurrentRuleSet.5 i 9
must flowRuleInfoStatus.9 i $active
refused notWritable flowRuleAction.9.2 i 1
refused notWritable flowRuleInfoSize.9 i 3
refused notWritable flowRuleInfoStatus.1 i $destroy
must flowManagerStatus.5 i $create_and_go flowManagerCurrentRuleSet.5 i 9 \
	flowManagerHighWaterMark.5 i 65 flowManagerOwner.5 s tester
has_flows() { [ "$(get flowRuleInfoFlowRecords.9)" -ge 50 ]; }
wait_for 20 has_flows
refused inconsistentValue flowRuleInfoStatus.9 i $destroy
equal "in the table" "$F.2.1.1.4.9.0" \
	"$(getnext $F.2.1.1.4.9.0 | sed 's/\.[0-9]* .*//')"
step "interfaces that nobody wants are not counted"
must flowInterfaceSampleRate.1 i 0 flowInterfaceSampleRate.2 i 0 \
	flowInterfaceSampleRate.3 i 0 flowInterfaceSampleRate.4 i 0
before=$(sum_column flowDataToPDUs)
sleep 0.3
equal "packets" "$before" "$(sum_column flowDataToPDUs)"
must flowManagerCurrentRuleSet.5 i 0
must flowManagerStatus.5 i $destroy
must flowRuleInfoStatus.9 i $destroy
equal "no flows" "$F.2.1.1.5.1.0" \
	"$(getnext $F.2.1.1.4.9.0 | sed 's/\.[0-9]* .*//')"
stop $two

step "flood mode; a community from a file"
echo secret-w >"$T/community"
meter three "$FLOWMETER" -w "@$T/community" --flows 200 --max-flows 100 --rate 1000
equal "flood mode" 1 "$(get flowFloodMode.0)"
equal "flows at the mark" 96 "$(get flowActiveFlows.0)"
refused wrongValue flowFloodMark.0 i 101
must flowFloodMark.0 i 0 flowFloodMode.0 i 2
full() { [ "$(get flowActiveFlows.0)" = 100 ]; }
wait_for 10 full
equal "flood mode" 2 "$(get flowFloodMode.0)"
stop "$PID"

step "TimeFilter of the traditional style, and one flow of a script"
printf '# one flow\n0,192.0.2.1,198.51.100.0/24,6,1025,80,1000,2,to\n' \
	>"$T/script"
meter four "$FLOWMETER" -w secret-w --flows 0 --script "$T/script" \
	--style traditional --uptime 1000
counted four
last=$(ticks flowDataLastActiveTime.1.0.1)
equal "the same flow at T+1" "$F.2.1.1.28.1.$((last - 1)).1 2" \
	"$(getnext $F.2.1.1.28.1.$((last - 2)).1)"
equal "and at its last time" "$F.2.1.1.28.1.$last.1 2" \
	"$(getnext $F.2.1.1.28.1.$((last - 1)).1)"
equal "then the next column" "$F.2.1.1.29.1.0.1 0" \
	"$(getnext $F.2.1.1.28.1.$last.1)"
equal "a prefix" '"C6 33 64 00 "' "$(get flowDataDestPeerAddress.1.0.1)"
equal "its mask" '"FF FF FF 00 "' "$(get flowDataDestPeerMask.1.0.1)"
equal "a port" '"00 50 "' "$(get flowDataDestTransAddress.1.0.1)"
stop "$PID"

step "true times in names, which RFC 2720 may mean"
meter odd "$FLOWMETER" -w secret-w --flows 30 --rate 300 --updates 200 \
	--style literal
counted odd
walk -Oqn "$AT" $F.2.1.1.32 | sed "s/^$F.2.1.1.32.1.//; s/\./ /; s/:.*//" \
	>"$T/times"
equal "flows" 30 "$(lines "$T/times")"
sort -n -k 1,1 -k 2,2 "$T/times" | cmp - "$T/times" || fail "not in order"
stop "$PID"

step "RFC 2064: no packages, no rule set in the index, Counter32"
meter five "$FLOWMETER" -w secret-w --flows 10 --rate 0 --rfc2064
equal "flood mode" "No Such Instance currently exists at this OID" \
	"$(get $F.1.9.0)"
equal "packages" "$F.3.1.1.3.1.1 0" "$(getnext $F.2.3.1.5)"
equal "index" "$F.2.1.1.27.0.1" "$(getnext $F.2.1.1.27 | sed 's/ .*//')"
# shellcheck disable=SC2086
snmpget $AS $MIB -Ir -On "$AT" $F.2.1.1.27.0.1 >"$T/out"
matches "type" "Counter32" "$T/out"
must $F.1.3.1.6.1 i $create_and_go $F.1.3.1.2.1 i 60
stop "$PID"

step "a restart of the meter"
meter six "$FLOWMETER" -w secret-w --flows 20 --rate 100 --uptime 500000 \
	--restart-after 1500 --truth "$T/six.csv"
must flowReaderStatus.7 i $create_and_go flowReaderRuleSet.7 i 1
wait_for 10 row_gone
up=$(ticks .1.3.6.1.2.1.1.3.0)
[ "$up" -lt 100000 ] || fail "Uptime is $up"
stop "$PID"
equal "flows that were lost" 20 "$(truth "$T/six.csv" 1 restart | cut -d ' ' -f 1)"

step "what is not an option"
for wrong in "" "-c x --flows none" "-c x --style odd" "-c x -u a,SHA" \
	"-c x --flows 9999999999" "-c x more" "-c x --absent no" "-c x --script $T/none"; do
	# shellcheck disable=SC2086
	"$FLOWMETER" $wrong >"$T/out" 2>&1 && fail "flowmeter $wrong"
	matches "what flowmeter $wrong says" "flowmeter: |No such file" "$T/out"
done
echo "0,192.0.2.1,198.51.100.300,6,1,2,3,4,to" >"$T/bad"
"$FLOWMETER" -c x --script "$T/bad" 2>"$T/out" && fail "a bad script runs"
matches "a bad script" "bad:1: " "$T/out"
"$FLOWMETER" -c x -u a,SHA,short 2>"$T/out" && fail "a short passphrase"

step "AgentX"
SNMPD=${SNMPD:-$(PATH=$PATH:/usr/sbin command -v snmpd)}
if [ -z "$SNMPD" ]; then
	echo "there is no snmpd: AgentX was not tried"
	exit 0
fi
port=$(free_port)
# The sub-agent comes first: it must connect when there is a master.
start sub "$FLOWMETER" --agentx "$T/agentx" --flows 30 --rate 0
sub=$PID
counted sub
cat >"$T/snmpd.conf" <<EOF
agentaddress udp:127.0.0.1:$port
rocommunity secret-r 127.0.0.1
rwcommunity secret-w 127.0.0.1
master agentx
agentXSocket $T/agentx
EOF
start master "$SNMPD" -f -Le -C -c "$T/snmpd.conf" -I -smux -p "$T/snmpd.pid"
master=$PID
AT=127.0.0.1:$port
there() { [ "$(get flowActiveFlows.0)" = 30 ]; }
wait_for 20 there
walk -Ox -Oqv "$AT" $package.$selector.1.0 | packages >"$T/packages"
equal "packages" 30 "$(cut -d ' ' -f 1 "$T/packages")"
must flowReaderStatus.7 i $create_and_go flowReaderTimeout.7 i 60 \
	flowReaderRuleSet.7 i 1
must flowReaderLastTime.7 t 1
[ "$(ticks flowReaderLastTime.7)" -gt 1 ] || fail "LastTime was not set"
refused inconsistentValue flowReaderStatus.7 i $create_and_go
refused notWritable flowRuleInfoSize.1 i 5

step "the AgentX master goes and comes back"
stop $master
sleep 0.5
start master2 "$SNMPD" -f -Le -C -c "$T/snmpd.conf" -I -smux -p "$T/snmpd.pid"
master=$PID
wait_for 20 there
equal "the reader's row" 1 "$(get flowReaderStatus.7)"
stop $sub
equal "exit status" 0 "$STATUS"
stop $master
exit 0
