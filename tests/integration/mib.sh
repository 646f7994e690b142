#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# mibs/FLOW-METER-MIB.txt in Net-SNMP, with nothing but what Debian's main
# archive has of other modules: it loads without a word of complaint, and names,
# identifiers, syntax and access are those of RFC 2720. flow-meter-mib.tree was
# made from RFC 2720's own text.
. "${SRC:-.}/tests/integration/lib.sh"

need snmptranslate
# Neither configuration nor modules of the user.
HOME=$T MIBS= SNMPCONFPATH=$T
export HOME MIBS SNMPCONFPATH

translate()
{
	(cd "$SRC" && snmptranslate -M +mibs -m FLOW-METER-MIB -Pew "$@")
}

step "the tree is that of RFC 2720"
translate -Tp .1.3.6.1.2.1.40 >"$T/tree" 2>"$T/warnings"
equal "what the parser complains of" "" "$(cat "$T/warnings")"
cmp "$T/tree" "$SRC/tests/integration/flow-meter-mib.tree" ||
	fail "the tree differs"

step "each module loads alone"
for file in "$SRC"/mibs/*.txt; do
	module=$(basename "$file" .txt)
	snmptranslate -M "$SRC/mibs" -m "$module" -Pew .1.3 \
		>"$T/out" 2>"$T/warnings"
	equal "what the parser says of $module" "" "$(cat "$T/warnings")"
done

# names PREFIX FIRST NAME...: the columns from FIRST on have these names.
names()
{
	prefix=$1 column=$2
	shift 2
	for name in "$@"; do
		echo "$prefix.$column" >>"$T/oids"
		echo "FLOW-METER-MIB::$name" >>"$T/names"
		column=$((column + 1))
	done
}

step "names and identifiers, both ways"
F=.1.3.6.1.2.1.40
names $F.1.1.1 1 flowRuleInfoIndex flowRuleInfoSize flowRuleInfoOwner \
	flowRuleInfoTimeStamp flowRuleInfoStatus flowRuleInfoName \
	flowRuleInfoRulesReady flowRuleInfoFlowRecords
names $F.1.2.1 1 flowInterfaceSampleRate flowInterfaceLostPackets
names $F.1.3.1 1 flowReaderIndex flowReaderTimeout flowReaderOwner \
	flowReaderLastTime flowReaderPreviousTime flowReaderStatus \
	flowReaderRuleSet
names $F.1.4.1 1 flowManagerIndex flowManagerCurrentRuleSet \
	flowManagerStandbyRuleSet flowManagerHighWaterMark \
	flowManagerCounterWrap flowManagerOwner flowManagerTimeStamp \
	flowManagerStatus flowManagerRunningStandby
names $F.1 5 flowFloodMark flowInactivityTimeout flowActiveFlows flowMaxFlows \
	flowFloodMode
names $F.2.1.1 1 flowDataIndex flowDataTimeMark flowDataStatus
for end in 4:Source 14:Dest; do
	for name in Interface AdjacentType AdjacentAddress AdjacentMask \
		PeerType PeerAddress PeerMask TransType TransAddress \
		TransMask; do
		set -- "$@" "flowData${end#*:}$name"
	done
	names $F.2.1.1 "${end%:*}" "$@"
	set --
done
names $F.2.1.1 24 flowDataPDUScale flowDataOctetScale flowDataRuleSet \
	flowDataToOctets flowDataToPDUs flowDataFromOctets flowDataFromPDUs \
	flowDataFirstTime flowDataLastActiveTime flowDataSourceSubscriberID \
	flowDataDestSubscriberID flowDataSessionID flowDataSourceClass \
	flowDataDestClass flowDataClass flowDataSourceKind flowDataDestKind \
	flowDataKind
names $F.2.2.1 1 flowColumnActivityAttribute flowColumnActivityTime \
	flowColumnActivityIndex flowColumnActivityData
names $F.2.3.1 1 flowPackageSelector flowPackageRuleSet flowPackageTime \
	flowPackageIndex flowPackageData
names $F.3.1.1 1 flowRuleSet flowRuleIndex flowRuleSelector flowRuleMask \
	flowRuleMatchedValue flowRuleAction flowRuleParameter

# shellcheck disable=SC2046
translate -On $(cat "$T/names") | sed '/^$/d' >"$T/got"
cmp "$T/got" "$T/oids" || fail "a name has another identifier"
# shellcheck disable=SC2046
translate $(cat "$T/oids") | sed '/^$/d' >"$T/got"
cmp "$T/got" "$T/names" || fail "an identifier has another name"

step "a package of attributes 11, 18 and 29"
equal "its time and index" 7.12345.3447 "$(translate \
	$F.2.3.1.5.3.11.18.29.7.12345.3447 | sed 's/.*"\.//')"
exit 0
