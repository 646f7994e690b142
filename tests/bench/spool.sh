# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh: a spool is written and read, and dd does the same with
# blocks of the size of a message and the same policy of syncing: nothing, or
# files of 16 MiB, each with an fdatasync at its end. What is read comes from
# the disk: caches are dropped before, if we may.

SPOOL_OCTETS=${SPOOL_OCTETS:-2000000000}

drop_caches()
{
	sync
	{ echo 1 >/proc/sys/vm/drop_caches; } 2>/dev/null
}

# timed NAME COMMAND...: notes wall seconds as a line in $work/NAME
timed()
{
	timed_name=$1
	shift
	timed_begin=$(date +%s%N)
	"$@" >/dev/null 2>"$work/$timed_name.err" ||
		say "bench: $timed_name failed: $(tail -n 1 "$work/$timed_name.err")"
	calc '%.3f\n' "($(date +%s%N) - $timed_begin) / 1e9" \
		>>"$work/$timed_name"
}

# dd_segments OCTETS COUNT: as a spool would
dd_segments()
{
	each=$((16777216 / $1)) left=$2 file=0
	while [ $left -gt 0 ]; do
		[ $left -lt $each ] && each=$left
		dd if=/dev/zero of="$folder.dd/$file" bs="$1" count=$each \
			conv=fdatasync || return
		left=$((left - each)) file=$((file + 1))
	done
}

dd_all()
{
	for file in "$folder.dd"/*; do
		dd if="$file" of=/dev/null bs="$1" || return
	done
}

# spool_case OCTETS SYNC: of one message
spool_case()
{
	tool=$BUILD/tests/bench/spool_bench
	folder=$SPOOL_FOLDER/conflux-spool-bench
	count=$((SPOOL_OCTETS / $1))
	rm -f "$work"/spool-* "$work"/dd-*
	for run in $(seq "$RUNS"); do
		rm -rf "$folder" "$folder.dd"
		drop_caches
		timed spool-write "$tool" write "$folder" "$1" $count "$2"
		drop_caches
		timed spool-read "$tool" read "$folder" "$1" $count "$2"
		rm -rf "$folder"
		mkdir "$folder.dd"
		drop_caches
		if [ "$2" = never ]; then
			timed dd-write dd if=/dev/zero of="$folder.dd/0" \
				bs="$1" count=$count
		else
			timed dd-write dd_segments "$1" $count
		fi
		drop_caches
		timed dd-read dd_all "$1"
		rm -rf "$folder.dd"
	done
	for way in write read; do
		say "spool: $way, messages of $1 octets, sync $2:" \
			"$(calc '%.0f' "$SPOOL_OCTETS / $(median spool-$way 1) / 1e6")" \
			"MB/s, dd" \
			"$(calc '%.0f' "$SPOOL_OCTETS / $(median dd-$way 1) / 1e6")" \
			"MB/s: $(calc '%.0f' "100 * $(median dd-$way 1) / $(median spool-$way 1)") % (at least 50 %)"
	done
}

bench_spool()
{
	SPOOL_FOLDER=${SPOOL_FOLDER:-$work}
	for octets in 1400 65535; do
		spool_case $octets never
		spool_case $octets segment
	done
}
