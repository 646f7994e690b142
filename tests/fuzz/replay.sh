#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs each fuzz target over its corpus: what once broke stays mended.
for folder in "${srcdir:-.}"/tests/fuzz/corpus/*/; do
	name=$(basename "$folder")
	echo "$name: $(ls "$folder" | wc -l) files"
	"tests/fuzz/${name}_fuzz" "$folder"* || exit 1
done
