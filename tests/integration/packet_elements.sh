#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# What packets tell, element by element, is what tshark says of them: each
# packet of a capture that scapy makes, of Ethernet and 802.11, becomes a record.
. "${SRC:-.}/tests/integration/lib.sh"
need tshark mergecap
PY=/usr/bin/python3 # that of the system, for its packages
"$PY" -c 'import scapy' 2>/dev/null || skip "no scapy"
E=$SRC/tests/integration/packet_elements.py

"$PY" "$E" make "$T/ethernet.pcap" || fail "making packets"
"$PY" "$E" wlan "$T/wlan.pcap" || fail "making frames"
mergecap -a -w "$T/in.pcap" "$T/ethernet.pcap" "$T/wlan.pcap" || fail mergecap

fields() {
	echo "<cacheField><name>t</name><ieName>observationTimeSeconds</ieName>
</cacheField>
<cacheField><name>n</name><ieName>packetTotalCount</ieName></cacheField>"
	"$PY" "$E" fields | while read -r name; do
		echo "<cacheField><name>$name</name><ieName>$name</ieName>
</cacheField>"
	done
}

cat >"$T/probe.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
<observationPoint><name>point</name><observationDomainId>1</observationDomainId>
<cx:captureFile>$T/in.pcap</cx:captureFile>
<cx:nonIp>true</cx:nonIp>
<selectionProcess>all</selectionProcess></observationPoint>
<selectionProcess><name>all</name><selector><name>all</name><selectAll/>
</selector><cache>packets</cache></selectionProcess>
<cache><name>packets</name><immediateCache><cacheLayout>
$(fields)
</cacheLayout></immediateCache><exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>f</name><fileWriter>
<file>file://$T/out.ipfix</file></fileWriter></destination></exportingProcess>
</ipfix>
END

step "each packet a record"
start probe "$CONFLUXD" -c "$T/probe.xml"
wait_exit "$PID" 30
equal status 0 "$STATUS"

step "the same as tshark"
# shellcheck disable=SC2046 # names without spaces
tshark -r "$T/in.pcap" -o ip.defragment:FALSE -T fields \
	-e frame.time_epoch $("$PY" "$E" tshark | sed 's/^/-e /') \
	>"$T/tshark" 2>"$T/tshark.log" || fail tshark
"$CONFLUX" read -f json "$T/out.ipfix" >"$T/json" || fail "conflux read"
"$PY" "$E" compare "$T/tshark" "$T/json" || fail "they differ"
exit 0
