/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of conversion: which elements they are for, whether these can be what
 * the rule makes of them, and what their texts mean.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "conflux/projection.h"
#include "conflux/text.h"
#include "conflux/wire.h"
#include "conversion.h"

/* ---- elements ------------------------------------------------------------ */

static const char *const time_name[CONV_TIMES] = {
	[CONV_SECONDS] = "seconds",
	[CONV_MILLISECONDS] = "milliseconds",
	[CONV_MICROSECONDS] = "microseconds",
	[CONV_NANOSECONDS] = "nanoseconds",
	[CONV_DELTA] = "deltaMicroseconds",
	[CONV_UPTIME] = "sysUpTime",
};

/* What the names of elements end with. */
static const char *const time_suffix[CONV_TIMES] = {
	[CONV_SECONDS] = "Seconds",
	[CONV_MILLISECONDS] = "Milliseconds",
	[CONV_MICROSECONDS] = "Microseconds",
	[CONV_NANOSECONDS] = "Nanoseconds",
	[CONV_DELTA] = "DeltaMicroseconds",
	[CONV_UPTIME] = "SysUpTime",
};

enum conv_time
conv_time_of(const struct ie *ie)
{
	if (ie_is_time(ie))
		return (enum conv_time)(ie->type - IE_DATE_TIME_SECONDS);
	if (ie->pen && ie->pen != IE_PEN_REVERSE)
		return CONV_NO_TIME;
	switch (ie->id) {
	case IE_flowStartDeltaMicroseconds:
	case IE_flowEndDeltaMicroseconds:
		return CONV_DELTA;
	case IE_flowStartSysUpTime:
	case IE_flowEndSysUpTime:
		return CONV_UPTIME;
	default:
		return CONV_NO_TIME;
	}
}

/*
 * Elements of the same time have the same name but for its end, in the registry
 * of IANA (flowStartSeconds, flowStartMilliseconds, ...) and their reverse
 * elements, and we ask the same of those of enterprises.
 */
const struct ie *
conv_time_sister(const struct ie_registry *registry, const struct ie *ie,
		 enum conv_time format)
{
	enum conv_time now = conv_time_of(ie);
	const struct ie *sister;
	size_t length, tail;
	char name[256];

	if (now == CONV_NO_TIME)
		return NULL;
	length = strlen(ie->name);
	tail = strlen(time_suffix[now]);
	if (length < tail || strcmp(ie->name + length - tail, time_suffix[now]))
		return NULL;
	if ((size_t)snprintf(name, sizeof(name), "%.*s%s", (int)(length - tail),
			     ie->name, time_suffix[format]) >= sizeof(name))
		return NULL;
	sister = ie_by_name(registry, name);
	return sister && sister->pen == ie->pen &&
			       conv_time_of(sister) == format
		       ? sister
		       : NULL;
}

enum family {
	OTHER,
	UNSIGNED,
	SIGNED,
	REAL,
	TIME,
	OCTETS,
};

static enum family
family_of(const struct ie *ie)
{
	if (ie->type >= IE_UNSIGNED8 && ie->type <= IE_UNSIGNED64)
		return UNSIGNED;
	if (ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64)
		return SIGNED;
	if (ie->type == IE_FLOAT32 || ie->type == IE_FLOAT64)
		return REAL;
	if (ie->type == IE_STRING || ie->type == IE_OCTET_ARRAY)
		return OCTETS;
	return ie_is_time(ie) ? TIME : OTHER;
}

bool
conv_can_become(const struct ie *from, const struct ie *to)
{
	enum family a = family_of(from), b = family_of(to);

	if (a == b)
		return a != OTHER || from->type == to->type ||
		       (from->type == IE_IPV4_ADDRESS &&
			to->type == IE_IPV6_ADDRESS);
	return (from->type == IE_BOOLEAN && b == UNSIGNED) ||
	       (a == UNSIGNED && to->type == IE_BOOLEAN);
}

bool
conv_has_length(const struct ie *ie)
{
	enum family family = family_of(ie);

	return family != OTHER && family != TIME;
}

/* ---- which elements a rule is for ---------------------------------------- */

static bool
is_match(const struct conv_match *match, const struct ie *ie)
{
	return match->pattern ? fnmatch(match->pattern, ie->name, 0) == 0
			      : match->pen == ie->pen && match->id == ie->id;
}

int
conv_rule_find(const struct conv_rule *rule, const struct ie *ie)
{
	for (unsigned i = 0; i < rule->match_count; i++)
		if (is_match(&rule->match[i], ie))
			return (int)i;
	for (unsigned i = 0; i < rule->enterprise_count; i++)
		if (rule->enterprise[i] == ie->pen)
			return (int)(rule->match_count + i);
	/* TIME: all of them. */
	return rule->match_count + rule->enterprise_count == 0 ? 0 : -1;
}

struct reading {
	const struct conversion_conf *conf;
	const struct conversion_rule *from;
	struct conv_rule *rule;
	struct conversion_error *error;
};

/* "e12345id678", as elements without a name are shown. */
static bool
parse_nameless(const char *text, struct conv_match *match)
{
	unsigned pen, id;
	int end = 0;

	if (sscanf(text, "e%10uid%5u%n", &pen, &id, &end) != 2 || text[end] ||
	    id == 0 || id > 0x7fff)
		return false;
	match->pen = pen;
	match->id = (uint16_t)id;
	return true;
}

static bool
is_pattern(const char *text)
{
	return strpbrk(text, "*?") != NULL;
}

/* May it be for elements without a name, or is it for one that is known? */
static bool
pattern_matches(const struct reading *r, const struct conv_match *match)
{
	const struct ie *ie;
	uint32_t at = 0;

	if (match->pattern[0] == 'e' && match->pattern[1] >= '0' &&
	    match->pattern[1] <= '9')
		return true;
	while ((ie = ie_next(r->conf->registry, &at)))
		if (is_match(match, ie))
			return true;
	return false;
}

static int
unknown_element(const struct reading *r, const char *name)
{
	const char *near = ie_nearest_name(r->conf->registry, name);

	return text_error(&r->error->text, -EINVAL,
			  "\"%s\" is no known Information Element, expected "
			  "one of IANA or of a cx:elementFile%s%s",
			  name, near ? ", nearest is " : "", near ? near : "");
}

/* *known: what the registry has of it, or NULL. */
static int
read_match(struct reading *r, const char *text, struct conv_match *match,
	   const struct ie **known)
{
	const struct ie *ie = ie_by_name(r->conf->registry, text);

	*known = NULL;
	if (ie) {
		match->pen = ie->pen;
		match->id = ie->id;
	} else if (is_pattern(text)) {
		match->pattern = strdup(text);
		if (!match->pattern)
			return -ENOMEM;
		return pattern_matches(r, match)
			       ? 0
			       : text_error(&r->error->text, -EINVAL,
					    "no known Information Element has "
					    "a name like \"%s\"",
					    text);
	} else if (parse_nameless(text, match)) {
		ie = ie_find(r->conf->registry, match->pen, match->id);
	} else {
		return unknown_element(r, text);
	}
	*known = ie && !ie->unknown ? ie : NULL;
	return 0;
}

/* ---- what a rule does ---------------------------------------------------- */

static int
check_length(const struct reading *r, const struct ie *ie)
{
	uint16_t length = r->rule->length;

	if (!conv_has_length(ie))
		return text_error(&r->error->text, -EINVAL,
				  "%s is of type %s, which has one length "
				  "only, expected an integer, a float64, a "
				  "string or an octetArray",
				  ie->name, ie_type_name(ie->type));
	if (length == 0 || ie_length_ok(ie, length))
		return 0;
	if (length == IE_VARIABLE)
		return text_error(&r->error->text, -EINVAL,
				  "%s is of type %s, which has no variable "
				  "length, expected at most %u octets",
				  ie->name, ie_type_name(ie->type), ie->length);
	return text_error(&r->error->text, -EINVAL,
			  "%s can't have %u octets, expected %s%u", ie->name,
			  length, ie->type == IE_FLOAT64 ? "4 or " : "at most ",
			  ie->length);
}

/* An element that is known, for what the rule does. */
static int
check_element(const struct reading *r, const struct ie *ie)
{
	const struct ie *to = r->rule->to;

	switch (r->rule->kind) {
	case CONVERSION_RENAME:
		if (conv_can_become(ie, to))
			return 0;
		return text_error(&r->error->text, -EINVAL,
				  "%s is of type %s, expected one that can "
				  "become the %s of %s",
				  ie->name, ie_type_name(ie->type),
				  ie_type_name(to->type), to->name);
	case CONVERSION_LENGTH:
		return check_length(r, ie);
	case CONVERSION_TIME:
		if (conv_time_of(ie) != CONV_NO_TIME)
			return 0;
		return text_error(&r->error->text, -EINVAL,
				  "%s is of type %s, expected a time such as "
				  "flowStartMilliseconds",
				  ie->name, ie_type_name(ie->type));
	default:
		return 0;
	}
}

static int
read_elements(struct reading *r)
{
	const struct conversion_rule *from = r->from;
	struct conv_rule *rule = r->rule;
	const struct ie *known;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < from->element_count; i++) {
		r->error->element = (int)i;
		rc = read_match(r, from->element[i], &rule->match[i], &known);
		rule->match_count++;
		if (rc == 0 && known)
			rc = check_element(r, known);
	}
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < from->enterprise_count; i++)
		rule->enterprise[i] = from->enterprise[i];
	rule->enterprise_count = from->enterprise_count;
	return 0;
}

static int
read_time(struct reading *r)
{
	for (int i = 0; i < CONV_TIMES; i++)
		if (strcmp(r->from->text, time_name[i]) == 0) {
			r->rule->format = (enum conv_time)i;
			return 0;
		}
	return text_error(&r->error->text, -EINVAL,
			  "\"%s\" is no format of times, expected one such as "
			  "milliseconds",
			  r->from->text);
}

static int
read_length(struct reading *r)
{
	const char *text = r->from->text;
	unsigned long length;
	char *end;

	if (strcmp(text, "natural") == 0) {
		r->rule->length = 0;
		return 0;
	}
	if (strcmp(text, "variable") == 0) {
		r->rule->length = IE_VARIABLE;
		return 0;
	}
	length = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
	if (length == 0 || *end || length > SHAPE_RECORD_MAX)
		return text_error(&r->error->text, -EINVAL,
				  "\"%s\" is no length, expected a number of "
				  "octets, natural or variable",
				  text);
	r->rule->length = (uint16_t)length;
	return 0;
}

/* ---- constants ----------------------------------------------------------- */

static int
parse_signed(const char *text, uint16_t length, uint8_t *out)
{
	long long value, most = INT64_MAX >> (64 - 8 * length);
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value > most || value < -most - 1)
		return -EINVAL;
	wire_put_uint(out, (uint64_t)value, length);
	return 0;
}

static int
parse_real(const char *text, uint16_t length, uint8_t *out)
{
	char *end;
	double value = strtod(text, &end);
	float narrow = (float)value;
	uint64_t bits;
	uint32_t few;

	if (end == text || *end)
		return -EINVAL;
	memcpy(&bits, &value, sizeof(bits));
	memcpy(&few, &narrow, sizeof(few));
	wire_put_uint(out, length == 4 ? few : bits, length);
	return 0;
}

/* RFC 7011 section 6.1.5. */
static int
parse_bool(const char *text, uint8_t *out)
{
	*out = strcmp(text, "true") == 0 ? 1 : 2;
	return *out == 1 || strcmp(text, "false") == 0 ? 0 : -EINVAL;
}

static int
parse_hex(const char *text, uint8_t *out, size_t *count)
{
	size_t length = strlen(text);

	*count = length / 2;
	if (length % 2 || strspn(text, "0123456789abcdefABCDEF") != length)
		return -EINVAL;
	for (size_t i = 0; i < *count; i++) {
		unsigned octet;

		sscanf(text + 2 * i, "%2x", &octet);
		out[i] = (uint8_t)octet;
	}
	return 0;
}

static int
parse_octets(const struct ie *ie, const char *text, struct conv_rule *rule)
{
	uint8_t octets[CONVERSION_VALUE_MAX];
	size_t count = strlen(text);
	struct writer w;

	if (count > CONVERSION_VALUE_MAX)
		return -EINVAL;
	if (ie->type == IE_STRING)
		memcpy(octets, text, count);
	else if (parse_hex(text, octets, &count) < 0)
		return -EINVAL;
	writer_init(&w, rule->octets, sizeof(rule->octets));
	writer_varlen(&w, octets, count);
	rule->count = (uint16_t)(w.p - rule->octets);
	return 0;
}

static const char *
expected_value(const struct ie *ie)
{
	switch (ie->type) {
	case IE_IPV4_ADDRESS:
		return "an IPv4 address";
	case IE_IPV6_ADDRESS:
		return "an IPv6 address";
	case IE_MAC_ADDRESS:
		return "a MAC address such as 02:00:00:00:00:00";
	case IE_BOOLEAN:
		return "true or false";
	case IE_OCTET_ARRAY:
		return "hexadecimal digits, two for an octet";
	case IE_STRING:
		return "at most 255 octets";
	default:
		return "a number that it can have";
	}
}

static int
parse_constant(const struct ie *ie, const char *text, struct conv_rule *rule)
{
	rule->count = ie->length;
	switch (family_of(ie)) {
	case SIGNED:
		return parse_signed(text, ie->length, rule->octets);
	case REAL:
		return parse_real(text, ie->length, rule->octets);
	case OCTETS:
		return parse_octets(ie, text, rule);
	default:
		break;
	}
	if (ie->type == IE_BOOLEAN)
		return parse_bool(text, rule->octets);
	return anon_value_parse(ie, text, ie->length, rule->octets);
}

static int
read_constant(struct reading *r)
{
	const struct ie *ie;
	struct conv_match match = {0};
	int rc;

	r->error->element = 0;
	rc = read_match(r, r->from->element[0], &match, &ie);
	free(match.pattern);
	if (rc < 0)
		return rc;
	if (!ie)
		return unknown_element(r, r->from->element[0]);
	if (family_of(ie) == TIME ||
	    (family_of(ie) == OTHER && ie_type_length(ie->type) > 16))
		return text_error(&r->error->text, -EINVAL,
				  "%s is of type %s, expected a number, an "
				  "address, a boolean or octets",
				  ie->name, ie_type_name(ie->type));
	r->rule->to = ie;
	r->error->element = -1;
	if (parse_constant(ie, r->from->text, r->rule) < 0)
		return text_error(&r->error->text, -EINVAL,
				  "\"%s\" is no value of %s, expected %s",
				  r->from->text, ie->name, expected_value(ie));
	return 0;
}

static int
read_rename(struct reading *r)
{
	const struct ie *ie = ie_by_name(r->conf->registry, r->from->text);

	if (!ie)
		return unknown_element(r, r->from->text);
	r->rule->to = ie;
	return 0;
}

/* ---- the rules ----------------------------------------------------------- */

/* One element by its name, or any number. */
static int
check_count(const struct reading *r)
{
	unsigned count = r->from->element_count + r->from->enterprise_count;
	bool one = r->from->kind == CONVERSION_RENAME ||
		   r->from->kind == CONVERSION_CONSTANT;

	if (one && (r->from->element_count != 1 || count != 1 ||
		    is_pattern(r->from->element[0])))
		return text_error(&r->error->text, -EINVAL,
				  "it is for one element only, expected its "
				  "name and no other");
	if (count == 0 && r->from->kind != CONVERSION_TIME)
		return text_error(&r->error->text, -EINVAL,
				  "the rule has no elements, expected the name "
				  "of one");
	return 0;
}

static int
read_rule(struct reading *r)
{
	struct conv_rule *rule = r->rule;
	int rc = 0;

	rule->kind = r->from->kind;
	rule->replace = r->from->replace;
	rule->match = calloc(r->from->element_count + 1, sizeof(*rule->match));
	rule->enterprise = calloc(r->from->enterprise_count + 1,
				  sizeof(*rule->enterprise));
	if (!rule->match || !rule->enterprise)
		return -ENOMEM;
	rc = check_count(r);
	if (rc < 0)
		return rc;
	switch (rule->kind) {
	case CONVERSION_RENAME:
		rc = read_rename(r);
		break;
	case CONVERSION_LENGTH:
		rc = read_length(r);
		break;
	case CONVERSION_TIME:
		rc = read_time(r);
		break;
	case CONVERSION_CONSTANT:
		return read_constant(r);
	default:
		break;
	}
	return rc < 0 ? rc : read_elements(r);
}

int
conv_rules_new(const struct conversion_conf *conf, struct conv_rule **out,
	       struct conversion_error *error)
{
	struct conv_rule *rules = calloc(conf->rule_count + 1, sizeof(*rules));
	int rc = rules ? 0 : -ENOMEM;

	if (rc == 0 && conf->rule_count > CONVERSION_RULES_MAX)
		rc = text_error(&error->text, -EINVAL,
				"%u rules, expected at most %d",
				conf->rule_count, CONVERSION_RULES_MAX);
	for (unsigned i = 0; rc == 0 && i < conf->rule_count; i++) {
		struct reading r = {conf, &conf->rule[i], &rules[i], error};

		error->rule = i;
		error->element = -1;
		rc = read_rule(&r);
	}
	if (rc < 0) {
		conv_rules_free(rules, conf->rule_count);
		return rc;
	}
	error->rule = conf->rule_count;
	*out = rules;
	return 0;
}

void
conv_rules_free(struct conv_rule *rules, unsigned count)
{
	for (unsigned i = 0; rules && i < count; i++) {
		for (unsigned m = 0; m < rules[i].match_count; m++)
			free(rules[i].match[m].pattern);
		free(rules[i].match);
		free(rules[i].enterprise);
	}
	free(rules);
}
