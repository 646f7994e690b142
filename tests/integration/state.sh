#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Every name in the JSON of conflux status is either prefixed with "cx:" or a
# node of RFC 6728 in its place: the table of the configuration, which is that
# model, says so. All that this build has is running: collectors, a file, a
# meter, the four kinds of cache, the four kinds of destination.
. "${SRC:-.}/tests/integration/lib.sh"
need python3
paths=$BUILD/src/config/schema_print
[ -x "$paths" ] || skip "make check has not been run"

sock=$T/control.sock
port=$(free_port) meter_port=$(free_port) out=$(free_port) udp_out=$(free_port)

# cache NAME KIND KEY
cache()
{
	cat <<-END
	<cache><name>$1</name><$2><cacheLayout>
	<cacheField><name>s</name><ieName>sourceIPv4Address</ieName>$3</cacheField>
	<cacheField><name>o</name><ieName>octetDeltaCount</ieName></cacheField>
	</cacheLayout></$2><exportingProcess>out</exportingProcess></cache>
	END
}

"$MKIPFIX" -e -n 1000 "$T/in.ipfix" >/dev/null || fail mkipfix
head='<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	xmlns:cx="urn:conflux:config:1">'
cat >"$T/state.xml" <<END
$head<cx:controlSocket>$sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>u</name><localPort>$port</localPort>
<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
<tcpCollector><name>t</name><localPort>$port</localPort>
<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
<fileReader><name>f</name><file>file://$T/in.ipfix</file></fileReader>
<cx:meterReader><cx:name>m</cx:name><cx:address>127.0.0.1</cx:address>
<cx:port>$meter_port</cx:port><cx:community>state</cx:community>
<cx:timeout>200</cx:timeout><cx:interval>1</cx:interval></cx:meterReader>
<cx:cache>timeout</cx:cache><cx:cache>natural</cx:cache>
<cx:cache>permanent</cx:cache><cx:cache>immediate</cx:cache>
</collectingProcess>
$(cache timeout timeoutCache "<isFlowKey/>")
$(cache natural naturalCache "<isFlowKey/>")
$(cache permanent permanentCache "<isFlowKey/>")
$(cache immediate immediateCache "")
<exportingProcess><name>out</name>
<destination><name>f</name><fileWriter><file>file://$T/out.ipfix</file>
</fileWriter></destination>
<destination><name>u</name><udpExporter>
<destinationIPAddress>127.0.0.1</destinationIPAddress>
<destinationPort>$udp_out</destinationPort></udpExporter></destination>
<destination><name>t</name><tcpExporter>
<destinationIPAddress>127.0.0.1</destinationIPAddress>
<destinationPort>$out</destinationPort></tcpExporter></destination>
<destination><name>j</name><cx:jsonWriter><cx:file>file://$T/out.json</cx:file>
</cx:jsonWriter></destination>
<options><name>k</name><optionsType>flowKeys</optionsType></options>
</exportingProcess></ipfix>
END
cat >"$T/sink.xml" <<END
$head<cx:controlSocket>$T/sink.sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>u</name><localPort>$udp_out</localPort>
<localIPAddress>127.0.0.1</localIPAddress></udpCollector>
<tcpCollector><name>t</name><localPort>$out</localPort>
<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>
<exportingProcess>out</exportingProcess></collectingProcess>
<exportingProcess><name>out</name><destination><name>f</name><fileWriter>
<file>file://$T/sink.ipfix</file></fileWriter></destination>
</exportingProcess></ipfix>
END

step "all kinds of processes are running"
start sink "$CONFLUXD" -c "$T/sink.xml"
wait_port tcp "$out"
echo state >"$T/community"
start meter "$FLOWMETER" -p "$meter_port" -w "@$T/community" --flows 50
wait_port udp "$meter_port"
start daemon "$CONFLUXD" -c "$T/state.xml"
daemon=$PID
wait_port tcp "$port"
start tcp "$MKIPFIX" -n 3000 -r 500 "tcp:127.0.0.1:$port"
"$MKIPFIX" -n 500 -r 2000 "udp:127.0.0.1:$port" >/dev/null || fail mkipfix
busy()
{
	"$CONFLUX" status -s "$sock" -j >"$T/state.json" &&
		json "$T/state.json" "[None][not all((
	d['collectingProcess'][0]['tcpCollector'][0]['transportSession'],
	d['collectingProcess'][0]['fileReader'][0]['records'],
	d['cx:meterReader'][0]['cx:ledger']['in'],
	d['exportingProcess'][0]['destination'][2]['tcpExporter']
		['transportSession']['template']))]"
}
wait_for 15 busy

step "the names are those of the model"
"$paths" paths >"$T/paths"
python3 - "$T/state.json" "$T/paths" >"$T/wrong" <<'PYTHON' || fail "names"
import json, sys
known = set(open(sys.argv[2]).read().split())
wrong, seen = set(), set()
def look(value, path):
    if isinstance(value, list):
        for item in value:
            look(item, path)
    elif isinstance(value, dict):
        for name, inside in value.items():
            if name.startswith('cx:'):
                continue
            here = path + '/' + name
            (seen if here in known else wrong).add(here)
            look(inside, here)
look(json.load(open(sys.argv[1])), 'ipfix')
print('\n'.join(sorted(wrong)), end='')
assert len(seen) > 100, sorted(seen)
PYTHON
[ -s "$T/wrong" ] && fail "not in the model: $(tr '\n' ' ' <"$T/wrong")"
stop "$daemon"
equal "status" 0 "$STATUS"
ledger_holds "$T/daemon.err"
exit 0
