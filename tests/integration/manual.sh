#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Each option that a program tells about with --help is in its manual page, and
# the other way round. Whether the pages are well formed is the task of run.sh.
. "${SRC:-.}/tests/integration/lib.sh"

# Options at the beginnings of lines: "  -f, --format FORMAT  ..."
in_help()
{
	"$@" --help | sed -n 's/^ *\(-[^ ]*\( --[^ ]*\)*\) .*/\1/p' |
		tr -s ', ' '\n' | grep '^-' | sort -u
}

# Those of a list: ".It Fl f , Fl -format Ar format", on standard input
in_manual()
{
	sed -n 's/^\.It //p' | tr ' ' '\n' |
		awk 'last == "Fl" { print "-" $0 } { last = $0 }' | sort -u
}

# compare WHAT: $T/help and $T/manual
compare()
{
	[ -s "$T/help" ] || fail "there is no option in the help of $1"
	diff "$T/help" "$T/manual" >"$T/diff" && return
	cat "$T/diff"
	fail "$1: --help (<) and the manual page (>) differ"
}

step "confluxd"
in_help "$CONFLUXD" >"$T/help"
in_manual <"$SRC/src/daemon/confluxd.8" >"$T/manual"
compare confluxd

step "conflux"
page=$SRC/src/cli/conflux.1
in_help "$CONFLUX" >"$T/help"
sed '/^\.Ss/,$d' "$page" | in_manual >"$T/manual"
compare conflux
for command in $("$CONFLUX" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
	in_help "$CONFLUX" "$command" | grep -vx -e -h -e --help >"$T/help"
	sed -n "/^\.Ss conflux $command\$/,/^\.S[sh] /p" "$page" |
		sed "/^\.Ss conflux $command\$/p; /^\.S/d" |
		in_manual >"$T/manual"
	compare "conflux $command"
done
exit 0
