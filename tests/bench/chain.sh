# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# make bench: three Intermediate Processes between a file and the cache, against
# the same without any. Sourced by run.sh.

# process NAME KIND NEXT
process()
{
	printf '<cx:intermediateProcess><cx:name>%s</cx:name>%s%s%s' "$1" "$2" \
		"$3" '</cx:intermediateProcess>'
}

# What the three are, each with what it leads to. All records pass.
chain_of()
{
	next='<cx:intermediateProcess>%s</cx:intermediateProcess>'
	case $1 in
	filter-anonymise-convert)
		set -- "<cx:filter>proto in [1, 6, 17, 50] and packets &gt; 0 and not port in [1-10]</cx:filter>" \
			"<cx:anonymization><cx:keyFile>$work/key</cx:keyFile><cx:rule><cx:name>a</cx:name><cx:group>ipv4Address</cx:group><cx:prefixPreserving/></cx:rule></cx:anonymization>" \
			"<cx:conversion><cx:overflow>saturate</cx:overflow><cx:rule><cx:name>a</cx:name><cx:ieName>bgp*</cx:ieName><cx:drop/></cx:rule><cx:rule><cx:name>b</cx:name><cx:ieName>*DeltaCount</cx:ieName><cx:encodedLength>4</cx:encodedLength></cx:rule></cx:conversion>"
		;;
	renormalise-lookup-convert)
		set -- "<cx:renormalize><cx:samplingInterval>100</cx:samplingInterval></cx:renormalize>" \
			"<cx:lookup><cx:networksFile>$work/networks</cx:networksFile><cx:existing>replace</cx:existing><cx:value><cx:name>a</cx:name><cx:field>as</cx:field><cx:ieName>bgpSourceAsNumber</cx:ieName></cx:value></cx:lookup>" \
			"<cx:conversion><cx:rule><cx:name>a</cx:name><cx:timeFormat>seconds</cx:timeFormat></cx:rule><cx:rule><cx:name>b</cx:name><cx:ieName>observationPointId</cx:ieName><cx:constant>7</cx:constant></cx:rule></cx:conversion>"
		;;
	esac
	process p1 "$1" "$(printf "$next" p2)"
	process p2 "$2" "$(printf "$next" p3)"
	process p3 "$3" "<cx:cache>c</cx:cache>"
}

# chain_run NAME: the three of that name, or none (bare), on $file
chain_run()
{
	if [ "$1" = bare ]; then
		config "$(reader r "$file")" "$(writer "$work/out.ipfix")"
	else
		document "<collectingProcess><name>in</name>$(reader r "$file")<cx:intermediateProcess>p1</cx:intermediateProcess></collectingProcess>$(chain_of "$1")" \
			"$(writer "$work/out.ipfix")" 1800 900
	fi >"$work/chain.xml"
	cost "$1-$size" "$confluxd" -c "$work/chain.xml" || return
	grep -q "cache c: in $RECORDS," "$work/$1-$size.err" && return
	say "chain: not all records came to the cache"
	grep "ledger: " "$work/$1-$size.err"
	return 1
}

bench_chain()
{
	(umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 |
		tr -d ' \n' >"$work/key")
	awk 'BEGIN { print "prefix as"
		for (i = 0; i < 256; i++)
			for (k = 0; k < 256; k++)
				print "10." i "." k ".0/24", 64512 + i
	}' >"$work/networks"
	chains="filter-anonymise-convert renormalise-lookup-convert"
	for size in 10000:k4 1000000:m6; do
		flows=${size%:*} size=${size#*:}
		generate "$size" "$flows"
		file=$work/$size.ipfix
		i=0
		while [ $i -lt "$RUNS" ]; do
			for chain in bare $chains; do
				chain_run "$chain" || return
			done
			i=$((i + 1))
		done
		bare=$(median "bare-$size" 1)
		say "chain: $flows flows: file, cache, file:" \
			"$(calc '%.1f' "$bare * 1e9 / $RECORDS") ns a record"
		for chain in $chains; do
			all=$(median "$chain-$size" 1)
			say "chain: $flows flows: $chain before the cache:" \
				"$(calc '%.1f' "$all * 1e9 / $RECORDS") ns," \
				"$(calc '%.2f' "$all / $bare") times as much" \
				"(less than 3)"
		done
	done
}
