/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of anonymisation: which elements they have, whether their method is one
 * for these (RFC 6235 sections 4.1 to 4.5, and the table of section 6.2.2), and
 * what their texts mean.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "conflux/addr.h"
#include "conflux/projection.h"
#include "conflux/text.h"
#include "conflux/wire.h"

/* Stability Class and Low-Order Unchanged, RFC 6235 section 6.2.3. */
enum { STABLE = 3, LOW_ORDER_UNCHANGED = 8 };

/* anonymizationTechnique, RFC 6235 section 6.2.2. */
static const uint8_t technique[ANONYMIZE_METHODS] = {
	[ANONYMIZE_NONE] = 1,
	[ANONYMIZE_TRUNCATION] = 2,
	[ANONYMIZE_PRECISION] = 2,
	[ANONYMIZE_BINNING] = 3,
	[ANONYMIZE_VALUE] = 3, /* a single bin */
	[ANONYMIZE_ENUMERATION] = 4,
	[ANONYMIZE_PERMUTATION] = 5,
	[ANONYMIZE_PREFIX_PRESERVING] = 6,
	[ANONYMIZE_STRUCTURED] = 6,
	[ANONYMIZE_REVERSE_TRUNCATION] = 7,
	[ANONYMIZE_NOISE] = 8,
	[ANONYMIZE_SHIFT] = 9,
};

/*
 * The key and the parameters stay as long as the configuration does, whoever
 * collects. Noise, and the numbers that times get, are others each time.
 */
struct field_mark
anon_rule_mark(const struct anon_rule *rule)
{
	struct field_mark mark = {.technique = technique[rule->method]};

	if (rule->method != ANONYMIZE_NOISE &&
	    rule->method != ANONYMIZE_ENUMERATION)
		mark.flags = STABLE;
	if (rule->method == ANONYMIZE_PREFIX_PRESERVING && rule->unchanged)
		mark.flags |= LOW_ORDER_UNCHANGED;
	return mark;
}

/* ---- elements ------------------------------------------------------------ */

static const struct ie *
base_of(const struct ie *ie)
{
	return ie->forward ? ie->forward : ie;
}

static bool
is_unsigned(const struct ie *ie)
{
	return ie->type >= IE_UNSIGNED8 && ie->type <= IE_UNSIGNED64;
}

static bool
is_integer(const struct ie *ie)
{
	return ie->type >= IE_UNSIGNED8 && ie->type <= IE_SIGNED64;
}

static bool
is_among(const uint16_t *id, const struct ie *ie)
{
	ie = base_of(ie);
	for (; *id; id++)
		if (ie->pen == 0 && ie->id == *id)
			return true;
	return false;
}

static bool
is_port(const struct ie *ie)
{
	static const uint16_t ports[] = {
		IE_sourceTransportPort,
		IE_destinationTransportPort,
		IE_udpSourcePort,
		IE_udpDestinationPort,
		IE_tcpSourcePort,
		IE_tcpDestinationPort,
		IE_collectorTransportPort,
		IE_exporterTransportPort,
		IE_postNAPTSourceTransportPort,
		IE_postNAPTDestinationTransportPort,
		IE_portRangeStart,
		IE_portRangeEnd,
		0,
	};

	return is_among(ports, ie);
}

static bool
in_group(const struct ie *ie, unsigned groups)
{
	uint8_t semantics = base_of(ie)->semantics;

	if (ie->type == IE_IPV4_ADDRESS)
		return groups & ANONYMIZE_IPV4;
	if (ie->type == IE_IPV6_ADDRESS)
		return groups & ANONYMIZE_IPV6;
	if (ie->type == IE_MAC_ADDRESS)
		return groups & ANONYMIZE_MAC;
	if (ie_is_time(ie))
		return groups & ANONYMIZE_TIMESTAMPS;
	if (is_port(ie))
		return groups & ANONYMIZE_PORTS;
	return groups & ANONYMIZE_COUNTERS && is_unsigned(ie) &&
	       (semantics == IE_DELTA_COUNTER || semantics == IE_TOTAL_COUNTER);
}

static bool
has_element(const struct anon_rule *rule, const struct ie *ie)
{
	for (unsigned i = 0; i < rule->element_count; i++)
		if (rule->element[i] == ie)
			return true;
	return in_group(ie, rule->groups);
}

const struct anon_rule *
anon_rule_find(const struct anon_rule *rules, unsigned count,
	       const struct ie *ie)
{
	for (unsigned i = 0; i < count; i++)
		if (has_element(&rules[i], ie))
			return &rules[i];
	return NULL;
}

static bool
is_relative_time(const struct ie *ie)
{
	static const uint16_t relative[] = {
		IE_flowStartSysUpTime,
		IE_flowEndSysUpTime,
		IE_flowStartDeltaMicroseconds,
		IE_flowEndDeltaMicroseconds,
		0,
	};

	return is_among(relative, ie);
}

/*
 * Copies of packets, and of objects of which only the agent knows what they
 * are. A route distinguisher may hold an address (RFC 4364 section 4.2).
 */
static bool
is_opaque(const struct ie *ie)
{
	static const uint16_t opaque[] = {
		IE_mplsVpnRouteDistinguisher,
		IE_layer2packetSectionData,
		IE_opaqueOctets,
		IE_ipHeaderPacketSection,
		IE_ipPayloadPacketSection,
		IE_dataLinkFrameSection,
		IE_mplsPayloadPacketSection,
		IE_mibObjectValueOctetString,
		IE_mibObjectValueOID,
		IE_mibObjectValueBits,
		IE_srhSegmentIPv6ListSection,
		IE_srhIPv6Section,
		IE_icmpHeaderPacketSection,
		0,
	};

	return is_among(opaque, ie);
}

bool
anon_is_hidden(const struct anon_rule *rules, unsigned count,
	       const struct ie *ie, bool keep_unknown)
{
	if (ie->unknown)
		return !keep_unknown;
	if (ie->type >= IE_BASIC_LIST && ie->type <= IE_SUB_TEMPLATE_MULTI_LIST)
		return true;
	if (is_opaque(ie))
		return true;
	for (unsigned i = 0; i < count; i++)
		if (rules[i].groups & ANONYMIZE_TIMESTAMPS)
			return is_relative_time(ie);
	return false;
}

/* ---- which method is for which element ----------------------------------- */

enum {
	FOR_ADDRESS = 1, /* IPv4, IPv6 */
	FOR_MAC = 2,
	FOR_INTEGER = 4,
	FOR_UNSIGNED = 8,
	FOR_TIME = 16,
	FOR_COUNT = 32, /* unsigned, no identifier */
	FOR_ALL = 64,
};

static const struct {
	unsigned fits;
	const char *expected;
} use[ANONYMIZE_METHODS] = {
	[ANONYMIZE_NONE] = {FOR_ALL, NULL},
	[ANONYMIZE_REMOVE] = {FOR_ALL, NULL},
	[ANONYMIZE_TRUNCATION] = {FOR_ADDRESS | FOR_MAC, "an address"},
	[ANONYMIZE_REVERSE_TRUNCATION] = {FOR_ADDRESS | FOR_MAC, "an address"},
	[ANONYMIZE_PERMUTATION] = {FOR_ADDRESS | FOR_MAC | FOR_INTEGER,
				   "an address or an integer"},
	[ANONYMIZE_PREFIX_PRESERVING] = {FOR_ADDRESS,
					 "an IPv4 or IPv6 address"},
	[ANONYMIZE_STRUCTURED] = {FOR_MAC, "a MAC address"},
	[ANONYMIZE_PRECISION] = {FOR_UNSIGNED | FOR_TIME,
				 "an unsigned number or a time"},
	[ANONYMIZE_BINNING] = {FOR_UNSIGNED, "an unsigned number"},
	[ANONYMIZE_VALUE] = {FOR_ADDRESS | FOR_MAC | FOR_UNSIGNED,
			     "an address or an unsigned number"},
	[ANONYMIZE_ENUMERATION] = {FOR_TIME, "a time"},
	[ANONYMIZE_SHIFT] = {FOR_TIME, "a time"},
	[ANONYMIZE_NOISE] = {FOR_COUNT,
			     "an unsigned number that is no identifier"},
};

static unsigned
kind_of(const struct ie *ie)
{
	unsigned kind = FOR_ALL;

	if (ie->type == IE_IPV4_ADDRESS || ie->type == IE_IPV6_ADDRESS)
		kind |= FOR_ADDRESS;
	if (ie->type == IE_MAC_ADDRESS)
		kind |= FOR_MAC;
	if (is_integer(ie))
		kind |= FOR_INTEGER;
	if (is_unsigned(ie))
		kind |= FOR_UNSIGNED;
	if (is_unsigned(ie) && base_of(ie)->semantics != IE_IDENTIFIER)
		kind |= FOR_COUNT;
	if (ie_is_time(ie))
		kind |= FOR_TIME;
	return kind;
}

static const struct {
	unsigned group;
	unsigned kind;
	const char *name;
	unsigned bits;
	uint16_t element; /* one of them */
} groups[] = {
	{ANONYMIZE_IPV4, FOR_ADDRESS, "ipv4Address", 32, IE_sourceIPv4Address},
	{ANONYMIZE_IPV6, FOR_ADDRESS, "ipv6Address", 128, IE_sourceIPv6Address},
	{ANONYMIZE_MAC, FOR_MAC, "macAddress", 48, IE_sourceMacAddress},
	{ANONYMIZE_PORTS, FOR_INTEGER | FOR_UNSIGNED, "port", 16,
	 IE_sourceTransportPort},
	{ANONYMIZE_TIMESTAMPS, FOR_TIME, "timestamp", 0,
	 IE_flowStartMilliseconds},
	{ANONYMIZE_COUNTERS, FOR_INTEGER | FOR_UNSIGNED | FOR_COUNT, "counter",
	 64, IE_octetDeltaCount},
};

struct reading {
	const struct anonymize_rule *conf;
	struct ie_registry *registry;
	struct anon_rule *rule;
	char **error;
};

static int
check_bits(struct reading *r, const char *name, unsigned bits)
{
	unsigned asked = r->conf->method == ANONYMIZE_PREFIX_PRESERVING
				 ? r->conf->unchanged
				 : r->conf->bits;

	switch (r->conf->method) {
	case ANONYMIZE_TRUNCATION:
	case ANONYMIZE_REVERSE_TRUNCATION:
	case ANONYMIZE_PREFIX_PRESERVING:
		if (asked >= bits)
			return text_error(r->error, -EINVAL,
					  "%u bits are all that %s has, "
					  "expected fewer than %u",
					  asked, name, bits);
		return 0;
	default:
		return 0;
	}
}

static int
check_value(struct reading *r, const struct ie *ie, const char *name)
{
	uint8_t octets[16];

	if (r->conf->method != ANONYMIZE_VALUE ||
	    anon_value_parse(ie, r->conf->value, ie->length, octets) == 0)
		return 0;
	return text_error(r->error, -EINVAL,
			  "\"%s\" is no value of %s, expected %s",
			  r->conf->value, name,
			  ie->type == IE_IPV4_ADDRESS	? "an IPv4 address"
			  : ie->type == IE_IPV6_ADDRESS ? "an IPv6 address"
			  : ie->type == IE_MAC_ADDRESS
				  ? "a MAC address such as 02:00:00:00:00:00"
				  : "a number that it can have");
}

static int
wrong_method(struct reading *r, const char *name)
{
	return text_error(r->error, -EINVAL,
			  "the method is none for %s, expected %s", name,
			  use[r->conf->method].expected);
}

static unsigned
bits_of(const struct ie *ie)
{
	return ie->type == IE_IPV4_ADDRESS   ? 32
	       : ie->type == IE_IPV6_ADDRESS ? 128
					     : 48;
}

static int
add_element(struct reading *r, const char *name)
{
	const struct ie *ie = ie_by_name(r->registry, name);
	const char *near;
	int rc;

	if (!ie) {
		near = ie_nearest_name(r->registry, name);
		return text_error(r->error, -EINVAL,
				  "\"%s\" is no known Information Element%s%s",
				  name, near ? ", nearest is " : "",
				  near ? near : "");
	}
	if (!(kind_of(ie) & use[r->conf->method].fits))
		return wrong_method(r, ie->name);
	rc = check_bits(r, ie->name, bits_of(ie));
	if (rc == 0)
		rc = check_value(r, ie, ie->name);
	if (rc == 0)
		r->rule->element[r->rule->element_count++] = ie;
	return rc;
}

static int
check_groups(struct reading *r)
{
	const struct ie *ie;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]);
	     i++) {
		if (!(r->conf->groups & groups[i].group))
			continue;
		if (!((groups[i].kind | FOR_ALL) & use[r->conf->method].fits))
			return wrong_method(r, groups[i].name);
		rc = check_bits(r, groups[i].name, groups[i].bits);
		ie = ie_find(r->registry, 0, groups[i].element);
		if (rc == 0 && ie)
			rc = check_value(r, ie, groups[i].name);
	}
	return rc;
}

/* ---- values and bins ----------------------------------------------------- */

static int
parse_mac(const char *text, uint8_t out[16])
{
	unsigned octet[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &octet[0], &octet[1],
		   &octet[2], &octet[3], &octet[4], &octet[5], &end) != 6 ||
	    text[end])
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)octet[i];
	return 0;
}

/* Decimal digits, and up to where they go. -EINVAL: none, or too many. */
static int
parse_number(const char **text, uint64_t *out)
{
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(*text, &end, 10);
	*text = end;
	return errno ? -EINVAL : 0;
}

int
anon_value_parse(const struct ie *ie, const char *text, uint16_t length,
		 uint8_t out[16])
{
	struct addr addr;
	uint64_t number;

	if (ie->type == IE_MAC_ADDRESS)
		return parse_mac(text, out);
	if (ie->type == IE_IPV4_ADDRESS || ie->type == IE_IPV6_ADDRESS) {
		if (addr_parse(&addr, text, 0) < 0 ||
		    addr.version != (ie->type == IE_IPV4_ADDRESS ? 4 : 6))
			return -EINVAL;
		memcpy(out, addr.bytes, sizeof(addr.bytes));
		return 0;
	}
	if (parse_number(&text, &number) < 0 || *text || length < 1 ||
	    length > 8 || (length < 8 && number >> 8 * length))
		return -EINVAL;
	wire_put_uint(out, number, length);
	return 0;
}

struct bin {
	uint64_t from, to, label;
};

static int
parse_bin(const char *text, struct bin *bin)
{
	int rc = parse_number(&text, &bin->from);

	bin->to = bin->from;
	if (rc == 0 && *text == '-') {
		text++;
		rc = parse_number(&text, &bin->to);
	}
	bin->label = bin->from;
	if (rc == 0 && *text == '=') {
		text++;
		rc = parse_number(&text, &bin->label);
	}
	return rc < 0 || *text || bin->to < bin->from ? -EINVAL : 0;
}

static int
by_value(const void *va, const void *vb)
{
	const struct anon_range *a = va, *b = vb;

	return a->from < b->from ? -1 : a->from > b->from;
}

/* Bins may overlap, the first one counts: ranges that do not. */
static int
make_ranges(struct anon_rule *rule, const struct bin *bin, unsigned count)
{
	struct anon_range *range = calloc(2 * count + 1, sizeof(*range));
	unsigned n = 1; /* the first from 0 */

	if (!range)
		return -ENOMEM;
	rule->range = range;
	for (unsigned i = 0; i < count; i++) {
		range[n++].from = bin[i].from;
		if (bin[i].to < UINT64_MAX)
			range[n++].from = bin[i].to + 1;
	}
	qsort(range, n, sizeof(*range), by_value);
	for (unsigned i = 0; i < n; i++)
		for (unsigned b = 0; b < count; b++)
			if (range[i].from >= bin[b].from &&
			    range[i].from <= bin[b].to) {
				range[i].label = bin[b].label;
				break;
			}
	rule->range_count = n;
	return 0;
}

static int
read_bins(struct reading *r)
{
	unsigned count = r->conf->bin_count;
	struct bin *bin = calloc(count + 1, sizeof(*bin));
	int rc = bin ? 0 : -ENOMEM;

	if (rc == 0 && (count == 0 || count > ANONYMIZE_BINS_MAX))
		rc = text_error(r->error, -EINVAL,
				"%u bins, expected from 1 to %d", count,
				ANONYMIZE_BINS_MAX);
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		rc = parse_bin(r->conf->bin[i], &bin[i]);
		if (rc < 0)
			text_error(r->error, rc,
				   "\"%s\" is no bin, expected a number or a "
				   "range and what it becomes, such as "
				   "1024-65535=1024",
				   r->conf->bin[i]);
	}
	if (rc == 0)
		rc = make_ranges(r->rule, bin, count);
	free(bin);
	return rc;
}

/* ---- the rules ----------------------------------------------------------- */

bool
anonymize_needs_key(const struct anonymize_conf *conf)
{
	for (unsigned i = 0; i < conf->rule_count; i++)
		switch (conf->rule[i].method) {
		case ANONYMIZE_PERMUTATION:
		case ANONYMIZE_PREFIX_PRESERVING:
		case ANONYMIZE_STRUCTURED:
		case ANONYMIZE_SHIFT:
			return true;
		default:
			break;
		}
	return false;
}

static int
rule_read(struct reading *r)
{
	const struct anonymize_rule *conf = r->conf;
	int rc;

	r->rule->method = conf->method;
	r->rule->groups = conf->groups;
	r->rule->bits = conf->bits;
	r->rule->unchanged = conf->unchanged;
	r->rule->amount = conf->amount;
	r->rule->value = conf->value;
	r->rule->element =
		calloc(conf->element_count + 1, sizeof(*r->rule->element));
	if (!r->rule->element)
		return -ENOMEM;
	if (!conf->groups && !conf->element_count)
		return text_error(r->error, -EINVAL,
				  "the rule has no elements, expected a group "
				  "or the name of one");
	if (!conf->amount && (conf->method == ANONYMIZE_PRECISION ||
			      conf->method == ANONYMIZE_ENUMERATION))
		return text_error(r->error, -EINVAL,
				  "0 is no unit, expected 1 or more");
	rc = check_groups(r);
	for (unsigned i = 0; rc == 0 && i < conf->element_count; i++)
		rc = add_element(r, conf->element[i]);
	if (rc == 0 && conf->method == ANONYMIZE_BINNING)
		rc = read_bins(r);
	return rc;
}

int
anon_rules_new(const struct anonymize_conf *conf, struct ie_registry *registry,
	       struct anon_rule **out, struct anonymize_error *error)
{
	struct anon_rule *rules = calloc(conf->rule_count + 1, sizeof(*rules));
	int rc = rules ? 0 : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < conf->rule_count; i++) {
		struct reading r = {&conf->rule[i], registry, &rules[i],
				    &error->text};

		error->rule = i;
		rc = rule_read(&r);
	}
	if (rc < 0) {
		anon_rules_free(rules, conf->rule_count);
		return rc;
	}
	*out = rules;
	return 0;
}

void
anon_rules_free(struct anon_rule *rules, unsigned count)
{
	for (unsigned i = 0; rules && i < count; i++) {
		free(rules[i].element);
		free(rules[i].range);
	}
	free(rules);
}
