#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Lookups by address: what records get from a networks file and from a MaxMind
# database is what Python's ipaddress finds in the same lines (the longest prefix
# by trying all), as Flow Keys of a cache, too; three workers share a file that is
# read again on SIGHUP, also when it is at fault.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

step "networks, a database of the same, and elements"
cat >"$T/make.py" <<'PY'
import ipaddress, random, sys
r = random.Random(5)
folder = sys.argv[1]
lines = {}
def add(bits, base, length):
    a = base >> (bits - length) << (bits - length)
    cls = ipaddress.IPv4Network if bits == 32 else ipaddress.IPv6Network
    lines[cls((a, length))] = (r.randrange(1, 65000),
        r.choice(["Berlin", "Wien", "a place", "Bern"]))
while len(lines) < 3000:
    add(32, 10 << 24 | r.getrandbits(13), r.choice([19, 20, 22, 24, 27, 30]))
    add(32, 10 << 24 | r.getrandbits(14), 32)
    add(32, 198 << 24 | 51 << 16 | 100 << 8 | r.getrandbits(8),
        r.choice([24, 26, 28, 32]))
    add(128, 0x20010db8 << 96 | 0xa << 64 | r.getrandbits(14), r.choice([118, 122, 128]))
    add(128, 0x20010db8 << 96 | r.getrandbits(90), r.choice([40, 64, 96]))
with open(folder + "/net", "w") as f:
    f.write("prefix as site\n")
    for p, (n, s) in lines.items():
        f.write('%s %d "%s"\n' % (p, n, s))
with open(folder + "/lines", "w") as f:
    for p in sorted(lines, key=lambda p: p.prefixlen):
        f.write("%s as.number=%d site=%s\n" % (p, lines[p][0],
                lines[p][1].replace(" ", "_")))
PY
python3 "$T/make.py" "$T" || fail make.py
"$MKMMDB" "$T/db.mmdb" Sites <"$T/lines" || fail mkmmdb
cat >"$T/elements.xml" <<'XML'
<elements xmlns="urn:conflux:elements:1">
  <element pen="32473" id="1001" name="sourceSite" type="string"/>
  <element pen="32473" id="1002" name="destinationSite" type="string"/>
</elements>
XML
"$MKIPFIX" -n 20000 -f 5000 -s 3 "$T/in.ipfix" >/dev/null || fail mkipfix
"$CONFLUX" read -f json "$T/in.ipfix" >"$T/in.json" || fail "conflux read"

# value NAME ADDRESS FIELD ELEMENT
value()
{
	printf '<cx:value><cx:name>%s</cx:name><cx:address>%s</cx:address>' \
		"$1" "$2"
	printf '<cx:field>%s</cx:field><cx:ieName>%s</cx:ieName></cx:value>' \
		"$3" "$4"
}
# lookup NAME FILE AS SITE: what it asks for, behind it all that is in $BEHIND
lookup()
{
	cat <<XML
<cx:intermediateProcess><cx:name>$1</cx:name><cx:lookup>$2
<cx:existing>replace</cx:existing>
$(value sa source "$3" bgpSourceAsNumber)
$(value da destination "$3" bgpDestinationAsNumber)
$(value ss source "$4" sourceSite)
$(value ds destination "$4" destinationSite)
</cx:lookup>$BEHIND</cx:intermediateProcess>
XML
}
writer()
{
	printf '<exportingProcess><name>%s</name><destination><name>d</name>' "$1"
	printf '<fileWriter><file>file://%s</file></fileWriter>' "$T/$1.ipfix"
	printf '</destination></exportingProcess>\n'
}
key()
{
	printf '<cacheField><name>%s</name><ieName>%s</ieName>%s</cacheField>' \
		"$1" "$1" "${2:-}"
}
# The document, of sources in $T/sources.
document()
{
	cat <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
$(cat "$T/sources")
<cx:elementFile>elements.xml</cx:elementFile>
$(BEHIND='<cx:cache>sites</cx:cache><cx:exportingProcess>net</cx:exportingProcess>' \
	lookup net "<cx:networksFile>net</cx:networksFile>" as site)
$(BEHIND='<cx:exportingProcess>db</cx:exportingProcess>' \
	lookup db "<cx:maxMindFile>db.mmdb</cx:maxMindFile>" as.number site)
<cache><name>sites</name><timeoutCache><activeTimeout>3600</activeTimeout>
<idleTimeout>3600</idleTimeout><cacheLayout>
$(key bgpSourceAsNumber '<isFlowKey/>')$(key destinationSite '<isFlowKey/>')
$(key packetDeltaCount)
</cacheLayout></timeoutCache>
<exportingProcess>sites</exportingProcess></cache>
$(writer net)$(writer db)$(writer sites)
</ipfix>
XML
}

cat >"$T/compare.py" <<'PY'
import collections, ipaddress, json, shlex, sys
folder = sys.argv[1]
lines = [shlex.split(l) for l in open(folder + "/net")][1:]
table = {ipaddress.ip_network(p): (int(n), s) for p, n, s in lines}
seen = {}
def find(address):
    if address not in seen:
        a = ipaddress.ip_address(address)
        bits = a.max_prefixlen
        seen[address] = (0, "")
        for length in range(bits, -1, -1):
            p = ipaddress.ip_network((int(a) >> (bits - length) <<
                                      (bits - length), length))
            if p in table:
                seen[address] = table[p]
                break
    return seen[address]
def load(name):
    for line in open(folder + "/" + name):
        yield json.loads(line)
def ends(r):
    return [r.get(e + "IPv4Address") or r[e + "IPv6Address"]
            for e in ("source", "destination")]
def places(r):
    source, destination = ends(r)
    return find(source) + find(destination)
count, sums = collections.Counter(), collections.Counter()
known = 0
for r in load("in.json"):
    s = places(r)
    known += s[0] > 0
    count[tuple(ends(r)) + (r["packetDeltaCount"],) + s] += 1
    sums[s[0], s[3]] += r["packetDeltaCount"]
def got(r, f):
    return tuple(ends(r)) + (
        r["packetDeltaCount"], r["bgpSourceAsNumber"], f(r["sourceSite"]),
        r["bgpDestinationAsNumber"], f(r["destinationSite"]))
for name, f in ("net", lambda s: s), ("db", lambda s: s.replace("_", " ")):
    out = collections.Counter(got(r, f) for r in load(name + ".json"))
    assert out == count, (name, (out - count).most_common(2),
                          (count - out).most_common(2))
out = collections.Counter()
for r in load("sites.json"):
    out[r["bgpSourceAsNumber"], r["destinationSite"]] += r["packetDeltaCount"]
assert out == sums
assert known > 1000, known
print(known, "known,", len(sums), "of AS and site")
PY

step "a file: records, and flows by AS and site"
cat >"$T/sources" <<XML
<collectingProcess><name>in</name>
<fileReader><name>r</name><file>file://$T/in.ipfix</file></fileReader>
<cx:intermediateProcess>net</cx:intermediateProcess>
<cx:intermediateProcess>db</cx:intermediateProcess></collectingProcess>
XML
document >"$T/file.xml"
"$CONFLUX" check "$T/file.xml" || fail "conflux check"
start file "$CONFLUXD" -c "$T/file.xml"
wait_exit "$PID" 60
equal status 0 "$STATUS"
for name in net db sites; do
	"$CONFLUX" read -E "$T/elements.xml" -f json "$T/$name.ipfix" \
		>"$T/$name.json" || fail "conflux read $name"
done
python3 "$T/compare.py" "$T" || fail "not what Python finds"

step "three workers, and SIGHUP"
port=$(free_port)
cat >"$T/sources" <<XML
<cx:workers>3</cx:workers><cx:controlSocket>$T/sock</cx:controlSocket>
<collectingProcess><name>in</name>
<tcpCollector><name>t</name><localPort>$port</localPort></tcpCollector>
<cx:intermediateProcess>net</cx:intermediateProcess>
<cx:intermediateProcess>db</cx:intermediateProcess></collectingProcess>
XML
document >"$T/workers.xml"
start workers "$CONFLUXD" -c "$T/workers.xml"
daemon=$PID
wait_port tcp "$port"
# networks N: all workers have a file of so many
networks()
{
	"$CONFLUX" status -j -s "$T/sock" intermediateProcess >"$T/status" &&
		[ "$(json "$T/status" "[p['lookup']['networks']
			for p in d['cx:intermediateProcess']
			if p['name'] == 'net']")" = "[$1, $1, $1]" ]
}
wait_for 20 networks "$(($(lines "$T/net") - 1))"
cp "$T/net" "$T/all"
printf 'prefix as site\n0.0.0.0/0 4711 all\n::/0 4711 all\n' >"$T/net.new"
mv "$T/net.new" "$T/net"
kill -HUP "$daemon"
wait_for 20 networks 2
printf 'prefix as site\n0.0.0.0/0 x all\n10.0.0.1/8 1 y\n' >"$T/net"
kill -HUP "$daemon"
wait_for 20 grep -q "it goes on with what it has" "$T/workers.err"
matches "line 2" 'net:2: as: "x" is no value of bgpSourceAsNumber' \
	"$T/workers.err"
matches "line 3" 'net:3: 10.0.0.1/8 has bits behind its length' \
	"$T/workers.err"
networks 2 || fail "the old networks are gone"
"$MKIPFIX" -n 5000 -f 500 -s 1 "tcp:127.0.0.1:$port" >/dev/null || fail mkipfix
all_in()
{
	"$CONFLUX" status -j -s "$T/sock" ledger >"$T/status" &&
		[ "$(json "$T/status" "d['cx:total']['cx:ledger']['in']")" -ge 5000 ]
}
wait_for 20 all_in
stop "$daemon"
equal "all are in the new network" 5000 \
	"$("$CONFLUX" read -E "$T/elements.xml" -F \
		"bgpSourceAsNumber == 4711 and sourceSite == 'all'" \
		"$T/net.ipfix" | wc -l)"

step "mistakes in a document and its file"
"$CONFLUX" check "$T/file.xml" 2>"$T/err" && fail "mistakes in the file are taken"
matches "the file's mistakes" 'cx:networksFile: .*net:2: as: "x" is no value' \
	"$T/err"
cp "$T/all" "$T/net"
sed 's/>bgpSourceAsNumber</>bgpSourceAsNumbers</' "$T/file.xml" >"$T/bad.xml"
"$CONFLUX" check "$T/bad.xml" 2>"$T/err" && fail "an unknown element is taken"
matches "nearest" 'cx:ieName: "bgpSourceAsNumbers" is no known.*nearest is bgpSourceAsNumber' "$T/err"
sed 's/>bgpSourceAsNumber</>sourceIPv4Address</' "$T/file.xml" >"$T/bad.xml"
"$CONFLUX" check "$T/bad.xml" 2>"$T/err" && fail "an address is taken for a value"
matches "type" 'sourceIPv4Address is of type ipv4Address, expected a number' "$T/err"
rm "$T/net"
"$CONFLUX" check "$T/file.xml" 2>"$T/err" || fail "a missing file is an error"
matches "a warning" 'net: No such file or directory, expected a file' "$T/err"
