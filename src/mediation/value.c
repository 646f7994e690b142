/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Values to ranges of numbers, to bits, or to patterns of octets. A value with
 * less precision than a field may have is a range: flowStartSeconds == T is
 * true in all of that second, a prefix is all of its addresses.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/match.h"
#include "conflux/wire.h"
#include "internal.h"

#define SIGN (UINT64_C(1) << 63)

static const struct wide lowest = {0, 0};

bool
is_text(const struct ie *ie)
{
	return ie->type == IE_STRING || ie->type == IE_OCTET_ARRAY;
}

static bool
is_real(const struct ie *ie)
{
	return ie->type == IE_FLOAT32 || ie->type == IE_FLOAT64;
}

static bool
is_unsigned(const struct ie *ie)
{
	return ie->type >= IE_UNSIGNED8 && ie->type <= IE_UNSIGNED64;
}

uint64_t
real_order(double value)
{
	uint64_t bits;

	if (value == 0)
		value = 0; /* there are two of them */
	memcpy(&bits, &value, sizeof(bits));
	if (value != value)
		return UINT64_MAX;
	return bits & SIGN ? ~bits : bits | SIGN;
}

/* The greatest that a field can have; NaN is beyond it. */
static struct wide
highest(const struct ie *ie)
{
	if (ie->type == IE_IPV6_ADDRESS)
		return (struct wide){UINT64_MAX, UINT64_MAX};
	if (is_real(ie))
		return (struct wide){0, real_order(strtod("inf", NULL))};
	return (struct wide){0, UINT64_MAX};
}

static struct wide
lowest_of(const struct ie *ie)
{
	if (is_real(ie))
		return (struct wide){0, real_order(-strtod("inf", NULL))};
	return lowest;
}

static int
compare(const struct wide *a, const struct wide *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	return a->lo == b->lo ? 0 : a->lo < b->lo ? -1 : 1;
}

/* ---- one value --------------------------------------------------------- */

static void
narrow(struct range *out, uint64_t min, uint64_t max)
{
	*out = (struct range){{0, min}, {0, max}};
}

/* A time with a unit of so many nanoseconds: all of the unit. */
static int
unit_range(uint64_t value, uint64_t unit, struct range *out)
{
	if (value >= UINT64_MAX / unit)
		return -EINVAL;
	narrow(out, value * unit, value * unit + unit - 1);
	return 0;
}

static void
address_range(const struct match *m, struct range *out)
{
	unsigned bits = 8u * m->length;
	unsigned host = m->prefix < 0 ? 0 : bits - (unsigned)m->prefix;
	struct wide mask = {
		.lo = host >= 64 ? UINT64_MAX : (UINT64_C(1) << host) - 1,
		.hi = host <= 64    ? 0
		      : host == 128 ? UINT64_MAX
				    : (UINT64_C(1) << (host - 64)) - 1,
	};

	if (m->length == 16) {
		out->min.hi = wire_get64(m->octets);
		out->min.lo = wire_get64(m->octets + 8);
	} else {
		out->min.hi = 0;
		out->min.lo = wire_get_uint(m->octets, m->length);
	}
	out->max.hi = out->min.hi | mask.hi;
	out->max.lo = out->min.lo | mask.lo;
}

static int
match_range(const struct match *m, const struct ie *ie, struct range *out)
{
	switch (m->kind) {
	case MATCH_UNSIGNED:
		if (ie->type == IE_DATE_TIME_SECONDS)
			return unit_range(m->value, 1000000000, out);
		if (ie->type == IE_DATE_TIME_MILLISECONDS)
			return unit_range(m->value, 1000000, out);
		narrow(out, m->value, m->value);
		return 0;
	case MATCH_SIGNED:
		narrow(out, m->value ^ SIGN, m->value ^ SIGN);
		return 0;
	case MATCH_REAL: {
		double real = ie->type == IE_FLOAT32 ? (double)(float)m->real
						     : m->real;

		narrow(out, real_order(real), real_order(real));
		return real == real ? 0 : -EINVAL;
	}
	case MATCH_MICRO:
		return unit_range(m->value, 1000, out);
	case MATCH_NANO:
		return unit_range(m->value, 1, out);
	case MATCH_OCTETS:
		address_range(m, out);
		return 0;
	}
	return -EINVAL;
}

/* 10k, 1.5 is none: a number with k, m, g or t behind it, 1000 each. */
static int
scaled(const struct ie *ie, const char *text, struct range *out)
{
	static const char units[] = "kmgt";
	size_t length = strlen(text);
	char digits[WORD_SIZE];
	const char *unit;
	struct match m;
	uint64_t factor = 1;

	if (!is_unsigned(ie) || length < 2)
		return -EINVAL;
	unit = strchr(units, tolower((unsigned char)text[length - 1]));
	if (!unit)
		return -EINVAL;
	for (const char *u = units; u <= unit; u++)
		factor *= 1000;
	memcpy(digits, text, length - 1);
	digits[length - 1] = 0;
	if (match_parse(&m, ie, digits) < 0 || m.value > UINT64_MAX / factor)
		return -EINVAL;
	narrow(out, m.value * factor, m.value * factor);
	return 0;
}

/* The letters of TCP's flags, or X for the six of RFC 793. */
static int
flag_letters(const char *text, uint64_t *bits)
{
	static const char letters[] = "FSRPAUEC";

	*bits = 0;
	for (; *text; text++) {
		char letter = (char)toupper((unsigned char)*text);
		const char *at = strchr(letters, letter);

		if (letter == 'X')
			*bits |= 0x3f;
		else if (at)
			*bits |= UINT64_C(1) << (at - letters);
		else
			return -EINVAL;
	}
	return *bits ? 0 : -EINVAL;
}

/* Names that some elements have for their numbers. */
static int
named(const struct ie *ie, const char *text, struct range *out)
{
	uint64_t bits;
	int number;

	if (ie->pen)
		return -EINVAL;
	if (ie->id == IE_protocolIdentifier) {
		number = protocol_number(text);
		if (number < 0)
			return -EINVAL;
		narrow(out, (uint64_t)number, (uint64_t)number);
		return 0;
	}
	if (ie->id != IE_tcpControlBits || flag_letters(text, &bits) < 0)
		return -EINVAL;
	narrow(out, bits, bits);
	return 0;
}

/* 10/8: octets of an IPv4 prefix that are left out are 0. */
static int
short_prefix(const struct ie *ie, const char *text, struct match *m)
{
	const char *slash = strchr(text, '/');
	char whole[WORD_SIZE + 8];
	unsigned dots = 0;
	size_t n;

	if (ie->type != IE_IPV4_ADDRESS || !slash || slash == text)
		return -EINVAL;
	n = (size_t)(slash - text);
	memcpy(whole, text, n);
	for (size_t i = 0; i < n; i++)
		dots += text[i] == '.';
	for (; dots < 3; dots++, n += 2)
		memcpy(whole + n, ".0", 2);
	strcpy(whole + n, slash);
	return match_parse(m, ie, whole);
}

/* What the values of an operand look like. */
static const struct ie *
value_type(const struct operand *operand)
{
	static const struct ie octet = {.type = IE_UNSIGNED8};
	static const struct ie number = {.type = IE_UNSIGNED64};

	if (operand->part == PART_WHOLE)
		return operand->ie;
	return operand->part <= PART_LOW ? &octet : &number;
}

static int
one_value(const struct ie *ie, const char *text, struct range *out)
{
	struct match m;

	if (match_parse(&m, ie, text) == 0 || short_prefix(ie, text, &m) == 0)
		return match_range(&m, ie, out);
	if (scaled(ie, text, out) == 0)
		return 0;
	return named(ie, text, out);
}

/* A value, or two with a hyphen between them. */
static int
value_range(const struct ie *ie, const char *text, struct range *out)
{
	char first[WORD_SIZE];
	struct range last;

	if (one_value(ie, text, out) == 0)
		return 0;
	for (const char *h = text; (h = strchr(h, '-')) != NULL; h++) {
		memcpy(first, text, (size_t)(h - text));
		first[h - text] = 0;
		if (one_value(ie, first, out) < 0 ||
		    one_value(ie, h + 1, &last) < 0)
			continue;
		out->max = last.max;
		return compare(&out->min, &out->max) <= 0 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

bool
is_address(const char *text)
{
	static const struct ie v4 = {.type = IE_IPV4_ADDRESS};
	static const struct ie v6 = {.type = IE_IPV6_ADDRESS};
	struct range range;

	return one_value(&v4, text, &range) == 0 ||
	       one_value(&v6, text, &range) == 0;
}

/* ---- groups ------------------------------------------------------------ */

static struct wide
after(struct wide w)
{
	w.lo++;
	w.hi += w.lo == 0;
	return w;
}

static struct wide
before(struct wide w)
{
	w.hi -= w.lo == 0;
	w.lo--;
	return w;
}

/* The numbers that are so to those of the range; false: there are none. */
static bool
order(enum comparison how, const struct ie *ie, struct range *range)
{
	struct wide most = highest(ie), least = lowest_of(ie);

	switch (how) {
	case COMPARE_LT:
		if (compare(&range->min, &least) <= 0)
			return false;
		range->max = before(range->min);
		range->min = least;
		break;
	case COMPARE_LE:
		range->min = least;
		break;
	case COMPARE_GT:
		if (compare(&range->max, &most) >= 0)
			return false;
		range->min = after(range->max);
		range->max = most;
		break;
	case COMPARE_GE:
		range->max = most;
		break;
	default:
		break;
	}
	return true;
}

static int
by_min(const void *a, const void *b)
{
	return compare(&((const struct range *)a)->min,
		       &((const struct range *)b)->min);
}

/* Sorts the ranges of the group, and makes those that touch one. */
static void
unite(struct filter *filter, struct group *group)
{
	struct range *list;
	uint32_t n = 0;

	if (group->count == 0)
		return;
	list = LIST(range, filter->ranges) + group->first;
	qsort(list, group->count, sizeof(*list), by_min);
	for (uint32_t i = 1; i < group->count; i++) {
		struct wide next = after(list[n].max);

		if (compare(&list[i].min, &list[n].max) > 0 &&
		    compare(&list[i].min, &next) != 0) {
			list[++n] = list[i];
			continue;
		}
		if (compare(&list[i].max, &list[n].max) > 0)
			list[n].max = list[i].max;
	}
	group->count = n + 1;
	filter->ranges.count = group->first + group->count;
}

static const char *
expected(const struct operand *operand)
{
	const struct ie *ie = value_type(operand);

	switch (ie->type) {
	case IE_IPV4_ADDRESS:
		return "an IPv4 address or prefix";
	case IE_IPV6_ADDRESS:
		return "an IPv6 address or prefix";
	case IE_MAC_ADDRESS:
		return "six octets as 00:1b:21:0a:0b:0c";
	case IE_BOOLEAN:
		return "true or false";
	case IE_FLOAT32:
	case IE_FLOAT64:
		return "a number";
	case IE_DATE_TIME_SECONDS:
	case IE_DATE_TIME_MILLISECONDS:
	case IE_DATE_TIME_MICROSECONDS:
	case IE_DATE_TIME_NANOSECONDS:
		return "a time as 2026-01-31T13:00:00.5Z, no finer than the "
		       "element";
	case IE_OCTET_ARRAY:
		return "octets as 0x00ff";
	default:
		break;
	}
	if (!ie->pen && ie->id == IE_protocolIdentifier)
		return "a number from 0 to 255 or a name such as tcp";
	if (!ie->pen && ie->id == IE_tcpControlBits)
		return "a number, or letters of FSRPAUEC";
	switch (ie_type_length(ie->type)) {
	case 1:
		return ie->type == IE_SIGNED8 ? "a number from -128 to 127"
					      : "a number from 0 to 255";
	case 2:
		return ie->type == IE_SIGNED16 ? "a number from -32768 to 32767"
					       : "a number from 0 to 65535";
	case 4:
		return ie->type == IE_SIGNED32
			       ? "a number of 32 bits with a sign"
			       : "a number from 0 to 4294967295";
	default:
		return ie->type == IE_SIGNED64
			       ? "a number of 64 bits with a sign"
			       : "a number such as 1500, 0x5dc or 10k";
	}
}

/* What the groups of a term expect; addresses come in two kinds. */
static const char *
term_expects(const struct filter *filter, const struct term *term)
{
	const struct group *group = LIST(group, filter->groups) + term->group;
	const struct operand *first = &group->operand[0];

	for (uint32_t i = 1; i < term->group_count; i++)
		if (value_type(&group[i].operand[0])->type !=
		    value_type(first)->type)
			return "an address or prefix of IPv4 or IPv6";
	return expected(first);
}

static int
bad_value(struct parser *p, const struct term *term, const struct token *token)
{
	const char *want = term_expects(p->filter, term);
	int length = (int)(token->length < 80 ? token->length : 80);

	return parse_error(p, token->at, "%.*s cannot stand here, expected %s",
			   length, token->at, want);
}

static int
range_add(struct filter *filter, struct group *group, const struct range *range)
{
	struct range *to = list_add(&filter->ranges, 1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	*to = *range;
	group->count++;
	return 0;
}

/* taken[i]: the i-th value was one of this or an earlier group. */
static int
group_ranges(struct parser *p, struct group *group, enum comparison how,
	     bool *taken)
{
	const struct token *token = LIST(token, p->values);
	const struct ie *ie = value_type(&group->operand[0]);
	struct filter *filter = p->filter;
	char text[WORD_SIZE];
	struct range range;
	int rc = 0;

	group->first = filter->ranges.count;
	for (uint32_t i = 0; rc == 0 && i < p->values.count; i++) {
		if (token_text(&token[i], text) < 0 ||
		    value_range(ie, text, &range) < 0)
			continue;
		taken[i] = true;
		if (order(how, ie, &range))
			rc = range_add(filter, group, &range);
	}
	unite(filter, group);
	return rc;
}

static int
term_ranges(struct parser *p, struct term *term, enum comparison how)
{
	const struct token *token = LIST(token, p->values);
	bool *taken = calloc(p->values.count, sizeof(*taken));
	int rc = taken ? 0 : -ENOMEM;

	term->test = TEST_RANGE;
	term->negated = how == COMPARE_NE;
	for (uint32_t g = 0; rc == 0 && g < term->group_count; g++)
		rc = group_ranges(
			p, LIST(group, p->filter->groups) + term->group + g,
			how, taken);
	for (uint32_t i = 0; rc == 0 && i < p->values.count; i++)
		if (!taken[i])
			rc = bad_value(p, term, &token[i]);
	free(taken);
	return rc;
}

/* ---- bits -------------------------------------------------------------- */

static int
term_bits(struct parser *p, struct term *term, enum comparison how,
	  const struct token *at)
{
	const struct token *token = LIST(token, p->values);
	const struct group *group =
		LIST(group, p->filter->groups) + term->group;
	const struct ie *ie = value_type(&group->operand[0]);
	char text[WORD_SIZE];
	struct range range;

	if (!is_unsigned(ie))
		return parse_error(p, at->at,
				   "only unsigned numbers have "
				   "bits, expected == or another "
				   "comparison");
	if (token_text(token, text) < 0 || one_value(ie, text, &range) < 0)
		return bad_value(p, term, token);
	term->test = how == COMPARE_HAS ? TEST_ALL_BITS : TEST_ANY_BITS;
	term->mask = range.min.lo;
	return 0;
}

/* ---- patterns ---------------------------------------------------------- */

static int
pattern_octets(const struct ie *ie, enum comparison how,
	       const struct token *token, uint8_t out[MATCH_MAX])
{
	char text[WORD_SIZE];
	struct match m;
	int length = token_text(token, text);

	if (length < 0)
		return -EINVAL;
	/* Octets may be sought as text. */
	if (ie->type == IE_OCTET_ARRAY && token->kind != TOKEN_STRING &&
	    how != COMPARE_LIKE) {
		if (match_parse(&m, ie, text) < 0)
			return -EINVAL;
		memcpy(out, m.octets, m.length);
		return m.length;
	}
	memcpy(out, text, (size_t)length);
	return length;
}

static int
pattern_add(struct filter *filter, struct group *group, enum pattern_kind kind,
	    const uint8_t *octets, uint32_t length)
{
	struct pattern *pattern =
		list_add(&filter->patterns, 1, sizeof(*pattern));
	uint8_t *to = list_add(&filter->octets, length, 1);

	if (!pattern || !to)
		return -ENOMEM;
	memcpy(to, octets, length);
	*pattern = (struct pattern){
		.kind = kind,
		.at = filter->octets.count - length,
		.length = length,
	};
	group->count++;
	return 0;
}

static int
term_patterns(struct parser *p, struct term *term, enum comparison how,
	      const struct token *at)
{
	struct group *group = LIST(group, p->filter->groups) + term->group;
	const struct token *token = LIST(token, p->values);
	enum pattern_kind kind = PATTERN_EQUAL;
	uint8_t octets[MATCH_MAX];
	int rc = 0, length;

	if (how == COMPARE_CONTAINS)
		kind = PATTERN_CONTAINS;
	else if (how == COMPARE_LIKE)
		kind = PATTERN_LIKE;
	else if (how != COMPARE_EQ && how != COMPARE_NE && how != COMPARE_IN)
		return parse_error(p, at->at,
				   "text has no order and no bits, "
				   "expected ==, !=, in, contains "
				   "or like");
	term->test = TEST_PATTERN;
	term->negated = how == COMPARE_NE;
	group->first = p->filter->patterns.count;
	for (uint32_t i = 0; rc == 0 && i < p->values.count; i++) {
		length = pattern_octets(group->operand[0].ie, how, &token[i],
					octets);
		if (length < 0)
			return bad_value(p, term, &token[i]);
		rc = pattern_add(p->filter, group, kind, octets,
				 (uint32_t)length);
	}
	return rc;
}

int
term_values(struct parser *p, struct term *term, enum comparison how,
	    const struct token *at)
{
	const struct group *group =
		LIST(group, p->filter->groups) + term->group;
	const struct ie *ie = value_type(&group->operand[0]);

	if (p->values.count > 1 && how != COMPARE_EQ && how != COMPARE_NE &&
	    how != COMPARE_IN && how != COMPARE_CONTAINS && how != COMPARE_LIKE)
		return parse_error(p, at->at,
				   "a set has no order, expected "
				   "in or one value");
	if (is_text(ie))
		return term_patterns(p, term, how, at);
	if (ie->type == IE_UNSIGNED256 || ie->type >= IE_BASIC_LIST)
		return parse_error(p, at->at,
				   "%s is of the type %s, which "
				   "cannot be compared; expected "
				   "exists %s",
				   ie->name, ie_type_name(ie->type), ie->name);
	if (how == COMPARE_CONTAINS || how == COMPARE_LIKE)
		return parse_error(p, at->at,
				   "that is for text, expected == "
				   "or another comparison of "
				   "numbers");
	if (how == COMPARE_HAS || how == COMPARE_ANY)
		return term_bits(p, term, how, at);
	return term_ranges(p, term, how);
}
