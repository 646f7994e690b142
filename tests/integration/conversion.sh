#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Conversion of what softflowd sends: IPFIX with times of sysUpTime, whose base is
# in its Options Data, and NetFlow version 9, into times of each absolute format,
# shorter and wider counters, other elements and other places. ipfixDump and
# tshark read what comes out; times are those of the packets. Times that count
# from the Export Time, or from sysUpTime, become the same again in a second one.
. "${SRC:-.}/tests/integration/lib.sh"
need python3 softflowd ipfixDump tshark

# rule NAME METHOD [ELEMENT...]
rule()
{
	printf '<cx:rule><cx:name>%s</cx:name>' "$1"
	method=$2
	shift 2
	[ $# -eq 0 ] || printf '<cx:ieName>%s</cx:ieName>' "$@"
	printf '%s</cx:rule>\n' "$method"
}

# process NAME RULES: from the collector to a file of that name
process()
{
	cat <<-END
	<cx:intermediateProcess><cx:name>$1</cx:name><cx:conversion>$2
	</cx:conversion><cx:exportingProcess>$1</cx:exportingProcess>
	</cx:intermediateProcess>
	<exportingProcess><name>$1</name><destination><name>f</name>
	<fileWriter><file>file://$T/$1.ipfix</file></fileWriter></destination>
	</exportingProcess>
	END
}

# document PROCESS...: what the collector leads to; processes on standard input
document()
{
	cat <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	       xmlns:cx="urn:conflux:config:1">
	<cx:controlSocket>$T/sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<udpCollector><name>u</name><localPort>$port</localPort></udpCollector>
	$(printf '<cx:intermediateProcess>%s</cx:intermediateProcess>' "$@")
	</collectingProcess>
	$(cat)
	</ipfix>
	END
}

# as FORMAT: the rules that all have
as()
{
	printf '<cx:overflow>saturate</cx:overflow>'
	rule times "<cx:timeFormat>$1</cx:timeFormat>"
}

port=$(free_port)
{
	process milliseconds "$(as milliseconds
		rule wide '<cx:encodedLength>natural</cx:encodedLength>' \
			'*DeltaCount'
		rule site '<cx:constant>Berlin</cx:constant>' \
			observationDomainName
		rule front '<cx:first/>' observationDomainName 'flow*'
		rule interfaces '<cx:drop/>' '*gressInterface' 'ipC*')"
	process seconds "$(as seconds
		rule short '<cx:encodedLength>1</cx:encodedLength>' \
			packetDeltaCount
		rule total '<cx:rename>octetTotalCount</cx:rename>' \
			octetDeltaCount)"
	process microseconds "$(as microseconds
		rule mapped '<cx:rename>sourceIPv6Address</cx:rename>' \
			sourceIPv4Address)"
	process nanoseconds "$(as nanoseconds
		rule few '<cx:keep/>' 'source*' 'destination*' 'flow*' \
			'*Count')"
} | document milliseconds seconds microseconds nanoseconds >"$T/conf.xml"
"$CONFLUX" check "$T/conf.xml" || fail "conflux check"
"$MKPCAP" -n 4000 -f 40 -o "$T/c.pcap" -t "$T/truth" || fail mkpcap

all_in()
{
	"$CONFLUX" status -j -s "$T/sock" >"$T/status" &&
		[ "$(json "$T/status" "d['cx:total']['cx:ledger']['in']")" -ge \
			"$1" ]
}

# convert VERSION: files of each process
convert()
{
	rm -f "$T"/*.ipfix
	start confluxd "$CONFLUXD" -c "$T/conf.xml"
	daemon=$PID
	wait_port udp "$port"
	softflowd -a -r "$T/c.pcap" -n "127.0.0.1:$port" -v "$1" -d \
		>"$T/softflowd.out" 2>&1 || fail softflowd
	# Each Flow, and options.
	wait_for 20 all_in "$(lines "$T/truth")"
	stop "$daemon"
	equal "exit status" 0 "$STATUS"
	for f in milliseconds seconds microseconds nanoseconds; do
		tshark -r "$T/$f.ipfix" -V >"$T/$f.tshark" 2>/dev/null ||
			fail "tshark $f"
		grep -E 'Malformed|Expert Info \((Warn|Error)' "$T/$f.tshark" &&
			fail "tshark $f"
		ipfixDump --in "$T/$f.ipfix" >"$T/$f.dump" 2>"$T/dump.err" ||
			fail "ipfixDump $f: $(cat "$T/dump.err")"
	done
}

cat >"$T/compare.py" <<'PY'
import datetime, re, sys
# What ipfixDump shows of the Data Records: lists of (element, value).
def records(path):
    out = []
    for part in open(path).read().split("--- data record")[1:]:
        part = part.split("\n---")[0]
        r = re.findall(r"^\t\(\d+\)( \(S\))?\s+(\w+) : (.*)$", part, re.M)
        if not any(scope for scope, _, _ in r):
            out.append([(name, re.sub(r"^\(len: \d+\) ", "", value))
                        for _, name, value in r])
    return out
# Nanoseconds since 1970, of "2023-11-14 22:13:35.123".
def ns(text):
    whole, _, part = text.partition(".")
    t = datetime.datetime.strptime(whole + "+0000", "%Y-%m-%d %H:%M:%S%z")
    return int(t.timestamp()) * 10**9 + int(part.ljust(9, "0")[:9] or 0)
unit = {"milliseconds": 10**6, "seconds": 10**9, "microseconds": 10**3,
        "nanoseconds": 1}
folder = sys.argv[1]
flows = {name: records("%s/%s.dump" % (folder, name)) for name in unit}
def times(r, form):
    d = dict(r)
    return [ns(d[k + form.capitalize()]) for k in ("flowStart", "flowEnd")]
# ipfixDump shows no fraction of NTP timestamps, tshark does.
shown = {}
for form in ("microseconds", "nanoseconds"):
    t = [int(datetime.datetime.strptime(a + "+0000", "%b %d, %Y %H:%M:%S%z")
             .timestamp()) * 10**9 + int(b) for a, b in re.findall(
            r"(?:Start|End)Time: (.*)\.(\d{9}) UTC",
            open("%s/%s.tshark" % (folder, form)).read())]
    # Of a binary fraction tshark cuts off what is below a nanosecond.
    shown[form] = [(x + 1) // 1000 * 1000 for x in t]
count = {len(v) for v in flows.values()}
assert len(count) == 1, count
for i, r in enumerate(flows["milliseconds"]):
    assert [k for k, _ in r[:3]] == ["observationDomainName",
        "flowStartMilliseconds", "flowEndMilliseconds"], r
    d = dict(r)
    assert d["observationDomainName"].strip() == "Berlin", d
    assert "ingressInterface" not in d and "ipClassOfService" not in d, d
    at = times(r, "milliseconds")
    for form in unit:
        got = (shown[form][2 * i:2 * i + 2] if form in shown
               else times(flows[form][i], form))
        assert got == [t // unit[form] * unit[form] for t in at], (form, r)
    s = dict(flows["seconds"][i])
    assert s["octetTotalCount"] == d["octetDeltaCount"], s
    assert int(s["packetDeltaCount"]) == min(int(d["packetDeltaCount"]), 255)
    u = dict(flows["microseconds"][i])
    assert "sourceIPv4Address" not in u and "sourceIPv6Address" in u, u
    if "sourceIPv4Address" in d:
        a = [int(x) for x in d["sourceIPv4Address"].split(".")]
        want = "::ffff:%02x%02x:%02x%02x" % tuple(a)
        assert u["sourceIPv6Address"].replace("0000:", "").lstrip(":") in (
            want.lstrip(":"), "ffff:" + d["sourceIPv4Address"]), u
    n = dict(flows["nanoseconds"][i])
    assert "flowEndReason" in n and "ipVersion" not in n, n
if len(sys.argv) > 2:
    # The truth of the packets; softflowd gives both directions the same times.
    # Of ICMP it takes other fields for ports.
    truth = [f.strip().split(",") for f in open(sys.argv[2])]
    truth = [f for f in truth if f[4] in ("6", "17")]
    both = {}
    for f in truth:
        f.append((frozenset([(f[0], f[2]), (f[1], f[3])]), f[4]))
        both.setdefault(f[-1], []).extend([int(f[7]), int(f[8])])
    def ms(t):
        return t // 10**6 * 10**6
    want = sorted((f[5], f[4], ms(min(both[f[-1]])), ms(max(both[f[-1]])))
                  for f in truth)
    got = sorted((d["packetDeltaCount"], d["protocolIdentifier"],
                  *times(r, "milliseconds"))
                 for r in flows["milliseconds"] for d in [dict(r)]
                 if d["protocolIdentifier"] in ("6", "17"))
    assert got == want, [p for p in zip(got, want) if p[0] != p[1]][:3]
PY

step "times of sysUpTime, whose base is in Options Data"
convert 10
python3 "$T/compare.py" "$T" "$T/truth" || fail "other records"
grep -q SysUpTime "$T"/*.dump && fail "times of sysUpTime are left"

step "NetFlow, version 9"
convert 9
python3 "$T/compare.py" "$T" || fail "other records"

# file_document IN OUT FORMAT: from a file to a file
file_document()
{
	cat <<-END
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	       xmlns:cx="urn:conflux:config:1">
	<cx:controlSocket>$T/sock</cx:controlSocket>
	<collectingProcess><name>in</name>
	<fileReader><name>r</name><file>file://$T/$1.ipfix</file></fileReader>
	<cx:intermediateProcess>$2</cx:intermediateProcess></collectingProcess>
	$(process "$2" "$(rule times "<cx:timeFormat>$3</cx:timeFormat>")")
	</ipfix>
	END
}

# there_and_back FORMAT
there_and_back()
{
	for way in "in there $1" "there back milliseconds"; do
		# shellcheck disable=SC2086
		file_document $way >"$T/file.xml"
		"$CONFLUXD" -c "$T/file.xml" 2>"$T/file.err" ||
			fail "confluxd: $way"
	done
	"$CONFLUX" read -f json "$T/there.ipfix" >"$T/there.json"
	"$CONFLUX" read -f json "$T/back.ipfix" >"$T/back.json"
	python3 - "$T" "$1" <<'PY' || fail "other times: $1"
import json, sys
def times(name):
    return [[r["flowStartMilliseconds"], r["flowEndMilliseconds"]]
            for r in map(json.loads, open("%s/%s.json" % (sys.argv[1], name)))
            if "flowStartMilliseconds" in r]
got, want = times("back"), times("in")
assert got == want and len(got) == 30, (got[:3], want[:3])
there = open(sys.argv[1] + "/there.json").read()
name = sys.argv[2][0].upper() + sys.argv[2][1:]
assert there.count("flowStart" + name) == 30, there
PY
}

step "times that count from something"
python3 - "$T/in.ipfix" <<'PY'
import struct, sys
t0 = 1700000000
def message(at, sequence, *sets):
    body = b"".join(struct.pack("!HH", n, len(b) + 4) + b for n, b in sets)
    return struct.pack("!HHIII", 10, 16 + len(body), at, sequence, 7) + body
template = struct.pack("!HHHHHHHH", 256, 3, 152, 8, 153, 8, 1, 4)
options = struct.pack("!HHHHHHH", 257, 2, 1, 144, 4, 160, 8)
out = message(t0, 0, (2, template), (3, options),
              (257, struct.pack("!IQ", 1, (t0 - 5000) * 1000 + 77)))
# In an order in which Export Times go back, too.
for i, at in enumerate((t0, t0 + 100, t0 + 50)):
    records = b"".join(struct.pack("!QQI", at * 1000 - 2001 * k - 1500,
                                   at * 1000 - 1000 * k, k)
                       for k in range(10))
    out += message(at, 1 + 10 * i, (256, records))
open(sys.argv[1], "wb").write(out)
PY
"$CONFLUX" read -f json "$T/in.ipfix" >"$T/in.json"
there_and_back deltaMicroseconds
there_and_back sysUpTime

step "mistakes have a line and a nearest name"
# wrong TEXT LINE RULE
wrong()
{
	process milliseconds "
$3" | document milliseconds >"$T/wrong.xml"
	"$CONFLUX" check "$T/wrong.xml" >"$T/wrong.out" 2>&1 &&
		fail "it is taken: $3"
	matches "$3" "wrong.xml:$2: .*$1" "$T/wrong.out"
}
line=$(grep -n '<cx:conversion>' "$T/conf.xml" | head -n 1 | cut -d : -f 1)
line=$((line + 1))
wrong 'ieName: "octetDeltaCunt" is no known .* nearest is octetDeltaCount' \
	"$line" "$(rule r '<cx:drop/>' octetDeltaCunt)"
wrong 'rename: "octetTotalCnt" is no known .*nearest is octetTotalCount' "$line" \
	"$(rule r '<cx:rename>octetTotalCnt</cx:rename>' octetDeltaCount)"
wrong 'ieName: sourceMacAddress is of type macAddress, expected one that' \
	"$line" "$(rule r '<cx:rename>vlanId</cx:rename>' sourceMacAddress)"
wrong 'constant: "x" is no value of vlanId, expected a number' "$line" \
	"$(rule r '<cx:constant>x</cx:constant>' vlanId)"

step "packets, whose cache has what a conversion makes of them"
cat >"$T/packets.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
<observationPoint><name>p</name><observationDomainId>1</observationDomainId>
<cx:captureFile>$T/c.pcap</cx:captureFile><selectionProcess>s</selectionProcess>
</observationPoint>
<selectionProcess><name>s</name><selector><name>all</name><selectAll/></selector>
<cx:intermediateProcess>plain</cx:intermediateProcess></selectionProcess>
<cx:intermediateProcess><cx:name>plain</cx:name><cx:conversion>
$(rule mapped '<cx:rename>sourceIPv6Address</cx:rename>' sourceIPv4Address)
$(rule times '<cx:timeFormat>seconds</cx:timeFormat>')
$(rule site '<cx:constant>Berlin</cx:constant>' observationDomainName)
</cx:conversion><cx:cache>c</cx:cache></cx:intermediateProcess>
<cache><name>c</name><timeoutCache><cacheLayout>
$(for f in sourceIPv6Address observationDomainName packetDeltaCount \
	flowStartMilliseconds; do
	printf '<cacheField><name>%s</name><ieName>%s</ieName>' $f $f
	[ $f != sourceIPv6Address ] || echo '<isFlowKey/>'
	echo '</cacheField>'
done)
</cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>f</name>
<fileWriter><file>file://$T/packets.ipfix</file></fileWriter></destination>
</exportingProcess></ipfix>
END
"$CONFLUX" check "$T/packets.xml" >"$T/check.out" 2>&1 || fail "conflux check"
equal "warnings" "" "$(cat "$T/check.out")"
"$CONFLUXD" -c "$T/packets.xml" 2>"$T/packets.err" || fail confluxd
"$CONFLUX" read -f json "$T/packets.ipfix" >"$T/packets.json"
python3 - "$T/packets.json" <<'PY' || fail "other Flows of packets"
import json, sys
flows = [r for r in map(json.loads, open(sys.argv[1]))
         if "packetDeltaCount" in r]
assert sum(r["packetDeltaCount"] for r in flows) == 4000, flows
for r in flows:
    assert ":" in r["sourceIPv6Address"], r
    assert r["observationDomainName"] == "Berlin", r
    assert r["flowStartMilliseconds"].endswith(".000Z"), r
assert any(r["sourceIPv6Address"].startswith("::ffff:") for r in flows)
PY
