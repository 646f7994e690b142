#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The native meter read as a legacy one: packets of a capture whose truth is
# known are metered by rule sets and read by SNMP, with the tools of Net-SNMP and
# by Conflux itself: from another process, as a manager, and from the very same
# process. Not a packet, not an octet may be missing.
. "${SRC:-.}/tests/integration/lib.sh"
need snmpbulkwalk snmpset python3

# Tools without configuration, and without a trace in the system.
HOME=$T SNMPCONFPATH=$T SNMP_PERSISTENT_DIR=$T/snmp MIBS=
mkdir -p "$T/snmp/cert_indexes"
export HOME SNMPCONFPATH SNMP_PERSISTENT_DIR MIBS

F=.1.3.6.1.2.1.40
agent_port=$(free_port)
udp_port=$(free_port)

cat >"$T/rules" <<'END'
# Hosts, protocol and ports of IPv4 and IPv6.
        SourcePeerType    255 1 PushPktToAct v4
        SourcePeerType    255 2 PushPktToAct v6
        Null              0   0 Ignore
v4:     DestPeerType      255 0 PushPktToAct s4
s4:     SourcePeerAddress 255.255.255.255 0 PushPktToAct d4
d4:     DestPeerAddress   255.255.255.255 0 PushPktToAct trans
v6:     DestPeerType      255 0 PushPktToAct s6
s6:     SourcePeerAddress x:ffffffffffffffffffffffffffffffff 0 PushPktToAct d6
d6:     DestPeerAddress   x:ffffffffffffffffffffffffffffffff 0 PushPktToAct trans
trans:  SourceTransType   255 0 PushPktToAct type
type:   DestTransType     255 0 PushPktToAct port
port:   SourceTransAddress 65535 0 PushPktToAct other
other:  DestTransAddress  65535 0 CountPkt
END

# A rule set as one writes them by hand: a subroutine that classifies the
# address that a variable names. IPv4 alone; what is neither is not counted.
cat >"$T/kinds" <<'END'
        SourcePeerType 255 1 Goto begin
        Null    0   0        Ignore
begin:  V1      0   SourcePeerAddress AssignAct call1
call1:  Null    0   0        Gosub kind
        Null    0   0        NoMatch
        SourceKind 255 10    PushRuleTo dest
        SourceKind 255 11    PushRuleTo dest
dest:   V1      0   DestPeerAddress AssignAct call2
call2:  Null    0   0        Gosub kind
        Null    0   0        NoMatch
        DestKind 255 10      PushRuleToAct count
        DestKind 255 11      PushRuleToAct count
count:  SourceTransType 255 0 CountPkt
kind:   V1      255.0.0.0 10.0.0.0 Return 2
        V1      255.0.0.0 11.0.0.0 Return 3
        Null    0   0        Return 1
END

# shellcheck disable=SC2317 # by wait_for
# tells_drops: each of two workers has drops, and the MIB has their sum
tells_drops()
{
	"$CONFLUX" status -j -s "$T/drops.sock" observationPoint >"$T/status" ||
		return 1
	for worker in 0 1; do
		eval "drops$worker=$(json "$T/status" \
			"d['observationPoint'][$worker]['cx:capture'][0]['kernelDrops']")"
	done
	told=$(snmpget -v2c -c readers -Oqv "127.0.0.1:$agent_port" \
		"$F.1.2.1.2.1") || return 1
	# shellcheck disable=SC2154 # by eval
	[ "$drops0" -gt 0 ] && [ "$drops1" -gt 0 ] &&
		[ "$told" -eq $((drops0 + drops1)) ]
}

# truth FILE [CONDITION]: packets and octets
truth()
{
	awk -F, "${2:-1} { p += \$6; o += \$7 } END { print p + 0, o + 0 }" "$1"
}

# head_of FILE: the beginning of a configuration
head_of()
{
	cat <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
  <cx:workers>${2:-1}</cx:workers>
  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
END
}

# probe CAPTURE-FILE: packets of it to the meter
probe()
{
	cat <<END
  <observationPoint>
    <name>wire</name>
    <observationDomainId>1</observationDomainId>
    <cx:captureFile>$1</cx:captureFile>
    <selectionProcess>all</selectionProcess>
  </observationPoint>
  <selectionProcess>
    <name>all</name>
    <selector><name>all</name><selectAll/></selector>
    <cx:meterAgent>meter</cx:meterAgent>
  </selectionProcess>
END
}

# agent [MORE...]: the meter
agent()
{
	cat <<END
  <cx:meterAgent>
    <cx:name>meter</cx:name>
    <cx:port>$agent_port</cx:port>
    <cx:community>readers</cx:community>
    <cx:writeCommunity>managers</cx:writeCommunity>
    <cx:user>
      <cx:name>nemac</cx:name>
      <cx:authPassphrase>eight or more</cx:authPassphrase>
      <cx:privPassphrase>eight and more</cx:privPassphrase>
    </cx:user>
    $*
  </cx:meterAgent>
END
}

# reader SECURITY [MORE...]: reads the meter, and writes records as JSON
reader()
{
	security=$1
	shift
	cat <<END
  <collectingProcess>
    <name>meters</name>
    <cx:meterReader>
      <cx:name>m</cx:name>
      <cx:address>127.0.0.1</cx:address>
      <cx:port>$agent_port</cx:port>
      $security
      <cx:timeout>200</cx:timeout>
      <cx:interval>1</cx:interval>
      <cx:jitter>0</cx:jitter>
      <cx:ruleSet>conflux</cx:ruleSet>
      <cx:octetLayer>ip</cx:octetLayer>
      <cx:direction>uniflow</cx:direction>
      <cx:firstPass>count</cx:firstPass>
      $*
    </cx:meterReader>
    <exportingProcess>out</exportingProcess>
  </collectingProcess>
  <exportingProcess>
    <name>out</name>
    <destination><name>json</name><cx:jsonWriter/></destination>
  </exportingProcess>
END
}

v2c="<cx:community>managers</cx:community>"
v3="<cx:version>v3</cx:version><cx:v3><cx:user>nemac</cx:user>
<cx:authPassphrase>eight or more</cx:authPassphrase>
<cx:privPassphrase>eight and more</cx:privPassphrase></cx:v3>"

# make NAME PART...: a configuration of parts
make()
{
	name=$1
	shift
	{
		cat "$@"
		echo '</ipfix>'
	} >"$T/$name.xml"
	"$CONFLUX" check "$T/$name.xml" || fail "check of $name"
}

# column NUMBER RULE-SET: the sum of a column
column()
{
	snmpbulkwalk -v2c -c readers -Oqv "127.0.0.1:$agent_port" \
		"$F.2.1.1.$1.$2.0" 2>/dev/null |
		awk '/^[0-9]/ { s += $1 } END { print s + 0 }'
}

# counted RULE-SET: packets and octets of both directions
counted()
{
	echo "$(($(column 28 "$1") + $(column 30 "$1")))" \
		"$(($(column 27 "$1") + $(column 29 "$1")))"
}

has_counted()
{
	[ "$(counted "$1")" = "$2" ]
}

# exported NAME: packets and octets of the records
exported()
{
	awk '
	function get(name) {
		if (!match($0, "\"" name "\":[0-9]+"))
			return 0
		return substr($0, RSTART + length(name) + 3,
			RLENGTH - length(name) - 3)
	}
	{ p += get("packetDeltaCount"); o += get("octetDeltaCount") }
	END { print p + 0, o + 0 }' "$T/$1.out"
}

has_exported()
{
	[ "$(exported "$1")" = "$2" ]
}

"$MKPCAP" -n 20000 -f 500 -o "$T/a.pcap" -t "$T/a.csv" || fail mkpcap
all=$(truth "$T/a.csv")

step "a capture, read with Net-SNMP's tools"
head_of one >"$T/head"
probe "$T/a.pcap" >"$T/probe"
agent "<cx:ruleSetFile>rules</cx:ruleSetFile>" >"$T/agent"
make one "$T/head" "$T/probe" "$T/agent"
start one "$CONFLUXD" -c "$T/one.xml"
one=$PID
wait_port udp "$agent_port"
wait_for 10 has_counted 2 "$all"
# As a package of one attribute: as many rows as there are flows.
flows=$(snmpget -v2c -c readers -Oqv "127.0.0.1:$agent_port" "$F.1.7.0")
[ "$flows" -ge 500 ] || fail "$flows flows of 500 conversations"
equal "packages" "$flows" "$(snmpbulkwalk -v2c -c readers -Oq \
	"127.0.0.1:$agent_port" "$F.2.3.1.5.1.28.2.0" | wc -l | tr -d ' ')"
snmpget -v3 -u nemac -l authPriv -a SHA -A "eight or more" -x AES \
	-X "eight and more" -Oqv "127.0.0.1:$agent_port" "$F.1.7.0" \
	>"$T/v3" 2>&1 || fail "v3: $(cat "$T/v3")"
equal "by SNMPv3" "$flows" "$(cat "$T/v3")"
snmpset -v2c -c readers -r 0 "127.0.0.1:$agent_port" "$F.1.5.0" i 90 \
	>/dev/null 2>&1 && fail "readers may write"
"$CONFLUX" status -j -s "$T/one.sock" >"$T/status" || fail status
ledger_holds "$T/status"
"$CONFLUX" status -s "$T/one.sock" meterAgent >"$T/status" || fail status
matches "flows" "activeFlows $flows\$" "$T/status"
matches "rule set" "number 2 flows $flows" "$T/status"
running $one || fail "it has ended with its file, though it is still read"
stop $one
equal "status" 0 $STATUS

# pipe NAME PACKETS RATE: packets as they come; the truth is in NAME.csv
pipe()
{
	rm -f "$T/fifo"
	mkfifo "$T/fifo"
	start mkpcap sh -c "exec '$MKPCAP' -n $2 -f 200 -r $3 -o - \
		-t '$T/$1.csv' >'$T/fifo'"
	mkpcap=$PID
}

step "Conflux polls Conflux, while packets come"
for how in v2c v3; do
	head_of two >"$T/head"
	probe /dev/stdin >"$T/probe"
	make two "$T/head" "$T/probe" "$T/agent"
	pipe b 6000 2000
	start_in two "$T/fifo" "$CONFLUXD" -c "$T/two.xml"
	two=$PID
	wait_port udp "$agent_port"
	head_of three >"$T/head"
	eval "reader \"\$$how\"" >"$T/reader"
	make three "$T/head" "$T/reader"
	start three "$CONFLUXD" -c "$T/three.xml"
	three=$PID
	wait_exit "$mkpcap" 30
	wait_for 15 has_exported three "$(truth "$T/b.csv")"
	[ "$(lines "$T/three.out")" -gt 400 ] || fail "read once only"
	stop "$three"
	equal "status" 0 "$STATUS"
	equal "$how" "$(truth "$T/b.csv")" "$(exported three)"
	stop "$two"
	equal "status" 0 "$STATUS"
done

step "Conflux is the manager, too, of a meter without rules"
agent >"$T/agent"
head_of two >"$T/head"
make two "$T/head" "$T/probe" "$T/agent"
# The packets wait until the rules are there.
mkfifo "$T/wait"
rm -f "$T/fifo"
mkfifo "$T/fifo"
"$MKPCAP" -n 5000 -f 100 -o "$T/c.pcap" -t "$T/c.csv" || fail mkpcap
start feeder sh -c "exec >'$T/fifo'; read -r go <'$T/wait'; cat '$T/c.pcap'"
start_in two "$T/fifo" "$CONFLUXD" -c "$T/two.xml"
two=$PID
wait_port udp "$agent_port"
head_of three >"$T/head"
reader "$v2c" "<cx:manage><cx:ruleSetFile>kinds</cx:ruleSetFile></cx:manage>" \
	>"$T/reader"
make three "$T/head" "$T/reader"
start three "$CONFLUXD" -c "$T/three.xml"
three=$PID
running_rules()
{
	"$CONFLUX" status -s "$T/two.sock" meterAgent | grep -q "number $1 "
}
wait_for 10 running_rules 2
echo go >"$T/wait"
wanted=$(truth "$T/c.csv" '$1 !~ /:/')
wait_for 15 has_exported three "$wanted"
"$CONFLUX" status -s "$T/two.sock" meterAgent >"$T/status"
matches "no fault of the rules" "ruleFaults 0" "$T/status"
# Two kinds of one end and two of the other, and a few protocols.
flows=$(sed -n 's/.*number 2 flows \([0-9]*\).*/\1/p' "$T/status")
[ "$flows" -ge 1 ] && [ "$flows" -le 12 ] || fail "$flows flows of kinds"
# It takes its rules with it when it goes.
stop "$three"
equal "status" 0 "$STATUS"
equal "kinds" "$wanted" "$(exported three)"
wait_for 5 sh -c "! '$CONFLUX' status -s '$T/two.sock' meterAgent |
	grep -q 'number 2 '"
stop "$two"
equal "status" 0 "$STATUS"

step "one process is the meter and its reader"
for how in v2c v3; do
	agent "<cx:ruleSetFile>rules</cx:ruleSetFile>" >"$T/agent"
	probe "$T/a.pcap" >"$T/probe"
	eval "reader \"\$$how\"" >"$T/reader"
	head_of both >"$T/head"
	make both "$T/head" "$T/probe" "$T/reader" "$T/agent"
	start both "$CONFLUXD" -c "$T/both.xml"
	both=$PID
	wait_for 15 has_exported both "$all"
	stop "$both"
	equal "status" 0 "$STATUS"
	equal "$how" "$all" "$(exported both)"
done

step "records of several workers are metered, too"
head_of four 3 >"$T/head"
cat >"$T/collector" <<END
  <collectingProcess>
    <name>routers</name>
    <udpCollector>
      <name>udp</name>
      <localPort>$udp_port</localPort>
      <localIPAddress>127.0.0.1</localIPAddress>
    </udpCollector>
    <cx:meterAgent>meter</cx:meterAgent>
  </collectingProcess>
END
make four "$T/head" "$T/collector" "$T/agent"
start four "$CONFLUXD" -c "$T/four.xml"
four=$PID
wait_port udp "$udp_port"
packets=0
octets=0
for source in 1 2 3 4; do
	"$MKIPFIX" -d $source -n 2000 -f 100 -r 20000 -t 0 \
		"udp:127.0.0.1:$udp_port" >"$T/truth" || fail mkipfix
	packets=$((packets + $(json "$T/truth" "d['packets']")))
	octets=$((octets + $(json "$T/truth" "d['octets']")))
done
wait_for 15 has_counted 2 "$packets $octets"
stop "$four"
equal "status" 0 "$STATUS"

if [ "$(id -u)" -eq 0 ]; then
	step "a manager sets the sampling of an interface"
	probe x | sed 's|<cx:capture.*|<ifName>lo</ifName>|' >"$T/probe"
	agent "<cx:ruleSetFile>rules</cx:ruleSetFile>" >"$T/agent"
	head_of live >"$T/head"
	make live "$T/head" "$T/probe" "$T/agent"
	start live "$CONFLUXD" -c "$T/live.xml"
	live=$PID
	wait_port udp "$agent_port"
	for rate in 10 0; do
		snmpset -v2c -c managers "127.0.0.1:$agent_port" \
			"$F.1.2.1.1.1" i $rate >/dev/null || fail "rate $rate"
		sleep 0.3
		"$CONFLUX" status -j -s "$T/live.sock" meterAgent >"$T/before"
		"$MKIPFIX" -n 20000 "udp:127.0.0.1:$udp_port" >/dev/null ||
			fail mkipfix
		sleep 0.5
		"$CONFLUX" status -j -s "$T/live.sock" meterAgent >"$T/after"
		for what in counted sampledOut; do
			value="d['cx:meterAgent'][0]['$what']"
			eval "$what=$(($(json "$T/after" "$value") -
				$(json "$T/before" "$value")))"
		done
		[ "$sampledOut" -gt $((5 * counted)) ] ||
			fail "1 in $rate: $counted of $((counted + sampledOut))"
		[ $rate -gt 0 ] || equal "of an ignored interface" 0 "$counted"
	done
	stop "$live"
	equal "status" 0 "$STATUS"

	step "what the kernel drops of an interface is told, of all workers"
	probe x | sed 's|<cx:capture.*|<ifName>lo</ifName>\
		<cx:bufferSize>65536</cx:bufferSize>|' >"$T/probe"
	agent "<cx:ruleSetFile>rules</cx:ruleSetFile>" >"$T/agent"
	head_of drops 2 >"$T/head"
	make drops "$T/head" "$T/probe" "$T/agent"
	start drops "$CONFLUXD" -c "$T/drops.xml"
	live=$PID
	wait_port udp "$agent_port"
	kill -STOP "$live"
	# Each from another port, so that some go to either worker.
	i=0
	while [ $i -lt 24 ]; do
		"$MKIPFIX" -n 3000 "udp:127.0.0.1:$udp_port" >/dev/null ||
			fail mkipfix
		i=$((i + 1))
	done
	kill -CONT "$live"
	wait_for 10 tells_drops
	echo "dropped: $drops0 and $drops1 packets; told: $told"
	stop "$live"
	equal "status" 0 "$STATUS"
	probe "$T/a.pcap" >"$T/probe"
fi

step "as a part of snmpd's agent, and asked by way of it"
SNMPD=${SNMPD:-$(PATH=$PATH:/usr/sbin command -v snmpd)}
if [ -z "$SNMPD" ]; then
	echo "there is no snmpd: AgentX was not tried"
	exit 0
fi
cat >"$T/snmpd.conf" <<END
agentaddress udp:127.0.0.1:$agent_port
rocommunity readers 127.0.0.1
rwcommunity managers 127.0.0.1
master agentx
agentXSocket $T/agentx
END
start master "$SNMPD" -f -Le -C -c "$T/snmpd.conf" -I -smux -p "$T/snmpd.pid"
master=$PID
wait_port udp "$agent_port"
head_of sub >"$T/head"
cat >"$T/agent" <<END
  <cx:meterAgent>
    <cx:name>meter</cx:name>
    <cx:agentX>$T/agentx</cx:agentX>
    <cx:ruleSetFile>rules</cx:ruleSetFile>
  </cx:meterAgent>
END
make sub "$T/head" "$T/probe" "$T/agent"
start sub "$CONFLUXD" -c "$T/sub.xml"
sub=$PID
wait_for 20 has_counted 2 "$all"
head_of three >"$T/head"
reader "$v2c" >"$T/reader"
make three "$T/head" "$T/reader"
start three "$CONFLUXD" -c "$T/three.xml"
three=$PID
wait_for 15 has_exported three "$all"
stop "$three"
equal "status" 0 "$STATUS"
stop "$sub"
equal "status" 0 "$STATUS"
stop "$master"
exit 0
