/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2720: flowDataTable is indexed by rule set, TimeFilter and flow index in
 * this order, which is not that of its columns; flowDataPackageTable by
 * selector, rule set, TimeFilter and index. RFC 2064 has the former without
 * the rule set, under the same identifier.
 */
#include "meter_package.h"

#include <errno.h>

#define FLOW_MIB 1, 3, 6, 1, 2, 1, 40

static const oid package_data[] = {FLOW_MIB, 2, 3, 1, 5};
static const oid flow_data[] = {FLOW_MIB, 2, 1, 1};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

size_t
package_oid(oid *name, const struct selector *selector, uint8_t rule_set,
	    uint32_t time, uint32_t index)
{
	size_t n = COUNT(package_data);

	memcpy(name, package_data, sizeof(package_data));
	name[n++] = selector->count;
	for (unsigned i = 0; i < selector->count; i++)
		name[n++] = selector->attribute[i];
	name[n++] = rule_set;
	name[n++] = time;
	name[n++] = index;
	return n;
}

/* The last two places of a name: time and index. */
static int
parse_tail(const oid *tail, uint32_t *time, uint32_t *index)
{
	if (tail[0] > UINT32_MAX || tail[1] > INT32_MAX || tail[1] == 0)
		return -ENOENT;
	*time = (uint32_t)tail[0];
	*index = (uint32_t)tail[1];
	return 0;
}

int
package_oid_parse(const oid *name, size_t length,
		  const struct selector *selector, uint8_t rule_set,
		  uint32_t *time, uint32_t *index)
{
	size_t n = COUNT(package_data);

	if (length != n + 1 + selector->count + 3 ||
	    memcmp(name, package_data, sizeof(package_data)) != 0 ||
	    name[n++] != selector->count)
		return -ENOENT;
	for (unsigned i = 0; i < selector->count; i++)
		if (name[n++] != selector->attribute[i])
			return -ENOENT;
	if (name[n++] != rule_set)
		return -ENOENT;
	return parse_tail(&name[n], time, index);
}

size_t
column_oid(oid *name, uint8_t column, uint8_t rule_set, uint32_t time,
	   uint32_t index)
{
	size_t n = COUNT(flow_data);

	memcpy(name, flow_data, sizeof(flow_data));
	name[n++] = column;
	if (rule_set)
		name[n++] = rule_set;
	name[n++] = time;
	name[n++] = index;
	return n;
}

int
column_oid_parse(const oid *name, size_t length, uint8_t column,
		 uint8_t rule_set, uint32_t *time, uint32_t *index)
{
	size_t n = COUNT(flow_data);

	if (length != n + 1 + (rule_set != 0) + 2 ||
	    memcmp(name, flow_data, sizeof(flow_data)) != 0 ||
	    name[n++] != column)
		return -ENOENT;
	if (rule_set && name[n++] != rule_set)
		return -ENOENT;
	return parse_tail(&name[n], time, index);
}

int
package_row(struct meter_row *row, const struct selector *selector,
	    const uint8_t *data, size_t length)
{
	struct ber_value value[SELECTOR_MAX];

	if (!data || ber_read_package(data, length, value, selector->count))
		return -EBADMSG;
	row_reset(row);
	for (unsigned i = 0; i < selector->count; i++)
		row_set(row, selector->attribute[i], &value[i]);
	return 0;
}

bool
variable_number(const netsnmp_variable_list *variable, uint64_t *number)
{
	switch (variable->type) {
	case ASN_INTEGER:
	case ASN_COUNTER:
	case ASN_GAUGE:
	case ASN_TIMETICKS:
	case ASN_UINTEGER:
		if (!variable->val.integer || variable->val_len == 0)
			return false;
		/* All of them are 32 bits in SMIv2. */
		*number = (uint32_t)*variable->val.integer;
		return true;
	case ASN_COUNTER64:
		if (!variable->val.counter64)
			return false;
		*number = (uint64_t)variable->val.counter64->high << 32 |
			  (uint32_t)variable->val.counter64->low;
		return true;
	default:
		return false;
	}
}

bool
variable_value(const netsnmp_variable_list *variable, struct ber_value *value)
{
	*value = (struct ber_value){.tag = variable->type};
	if (variable_number(variable, &value->number)) {
		value->kind = BER_KIND_NUMBER;
		return true;
	}
	if ((variable->type != ASN_OCTET_STR &&
	     variable->type != ASN_IPADDRESS) ||
	    variable->val_len == 0 || variable->val_len > UINT16_MAX)
		return false;
	value->kind = BER_KIND_OCTETS;
	value->octets = variable->val.string;
	value->length = (uint16_t)variable->val_len;
	return true;
}

bool
variable_missing(const netsnmp_variable_list *variable)
{
	return variable->type == SNMP_NOSUCHOBJECT ||
	       variable->type == SNMP_NOSUCHINSTANCE ||
	       variable->type == SNMP_ENDOFMIBVIEW;
}
