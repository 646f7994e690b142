#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The program conflux: read against files of ours, of libfixbuf and broken
# ones; elements; check; usage errors. (status: see the tests of the daemon.)
. "${SRC:-.}/tests/integration/lib.sh"
need python3

# A sum over an element of JSON lines: sum FILE NAME
sum()
{
	python3 -c 'import json, sys
print(sum(json.loads(line).get(sys.argv[2], 0) for line in open(sys.argv[1])))
' "$1" "$2"
}

# runs STATUS COMMAND...: to $T/out and $T/err
runs()
{
	wanted=$1
	shift
	"$@" >"$T/out" 2>"$T/err" </dev/null
	code=$?
	[ $code -eq "$wanted" ] && return
	tail -n 5 "$T/err"
	fail "status $code, not $wanted: $*"
}

# The text changed in place: edit FILE OFFSET OCTETS (printf)
edit()
{
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

step "usage"
runs 2 "$CONFLUX"
runs 2 "$CONFLUX" frobnicate
runs 0 "$CONFLUX" --version
for command in check elements pki read status; do
	runs 0 "$CONFLUX" "$command" --help
	matches "help of $command" "^usage: conflux $command" "$T/out"
	runs 2 "$CONFLUX" "$command" --no-such-option
done
runs 2 "$CONFLUX" read -f xml
runs 2 "$CONFLUX" read -n 0
runs 2 "$CONFLUX" read -t -f csv
runs 2 "$CONFLUX" check
runs 2 "$CONFLUX" status -w x

step "all records are read, in each format"
"$MKIPFIX" -e -n 1000 "$T/all.ipfix" >"$T/truth" || fail mkipfix
runs 0 "$CONFLUX" read -f json "$T/all.ipfix"
mv "$T/out" "$T/all.json"
equal records "$(json "$T/truth" "d['records']")" "$(lines "$T/all.json")"
equal octets "$(json "$T/truth" "d['octets']")" \
	"$(sum "$T/all.json" octetDeltaCount)"
equal packets "$(json "$T/truth" "d['packets']")" \
	"$(sum "$T/all.json" packetDeltaCount)"
runs 0 "$CONFLUX" read "$T/all.ipfix"
equal "lines of text" 1000 "$(lines "$T/out")"
matches text '^sourceIPv4Address=10\.[0-9.]+ .* protocolIdentifier=6 ' "$T/out"
runs 0 "$CONFLUX" read -f csv "$T/all.ipfix"
python3 - "$T/out" <<'PYTHON' || fail "CSV"
import csv, sys
records, header = 0, None
for row in csv.reader(open(sys.argv[1], newline='')):
	if not row:
		header = None
	elif header is None:
		header = row
	else:
		assert len(row) == len(header), row
		records += 1
assert records == 1000, records
PYTHON

step "type information, structured data, templates, options"
python3 - "$T/all.json" <<'PYTHON' || fail "values"
import json, sys
d = json.loads(open(sys.argv[1]).readlines()[9])
assert d['siteName'] == 'site "4", hall', d
assert d['roundTripTime'] == 90
assert d['interfaceName'] == 'eth\u00e90'
assert d['basicList'] == {'semantic': 'allOf',
	'element': 'sourceTransportPort', 'values': [80, 443]}
records = d['subTemplateList']['records']
assert [r['interfaceName'] for r in records] == ['eth0', '']
assert records[1]['sourceMacAddress'] == '02:00:00:00:00:02'
PYTHON
runs 0 "$CONFLUX" read -t -o -f json -n 3 "$T/all.ipfix"
equal "templates" 5 "$(grep -c '^{"template":' "$T/out")"
equal "options records" 2 "$(grep -c '^{"options":' "$T/out")"
equal "limit" 8 "$(lines "$T/out")"
runs 0 "$CONFLUX" read -t -n 1 "$T/all.ipfix"
matches "text of a template" \
	'^optionsTemplate 258 domain 1: privateEnterpriseNumber\(4,scope\) ' \
	"$T/out"

step "standard input, several files, a file that is not there"
"$CONFLUX" read <"$T/all.ipfix" >"$T/out" || fail "standard input"
equal "from standard input" 1000 "$(lines "$T/out")"
runs 0 "$CONFLUX" read "$T/all.ipfix" "$T/all.ipfix"
equal "two files" 2000 "$(lines "$T/out")"
runs 1 "$CONFLUX" read "$T/none.ipfix" "$T/all.ipfix"
equal "the other file" 1000 "$(lines "$T/out")"
matches "the missing file" 'none.ipfix: No such file' "$T/err"

step "what comes through a pipe is printed at once"
mkfifo "$T/pipe"
start_in live "$T/pipe" "$CONFLUX" read
exec 9>"$T/pipe"
cat "$T/all.ipfix" >&9
enough()
{
	[ "$(lines "$T/live.out")" -eq 1000 ]
}
wait_for 10 enough
exec 9>&-
wait_exit $PID 10
equal status 0 $STATUS

step "broken files"
"$MKIPFIX" -n 1000 -b 3 "$T/bad.ipfix" >"$T/truth" || fail mkipfix
runs 1 "$CONFLUX" read -f json "$T/bad.ipfix"
equal "all but one message" "$(json "$T/truth" "d['records']")" \
	"$(lines "$T/out")"
matches "where" 'bad.ipfix: offset [0-9]+: message: set reaches behind' "$T/err"
equal "one complaint" 1 "$(lines "$T/err")"
head -c 5000 "$T/all.ipfix" >"$T/cut.ipfix"
runs 1 "$CONFLUX" read "$T/cut.ipfix"
matches "cut off" 'ends within a message' "$T/err"
: >"$T/empty.ipfix"
runs 0 "$CONFLUX" read "$T/empty.ipfix"
runs 1 "$CONFLUX" read "$CONFLUX"
matches "no IPFIX" 'offset 0: no IPFIX message' "$T/err"
cp "$T/all.ipfix" "$T/version.ipfix"
edit "$T/version.ipfix" 0 '\000\011'
runs 1 "$CONFLUX" read "$T/version.ipfix"
cp "$T/all.ipfix" "$T/length.ipfix"
edit "$T/length.ipfix" 2 '\000\003'
runs 1 "$CONFLUX" read "$T/length.ipfix"
matches "short length" 'offset 0: message length is less' "$T/err"
cp "$T/all.ipfix" "$T/noset.ipfix"
edit "$T/noset.ipfix" 16 '\000\005'
runs 1 "$CONFLUX" read "$T/noset.ipfix"
matches "reserved set" 'set with the reserved id 5' "$T/err"
matches "no template" 'data of template 256 of domain 1, which is not' "$T/err"
equal "bounded complaints" 101 "$(lines "$T/err")"

step "noise of all kinds does no harm"
python3 - "$T/all.ipfix" "$T" <<'PYTHON'
import random, sys
random.seed(5655)
good = open(sys.argv[1], 'rb').read()
for i in range(40):
	bad = bytearray(good)
	for _ in range(1 + i * 3):
		bad[random.randrange(len(bad))] = random.randrange(256)
	open('%s/noise%d.ipfix' % (sys.argv[2], i), 'wb').write(bad)
PYTHON
for f in "$T"/noise*.ipfix; do
	"$CONFLUX" read -t -o -f json "$f" >"$T/out" 2>"$T/err"
	code=$?
	[ $code -le 1 ] || fail "status $code for ${f##*/}"
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
	json.loads(line)' "$T/out" || fail "no JSON from ${f##*/}"
done

step "elements"
runs 0 "$CONFLUX" elements
matches octetDeltaCount '^0/1	octetDeltaCount	unsigned64	deltaCounter' "$T/out"
runs 0 "$CONFLUX" elements 8 29305/1 packetDeltaCount
equal "three elements" 3 "$(lines "$T/out")"
runs 1 "$CONFLUX" elements octetDeltaCnt
matches nearest 'nearest is octetDeltaCount' "$T/err"
cat >"$T/own.xml" <<'XML'
<elements xmlns="urn:conflux:elements:1">
  <element pen="64999" id="1" name="ownName" type="string"/>
</elements>
XML
runs 0 "$CONFLUX" elements -E "$T/own.xml" 64999/1
matches "own element" '^64999/1	ownName	string' "$T/out"
runs 0 "$CONFLUX" read -E "$T/own.xml" -f json "$T/all.ipfix"
matches "own name wins" '"ownName":"site' "$T/out"
sed -i s/string/strong/ "$T/own.xml"
runs 1 "$CONFLUX" elements -E "$T/own.xml"
matches "bad element file" 'own.xml:2: .*strong' "$T/err"

step "filters"
runs 0 "$CONFLUX" read -f json "$T/all.ipfix"
mv "$T/out" "$T/all.json"
tcp=$(grep -c '"protocolIdentifier":6,' "$T/all.json")
runs 0 "$CONFLUX" read "$T/all.ipfix" 'proto tcp'
equal "an expression at the end" "$tcp" "$(lines "$T/out")"
runs 0 "$CONFLUX" read "$T/all.ipfix" tcp
equal "of one word" "$tcp" "$(lines "$T/out")"
runs 0 "$CONFLUX" read -o -F 'not tcp' "$T/all.ipfix"
equal "options pass" "$(($(lines "$T/all.json") - tcp))" \
	"$(grep -vc '^options' "$T/out")"
matches "options pass" '^options' "$T/out"
"$CONFLUX" read tcp <"$T/all.ipfix" >"$T/out" || fail "standard input"
equal "of standard input" "$tcp" "$(lines "$T/out")"
runs 0 "$CONFLUX" read -n 3 -F tcp "$T/all.ipfix"
equal "and a limit" 3 "$(lines "$T/out")"
runs 0 "$CONFLUX" read -T 5 "$T/all.ipfix" 'tcp and inet6 or tcp and inet'
matches "of a list" "^$tcp records" "$T/out"
runs 0 "$CONFLUX" read -T 5 -n 7 "$T/all.ipfix" tcp
matches "of a list with a limit" "^7 records" "$T/out"
runs 2 "$CONFLUX" read "$T/all.ipfix" 'tcp and src prot 80'
matches "what is wrong" '^conflux read: expression: column 13: ' "$T/err"
matches "a caret" '^              \^$' "$T/err"
runs 2 "$CONFLUX" read -F tcp "$T/all.ipfix" 'src port 80'
runs 1 "$CONFLUX" read "$T/none.ipfix"
matches "a file that is not there" 'No such file' "$T/err"

step "check"
cat >"$T/good.xml" <<'XML'
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp">
  <collectingProcess>
    <name>in</name>
    <udpCollector><name>u</name><localPort>4739</localPort></udpCollector>
    <exportingProcess>out</exportingProcess>
  </collectingProcess>
  <exportingProcess>
    <name>out</name>
    <destination>
      <name>d</name>
      <fileWriter><file>file:///tmp/out.ipfix</file></fileWriter>
    </destination>
  </exportingProcess>
</ipfix>
XML
runs 0 "$CONFLUX" check "$T/good.xml"
runs 0 "$CONFLUX" check --print "$T/good.xml"
matches "a default" '<templateLifeTime>1800</templateLifeTime>' "$T/out"
mv "$T/out" "$T/printed.xml"
runs 0 "$CONFLUX" check "$T/printed.xml"
runs 0 "$CONFLUX" check --print-rfc "$T/good.xml"
if grep -q 'urn:conflux' "$T/out"; then
	fail "our additions in --print-rfc"
fi
# RFC 6728: the name of a forward element with 29305 is the reverse one.
sed '/<exportingProcess>out/s/exportingProcess/cx:cache/g
s/psamp">/psamp" xmlns:cx="urn:conflux:config:1">/
/^<\/ipfix>/i\
<cache><name>out</name><timeoutCache><cacheLayout>\
<cacheField><name>k</name><ieName>sourceIPv4Address</ieName><isFlowKey/></cacheField>\
<cacheField><name>r</name><ieName>octetDeltaCount</ieName>\
<ieEnterpriseNumber>29305</ieEnterpriseNumber></cacheField>\
</cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>
' "$T/good.xml" >"$T/reverse.xml"
runs 0 "$CONFLUX" check "$T/reverse.xml"
# What only caches know, and files that confluxd would miss.
sed 's|<ieName>sourceIP.*</cacheField>|<ieName>sourceIPv4Address</ieName>\
<cx:merge>sum</cx:merge></cacheField>|
s|<udpCollector>.*</udpCollector>|<fileReader><name>f</name>\
<file>file:///nowhere/in.ipfix</file></fileReader>|' "$T/reverse.xml" >"$T/cache.xml"
runs 1 "$CONFLUX" check "$T/cache.xml"
matches "the field" 'cache.xml:[0-9]+: cacheField: sum, .* need a number' "$T/err"
matches "a file" 'cache.xml:5: file: warning: /nowhere/in.ipfix: No such' "$T/err"
printf 'Null 0 0 Ignore\nNull 0 0 Ignor\n' >"$T/bad.rules"
sed "s|<fileReader>|<cx:meterReader><cx:name>m</cx:name>\\
<cx:address>192.0.2.1</cx:address><cx:community>secret</cx:community>\\
<cx:manage><cx:ruleSetFile>bad.rules</cx:ruleSetFile></cx:manage>\\
</cx:meterReader>&|" "$T/cache.xml" >"$T/rules.xml"
runs 1 "$CONFLUX" check "$T/rules.xml"
matches "a rule" 'bad.rules:2: .*Ignor' "$T/err"
matches "its file" 'rules.xml:6: cx:ruleSetFile: .*bad.rules has mist' "$T/err"
sed 's/localPort/lokalPort/g; s/ss>out</ss>aut</' "$T/good.xml" >"$T/bad.xml"
runs 1 "$CONFLUX" check "$T/bad.xml"
matches "unknown element" 'bad.xml:4: .*lokalPort.*localPort' "$T/err"
matches "dangling name" 'bad.xml:5: .*aut' "$T/err"
runs 1 "$CONFLUX" check "$T/bad.xml" "$T/good.xml"
runs 1 "$CONFLUX" check "$T/none.xml"

step "examples are good, and so is what is printed of them"
for example in "$SRC"/examples/*.xml; do
	for print in --print --print-rfc; do
		runs 0 "$CONFLUX" check $print "$example"
		mv "$T/out" "$T/printed.xml"
		# Secrets and files are only in the original.
		# Pre-shared keys are ours alone: without them there is
		# nobody left that may talk.
		case $print-$example in
		--print-rfc-*psk*) ;;
		# It has the files beside it that the example names.
		--print-rfc-*lookup*) ;;
		--print-rfc-*) runs 0 "$CONFLUX" check "$T/printed.xml" ;;
		esac
	done
done

step "status with nobody there"
runs 1 "$CONFLUX" status -s "$T/none.sock"
matches "who" "no answer at $T/none.sock" "$T/err"

step "libfixbuf reads ours"
if command -v ipfixDump >/dev/null; then
	ipfixDump --in "$T/all.ipfix" >"$T/dump" 2>&1 || fail ipfixDump
	# Options records are counted there too.
	matches "libfixbuf's count" '1002 Data Records' "$T/dump"
else
	echo "(there is no ipfixDump)"
fi
exit 0
