#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# All tests, from a clean clone on Debian 12 or 13, as root or with sudo:
# installs the packages that are missing, builds in .build-gcc, .build-clang and
# .build-fuzz, and runs
#
#	gcc	-Werror: unit, configuration, oracle tests, fuzz corpus;
#		integration tests against real peers; unit tests in valgrind
#	clang	the same with the address and undefined behaviour sanitizers
#	fuzz	libFuzzer, some seconds for each target
#	texts	manual pages, schemas, shell scripts
#
# Logs are in these folders. A test that runs against the clock or with other
# programs (integration, valgrind) has a second try; what failed is shown, and a
# line near the end names those that needed it. The last line is "N passed, N
# failed, N skipped"; the exit status is 0 if none failed.
#
#	sh tests/run.sh [gcc] [clang] [fuzz] [texts]	only these
#	INSTALL=no	installs nothing
#	FUZZ_SECONDS	for each fuzz target (10)
#	JOBS		of make, and tests at a time (number of processors)

set -u
cd "$(dirname "$0")/.." || exit 1
SRC=$(pwd)
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
passed=0 failed=0 skipped=0 again=
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS
export LC_ALL=C

# What the tests are run against. A test whose peer is absent is skipped.
yang=libyang2-tools
grep -q '^VERSION_ID="12"' /etc/os-release || yang=libyang3-tools
peers="clang valgrind mandoc libxml2-utils jing xmlstarlet $yang python3
	python3-ipfix python3-scapy softflowd nfdump tshark libfixbuf-tools
	pmacct snmp snmpd iproute2 procps openssl gnutls-bin
	user-mode-linux busybox-static nftables"

say()
{
	printf '%s\n' "$*"
}

# log FOLDER NAME: prints the name of a log file
log()
{
	mkdir -p "$SRC/.build-$1/logs"
	echo "$SRC/.build-$1/logs/$2.log"
}

pass()
{
	passed=$((passed + 1))
	say "PASS: $*"
}

skip()
{
	skipped=$((skipped + 1))
	say "SKIP: $*"
}

# flunk WHAT LOG: shows the end of the log
flunk()
{
	failed=$((failed + 1))
	show FAIL "$1" "$2"
}

# show TAG WHAT LOG
show()
{
	say "$1: $2 (see ${3#"$SRC"/})"
	grep -vE '^ +(CC|CCLD|AR|GEN) ' "$3" | tail -n 40 | sed 's/^/	/'
}

# check WHAT LOG COMMAND...: one test
check()
{
	what=$1
	file=$2
	shift 2
	if "$@" >"$file" 2>&1 </dev/null; then
		pass "$what"
	else
		flunk "$what" "$file"
	fi
}

# check_twice WHAT LOG COMMAND...: one test with a second try
check_twice()
{
	what=$1
	file=$2
	shift 2
	if "$@" >"$file" 2>&1 </dev/null; then
		pass "$what"
		return
	fi
	show AGAIN "$what" "$file"
	if "$@" >"$file" 2>&1 </dev/null; then
		pass "$what (second try)"
		again="$again $what"
	else
		flunk "$what" "$file"
	fi
}

install()
{
	file=$(log gcc install)
	[ "${INSTALL:-yes}" = no ] && return 0
	. "$SRC/tests/packages.sh"
	say "== packages"
	# shellcheck disable=SC2086 # lists of names
	{
		packages_need $packages_build libcunit1-dev >"$file" || {
			tail -n 20 "$file"
			say "packages could not be installed"
			exit 1
		}
		packages_want $peers >>"$file" 2>&1
	}
	# The sanitizers' library is a package of its own that has the version
	# in its name.
	if command -v clang >/dev/null; then
		version=$(clang -dumpversion | sed 's/\..*//')
		packages_want "libclang-rt-$version-dev" >>"$file" 2>&1
	fi
	[ -z "$packages_absent" ] || say "not to be had:$packages_absent"
}

# build FOLDER CONFIGURE-ARGUMENTS...: 0 if it could be built
build()
{
	folder=$1
	file=$(log "$folder" build)
	shift
	say "== $folder: build"
	(
		cd ".build-$folder" &&
		"$SRC/configure" -q "$@" &&
		make -s -j"$JOBS" &&
		make -s -j"$JOBS" check TESTS=
	) >"$file" 2>&1 </dev/null && return 0
	flunk "$folder/build" "$file"
	return 1
}

# results TAGS FILE: the lines of make check in FILE that begin with one of them
results()
{
	grep -E "^($1): " "$2"
}

# Adds up what automake says of make check, and says what failed. Some unit tests
# run against the clock, too: those that fail are run once more, one by one.
check_automake()
{
	file=$(log "$1" check)
	second=$(log "$1" recheck)
	bad='FAIL|ERROR|XPASS'
	say "== $1: make check"
	(cd ".build-$1" && make -j"$JOBS" check) >"$file" 2>&1 </dev/null
	if ! results "PASS|SKIP|XFAIL|$bad" "$file" >/dev/null; then
		flunk "$1/check" "$file"
		return
	fi
	results 'PASS|SKIP|XFAIL' "$file" | sed "s|: |: $1/|"
	saved=0
	if results "$bad" "$file" >/dev/null; then
		results "$bad" "$file" | sed "s|^[A-Z]*: |AGAIN: $1/|"
		tail -n 60 ".build-$1/test-suite.log" | sed 's/^/	/'
		(cd ".build-$1" && make recheck) >"$second" 2>&1 </dev/null
		results "PASS|$bad" "$second" | sed "s|: |: $1/|"
		results "$bad" "$second" >/dev/null &&
			tail -n 60 ".build-$1/test-suite.log" | sed 's/^/	/'
		again="$again$(results PASS "$second" |
			sed "s|^PASS: | $1/|" | tr -d '\n')"
		saved=$(results PASS "$second" | wc -l)
	fi
	passed=$((passed + saved + $(results 'PASS|XFAIL' "$file" | wc -l)))
	skipped=$((skipped + $(results SKIP "$file" | wc -l)))
	failed=$((failed - saved + $(results "$bad" "$file" | wc -l)))
}

check_integration()
{
	file=$(log "$1" integration)
	say "== $1: integration tests"
	(
		cd ".build-$1" &&
		LANES=$JOBS SRC=$SRC BUILD=$SRC/.build-$1 \
			sh "$SRC/tests/integration/run"
	) 2>&1 </dev/null | tee "$file" |
		sed "s|^\([A-Z]*\): |\1: $1/|; /^integration: /d"
	again="$again$(sed -n 's/^integration: at the second try://p' "$file" |
		sed "s|  *| $1/integration/|g")"
	sum=$(sed -n 's/^integration: //p' "$file" | tail -n 1)
	case $sum in
	*passed*)
		# "N passed, N failed, N skipped"
		# shellcheck disable=SC2086 # words are wanted
		set -- $sum
		passed=$((passed + $1))
		failed=$((failed + $3))
		skipped=$((skipped + $5))
		;;
	*)
		flunk "$1/integration" "$file"
		;;
	esac
}

# went OUT: how something went that ran beside others; what it said
went()
{
	code=$(cat "$1.status")
	rm -f "$1.status"
	cat "$1.out"
	return "$code"
}

# The second time it is run again, alone.
valgrind_went()
{
	out=.build-gcc/logs/valgrind-$(echo "$1" | tr / -)
	[ -f "$out.status" ] || sh tests/valgrind.sh .build-gcc "$1"
	went "$out"
}

check_valgrind()
{
	say "== gcc: unit tests in valgrind"
	if ! command -v valgrind >/dev/null; then
		skip "valgrind"
		return
	fi
	names=$(cd .build-gcc/tests/unit && ls -d ./*/*_test | sed 's|^./||')
	echo "$names" | xargs -P "$JOBS" -n 1 sh tests/valgrind.sh .build-gcc
	for name in $names; do
		check_twice "valgrind/$name" \
			"$(log gcc "valgrind-$(echo "$name" | tr / -)")" \
			valgrind_went "$name"
	done
}

run_gcc()
{
	build gcc CC=gcc --enable-werror || return
	check_automake gcc
	check_integration gcc
	check_valgrind
}

run_clang()
{
	if ! command -v clang >/dev/null; then
		skip "clang: there is none"
		return
	fi
	ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
	UBSAN_OPTIONS=print_stacktrace=1
	export ASAN_OPTIONS UBSAN_OPTIONS
	if build clang CC=clang --enable-werror --enable-sanitize; then
		check_automake clang
		check_integration clang
	fi
	unset ASAN_OPTIONS UBSAN_OPTIONS
}

fuzz_one()
{
	name=$(basename "$1" _fuzz)
	found=.build-fuzz/found/$name
	out=$(log fuzz "$name")
	mkdir -p "$found"
	"$1" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 \
		-rss_limit_mb=2048 -artifact_prefix="$found/crash-" \
		"$found" "tests/fuzz/corpus/$name" >"$out.out" 2>&1 </dev/null
	echo $? >"$out.status"
}

run_fuzz()
{
	if ! command -v clang >/dev/null; then
		skip "fuzz: there is no clang"
		return
	fi
	build fuzz CC=clang --enable-werror --enable-fuzz || return
	say "== fuzz: ${FUZZ_SECONDS:-10} seconds each"
	count=0
	for target in .build-fuzz/tests/fuzz/*_fuzz; do
		[ -x "$target" ] || continue
		fuzz_one "$target" &
		count=$((count + 1))
		[ $((count % JOBS)) -ne 0 ] || wait
	done
	wait
	for target in .build-fuzz/tests/fuzz/*_fuzz; do
		[ -x "$target" ] || continue
		name=$(basename "$target" _fuzz)
		check "fuzz/$name" "$(log fuzz "$name")" \
			went "$(log fuzz "$name")"
	done
}

# Manual pages of programs beside which they are not yet installed are not
# found; that is no fault of theirs.
lint_man()
{
	mandoc -Tlint "$1" | grep -v -e 'referenced manual not found' \
		-e 'outdated mandoc.db' | grep . && return 1
	return 0
}

run_texts()
{
	say "== texts"
	mkdir -p .build-texts
	if command -v mandoc >/dev/null; then
		for page in src/*/*.[1-8]; do
			check "man/${page##*/}" \
				"$(log texts "man-${page##*/}")" \
				lint_man "$page"
		done
	else
		skip "manual pages: there is no mandoc"
	fi
	if command -v xmllint >/dev/null; then
		check "xml/elements" "$(log texts elements)" xmllint --noout \
			--relaxng xml/ipfix-elements.rng xml/ipfix-elements.xml
		for document in examples/*.xml; do
			name=${document##*/}
			check "xml/$name" "$(log texts "$name")" xmllint \
				--noout --relaxng xml/conflux.rng "$document"
		done
	else
		skip "schemas: there is no xmllint"
	fi
	for script in .ci/run tests/*.sh tests/*/*.sh tests/integration/run \
			examples/*.sh; do
		[ -f "$script" ] || continue
		name=$(echo "$script" | tr / -)
		shell=sh
		[ "$script" = .ci/run ] && shell=bash
		check "syntax/$script" "$(log texts "$name")" \
			"$shell" -n "$script"
	done
}

begin=$(date +%s)
install
file=$(log gcc autoreconf)
if ! autoreconf -fi >"$file" 2>&1; then
	flunk autoreconf "$file"
	set -- none
fi
[ $# -gt 0 ] || set -- gcc clang fuzz texts
for part in "$@"; do
	case $part in
	gcc) run_gcc ;;
	clang) run_clang ;;
	fuzz) run_fuzz ;;
	texts) run_texts ;;
	none) ;;
	*)
		say "no such part: $part"
		failed=$((failed + 1))
		;;
	esac
done
[ -z "$again" ] || say "passed at the second try:$again"
say "took $((($(date +%s) - begin) / 60)) min"
say "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
