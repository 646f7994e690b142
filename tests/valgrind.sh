#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# One unit test in valgrind: valgrind.sh BUILD MODULE/NAME. Its output goes to
# BUILD/logs/valgrind-MODULE-NAME.out, its status there to .status; the exit
# status is 0 in any case, so that xargs goes on.

SRC=$(cd "$(dirname "$0")/.." && pwd)
cd "$1" || exit 1
mkdir -p logs
log=logs/valgrind-$(echo "$2" | tr / -)
UNIT_SLOW=yes srcdir=$SRC timeout 600 valgrind -q --error-exitcode=99 \
	--leak-check=full --errors-for-leak-kinds=definite \
	--suppressions="$SRC/tests/valgrind.supp" "tests/unit/$2" \
	>"$log.out" 2>&1 </dev/null
echo $? >"$log.status"
exit 0
