#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Anonymisation through confluxd: addresses against a Crypto-PAn of its own, of
# which only the AES is OpenSSL's, and those of IPv4 against nfdump's (which makes
# something else of IPv6); what the Options Records of RFC 6235 say, by tshark,
# too; through caches, filters and several workers.
. "${SRC:-.}/tests/integration/lib.sh"
need python3 openssl

KEY=$(printf '%s' 'Only for tests: 32 octets of key' | od -An -v -tx1 | tr -d ' \n')
(umask 077 && printf '# A key.\n%s\n' "$KEY" >"$T/key")

cat >"$T/make.py" <<'PY'
import random, struct, sys
r = random.Random(5)
v4 = [(8, 4), (12, 4), (7, 2), (11, 2), (56, 6), (1, 4), (2, 8), (152, 8),
      (153, 8), (315, 8)]
v6 = [(27, 16), (28, 16), (11, 2), (1, 8), (22, 4)]
def address(octets):
    # Some networks with many hosts, some hosts often.
    net = r.choice(nets[octets])
    host = r.choice([r.randrange(20), r.randrange(1 << (octets * 8 - len(net) * 8))])
    return net + host.to_bytes(octets - len(net), "big")
nets = {n: [bytes(r.randrange(256) for _ in range(k)) for k in lengths]
        for n, lengths in ((4, (0, 1, 2, 3, 3)), (16, (0, 4, 6, 8, 8)))}
def record(fields):
    out = b""
    for i, n in fields:
        if i in (8, 12, 27, 28): out += address(n)
        elif i in (152, 153): out += struct.pack(">Q", 1700000000000 + r.randrange(10**7))
        else: out += r.randrange(256 ** min(n, 3)).to_bytes(n, "big")
    return out
def message(set_id, data, sequence):
    return struct.pack(">HHIIIHH", 10, 20 + len(data), 1700000000, sequence, 7,
                       set_id, 4 + len(data)) + data
def template(i, fields):
    return struct.pack(">HH", i, len(fields)) + b"".join(
        struct.pack(">HH", *f) for f in fields)
out = open(sys.argv[1], "wb")
out.write(message(2, template(256, v4) + template(257, v6), 0))
# The exporter's address, in Options Data.
out.write(message(3, struct.pack(">HHHHHHH", 258, 2, 1, 130, 4, 41, 8), 0))
out.write(message(258, bytes([192, 0, 2, 77]) + bytes(8), 0))
done = 1
for i in range(int(sys.argv[2]) // 20):
    out.write(message(256, b"".join(record(v4) for _ in range(10)), done))
    out.write(message(257, b"".join(record(v6) for _ in range(10)), done + 10))
    done += 20
PY
cat >"$T/cryptopan.py" <<'PY'
# Reads JSON lines before and after: every address must be the one that
# Crypto-PAn makes of it with the key.
import ipaddress, json, subprocess, sys
key = bytes.fromhex(sys.argv[3])
def aes(blocks):
    return subprocess.run(["openssl", "enc", "-aes-128-ecb", "-nopad", "-K",
                           key[:16].hex()], input=blocks, check=True,
                          stdout=subprocess.PIPE).stdout
pad = format(int.from_bytes(aes(key[16:]), "big"), "0128b")
def blocks(bits):
    return b"".join(int(bits[:n] + pad[n:], 2).to_bytes(16, "big")
                    for n in range(len(bits)))
def anonymize(addresses):
    bits = [format(int(a), "0%db" % a.max_prefixlen) for a in addresses]
    turned = aes(b"".join(blocks(b) for b in bits))[::16]
    out, at = {}, 0
    for a, b in zip(addresses, bits):
        flip = turned[at:at + len(b)]
        at += len(b)
        out[a] = type(a)(sum((int(c) ^ (f >> 7)) << (len(b) - 1 - n)
                             for n, (c, f) in enumerate(zip(b, flip))))
    return out
names = ["sourceIPv4Address", "destinationIPv4Address", "sourceIPv6Address",
         "destinationIPv6Address"]
def read(name):
    return [[ipaddress.ip_address(d[n]) for n in names if n in d]
            for d in map(json.loads, open(name))
            if any(n in d for n in names)]
before, after = read(sys.argv[1]), read(sys.argv[2])
addresses = {4: set(), 6: set()}
for line in before:
    for a in line:
        addresses[a.version].add(a)
wanted = {}
for v in 4, 6:
    wanted.update(anonymize(sorted(addresses[v])))
if [[wanted[a] for a in line] for line in before] != after:
    sys.exit("differ: %s" % [x for x in zip(before, after)
                             if [wanted[a] for a in x[0]] != x[1]][:3])
print(len(addresses[4]), "IPv4,", len(addresses[6]), "IPv6 addresses")
PY

# rule NAME METHOD ELEMENTS...: elements with a capital letter in them that are
# no group are names.
rule()
{
	printf '<cx:rule><cx:name>%s</cx:name>' "$1"
	method=$2
	shift 2
	for e; do
		case $e in
		ipv4Address | ipv6Address | macAddress | port | timestamp | counter)
			printf '<cx:group>%s</cx:group>' "$e" ;;
		*) printf '<cx:ieName>%s</cx:ieName>' "$e" ;;
		esac
	done
	printf '%s</cx:rule>\n' "$method"
}
# document FILE RULES...: with what is in $sources, and then in $behind.
document()
{
	cat >"$1" <<XML
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
       xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
$sources
<cx:intermediateProcess><cx:name>hide</cx:name><cx:anonymization>
<cx:keyFile>${key:-$T/key}</cx:keyFile>
$2
</cx:anonymization>
$behind
<exportingProcess><name>out</name><destination><name>d</name>
<fileWriter><file>file://$T/out.ipfix</file></fileWriter>
</destination></exportingProcess>
</ipfix>
XML
}
export_process='<cx:exportingProcess>out</cx:exportingProcess></cx:intermediateProcess>'
reader="<collectingProcess><name>in</name>
<fileReader><name>r</name><file>file://$T/in.ipfix</file></fileReader>
<cx:intermediateProcess>hide</cx:intermediateProcess></collectingProcess>"
# run NAME FILE: to its end.
run()
{
	"$CONFLUX" check "$2" || fail "conflux check $2"
	start "$1" "$CONFLUXD" -c "$2"
	wait_exit "$PID" 30
	equal "status of $1" 0 "$STATUS"
	"$CONFLUX" read -of json "$T/out.ipfix" >"$T/$1.json" || fail "conflux read"
	grep -i "$KEY" "$T/$1.err" && fail "the key is in the log"
}
# flag FILE ELEMENT TEMPLATE-WITH: technique and flags that its Templates have.
marks()
{
	python3 -c 'import json, sys
d = [json.loads(l).get("options", {}) for l in open(sys.argv[1])]
print(*sorted({"%d/%d" % (r["anonymizationTechnique"], r["anonymizationFlags"])
               for r in d if r.get("informationElementId") == int(sys.argv[2])
               and "anonymizationTechnique" in r}) or ["none"])' "$1" "$2"
}

step "addresses are those of Crypto-PAn"
python3 "$T/make.py" "$T/in.ipfix" 2000 || fail "make.py"
"$CONFLUX" read -f json "$T/in.ipfix" >"$T/in.json"
sources=$reader
behind=$export_process
document "$T/pan.xml" "$(rule hosts '<cx:prefixPreserving/>' ipv4Address ipv6Address)
$(rule cards '<cx:structuredPermutation/>' macAddress)
$(rule ports '<cx:permutation/>' port)
$(rule times '<cx:precision>60000</cx:precision>' timestamp)"
run pan "$T/pan.xml"
python3 "$T/cryptopan.py" "$T/in.json" "$T/pan.json" "$KEY" ||
	fail "other addresses than Crypto-PAn's"

step "what else is in the records"
grep -q dataLinkFrameSection "$T/pan.json" && fail "a frame is not left out"
grep -q flowStartSysUpTime "$T/pan.json" && fail "a relative time is left"
matches "tells what it leaves out" 'hide: dataLinkFrameSection is left out of a Template' \
	"$T/pan.err"
grep -q '192.0.2.77' "$T/pan.json" && fail "the exporter's address is told"
python3 - "$T/in.json" "$T/pan.json" <<'PY' || fail "values"
import json, sys
a, b = ([d for d in map(json.loads, open(f)) if "octetDeltaCount" in d]
        for f in sys.argv[1:3])
assert len(a) == len(b) == 2000, (len(a), len(b))
ports, macs, ouis = {}, {}, {}
for x, y in zip(a, b):
    assert x["octetDeltaCount"] == y["octetDeltaCount"]
    for n in "sourceTransportPort", "destinationTransportPort":
        if n in x:
            assert ports.setdefault(x[n], y[n]) == y[n]
    if "sourceMacAddress" in x:
        f, t = x["sourceMacAddress"], y["sourceMacAddress"]
        assert macs.setdefault(f, t) == t
        assert ouis.setdefault(f[:8], t[:8]) == t[:8]
assert len(set(ports.values())) == len(ports) > 1000
assert len(set(macs.values())) == len(macs)
assert len(set(ouis.values())) == len(ouis)
PY

step "it is declared"
equal "addresses" 6/3 "$(marks "$T/pan.json" 8)"
equal "addresses of IPv6" 6/3 "$(marks "$T/pan.json" 28)"
equal "MAC addresses" 6/3 "$(marks "$T/pan.json" 56)"
equal "ports" 5/3 "$(marks "$T/pan.json" 7)"
equal "times" 2/3 "$(marks "$T/pan.json" 152)"
equal "counters" none "$(marks "$T/pan.json" 1)"
equal "in Options Data" 6/3 "$(marks "$T/pan.json" 130)"
if command -v tshark >/dev/null 2>&1; then
	tshark -r "$T/out.ipfix" -V 2>"$T/tshark.err" >"$T/tshark.out" ||
		fail "tshark: $(cat "$T/tshark.err")"
	matches "tshark" 'Scope Field Count: 4' "$T/tshark.out"
	matches "tshark" 'nonymizationTechnique|nonymization Technique' "$T/tshark.out"
	grep -qi malformed "$T/tshark.out" && fail "tshark says malformed"
fi

step "the same after a restart, and with another key not"
cp "$T/out.ipfix" "$T/first.ipfix"
cp "$T/pan.json" "$T/first.json"
run pan "$T/pan.xml"
cmp -s "$T/first.json" "$T/pan.json" || fail "it is not the same"
(umask 077 && printf '%064d\n' 7 >"$T/other")
key=$T/other
document "$T/other.xml" "$(rule hosts '<cx:prefixPreserving/>' ipv4Address)"
run other "$T/other.xml"
unset key
cmp -s "$T/first.json" "$T/other.json" && fail "another key, the same result"

step "what was done before is declared again"
sources="<collectingProcess><name>in</name>
<fileReader><name>r</name><file>file://$T/first.ipfix</file></fileReader>
<cx:intermediateProcess>hide</cx:intermediateProcess></collectingProcess>"
document "$T/again.xml" "$(rule ports '<cx:knownValue>0</cx:knownValue>' port)"
run again "$T/again.xml"
sources=$reader
equal "addresses" 6/3 "$(marks "$T/again.json" 8)"
equal "MAC addresses" 6/3 "$(marks "$T/again.json" 56)"
equal "ports" 3/3 "$(marks "$T/again.json" 7)"
equal "times" 2/3 "$(marks "$T/again.json" 152)"

if command -v nfanon >/dev/null 2>&1 && command -v nfcapd >/dev/null 2>&1; then
	step "nfdump's nfanon makes the same of IPv4"
	python3 "$T/make.py" "$T/in.ipfix" 400
	document "$T/nf.xml" "$(rule hosts '<cx:prefixPreserving/>' ipv4Address ipv6Address)"
	run nf "$T/nf.xml"
	port=$(free_port)
	mkdir "$T/nf"
	start nfcapd nfcapd -w "$T/nf" -p "$port" -b 127.0.0.1 -t 3600 -I x
	nfcapd=$PID
	wait_port udp "$port"
	python3 - "$T/in.ipfix" "$port" <<'PY'
import socket, struct, sys, time
data, at = open(sys.argv[1], "rb").read(), 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[2])))
while at < len(data):
    n = struct.unpack_from(">H", data, at + 2)[0]
    s.send(data[at:at + n])
    at += n
    time.sleep(0.002)
PY
	# It writes what has come when it ends.
	taken()
	{
		[ "$(nf_queue)" = 0 ]
	}
	nf_queue()
	{
		awk -v port="$(printf ':%04X' "$port")" \
			'$2 ~ port { split($5, q, ":"); print q[2] + 0 }' \
			/proc/net/udp
	}
	wait_for 10 taken
	stop "$nfcapd"
	set -- "$T"/nf/nfcapd.*
	nfanon -K "0x$KEY" -r "$1" -w "$T/nf/anon" >"$T/nfanon.log" 2>&1 ||
		fail "nfanon: $(cat "$T/nfanon.log")"
	nfdump -r "$T/nf/anon" -q -N -o 'fmt:%sa %da' ipv4 2>/dev/null |
		tr -s ' ' | sed 's/^ //; s/ $//' | sort >"$T/theirs"
	python3 - "$T/nf.json" <<'PY' | sort >"$T/ours"
import json, sys
for d in map(json.loads, open(sys.argv[1])):
    if "sourceIPv4Address" in d:
        print(d["sourceIPv4Address"], d["destinationIPv4Address"])
PY
	equal "flows that nfdump has" 200 "$(lines "$T/theirs")"
	cmp "$T/ours" "$T/theirs" || {
		diff "$T/ours" "$T/theirs" | head
		fail "other addresses than nfanon's"
	}
fi

step "through a filter, a cache and three workers"
port=$(free_port)
sources="<cx:workers>3</cx:workers>
<collectingProcess><name>in</name>
<tcpCollector><name>t</name><localPort>$port</localPort></tcpCollector>
<cx:intermediateProcess>hide</cx:intermediateProcess></collectingProcess>"
field()
{
	printf '<cacheField><name>%s</name><ieName>%s</ieName>%s</cacheField>\n' \
		"$1" "$1" "${2:-}"
}
behind="<cx:intermediateProcess>some</cx:intermediateProcess></cx:intermediateProcess>
<cx:intermediateProcess><cx:name>some</cx:name><cx:filter>any</cx:filter>
<cx:cache>flows</cx:cache><cx:exportingProcess>out</cx:exportingProcess>
</cx:intermediateProcess>
<cache><name>flows</name><timeoutCache><cacheLayout>
$(field sourceIPv4Address '<isFlowKey/>')
$(field octetDeltaCount)
$(field flowStartMilliseconds)
</cacheLayout></timeoutCache>
<exportingProcess>merged</exportingProcess></cache>
<exportingProcess><name>merged</name><destination><name>d</name>
<fileWriter><file>file://$T/merged.ipfix</file></fileWriter>
</destination></exportingProcess>"
document "$T/workers.xml" "$(rule hosts '<cx:truncation>8</cx:truncation>' ipv4Address)
$(rule times '<cx:randomShift>3600</cx:randomShift>' timestamp)
$(rule counters '<cx:noise>1</cx:noise>' octetDeltaCount)"
# Records of "out" get two more fields, as their last ones.
sed -i 's|<name>out</name>|&<cx:originalExporter>records</cx:originalExporter>|' \
	"$T/workers.xml"
"$CONFLUX" check "$T/workers.xml" || fail "conflux check"
start workers "$CONFLUXD" -c "$T/workers.xml"
daemon=$PID
wait_port tcp "$port"
for i in 1 2 3 4; do
	"$MKIPFIX" -n 2000 -f 200 -s "$i" "tcp:127.0.0.1:$port" >/dev/null ||
		fail mkipfix
done
all_in()
{
	"$CONFLUX" status -j -s "$T/sock" ledger >"$T/status" &&
		[ "$(json "$T/status" "d['cx:total']['cx:ledger']['in']")" -ge 8000 ]
}
wait_for 20 all_in
"$CONFLUX" status -j -s "$T/sock" intermediateProcess >"$T/status" ||
	fail "conflux status"
matches "tells the rules" '"rules": *3' "$T/status"
stop "$daemon"
equal status 0 "$STATUS"
"$CONFLUX" read -f json "$T/out.ipfix" >"$T/out.json"
grep -q '"originalExporterIPv4Address"' "$T/out.json" || fail "no wider records"
for f in out merged; do
	"$CONFLUX" read -of json "$T/$f.ipfix" >"$T/$f.json"
	equal "$f: addresses" 2/3 "$(marks "$T/$f.json" 8)"
	equal "$f: octets" 8/0 "$(marks "$T/$f.json" 1)"
	equal "$f: times" 9/3 "$(marks "$T/$f.json" 152)"
	grep '"sourceIPv4Address"' "$T/$f.json" |
		grep -qv '"sourceIPv4Address": *"[0-9.]*\.0"' &&
		fail "$f: not truncated"
done

step "mistakes are told"
sources=$reader
behind=$export_process
document "$T/bad.xml" "
$(rule hosts '<cx:prefixPreserving/>' sourceTransportPort)
$(rule more '<cx:binning><cx:bin>1..2</cx:bin></cx:binning>' port)"
line=$(grep -n 'sourceTransportPort' "$T/bad.xml" | cut -d: -f1)
"$CONFLUX" check "$T/bad.xml" 2>"$T/bad" && fail "a mistake is taken"
matches "line, and what is expected" \
	"bad.xml:$line: cx:rule: the method is none for sourceTransportPort, expected an IPv4 or IPv6 address" \
	"$T/bad"
chmod 644 "$T/key"
document "$T/open.xml" "$(rule hosts '<cx:permutation/>' ipv4Address)"
"$CONFLUX" check "$T/open.xml" 2>"$T/bad" && fail "a key for all is taken"
matches "the mode of the key file" 'cx:keyFile: .*key: it is secret, but' "$T/bad"
chmod 600 "$T/key"
echo "$KEY" >>"$T/key"
"$CONFLUX" check "$T/open.xml" 2>"$T/bad" && fail "two keys are taken"
matches "two keys" 'more than one key in it, expected one of 32 octets' "$T/bad"
rm "$T/key"
"$CONFLUX" check "$T/open.xml" 2>"$T/bad" || fail "no key file is an error"
matches "no key file" 'open.xml:[0-9]*: .*No such file' "$T/bad"
"$CONFLUXD" -c "$T/open.xml" 2>"$T/bad" && fail "started without a key"
exit 0
