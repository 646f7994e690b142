#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# What packets tell, element by element, is what tshark says of them: each
# packet of a capture that scapy makes, of Ethernet and 802.11, becomes a record.
# Options that tshark does not know are what they were made to be.
. "${SRC:-.}/tests/integration/lib.sh"
need tshark mergecap
PY=/usr/bin/python3 # that of the system, for its packages
"$PY" -c 'import scapy' 2>/dev/null || skip "no scapy"
E=$SRC/tests/integration/packet_elements.py

"$PY" "$E" make "$T/ethernet.pcap" || fail "making packets"
"$PY" "$E" wlan "$T/wlan.pcap" || fail "making frames"
mergecap -a -w "$T/in.pcap" "$T/ethernet.pcap" "$T/wlan.pcap" || fail mergecap

# fields WHICH
fields() {
	"$PY" "$E" "$1" | while read -r name; do
		echo "<cacheField><name>$name</name><ieName>$name</ieName>
</cacheField>"
	done
}
count="<cacheField><name>n</name><ieName>packetTotalCount</ieName></cacheField>"
time="$count<cacheField><name>t</name><ieName>observationTimeSeconds</ieName>
</cacheField>"

# meter NAME CACHE FIELDS [MORE]: the packets of NAME.pcap, to json; MORE: of
# the cache
meter() {
	cat >"$T/$1.xml" <<END
<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
    xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>$T/sock</cx:controlSocket>
<observationPoint><name>point</name><observationDomainId>1</observationDomainId>
<cx:captureFile>$T/$1.pcap</cx:captureFile>
<cx:nonIp>true</cx:nonIp>
<selectionProcess>all</selectionProcess></observationPoint>
<selectionProcess><name>all</name><selector><name>all</name><selectAll/>
</selector><cache>packets</cache></selectionProcess>
<cache><name>packets</name><$2>${4:-}<cacheLayout>
$3
</cacheLayout></$2><exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>f</name><fileWriter>
<file>file://$T/out.ipfix</file></fileWriter></destination></exportingProcess>
</ipfix>
END
	start "$1" "$CONFLUXD" -c "$T/$1.xml"
	wait_exit "$PID" 30
	equal status 0 "$STATUS"
	"$CONFLUX" read -f json "$T/out.ipfix" >"$T/json" ||
		fail "conflux read"
}

step "each packet a record, the same as tshark"
meter in immediateCache "$time$(fields fields)"
# shellcheck disable=SC2046 # names without spaces
tshark -r "$T/in.pcap" -o ip.defragment:FALSE -T fields \
	-e frame.time_epoch $("$PY" "$E" tshark | sed 's/^/-e /') \
	>"$T/tshark" 2>"$T/tshark.log" || fail tshark
"$PY" "$E" compare "$T/tshark" "$T/json" || fail "they differ"

step "options of TCP and UDP, chains of extension headers"
"$PY" "$E" options "$T/options.pcap" "$T/truth" || fail "making packets"
meter options immediateCache "$time$(fields option-fields)$(fields chain-fields)"
"$PY" "$E" told "$T/truth" "$T/json" || fail "they differ"

step "a Flow has what all its packets have"
meter options timeoutCache "$count$(fields option-fields)" \
	"<activeTimeout>0</activeTimeout><idleTimeout>0</idleTimeout>"
"$PY" "$E" flow "$T/truth" "$T/json" || fail "it differs"
exit 0
