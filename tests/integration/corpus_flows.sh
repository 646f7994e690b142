#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# IPFIX, NetFlow and sFlow of real exporters, captured by other projects, through the Collecting
# Process; the records are compared with what those projects' own tests, or
# independent decoders, say is in them. CORPUS is the folder of captures.
. "${SRC:-.}/tests/integration/lib.sh"
: "${CORPUS:=$SRC/../shared/corpus}"
need python3
[ -d "$CORPUS/flows" ] || skip "there is no folder of captures ($CORPUS)"
python3 "$SRC/tests/integration/corpus_flows.py" \
	"$BUILD/tests/integration/corpus_collect" "$CORPUS/flows" ||
	fail "records differ from what is expected"
