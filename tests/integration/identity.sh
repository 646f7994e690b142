#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Who exported what proxies pass on: through a chain of two, over UDP and TCP,
# IPv4 and IPv6; Observation Domain IDs that stay over a restart; two proxies
# that send to each other.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

HEAD='<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">'

# proxy NAME PORT DESTINATION MORE: UDP and TCP in; MORE of the exportingProcess
proxy()
{
	cat >"$T/$1.xml" <<-EOF
	$HEAD
	  <cx:workers>${WORKERS:-1}</cx:workers>
	  <cx:controlSocket>$T/$1.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <udpCollector><name>udp</name><localPort>$2</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress>
	      <localIPAddress>::1</localIPAddress></udpCollector>
	    <tcpCollector><name>tcp</name><localPort>$2</localPort>
	      <localIPAddress>127.0.0.1</localIPAddress>
	      <localIPAddress>::1</localIPAddress></tcpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>to</name>$3</destination>$4
	  </exportingProcess>
	</ipfix>
	EOF
}

writer()
{
	printf '<fileWriter><file>file://%s</file></fileWriter>' "$1"
}

to_tcp()
{
	printf '<tcpExporter><destinationIPAddress>127.0.0.1</destinationIPAddress><destinationPort>%s</destinationPort></tcpExporter>' "$1"
}

origin()
{
	printf '<cx:originalExporter>%s</cx:originalExporter><cx:processId>%s</cx:processId>' "$1" "$2"
}

# sum NAME FIELD: of the collecting process of a daemon that runs
sum()
{
	"$CONFLUX" status -s "$T/$1.sock" -j >"$T/$1.status" 2>/dev/null ||
		return 1
	json "$T/$1.status" "sum(c['cx:ledger'].get('$2', 0)
		for c in d['collectingProcess'])"
}

has()
{
	[ "$(sum "$1" "$2")" = "$3" ]
}

# Of the collecting process: in
came()
{
	got=$(sum "$1" in) && [ "${got:-0}" -ge "$2" ]
}

for mode in options records; do
	WORKERS=1
	[ $mode = options ] || WORKERS=3
	step "a chain of two proxies: $mode, $WORKERS workers"
	near=$(free_port)
	far=$(free_port)
	proxy far "$far" "$(writer "$T/$mode.ipfix")" "$(origin $mode 22)"
	proxy near "$near" "$(to_tcp "$far")" "$(origin $mode 11)"
	start far "$CONFLUXD" -c "$T/far.xml"
	far_pid=$PID
	wait_port tcp "$far"
	start near "$CONFLUXD" -c "$T/near.xml"
	wait_port udp "$near"
	"$MKIPFIX" -n 500 -d 5 -r 5000 "udp:127.0.0.1:$near" >/dev/null
	"$MKIPFIX" -n 400 -d 5 "tcp:[::1]:$near" >/dev/null
	# What came last in each domain, and the options before it.
	wait_for 30 came far 902
	stop "$PID"
	stop "$far_pid"
	"$CONFLUX" read -o -f json "$T/$mode.ipfix" >"$T/$mode.json"
	python3 - "$T/$mode.json" $mode <<-'PYTHON' || fail "what is told"
	import json, sys
	told, flows = {}, {}
	for line in open(sys.argv[1]):
	    r = json.loads(line)
	    r = r.get("options", r)
	    who = r.get('originalExporterIPv4Address',
	                r.get('originalExporterIPv6Address'))
	    domain = r.get('originalObservationDomainId')
	    if 'basicList' in r:
	        assert r['basicList']['values'] == [11, 22], r
	        told[(who, domain)] = told.get((who, domain), 0) + 1
	    else:
	        flows[(who, domain)] = flows.get((who, domain), 0) + 1
	want = {('127.0.0.1', 5): 500, ('::1', 5): 400}
	assert set(told) == set(want), told
	assert flows == (want if sys.argv[2] == 'records'
	                 else {(None, None): 900}), flows
	PYTHON
done
WORKERS=1

step "a file that tells where its records are from"
cat >"$T/file.xml" <<EOF
$HEAD
  <collectingProcess><name>in</name>
    <fileReader><name>f</name><file>file://$T/options.ipfix</file></fileReader>
    <exportingProcess>out</exportingProcess></collectingProcess>
  <exportingProcess><name>out</name>
    <destination><name>to</name>$(writer "$T/again.ipfix")</destination>
    <destination><name>more</name>$(writer "$T/more.ipfix")</destination>
    $(origin records 33)
    <cx:observationDomainFile>$T/own</cx:observationDomainFile>
  </exportingProcess>
</ipfix>
EOF
"$CONFLUXD" -c "$T/file.xml" 2>"$T/file.err" || fail "reading a file"
"$CONFLUX" read -o -f json "$T/again.ipfix" >"$T/again.json"
python3 - "$T/again.json" <<'PYTHON' || fail "what a file tells"
import json, sys
told, flows = set(), {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    r = r.get("options", r)
    who = r.get('originalExporterIPv4Address',
                r.get('originalExporterIPv6Address'))
    if 'basicList' in r:
        assert r['basicList']['values'] == [11, 22, 33], r
        told.add((who, r['originalObservationDomainId']))
    else:
        flows[who] = flows.get(who, 0) + 1
assert told == {('127.0.0.1', 5), ('::1', 5)}, told
assert flows == {'127.0.0.1': 500, '::1': 400}, flows
PYTHON
sed 's|<exportingProcess><name>out|<exportingProcess><name>two</name><destination><name>d</name><cx:jsonWriter/></destination><cx:observationDomainFile>'"$T"'/own</cx:observationDomainFile></exportingProcess>&|' \
	"$T/file.xml" >"$T/two.xml"
"$CONFLUX" check "$T/two.xml" >"$T/refused" 2>&1 && fail "one file for two"
matches "two processes" 'another exportingProcess has this file' "$T/refused"

step "Observation Domain IDs stay over a restart"
for run in 1 2; do
	port=$(free_port)
	proxy keep "$port" "$(writer "$T/keep$run.ipfix")" \
		"<cx:observationDomainFile>$T/domains</cx:observationDomainFile>$(origin options 5)"
	start keep "$CONFLUXD" -c "$T/keep.xml"
	wait_port tcp "$port"
	# In the second run they come the other way round.
	if [ $run = 1 ]; then order="127.0.0.1 [::1]"
	else order="[::1] 127.0.0.1"; fi
	n=0
	for host in $order; do
		"$MKIPFIX" -n 10 -d 5 "tcp:$host:$port" >/dev/null
		n=$((n + 10))
		wait_for 30 has keep in $n
	done
	if [ $run = 1 ]; then
		wait_for 30 grep -q ' ::1 5$' "$T/domains"
		stop "$PID" KILL
	else
		stop "$PID"
	fi
done
"$CONFLUX" read -o -f json "$T/keep2.ipfix" >"$T/keep.json"
python3 - "$T/keep.json" "$T/domains" <<'PYTHON' || fail "domains"
import json, sys
ids = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    r = r.get("options", r)
    if 'basicList' in r:
        who = r.get('originalExporterIPv4Address',
                    r.get('originalExporterIPv6Address'))
        ids[who] = r['observationDomainId']
assert ids == {'127.0.0.1': 5, '::1': 2147483648}, ids
PYTHON
echo "5 127.0.0.1 five" >"$T/domains"
"$CONFLUXD" -c "$T/keep.xml" >"$T/refused" 2>&1 && fail "a bad file is taken"
matches "the file and its line" 'domains:1: expected' "$T/refused"

step "two proxies that send to each other"
left=$(free_port)
right=$(free_port)
proxy left "$left" "$(to_tcp "$right")" "$(origin options 1)"
proxy right "$right" "$(to_tcp "$left")" "$(origin options 2)"
start left "$CONFLUXD" -c "$T/left.xml"
left_pid=$PID
wait_port tcp "$left"
start right "$CONFLUXD" -c "$T/right.xml"
wait_port tcp "$right"
"$MKIPFIX" -n 1000 -d 5 "tcp:127.0.0.1:$left" >/dev/null
# 1000 from the exporter, and 1001 that come back, the option among them.
wait_for 30 has left in 2001
wait_for 30 has right in 1001
stop "$PID"
stop "$left_pid"
matches "what is lost" 'in 2001.*loop 1001' "$T/left.err"
matches "the log" 'were exported from here and have come back' "$T/left.err"
exit 0
