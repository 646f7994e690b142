#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The quickstart, shortened, two at a time and from another folder. It fails by
# itself if a single octet is not where it should be.
. "${SRC:-.}/tests/integration/lib.sh"

cd / || exit 1
export SECONDS_OF_TRAFFIC=4
start first sh "$SRC/examples/quickstart.sh"
first=$PID
start second sh "$SRC/examples/quickstart.sh"
second=$PID
for p in $first $second; do
	wait_exit "$p" 60
	equal "status" 0 "$STATUS"
done
for name in first second; do
	matches "$name" '^Every octet and packet that went in' "$T/$name.out"
	matches "a merged flow" '^  10\.0\.0\.[0-9]+/29 +198\.51\.100\.0/24 ' \
		"$T/$name.out"
	matches "the ledger" '^ledger: all: in [0-9]+, ' "$T/$name.out"
done
exit 0
