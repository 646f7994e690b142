#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# The table of elements is valid by its schema, and the schema refuses what
# element_file.c refuses.
xml=${srcdir:-.}/xml
command -v xmllint >/dev/null || exit 77

valid()
{
	xmllint --nonet --noout --relaxng "$xml/ipfix-elements.rng" "$@" \
		2>/dev/null
}

# $1: attributes of one element that is wrong
refuse()
{
	echo "<elements xmlns='urn:conflux:elements:1'><element $1/></elements>" |
		valid - && { echo "schema takes: $1"; exit 1; }
}

valid "$xml/ipfix-elements.xml" || { echo "the table is not valid"; exit 1; }
echo "<elements xmlns='urn:conflux:elements:1'>
<element pen='32473' id='1' name='acmeLoad' type='unsigned8' units='bits'
semantics='quantity' range='0-0xFF' status='deprecated' description='a text'/>
</elements>" | valid - || { echo "schema refuses a good file"; exit 1; }
refuse "name='a' type='string'"
refuse "id='1' type='string'"
refuse "id='1' name='a'"
refuse "id='0' name='a' type='string'"
refuse "id='32768' name='a' type='string'"
refuse "id='1' name='1' type='string'"
refuse "id='1' name='a' type='strin'"
refuse "id='1' name='a' type='string' semantics='x'"
refuse "id='1' name='a' type='string' units='x'"
refuse "id='1' name='a' type='string' range='1'"
refuse "id='1' name='a' type='string' status='x'"
refuse "id='1' name='a' type='string' reversible='x'"
refuse "id='1' name='a' type='string' x='x'"
refuse "id='1' name='a' type='string' pen='-1'"
exit 0
