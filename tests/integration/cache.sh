#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The cache of confluxd, with one worker and with two: idle time, ends of TCP,
# the bound of flows, distribution over intervals. See cache.py.
. "${SRC:-.}/tests/integration/lib.sh"
need python3

ports=
while [ "$(echo "$ports" | wc -w)" -lt 16 ]; do
	ports="$ports $(free_port)"
done
# shellcheck disable=SC2086
python3 "$SRC/tests/integration/cache.py" "$CONFLUXD" "$CONFLUX" "$T" $ports ||
	exit 1
for log in "$T"/cache*.err "$T"/cache*.json; do
	ledger_holds "$log"
done
exit 0
