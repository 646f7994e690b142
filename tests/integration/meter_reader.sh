#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The meter reader against our own agent, in every way that meters differ: what
# the records add up to has to be what the meter counted, to the unit. Then
# what goes wrong in real life: lost, doubled and late datagrams, a reader row
# that somebody deletes, indexes used again, a reader that is killed, a meter
# that restarts. snmpset and snmpget (Net-SNMP) are the ones who meddle.
. "${SRC:-.}/tests/integration/lib.sh"

READER=$BUILD/tests/integration/meter_reader
LOSSY=$BUILD/tests/tools/udp_lossy
for p in "$FLOWMETER" "$READER" "$LOSSY"; do
	[ -x "$p" ] || skip "there is no $p"
done
need awk

FLOWS="--flows 100 --rate 800 --updates 1600"
V2="-c private"
V3="-u bob,SHA-256,authpass1,AES,privpass1"

# meter OPTION...: starts one, sets METER and PORT
meter()
{
	rm -f "$T/truth" "$T/meter.out"
	# shellcheck disable=SC2086
	start meter "$FLOWMETER" --truth "$T/truth" "$@"
	METER=$PID
	wait_for 10 grep -qE "^listening .* [0-9]+$" "$T/meter.out"
	PORT=$(sed -n 's/^listening.* //p' "$T/meter.out" | head -n 1)
}

# reader NAME OPTION...: starts one on PORT
reader()
{
	name=$1
	shift
	start "$name" "$READER" -p "$PORT" -i 1 --jitter 0 --count --each \
		--stop 8000 "$@"
	READ=$PID
}

# Ends the reader when all is counted, which makes a last pass, then the meter.
finish()
{
	wait_for 30 grep -q counted "$T/meter.out"
	sleep "${1:-0.2}"
	stop "$READ"
	equal "exit of the reader" 0 "$STATUS"
	stop "$METER"
}

# Adds up lines by flow. Truth has a header, and 0 for no protocol.
sums()
{
	awk -F, '
	FNR == 1 && /^rule_set/ {
		for (i = 1; i <= NF; i++)
			c[$i] = i
		truth = 1
		next
	}
	{
		if (truth) {
			k = $c["rule_set"] "," $c["source"] "," $c["dest"] ","
			k = k ($c["protocol"] ? $c["protocol"] : "") ","
			k = k $c["source_port"] "," $c["dest_port"]
			n = c["to_octets"]
		} else {
			k = $1 "," $2 "," $3 "," $4 "," $5 "," $6
			n = 7
		}
		for (i = 0; i < 4; i++)
			s[k, i] += $(n + i)
		key[k] = 1
	}
	END {
		for (k in key)
			if (s[k, 0] + s[k, 1] + s[k, 2] + s[k, 3])
				printf "%s,%.0f,%.0f,%.0f,%.0f\n", k, s[k, 0],
					s[k, 1], s[k, 2], s[k, 3]
	}' "$@" | sort
}

# same FILE...: the truth is what these add up to
same()
{
	sums "$T/truth" >"$T/wanted"
	sums "$@" >"$T/got"
	[ -s "$T/wanted" ] || fail "the meter counted nothing"
	cmp -s "$T/wanted" "$T/got" || {
		diff "$T/wanted" "$T/got" | head -n 10
		fail "the sums of the reader are not those of the meter"
	}
}

# A field of the report that the reader prints; several may be in a line.
field()
{
	awk -v name="$1" '{
		for (i = 1; i < NF; i++)
			if ($i == name) {
				print $(i + 1)
				exit
			}
	}' "$2"
}

ledger()
{
	equal "ledger of $1" "$(field in "$1")" "$(field exported "$1")"
	equal "lost in $1" 0 "$(field lost "$1")"
}

mode()
{
	step "$1"
	# shellcheck disable=SC2086
	meter -c public -w private $V3 -u carol -u dave,SHA-256,authpass1 \
		$FLOWS $2
	# shellcheck disable=SC2086
	reader r $3
	finish
	same "$T/r.out"
	ledger "$T/r.err"
	equal "access" "$4" "$(field access "$T/r.err")"
}

mode "v2c, packages, one pass" "" "$V2" packages
mode "v2c, packages, traditional TimeFilter" "--style traditional" "$V2" packages
mode "v1, packages" "--style traditional" "$V2 -v 1" packages
mode "v3 noAuthNoPriv" "" "-u carol" packages
mode "v3 authNoPriv" "" "-u dave,authpass1" packages
mode "v3 authPriv" "" "-u bob,authpass1,privpass1" packages
mode "columns instead of packages" "" "$V2 --access columns" columns
mode "RFC 2064" "--rfc2064" "$V2" columns
mode "RFC 2064, v1, traditional" "--rfc2064 --style traditional" "$V2 -v 1" columns
mode "absent attributes are NULL" "--absent null" "$V2" packages
mode "absent attributes are empty" "--absent empty" "$V2" packages
mode "totals around the wrap of Uptime" "--uptime 4294967000" "$V2" packages
mode "indexes are used again at once" "--inactivity 1" "$V2" packages
mode "messages of 484 octets" "" "$V2 --message 484" packages

# option FIELD VALUE: how many Options Data Records have it
option()
{
	grep -c "\"$1\":$2[,}]" "$T/r.err"
}

step "names of rule sets and state of interfaces as Options Data"
# shellcheck disable=SC2086
meter -c public -w private --flows 5 --max-flows 4 --updates 50
wait_for 10 grep -q counted "$T/meter.out"
if command -v snmpset >/dev/null; then
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.2.1.1.2 i 100 >/dev/null
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.2.1.1.3 i 0 >/dev/null
	snmpwalk -v2c -c public -On -Oq -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.2.1.2 >"$T/lost"
	grep -q ' [1-9]' "$T/lost" || fail "the meter has lost nothing"
	snmpwalk -v2c -c public -On -Oq -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.1.1.6 |
		sed 's/^.*\.\([0-9]* \)/\1/' >"$T/names"
fi
by='"originalExporterIPv4Address":"127.0.0.1"'
for version in 2c 1; do
	# shellcheck disable=SC2086
	reader r $V2 -v $version --json --passes 3
	wait_exit "$READ" 10
	equal "exit" 0 "$STATUS"
	ledger "$T/r.err"
	# One name and four interfaces, once though there were three passes.
	equal "options" 5 "$(field options "$T/r.err")"
	equal "counted options" 5 "$(field optionsRecords "$T/r.err")"
	equal "not read" 0 "$(field optionsNotRead "$T/r.err")"
	equal "intervals" "$(option selectorAlgorithm 1)" \
		"$(option samplingPacketInterval 1)"
	[ -s "$T/names" ] || continue
	equal "all packets" 2 "$(option samplingPacketSpace 0)"
	equal "one in 100" 1 "$(option samplingPacketSpace 99)"
	equal "sampled interfaces" 3 "$(option selectorAlgorithm 1)"
	while read -r number name; do
		matches "name of $number" \
			"\"rtfmFlowRuleSet\":$number,$by,.*Name\":$name}" \
			"$T/r.err"
	done <"$T/names"
	while read -r row lost; do
		matches "lost packets" \
			"ingressInterface\":${row##*.},$by,.*Count\":$lost}" \
			"$T/r.err"
	done <"$T/lost"
done
reader r $V2 --json --quiet
sleep 1.5
if command -v snmpset >/dev/null; then
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.2.1.1.3 i 7 >/dev/null
	wait_for 5 grep -q '"samplingPacketSpace":6' "$T/r.err"
fi
wait_for 15 eval '[ "$(grep -c rtfmRuleSetName "$T/r.err")" = 2 ]'
stop "$READ"
stop "$METER"

step "our row is gone after the end"
meter -c public -w private --flows 5
reader r $V2
sleep 1.5
if command -v snmpwalk >/dev/null; then
	snmpwalk -v2c -c public -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.3.1.6 >"$T/rows"
	equal "reader rows while it reads" 1 "$(grep -c 'INTEGER: 1' "$T/rows")"
fi
stop "$READ"
if command -v snmpwalk >/dev/null; then
	snmpwalk -v2c -c public -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.3.1.6 >"$T/rows"
	equal "reader rows after it" 0 "$(grep -c 'INTEGER: 1' "$T/rows")"
fi
stop "$METER"

step "one datagram in five is lost, one in ten doubled, all are late"
for user in "$V2" "-u bob,authpass1,privpass1"; do
	# shellcheck disable=SC2086
	meter -c public -w private $V3 $FLOWS
	lossy=$(free_port)
	start lossy "$LOSSY" "$lossy" "$PORT" 20 10 2
	PORT=$lossy
	# shellcheck disable=SC2086
	reader r $user --timeout 100
	finish 3
	same "$T/r.out"
	ledger "$T/r.err"
done

step "the reader is killed between two passes, its state is not"
# shellcheck disable=SC2086
meter -c public -w private $FLOWS
reader r1 $V2 --state "$T/state"
sleep 1.5
kill -9 "$READ"
wait "$READ" 2>/dev/null
cp "$T/state" "$T/state.old"
reader r2 $V2 --state "$T/state"
finish
same "$T/r1.out" "$T/r2.out"

step "the reader stops and comes back"
# shellcheck disable=SC2086
meter -c public -w private $FLOWS
reader r1 $V2 --state "$T/state2"
sleep 1.5
stop "$READ"
reader r2 $V2 --state "$T/state2"
finish
same "$T/r1.out" "$T/r2.out"

step "a state file that was cut, changed, or is of another meter is refused"
meter -c public -w private --flows 5
for how in cut changed other; do
	cp "$T/state.old" "$T/bad"
	case $how in
	cut) head -c 100 "$T/state.old" >"$T/bad" ;;
	changed) printf X | dd of="$T/bad" bs=1 seek=60 conv=notrunc \
		2>/dev/null ;;
	esac
	reader r $V2 --state "$T/bad" --passes 1
	wait_exit "$READ" 10
	matches "refusal ($how)" "state file .* is not used: it" "$T/r.err"
done
stop "$METER"

step "without a state file the first pass is a baseline"
meter -c public -w private --flows 20 --rate 0
sleep 0.3
start r "$READER" -p "$PORT" -i 1 --jitter 0 $V2 --passes 2
wait_exit "$PID" 10
equal "records of a baseline" 0 "$(field records "$T/r.err")"
stop "$METER"

if command -v snmpset >/dev/null; then
	step "somebody deletes our row"
	# shellcheck disable=SC2086
	meter -c public -w private $FLOWS
	reader r $V2
	sleep 1.3
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" \
		.1.3.6.1.2.1.40.1.3.1.6.1 i 6 >/dev/null
	finish 1.2
	same "$T/r.out"
	equal "rows lost" 1 "$(field readerRowsLost "$T/r.err")"
	equal "restarts seen" 0 "$(field meterRestarts "$T/r.err")"
fi

# Counted at 0.2 s, restart at 2 s, counted again after: nothing is unread.
script()
{
	for i in 1 2 3 4 5 6 7 8; do
		echo "$1,10.1.0.$i,10.2.0.$i,6,100$i,80,$((i * 1000)),$i,to"
		echo "$1,10.1.0.$i,10.2.0.$i,6,100$i,80,$((i * 700)),$i,from"
	done
}

step "the meter restarts between two passes"
{ script 200; script 3300; } >"$T/script"
meter -c public -w private --flows 0 --script "$T/script" --restart-after 2500
reader r $V2
finish 0.5
same "$T/r.out"
equal "restarts seen" 1 "$(field meterRestarts "$T/r.err")"

step "the meter is killed, another one comes up at its port"
script 200 >"$T/script"
port=$(free_port)
meter -p "$port" $V3 --flows 0 --script "$T/script"
reader r -u bob,authpass1,privpass1 --timeout 200 --retries 1 --backoff 1
wait_for 10 grep -q counted "$T/meter.out"
sleep 1.3
stop "$METER"
cp "$T/truth" "$T/truth1"
sleep 1
meter -p "$port" $V3 --flows 0 --script "$T/script"
wait_for 10 grep -q counted "$T/meter.out"
sleep 4
stop "$READ"
stop "$METER"
sed 1d "$T/truth1" >>"$T/truth"
same "$T/r.out"

step "wrong keys are told, and who waits is the others' equal"
meter -c public -w private $V3 --flows 5
start r "$READER" -p "$PORT" -i 1 -u bob,authpass2,privpass1
sleep 1
stop "$PID"
matches "the reason" "refuses the authentication" "$T/r.err"
! grep -q authpass "$T/r.err" || fail "a passphrase is in the log"
stop "$METER"

step "the manager loads, runs, restores and removes a rule set"
cat >"$T/rules" <<'END'
	SourcePeerType 255 1 PushPktTo ip
	Null 0 0 Ignore
ip:	SourcePeerAddress 255.255.255.0 0 PushPktToAct dest
dest:	DestPeerAddress 255.255.255.0 0 CountPkt
END
meter -c public -w private --flows 20 --rate 50
reader r $V2 --rules "$T/rules" --standby "$T/rules" --stop-rules \
	--keep-alive 1
wait_for 10 grep -q "runs rule set" "$T/r.err"
F=.1.3.6.1.2.1.40.1
if command -v snmpset >/dev/null; then
	snmpwalk -v2c -c public -On -m '' "127.0.0.1:$PORT" $F.1.1.6 \
		>"$T/names"
	matches "the rule set" '"conflux"$' "$T/names"
	matches "the standby" '"conflux standby"$' "$T/names"
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" $F.4.1.8.2 i 6 \
		>/dev/null
	snmpset -v2c -c private -On -m '' "127.0.0.1:$PORT" $F.1.1.5.3 i 6 \
		>/dev/null
	again()
	{
		[ "$(grep -c 'has rule set conflux with' "$T/r.err")" = 2 ]
	}
	wait_for 10 again
fi
stop "$READ"
if command -v snmpwalk >/dev/null; then
	snmpwalk -v2c -c public -On -m '' "127.0.0.1:$PORT" $F.1.1.6 \
		>"$T/names"
	equal "rule sets left" 1 "$(lines "$T/names")"
fi
stop "$METER"

step "rules that were edited are loaded anew, the same are left alone"
meter -c public -w private --flows 5
reader r $V2 --rules "$T/rules" --passes 2
wait_exit "$READ" 10
reader r $V2 --rules "$T/rules" --passes 2
wait_exit "$READ" 10
! grep -q "has rule set" "$T/r.err" || fail "the same rules are loaded again"
sed 's/255.255.255.0/255.255.0.0/' "$T/rules" >"$T/rules2"
reader r $V2 --rules "$T/rules2" --passes 2
wait_exit "$READ" 10
matches "the reason" "has other rules than the file" "$T/r.err"
matches "the new one" "has rule set conflux with 4 rules as number 3" "$T/r.err"
if command -v snmpwalk >/dev/null; then
	snmpwalk -v2c -c public -On -m '' "127.0.0.1:$PORT" $F.1.1.6 \
		>"$T/names"
	equal "rule sets" 2 "$(lines "$T/names")"
fi
stop "$METER"

step "a meter that does not answer is no matter"
start r "$READER" -p "$(free_port)" -i 1 $V2 --timeout 100 --retries 1
sleep 1
stop "$PID"
equal "exit" 0 "$STATUS"
matches "the reason" "is not read: no answer" "$T/r.err"

# odd MODE PACKETS [ACCESS]: a meter in Python; flow i has i packets each way.
odd()
{
	step "an odd meter: $1"
	port=$(free_port)
	start odd python3 "$SRC/tests/integration/odd_meter.py" "$port" "$1"
	odd=$PID
	wait_for 10 grep -q listening "$T/odd.out"
	start r "$READER" -p "$port" -i 1 --jitter 0 --count --each $V2 \
		--passes 2 --timeout 300 -l info
	wait_exit "$PID" 20
	equal "exit" 0 "$STATUS"
	equal "packets" "$2" "$(awk -F, '{ n += $8 } END { print n }' "$T/r.out")"
	equal "access" "${3:-packages}" "$(field access "$T/r.err")"
	stop "$odd"
}

if command -v python3 >/dev/null; then
	odd plain 36
	odd literal 36
	odd loop 30
	equal "names that did not increase" 1 \
		"$(field namesNotIncreasing "$T/r.err")"
	odd broken 29
	equal "malformed" 2 "$(field malformed "$T/r.err")"
	odd generr 32
	equal "malformed" 1 "$(field malformed "$T/r.err")"
	odd toobig 36
	odd empty 36
	odd nopack 36 columns
	odd few 36
	odd refuse 36
	matches "the reason" "lets us have no reader row" "$T/r.err"
	odd wait 36
	odd spoof 36
	matches "answers of others" "datagramsFromOthers [1-9]" "$T/r.err"
fi
