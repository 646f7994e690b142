/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * flowDataTable and flowDataPackageTable: the flow table seen by TimeFilter.
 *
 * RFC 4502 on TimeFilter: a row is there for every T up to the time it was
 * changed last. Behind the last row of T an agent of the traditional style goes
 * on with T+1, where the same rows are there again, and so on; RFC 4502 allows,
 * and recommends, to leave these out (one pass), so we go on with the next rule
 * set. Either way the next row is found without looking at rows that do not
 * match.
 *
 * A package has a row for each selector one can think of. GETNEXT stays with
 * the selector it is given; given none, it takes the shortest there is,
 * attribute 1 alone, so that a walk through the MIB ends.
 *
 * RFC 2720 does not say what a meter shows for an attribute that the rules
 * never pushed; RFC 2722 has it zeroed. We show zeros as wide as the attribute
 * is, or in packages, for tests of readers, an empty string or NULL.
 */
#include <string.h>

#include "../attribute.h"
#include "../ber.h"
#include "mib.h"

enum {
	FLOW_COLUMN = MIB_TABLE_PARTS,		/* {2 1 1 column ...} */
	PACKAGE_SELECTOR = MIB_TABLE_PARTS + 1, /* {2 3 1 5 n ...} */
	PACKAGE_DATA = 5,
	MAC_SIZE = 6,
	STATUS_CURRENT = 2,
};

/* A position in the flow table as the index of a row gives it. */
struct position {
	uint32_t rule_set; /* 0 in RFC 2064 mode */
	uint32_t time;
	uint32_t index;
};

/* The least in order of last active time and index; looks at all flows. */
static struct meter_flow *
next_literal(const struct meter_table *flows, uint8_t set,
	     const struct position *at)
{
	struct meter_flow *flow = NULL, *least = NULL;
	uint32_t after = 0;

	while ((flow = meter_table_next(flows, set, at->time, after))) {
		after = flow->index;
		if (flow->last_time == at->time && flow->index <= at->index)
			continue;
		if (!least || flow->last_time < least->last_time)
			least = flow;
	}
	return least;
}

/* Moves on to the flow behind a position, or returns NULL. */
static struct meter_flow *
next_flow(const struct mib *mib, struct position *at)
{
	const struct meter_table *flows = mib->meter->flows;
	unsigned last = mib->rfc2064 ? 0 : RULE_SET_MAX;
	struct meter_flow *flow;

	for (; at->rule_set <= last; at->rule_set++) {
		uint8_t set = (uint8_t)at->rule_set;

		if (mib->time_filter == METERMIB_LITERAL) {
			flow = next_literal(flows, set, at);
			at->time = flow ? flow->last_time : 0;
		} else {
			flow = meter_table_next(flows, set, at->time, at->index);
		}
		if (!flow && mib->time_filter == METERMIB_PLUS_ONE &&
		    at->time < meter_table_latest(flows, set)) {
			at->time++;
			flow = meter_table_next(flows, set, at->time, 0);
		}
		if (flow) {
			at->index = flow->index;
			return flow;
		}
		at->time = 0;
		at->index = 0;
	}
	return NULL;
}

/* The flow at a position, if it was active since its time. */
static struct meter_flow *
flow_at(const struct mib *mib, const struct position *at)
{
	struct meter_flow *flow = meter_table_at(mib->meter->flows, at->index);

	if (!flow || flow->last_time < at->time ||
	    (!mib->rfc2064 && flow->key.rule_set != at->rule_set))
		return NULL;
	return flow;
}

/* Takes the parts of an index that are there; those missing are 0. */
static void
position_read(const struct mib *mib, const uint32_t *id, unsigned parts,
	      struct position *at)
{
	unsigned i = 0;

	*at = (struct position){0, 0, 0};
	if (!mib->rfc2064)
		at->rule_set = i < parts ? id[i++] : 0;
	at->time = i < parts ? id[i++] : 0;
	at->index = i < parts ? id[i] : 0;
	/* Rule set 0 has no flows of its own. */
	if (!mib->rfc2064 && at->rule_set == 0)
		*at = (struct position){1, 0, 0};
}

static unsigned
position_write(const struct mib *mib, uint32_t *id, const struct position *at)
{
	unsigned i = 0;

	if (!mib->rfc2064)
		id[i++] = at->rule_set;
	id[i++] = at->time;
	id[i++] = at->index;
	return i;
}

static void
address(struct value *value, const uint8_t *octets, unsigned length,
	unsigned width)
{
	value_octets(value, octets, length ? length : width);
}

/* Attributes 4 to 13 of one end; 14 to 23 are the same of the other. */
static bool
end_value(const struct flow_end *end, unsigned number, struct value *value)
{
	unsigned width = peer_type_size(end->peer_type);

	switch (number) {
	case ATTRIBUTE_SOURCE_INTERFACE:
		value_number(value, VALUE_INTEGER, end->interface);
		return end->interface != 0;
	case ATTRIBUTE_SOURCE_ADJACENT_TYPE:
		value_number(value, VALUE_INTEGER, end->adjacent_type);
		return end->adjacent_type != 0;
	case ATTRIBUTE_SOURCE_ADJACENT_ADDRESS:
		address(value, end->adjacent, end->adjacent_length, MAC_SIZE);
		return end->adjacent_length != 0;
	case ATTRIBUTE_SOURCE_ADJACENT_MASK:
		address(value, end->adjacent_mask, end->adjacent_length,
			MAC_SIZE);
		return end->adjacent_length != 0;
	case ATTRIBUTE_SOURCE_PEER_TYPE:
		value_number(value, VALUE_INTEGER, end->peer_type);
		return end->peer_type != 0;
	case ATTRIBUTE_SOURCE_PEER_ADDRESS:
		address(value, end->peer, end->peer_length, width ? width : 4);
		return end->peer_length != 0;
	case ATTRIBUTE_SOURCE_PEER_MASK:
		address(value, end->peer_mask, end->peer_length,
			width ? width : 4);
		return end->peer_length != 0;
	case ATTRIBUTE_SOURCE_TRANS_TYPE:
		value_number(value, VALUE_INTEGER, end->trans_type);
		return end->trans_type != 0;
	case ATTRIBUTE_SOURCE_TRANS_ADDRESS:
		value_octets(value, end->port, sizeof(end->port));
		return end->port_mask[0] || end->port_mask[1];
	default:
		value_octets(value, end->port_mask, sizeof(end->port_mask));
		return end->port_mask[0] || end->port_mask[1];
	}
}

static void
counter(const struct mib *mib, uint64_t count, unsigned scale,
	struct value *value)
{
	count = scale < 64 ? count >> scale : 0;
	if (mib->rfc2064)
		value_number(value, VALUE_COUNTER32, (uint32_t)count);
	else
		value_number(value, VALUE_COUNTER64, count);
}

/* Subscribers, session, class and kind: 33 to 41. */
static bool
computed_value(const struct flow_key *key, unsigned number, struct value *value)
{
	unsigned i = number - ATTRIBUTE_SOURCE_SUBSCRIBER_ID;
	unsigned n;

	if (number <= ATTRIBUTE_DEST_SUBSCRIBER_ID) {
		address(value, key->subscriber[i], key->subscriber_length[i],
			4);
		return key->subscriber_length[i] != 0;
	}
	if (number == ATTRIBUTE_SESSION_ID) {
		address(value, key->session, key->session_length, 4);
		return key->session_length != 0;
	}
	i = number - ATTRIBUTE_SOURCE_CLASS;
	n = i < 3 ? key->class[i] : key->kind[i - 3];
	value_number(value, VALUE_INTEGER, n);
	return n != 0;
}

/*
 * The value of an attribute of a flow, 1 to 41. Returns false if the flow does
 * not have it; the value is then zero.
 */
static bool
flow_value(const struct mib *mib, const struct meter_flow *flow,
	   unsigned number, struct value *value)
{
	const struct flow_key *key = &flow->key;

	switch (number) {
	case ATTRIBUTE_FLOW_INDEX:
		value_number(value, VALUE_INTEGER, flow->index);
		return true;
	case ATTRIBUTE_FLOW_STATUS:
		value_number(value, VALUE_INTEGER, STATUS_CURRENT);
		return true;
	case ATTRIBUTE_PDU_SCALE:
		value_number(value, VALUE_INTEGER, flow->pdu_scale);
		return true;
	case ATTRIBUTE_OCTET_SCALE:
		value_number(value, VALUE_INTEGER, flow->octet_scale);
		return true;
	case ATTRIBUTE_RULE_SET:
		value_number(value, VALUE_INTEGER, key->rule_set);
		return true;
	case ATTRIBUTE_TO_OCTETS:
	case ATTRIBUTE_FROM_OCTETS:
		counter(mib,
			flow->octets[number == ATTRIBUTE_TO_OCTETS ? FLOW_TO
								   : FLOW_FROM],
			flow->octet_scale, value);
		return true;
	case ATTRIBUTE_TO_PDUS:
	case ATTRIBUTE_FROM_PDUS:
		counter(mib,
			flow->pdus[number == ATTRIBUTE_TO_PDUS ? FLOW_TO
							       : FLOW_FROM],
			flow->pdu_scale, value);
		return true;
	case ATTRIBUTE_FIRST_TIME:
		value_number(value, VALUE_TIME_TICKS, flow->first_time);
		return true;
	case ATTRIBUTE_FLOW_TIME_MARK:
	case ATTRIBUTE_LAST_ACTIVE_TIME:
		value_number(value, VALUE_TIME_TICKS, flow->last_time);
		return true;
	}
	if (number >= ATTRIBUTE_SOURCE_SUBSCRIBER_ID)
		return computed_value(key, number, value);
	if (number >= ATTRIBUTE_DEST_INTERFACE)
		return end_value(&key->end[FLOW_DEST], number - 10, value);
	return end_value(&key->end[FLOW_SOURCE], number, value);
}

/*
 * The attribute that a column has, or 0 if the column cannot be read. RFC 2064
 * had the index and the rule set as readable columns.
 */
static unsigned
column_attribute(const struct mib *mib, unsigned column)
{
	const struct attribute *a;

	if (mib->rfc2064 &&
	    (column == ATTRIBUTE_FLOW_INDEX || column == ATTRIBUTE_RULE_SET))
		return column;
	/* Columns 2 and 3 are TimeMark and Status, attributes the reverse. */
	if (column == 3)
		return ATTRIBUTE_FLOW_STATUS;
	if (column < 3 || column > ATTRIBUTE_FLOW_LAST)
		return 0;
	a = attribute_find(column);
	return a->readable ? a->number : 0;
}

bool
mib_flow_get(struct mib *mib, const struct mib_oid *oid, struct value *value)
{
	unsigned parts = mib->rfc2064 ? 2 : 3;
	unsigned attribute;
	const struct meter_flow *flow;
	struct position at;

	if (oid->length != FLOW_COLUMN + 1 + parts || oid->id[0] != 2 ||
	    oid->id[1] != 1 || oid->id[2] != 1)
		return false;
	attribute = column_attribute(mib, oid->id[FLOW_COLUMN]);
	position_read(mib, &oid->id[FLOW_COLUMN + 1], parts, &at);
	flow = attribute ? flow_at(mib, &at) : NULL;
	if (!flow)
		return false;
	flow_value(mib, flow, attribute, value);
	return true;
}

static bool
is_counter(unsigned attribute)
{
	return attribute_find(attribute)->syntax == ATTRIBUTE_SYNTAX_COUNTER64;
}

bool
mib_flow_next(struct mib *mib, struct mib_oid *oid, bool without_counter64,
	      struct value *value)
{
	uint32_t first = oid->length > FLOW_COLUMN ? oid->id[FLOW_COLUMN] : 0;
	unsigned parts = 0;

	if (oid->length > FLOW_COLUMN)
		parts = oid->length - FLOW_COLUMN - 1;
	for (uint32_t i = first; i <= ATTRIBUTE_FLOW_LAST; i++, parts = 0) {
		unsigned attribute = column_attribute(mib, i);
		const struct meter_flow *flow;
		struct position at;

		if (!attribute || (without_counter64 && !mib->rfc2064 &&
				   is_counter(attribute)))
			continue;
		position_read(mib, &oid->id[FLOW_COLUMN + 1], parts, &at);
		flow = next_flow(mib, &at);
		if (!flow)
			continue;
		oid->id[FLOW_COLUMN] = i;
		oid->length =
			FLOW_COLUMN + 1 +
			position_write(mib, &oid->id[FLOW_COLUMN + 1], &at);
		flow_value(mib, flow, attribute, value);
		return true;
	}
	return false;
}

static uint8_t
tag(enum value_type type)
{
	switch (type) {
	case VALUE_TIME_TICKS:
		return BER_TIME_TICKS;
	case VALUE_COUNTER32:
		return BER_COUNTER32;
	case VALUE_COUNTER64:
		return BER_COUNTER64;
	default:
		return BER_INTEGER;
	}
}

static void
put_value(struct writer *w, const struct mib *mib,
	  const struct meter_flow *flow, unsigned number)
{
	struct value value;
	bool has = flow_value(mib, flow, number, &value);

	if (!has && mib->absent == METERMIB_ABSENT_NULL) {
		writer_u8(w, BER_NULL);
		writer_u8(w, 0);
	} else if (value.type != VALUE_OCTETS) {
		ber_put_number(w, tag(value.type), value.number);
	} else if (!has && mib->absent == METERMIB_ABSENT_EMPTY) {
		ber_put_octets(w, NULL, 0);
	} else {
		ber_put_octets(w, value.octets, value.length);
	}
}

static bool
make_package(struct mib *mib, const struct meter_flow *flow,
	     const uint32_t *selector, unsigned count, struct value *value)
{
	const uint8_t *package;
	struct writer w;
	size_t length;

	ber_package_begin(&w, mib->package, sizeof(mib->package));
	for (unsigned i = 0; i < count; i++)
		put_value(&w, mib, flow, selector[i]);
	if (ber_package_end(&w, mib->package, &package, &length))
		return false;
	value_octets(value, package, length);
	mib->packages++;
	return true;
}

/* Every octet of a selector must be an attribute that flows have. */
static bool
selector_valid(const uint32_t *selector, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (selector[i] < 1 || selector[i] > ATTRIBUTE_FLOW_LAST)
			return false;
	return count >= 1 && count <= MIB_SELECTOR_SIZE;
}

bool
mib_package_get(struct mib *mib, const struct mib_oid *oid, struct value *value)
{
	const uint32_t *selector = &oid->id[PACKAGE_SELECTOR + 1];
	unsigned count;
	const struct meter_flow *flow;
	struct position at;

	if (mib->rfc2064 || oid->length <= PACKAGE_SELECTOR + 1 ||
	    oid->id[0] != 2 || oid->id[1] != 3 || oid->id[2] != 1 ||
	    oid->id[3] != PACKAGE_DATA)
		return false;
	count = oid->id[PACKAGE_SELECTOR];
	if (count > MIB_SELECTOR_SIZE ||
	    oid->length != PACKAGE_SELECTOR + 1 + count + 3 ||
	    !selector_valid(selector, count))
		return false;
	position_read(mib, selector + count, 3, &at);
	flow = flow_at(mib, &at);
	return flow && make_package(mib, flow, selector, count, value);
}

/*
 * Completes the selector of an identifier with attribute 1, the least there is.
 * Returns false if there can be no package behind it.
 */
static bool
complete_selector(struct mib_oid *oid)
{
	unsigned have, count;

	if (oid->length <= MIB_TABLE_PARTS ||
	    oid->id[MIB_TABLE_PARTS] < PACKAGE_DATA) {
		oid->id[MIB_TABLE_PARTS] = PACKAGE_DATA;
		oid->length = MIB_TABLE_PARTS + 1;
	}
	if (oid->id[MIB_TABLE_PARTS] > PACKAGE_DATA)
		return false;
	if (oid->length == PACKAGE_SELECTOR || !oid->id[PACKAGE_SELECTOR]) {
		oid->id[PACKAGE_SELECTOR] = 1;
		oid->length = PACKAGE_SELECTOR + 1;
	}
	if (oid->id[PACKAGE_SELECTOR] > MIB_SELECTOR_SIZE)
		return false;
	count = oid->id[PACKAGE_SELECTOR];
	have = oid->length - PACKAGE_SELECTOR - 1;
	for (; have < count; have++)
		oid->id[oid->length++] = ATTRIBUTE_FLOW_INDEX;
	return selector_valid(&oid->id[PACKAGE_SELECTOR + 1], count);
}

bool
mib_package_next(struct mib *mib, struct mib_oid *oid, struct value *value)
{
	uint32_t *selector = &oid->id[PACKAGE_SELECTOR + 1];
	const struct meter_flow *flow;
	struct position at;
	unsigned count;

	if (mib->rfc2064 || !complete_selector(oid))
		return false;
	count = oid->id[PACKAGE_SELECTOR];
	position_read(mib, selector + count,
		      oid->length - PACKAGE_SELECTOR - 1 - count, &at);
	flow = next_flow(mib, &at);
	if (!flow)
		return false;
	oid->length = PACKAGE_SELECTOR + 1 + count +
		      position_write(mib, selector + count, &at);
	return make_package(mib, flow, selector, count, value);
}
