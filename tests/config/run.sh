#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Configurations against what is expected of them, next to each: good/*.xml are
# printed with all defaults, bad/*.xml are refused with exact messages. What is
# printed must load again, and its RFC 6728 part must satisfy the YANG model.
# The schema in xml/ and the manual page must be what the table of rows says.
#
# "run.sh update" writes what is expected anew; YANG is the folder of the model.

src=`cd "${srcdir:-.}" && pwd`
tool=`pwd`/tests/config/conftool
schema=`pwd`/src/config/schema_print
yang=${YANG:-$src/../shared/reference/yang}
work=`mktemp -d` || exit 99
trap 'rm -rf "$work"' 0
failed=0
checked=0

fail()
{
	echo "FAIL: $*"
	failed=`expr $failed + 1`
}

have()
{
	command -v "$1" >/dev/null 2>&1 && return 0
	echo "SKIP: $2: no $1"
	return 1
}

# expect FILE ACTUAL
expect()
{
	checked=`expr $checked + 1`
	if [ "$update" ]; then
		cp "$2" "$1"
	elif ! cmp -s "$1" "$2"; then
		fail "$1"
		diff -u "$1" "$2"
	fi
}

# Messages name the file as it was given: hence cd.
good()
{
	cd "$src/tests/config/good" || exit 99
	cp proxy.xml "$work" # everything-else.xml refers to it
	for f in *.xml; do
		"$tool" -d -s "$f" >"$work/printed" || fail "$f is refused"
		expect "${f%.xml}.expected" "$work/printed"
		sed '/^<ipfix/,$!d' "$work/printed" >"$work/again.xml"
		"$tool" -d -s "$work/again.xml" | sed '/^<ipfix/,$!d' \
			>"$work/printed"
		cmp -s "$work/again.xml" "$work/printed" ||
			fail "$f: printed form is printed differently"
	done

	"$schema" usable | sort -u | while read -r name; do
		grep -q "<$name[ />]" *.xml || echo "$name"
	done >"$work/missing"
	[ -s "$work/missing" ] &&
		fail "in no good/*.xml: `tr '\n' ' ' <"$work/missing"`"
}

bad()
{
	cd "$src/tests/config/bad" || exit 99
	for f in *.xml; do
		"$tool" "$f" >"$work/printed"
		[ $? = 1 ] || fail "$f is not refused"
		expect "${f%.xml}.expected" "$work/printed"
	done
}

examples()
{
	cd "$src/examples" || exit 99
	for f in *.xml; do
		[ -f "$f" ] || continue
		"$tool" -a "$f" >"$work/printed"
		ret=$?
		checked=`expr $checked + 1`
		if [ $ret != 0 ] || grep -q "^$f" "$work/printed"; then
			fail "examples/$f"
			grep "^$f" "$work/printed"
		fi
	done
}

# loose-* are legal, but not what an editor should lead to.
relaxng()
{
	have xmllint "validation by the RELAX NG schema" || return
	for f in "$src"/tests/config/good/*.xml "$src"/examples/*.xml; do
		case $f in */loose-*|*/\*.xml) continue ;; esac
		xmllint --nonet --noout --relaxng "$src/xml/conflux.rng" "$f" \
			2>"$work/log" || { fail "schema: $f"; cat "$work/log"; }
	done
	for f in unknown-element state-leaf unbuilt-entity two-cache-types \
	    port-range missing-name export-interval-in-timeout-cache; do
		xmllint --nonet --noout --relaxng "$src/xml/conflux.rng" \
			"$src/tests/config/bad/$f.xml" 2>/dev/null &&
			fail "schema: takes $f.xml"
	done
}

model()
{
	[ -f "$yang/ietf-ipfix-psamp.yang" ] || {
		echo "SKIP: validation by the YANG model: not there"
		return
	}
	have yanglint "validation by the YANG model" || return
	for f in "$src"/tests/config/good/*.xml "$src"/examples/*.xml; do
		[ -f "$f" ] || continue
		for o in -r -rd; do
			"$tool" -a $o "$f" | sed '/^<ipfix/,$!d' \
				>"$work/rfc.xml"
			yanglint -p "$yang" -F "$features" -t config \
				"$yang/ietf-ipfix-psamp.yang" \
				"$work/rfc.xml" >"$work/log" 2>&1 || {
				fail "model: $f $o"
				cat "$work/log"
			}
		done
	done
	"$tool" -a -u "$yang/example.xml" >/dev/null ||
		fail "the example of the model is refused"
}

features=ietf-ipfix-psamp:exporter,collector,meter,timeoutCache
features=$features,naturalCache,permanentCache,immediateCache,udpTransport
features=$features,tcpTransport,fileWriter,fileReader,psampSampCountBased
features=$features,psampSampTimeBased,psampSampRandOutOfN,psampSampUniProb
features=$features,psampFilterMatch,psampFilterHash

generated()
{
	"$schema" rng >"$work/rng"
	cmp -s "$work/rng" "$src/xml/conflux.rng" ||
		fail "xml/conflux.rng is old: make config-schema"
	"$schema" mdoc >"$work/mdoc"
	sed '1,/^\.\\" BEGIN/d;/^\.\\" END/,$d' \
		"$src/src/config/conflux.xml.5" >"$work/man"
	cmp -s "$work/mdoc" "$work/man" ||
		fail "src/config/conflux.xml.5 is old: make config-schema"
	"$schema" names | while read -r name; do
		grep -q "Ic \(cx:\)*$name\$\|Ic \(cx:\)*$name [,.]" \
			"$src/src/config/conflux.xml.5" ||
			echo "$name"
	done >"$work/missing"
	[ -s "$work/missing" ] &&
		fail "not in the manual page: `tr '\n' ' ' <"$work/missing"`"
	have mandoc "lint of the manual page" || return
	mandoc -Tlint "$src/src/config/conflux.xml.5" |
		grep -v 'referenced manual not found' >"$work/log" &&
		{ fail "manual page"; cat "$work/log"; }
}

[ "$1" = update ] && update=1
good
bad
examples
relaxng
model
generated
echo "$checked documents, $failed failures"
[ $failed = 0 ]
