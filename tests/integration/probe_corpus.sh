#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Captures of others: some 900 files of 35 link types, many of them wrong on
# purpose. All packets are counted as capinfos counts them; what Zeek and
# ipfixprobe made of some of them is what we make. See probe_corpus.py.
. "${SRC:-.}/tests/integration/lib.sh"
corpus=$SRC/../shared/corpus/pcap
[ -d "$corpus" ] || skip "no captures of others"
need python3 capinfos
parts="counts zeek ipfixprobe"
! command -v tshark >/dev/null || ! command -v mergecap >/dev/null ||
	parts="$parts packets"
for part in $parts; do
	step "$part"
	T=$T CONFLUX=$CONFLUX CONFLUXD=$CONFLUXD \
		python3 "$SRC/tests/integration/probe_corpus.py" "$corpus" \
		"$part" || fail "$part"
done
exit 0
