#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The header walk over all packets of the captures of others, against TShark:
# the outermost IP header and the innermost, with their ports. See
# walk_corpus.py, which has the list of what differs and why.
. "${SRC:-.}/tests/integration/lib.sh"
corpus=$SRC/../shared/corpus/pcap
[ -d "$corpus" ] || skip "no captures of others"
need python3 capinfos mergecap tshark
T=$T python3 "$SRC/tests/integration/walk_corpus.py" "$corpus" \
	"$BUILD/tests/tools/walkdump" || fail "headers differ"
exit 0
