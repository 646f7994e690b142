/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The selectors of RFC 5475, one function each. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "hash.h"
#include "internal.h"

/* ---- parameters ----------------------------------------------------------- */

static const char *
wrong_ranges(const struct selector_conf *c)
{
	const struct selector_range *a = c->ranges;

	if (c->range_count == 0 || c->range_count > RANGES_MAX)
		return "expected 1 to 64 selectedRange";
	for (unsigned i = 0; i < c->range_count; i++) {
		if (a[i].min > a[i].max)
			return "a selectedRange has min above max";
		for (unsigned k = 0; k < i; k++)
			if (a[i].min <= a[k].max && a[k].min <= a[i].max)
				return "two selectedRange overlap";
	}
	return NULL;
}

static const char *
wrong_hash(const struct selector_conf *c)
{
	if (c->payload_offset > HASH_PAYLOAD_MAX ||
	    c->payload_size > HASH_PAYLOAD_MAX ||
	    c->payload_offset + c->payload_size > HASH_PAYLOAD_MAX)
		return "more than 4096 octets of payload are hashed";
	if (c->initialiser > UINT32_MAX)
		return "initializerValue is above 4294967295: hash functions "
		       "begin with 32 bits";
	if (c->hash == SELECTOR_IPSX &&
	    (c->initialiser || c->payload_offset || c->payload_size != 8))
		return "IPSX has no parameters: expected ipPayloadSize 8, "
		       "ipPayloadOffset 0, no initializerValue";
	return wrong_ranges(c);
}

static const char *
wrong(const struct selector_conf *c)
{
	switch (c->method) {
	case SELECTOR_COUNT:
		return c->interval ? NULL : "packetInterval is 0: no packet "
					    "is taken, expected at least 1";
	case SELECTOR_TIME:
		return c->interval ? NULL : "timeInterval is 0: no packet is "
					    "taken, expected at least 1";
	case SELECTOR_OUT_OF_N:
		return c->size && c->size <= c->population
			       ? NULL
			       : "expected size from 1 to population";
	case SELECTOR_PROBABILITY:
		return c->probability > 0 && c->probability <= 1
			       ? NULL
			       : "expected a probability above 0, at most 1";
	case SELECTOR_HASH:
		return wrong_hash(c);
	default:
		return NULL;
	}
}

void
selector_set(struct selector *to, const struct selector *from)
{
	*to = *from;
	to->conf.ranges = to->range;
	if (to->conf.value)
		to->conf.value = to->value;
}

int
selector_init(struct selector *s, const struct selector_conf *conf,
	      char **error)
{
	const char *reason = wrong(conf);

	if (reason)
		return text_error(error, -EINVAL, "selector \"%s\": %s",
				  conf->name, reason);
	*s = (struct selector){.conf = *conf};
	if (conf->value) {
		snprintf(s->value, sizeof(s->value), "%s", conf->value);
		s->conf.value = s->value;
	}
	if (conf->method == SELECTOR_MATCH &&
	    (!conf->ie || match_parse(&s->match, conf->ie, conf->value) < 0))
		return text_error(error, -EINVAL,
				  "selector \"%s\": \"%s\" is no value of %s",
				  conf->name, conf->value ? conf->value : "",
				  conf->ie ? conf->ie->name : "an element");
	if (conf->method == SELECTOR_PROBABILITY)
		s->threshold = conf->probability >= 1
				       ? UINT64_MAX
				       : (uint64_t)ldexp(conf->probability, 64);
	if (conf->range_count)
		memcpy(s->range, conf->ranges,
		       conf->range_count * sizeof(*s->range));
	s->conf.ranges = s->range;
	return 0;
}

/* ---- methods --------------------------------------------------------------- */

/* xorshift128+ (S. Vigna): fast, and good enough to choose packets. */
static uint64_t
random_next(struct selection *sel)
{
	uint64_t a = sel->random[0], b = sel->random[1];

	sel->random[0] = b;
	a ^= a << 23;
	sel->random[1] = a ^ b ^ a >> 18 ^ b >> 5;
	return sel->random[1] + b;
}

/* Takes interval, leaves out space, and so on. */
static uint32_t
by_count(struct selector *s, uint32_t *index, uint32_t count)
{
	uint64_t period = (uint64_t)s->conf.interval + s->conf.space;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (s->position < s->conf.interval)
			index[kept++] = index[i];
		if (++s->position == period)
			s->position = 0;
	}
	return kept;
}

static uint32_t
by_time(struct selector *s, const struct plan *plan, const struct batch *batch,
	uint32_t *index, uint32_t count)
{
	uint64_t period = (uint64_t)s->conf.interval + s->conf.space;
	uint32_t kept = 0, size, length;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *record = batch_record(batch, index[i], &size);
		const uint8_t *time = shape_field(plan->shape, plan->time,
						   record, size, &length);
		uint64_t ns;

		if (!time || length != 8)
			continue;
		ns = ntp_to_ns(wire_get64(time));
		if (!s->started || ns < s->start_ns) {
			s->started = true;
			s->start_ns = ns;
		}
		if ((ns - s->start_ns) / 1000 % period < s->conf.interval)
			index[kept++] = index[i];
	}
	return kept;
}

/*
 * Exactly size of each population, each subset as likely as any other, and
 * nothing to remember: of those left, each is taken with the probability that
 * the missing ones make up (D. Knuth's algorithm S).
 */
static uint32_t
out_of_n(struct selection *sel, struct selector *s, uint32_t *index,
	 uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t left = s->conf.population - s->position;
		uint64_t missing = s->conf.size - s->taken;
		uint64_t choice = (uint64_t)(
			(unsigned __int128)random_next(sel) * left >> 64);

		if (choice < missing) {
			index[kept++] = index[i];
			s->taken++;
		}
		if (++s->position == s->conf.population)
			s->position = s->taken = 0;
	}
	return kept;
}

static uint32_t
by_probability(struct selection *sel, const struct selector *s, uint32_t *index,
	       uint32_t count)
{
	uint32_t kept = 0;

	if (s->threshold == UINT64_MAX)
		return count;
	for (uint32_t i = 0; i < count; i++)
		if (random_next(sel) < s->threshold)
			index[kept++] = index[i];
	return kept;
}

static uint32_t
by_match(const struct selector *s, const struct plan *plan, int field,
	 const struct batch *batch, uint32_t *index, uint32_t count)
{
	uint32_t kept = 0, size, length;

	if (field == -1)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *record = batch_record(batch, index[i], &size);
		const uint8_t *p = shape_field(plan->shape, field, record,
						size, &length);

		if (p && match_equal(&s->match, p, length))
			index[kept++] = index[i];
	}
	return kept;
}

/*
 * What of a packet stays the same on its way, as RFC 5475 section 6.2.4.1 and
 * RFC 5476 section 6.5.2.6 have it. IPv4: identification, flags, fragment
 * offset, addresses. IPv6: payload length, and of each address the octets 10,
 * 11, 14, 15 and 16, counted from 1. Twelve octets in both.
 */
static void
invariant(const uint8_t *ip, uint8_t out[HASH_INVARIANT])
{
	static const uint8_t part[] = {9, 10, 13, 14, 15};

	if (ip[0] >> 4 == 4) {
		memcpy(out, ip + 4, 4);
		memcpy(out + 4, ip + 12, 8);
		return;
	}
	memcpy(out, ip + 4, 2);
	for (unsigned i = 0; i < sizeof(part); i++) {
		out[2 + i] = ip[8 + part[i]];
		out[7 + i] = ip[24 + part[i]];
	}
}

/*
 * Octets of payload by the header: the section that has them is padded. An
 * IPv4 length of 0 (segmentation by the interface) and a jumbogram tell none.
 */
static uint32_t
payload_octets(const uint8_t *ip, uint32_t there)
{
	uint32_t length = wire_get16(ip + 2), header = (ip[0] & 0x0f) * 4u;
	bool unknown = length == 0;

	if (ip[0] >> 4 == 6) {
		length = wire_get16(ip + 4);
		header = 0;
		unknown = length == 0 && ip[6] == 0;
	}
	if (unknown)
		return there;
	length = length > header ? length - header : 0;
	return length < there ? length : there;
}

static uint64_t
packet_hash(const struct selector *s, const uint8_t *ip, const uint8_t *payload,
	    uint32_t payload_length)
{
	uint8_t data[HASH_INVARIANT + HASH_PAYLOAD_MAX];
	size_t offset = (size_t)s->conf.payload_offset;
	size_t size = (size_t)s->conf.payload_size, left;
	uint32_t start = (uint32_t)s->conf.initialiser;

	invariant(ip, data);
	if (s->conf.hash == SELECTOR_IPSX) {
		memset(data + HASH_INVARIANT, 0, 4);
		left = payload_length > 4 ? payload_length - 4 : 0;
		if (left)
			memcpy(data + HASH_INVARIANT, payload + 4,
			       left < 4 ? left : 4);
		return selection_ipsx(data);
	}
	/* Of octets that the packet does not have fewer are hashed. */
	left = payload_length > offset ? payload_length - offset : 0;
	if (left < size)
		size = left;
	if (size)
		memcpy(data + HASH_INVARIANT, payload + offset, size);
	size += HASH_INVARIANT;
	return s->conf.hash == SELECTOR_CRC ? selection_crc(data, size, start)
					    : selection_bob(data, size, start);
}

static bool
in_range(const struct selector *s, uint64_t value)
{
	for (unsigned i = 0; i < s->conf.range_count; i++)
		if (value >= s->range[i].min && value <= s->range[i].max)
			return true;
	return false;
}

static uint32_t
by_hash(struct selection *sel, unsigned n, const struct plan *plan,
	const struct batch *batch, uint32_t *index, uint32_t count)
{
	const struct selector *s = &sel->selector[n];
	uint32_t kept = 0, size, length, payload_length;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *record = batch_record(batch, index[i], &size);
		const uint8_t *ip = shape_field(plan->shape, plan->header[n],
						 record, size, &length);
		const uint8_t *payload =
			shape_field(plan->shape, plan->payload[n], record,
				     size, &payload_length);
		uint64_t value;

		/* No IP packet, or IPSX of what is no IPv4: it has no hash. */
		if (!ip || length < 20 || (ip[0] >> 4 == 6 && length < 40) ||
		    (ip[0] >> 4 == 6 && s->conf.hash == SELECTOR_IPSX))
			continue;
		if (!payload)
			payload_length = 0;
		value = packet_hash(s, ip, payload,
				    payload_octets(ip, payload_length));
		if (!in_range(s, value))
			continue;
		sel->digest[index[i]][n] = value;
		index[kept++] = index[i];
	}
	return kept;
}

uint32_t
selector_run(struct selection *sel, unsigned n, const struct plan *plan,
	     const struct batch *batch, uint32_t *index, uint32_t count)
{
	struct selector *s = &sel->selector[n];
	uint32_t kept = count;

	s->observed += count;
	switch (s->conf.method) {
	case SELECTOR_ALL:
		break;
	case SELECTOR_COUNT:
		kept = by_count(s, index, count);
		break;
	case SELECTOR_TIME:
		kept = by_time(s, plan, batch, index, count);
		break;
	case SELECTOR_OUT_OF_N:
		kept = out_of_n(sel, s, index, count);
		break;
	case SELECTOR_PROBABILITY:
		kept = by_probability(sel, s, index, count);
		break;
	case SELECTOR_MATCH:
		kept = by_match(s, plan, plan->field[n], batch, index, count);
		break;
	case SELECTOR_HASH:
		kept = by_hash(sel, n, plan, batch, index, count);
		break;
	}
	s->selected += kept;
	return kept;
}

/* ---- facts ----------------------------------------------------------------- */

static double
rate_of(const struct selector_conf *c)
{
	switch (c->method) {
	case SELECTOR_COUNT:
	case SELECTOR_TIME:
		return (double)c->interval /
		       ((double)c->interval + (double)c->space);
	case SELECTOR_OUT_OF_N:
		return (double)c->size / c->population;
	case SELECTOR_PROBABILITY:
		return c->probability;
	default:
		return 1;
	}
}

static void
last_facts(struct scope *scope, const struct selector_conf *c)
{
	uint64_t octets;

	switch (c->method) {
	case SELECTOR_COUNT:
		scope_set_fact(scope, FACT_SAMPLING_PACKET_INTERVAL,
			       c->interval);
		scope_set_fact(scope, FACT_SAMPLING_PACKET_SPACE, c->space);
		break;
	case SELECTOR_TIME:
		scope_set_fact(scope, FACT_SAMPLING_TIME_INTERVAL, c->interval);
		scope_set_fact(scope, FACT_SAMPLING_TIME_SPACE, c->space);
		break;
	case SELECTOR_OUT_OF_N:
		scope_set_fact(scope, FACT_SAMPLING_SIZE, c->size);
		scope_set_fact(scope, FACT_SAMPLING_POPULATION, c->population);
		break;
	case SELECTOR_PROBABILITY:
		memcpy(&octets, &c->probability, sizeof(octets));
		scope_set_fact(scope, FACT_SAMPLING_PROBABILITY, octets);
		break;
	default:
		break;
	}
}

/* selectorAlgorithm (304), IANA's PSAMP registry. */
static uint64_t
algorithm(const struct selector_conf *c)
{
	static const uint8_t number[] = {
		[SELECTOR_ALL] = 1,	    [SELECTOR_COUNT] = 1,
		[SELECTOR_TIME] = 2,	    [SELECTOR_OUT_OF_N] = 3,
		[SELECTOR_PROBABILITY] = 4, [SELECTOR_MATCH] = 5,
	};

	return c->method == SELECTOR_HASH ? 6u + c->hash : number[c->method];
}

/*
 * The parameters of each selector, where a later one of the same method stands
 * for those before; samplingInterval is one packet in so many of all together.
 */
void
selection_facts(struct selection *sel)
{
	double rate = 1, interval;
	bool sampled = false, random = false;

	scope_set_fact(&sel->scope, FACT_SELECTION_SEQUENCE_ID,
		       sel->sequence_id);
	for (unsigned i = 0; i < sel->selector_count; i++) {
		const struct selector_conf *c = &sel->selector[i].conf;

		rate *= rate_of(c);
		sampled |= c->method >= SELECTOR_COUNT &&
			   c->method <= SELECTOR_PROBABILITY;
		random |= c->method == SELECTOR_OUT_OF_N ||
			  c->method == SELECTOR_PROBABILITY;
		last_facts(&sel->scope, c);
		scope_set_fact(&sel->scope, FACT_SELECTOR_ID, c->id);
		scope_set_fact(&sel->scope, FACT_SELECTOR_ALGORITHM,
			       algorithm(c));
	}
	if (!sampled)
		return;
	interval = 1 / rate + 0.5;
	scope_set_fact(&sel->scope, FACT_SAMPLING_INTERVAL,
		       interval < UINT32_MAX ? (uint64_t)interval
					     : UINT32_MAX);
	scope_set_fact(&sel->scope, FACT_SAMPLING_ALGORITHM, random ? 2 : 1);
}

/* ---- status ----------------------------------------------------------------
 */

static void
report_hash(const struct selector_conf *c, struct report *report)
{
	static const char *const name[] = {"BOB", "IPSX", "CRC"};

	report_text(report, "hashFunction", name[c->hash]);
	report_uint(report, "initializerValue", c->initialiser);
	report_uint(report, "ipPayloadOffset", c->payload_offset);
	report_uint(report, "ipPayloadSize", c->payload_size);
	report_bool(report, "digestOutput", c->digest);
	report_list(report, "selectedRange");
	for (unsigned i = 0; i < c->range_count; i++) {
		report_item(report);
		report_uint(report, "min", c->ranges[i].min);
		report_uint(report, "max", c->ranges[i].max);
		report_close(report);
	}
	report_end_list(report);
}

static void
report_parameters(const struct selector_conf *c, struct report *report)
{
	char number[32];

	switch (c->method) {
	case SELECTOR_ALL:
		break;
	case SELECTOR_COUNT:
		report_uint(report, "packetInterval", c->interval);
		report_uint(report, "packetSpace", c->space);
		break;
	case SELECTOR_TIME:
		report_uint(report, "timeInterval", c->interval);
		report_uint(report, "timeSpace", c->space);
		break;
	case SELECTOR_OUT_OF_N:
		report_uint(report, "size", c->size);
		report_uint(report, "population", c->population);
		break;
	case SELECTOR_PROBABILITY:
		snprintf(number, sizeof(number), "%.15g", c->probability);
		report_text(report, "probability", number);
		break;
	case SELECTOR_MATCH:
		report_text(report, "ieName", c->ie->name);
		report_text(report, "value", c->value);
		break;
	case SELECTOR_HASH:
		report_hash(c, report);
		break;
	}
}

void
selector_report(const struct selector *s, struct report *report)
{
	static const char *const name[] = {
		[SELECTOR_ALL] = "selectAll",
		[SELECTOR_COUNT] = "sampCountBased",
		[SELECTOR_TIME] = "sampTimeBased",
		[SELECTOR_OUT_OF_N] = "sampRandOutOfN",
		[SELECTOR_PROBABILITY] = "sampUniProb",
		[SELECTOR_MATCH] = "filterMatch",
		[SELECTOR_HASH] = "filterHash",
	};

	report_open(report, name[s->conf.method]);
	report_parameters(&s->conf, report);
	report_close(report);
}
