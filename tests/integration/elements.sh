#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Information Elements of the user's own: named in a file beside the
# configuration, used in a cache, described to the collector (RFC 5610). All
# sources are files, so confluxd ends by itself.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

"$MKIPFIX" -e -n 1000 "$T/in.ipfix" >/dev/null || fail mkipfix
cat >"$T/own.xml" <<'END'
<elements xmlns="urn:conflux:elements:1">
  <element pen="64999" id="1" name="hall" type="string"/>
  <element pen="64999" id="2" name="waited" type="unsigned32"
      semantics="deltaCounter"/>
</elements>
END
cat >"$T/own-cache.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
<cx:elementFile>own.xml</cx:elementFile>
<collectingProcess><name>in</name><fileReader><name>f</name>
<file>file://$T/in.ipfix</file></fileReader><cx:cache>halls</cx:cache>
</collectingProcess>
<cache><name>halls</name><timeoutCache><cacheLayout>
<cacheField><name>h</name><ieName>hall</ieName><isFlowKey/></cacheField>
<cacheField><name>w</name><ieName>waited</ieName></cacheField>
</cacheLayout></timeoutCache><exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>f</name><fileWriter>
<file>file://$T/out.ipfix</file></fileWriter></destination>
<options><name>t</name><optionsType>extendedTypeInformation</optionsType>
</options></exportingProcess></ipfix>
END

step "a cache with them"
start own "$CONFLUXD" -c "$T/own-cache.xml"
wait_exit "$PID" 20
equal status 0 "$STATUS"
ledger_holds "$T/own.err"

step "their sums, by the names that were sent along"
"$CONFLUX" read -f json "$T/in.ipfix" >"$T/in.json" || fail "reading in"
"$CONFLUX" read -f json "$T/out.ipfix" >"$T/out.json" || fail "reading out"
python3 - "$T/in.json" "$T/out.json" <<'PYTHON' || fail "sums"
import collections, json, sys
sums = [collections.Counter(), collections.Counter()]
for path, key, value, sum in (sys.argv[1], 'siteName', 'roundTripTime', sums[0]), \
        (sys.argv[2], 'hall', 'waited', sums[1]):
    for line in open(path):
        record = json.loads(line)
        if key in record:
            sum[record[key]] += record[value]
assert sums[0] and sums[0] == sums[1], sums
PYTHON

step "without the file their names are not known"
sed /elementFile/d "$T/own-cache.xml" >"$T/unknown.xml"
"$CONFLUX" check "$T/unknown.xml" 2>"$T/err" && fail "unknown elements"
matches "which" 'unknown.xml:[0-9]+: ieName: "hall" is no known' "$T/err"
exit 0
