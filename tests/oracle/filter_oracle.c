/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Random filter expressions against an evaluator that is slow and obviously
 * right: it is given the tree that the text was written from, takes a record
 * apart field by field, and compares numbers in 128 bits and addresses bit by
 * bit. Trees, shapes and records are random but repeatable: a failure prints
 * its seed, the text and the record's number.
 *
 *	filter_oracle [ROUNDS [SEED]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/filter.h"
#include "conflux/wire.h"

enum { FIELDS = 12, NODES = 64, VALUES = 6, RECORD = 2048 };

typedef __int128 number;

static uint64_t state;
static struct ie_registry *registry;

static uint32_t
below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 33) % n);
}

/* No two of them can stand for one another. */
static const uint16_t elements[] = {
	IE_octetDeltaCount,	  IE_packetDeltaCount,
	IE_sourceTransportPort,	  IE_destinationTransportPort,
	IE_protocolIdentifier,	  IE_tcpControlBits,
	IE_sourceIPv4Address,	  IE_destinationIPv6Address,
	IE_sourceMacAddress,	  IE_mibObjectValueInteger,
	IE_samplingProbability,	  IE_dataRecordsReliability,
	IE_interfaceName,	  IE_applicationDescription,
	IE_applicationId,	  IE_systemInitTimeMilliseconds,
	IE_maxExportSeconds,	  IE_maxFlowEndMicroseconds,
	IE_maxFlowEndNanoseconds,
};

enum { ELEMENTS = sizeof(elements) / sizeof(elements[0]) };

/* ---- trees and their text ---------------------------------------------- */

enum kind { AND, OR, NOT, ANY, EXISTS, COMPARE };

enum compare { EQ, NE, LT, LE, GT, GE, IN, NOT_IN, HAS, BITS, LIKE, CONTAINS };

static const char *const compare_text[] = {"==",  "!=", "<",	"<=",
					   ">",	  ">=", "in",	"not in",
					   "has", "&",	"like", "contains"};

struct value {
	number min, max; /* numbers; times in nanoseconds */
	double real;
	uint8_t octets[64]; /* addresses and text */
	uint32_t length;
	unsigned prefix; /* bits */
};

struct node {
	enum kind kind;
	enum compare compare;
	const struct ie *ie;
	unsigned child_count, value_count;
	const struct node *child[4];
	struct value value[VALUES];
};

static struct node nodes[NODES];
static unsigned node_count;

static bool
is_signed(const struct ie *ie)
{
	return ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64;
}

static bool
is_text(const struct ie *ie)
{
	return ie->type == IE_STRING || ie->type == IE_OCTET_ARRAY;
}

static bool
is_address(const struct ie *ie)
{
	return ie->type == IE_IPV4_ADDRESS || ie->type == IE_IPV6_ADDRESS ||
	       ie->type == IE_MAC_ADDRESS;
}

static bool
is_unsigned(const struct ie *ie)
{
	return ie->type >= IE_UNSIGNED8 && ie->type <= IE_UNSIGNED64;
}

static uint64_t
unit_of(const struct ie *ie)
{
	return ie->type == IE_DATE_TIME_SECONDS	       ? 1000000000
	       : ie->type == IE_DATE_TIME_MILLISECONDS ? 1000000
	       : ie->type == IE_DATE_TIME_MICROSECONDS ? 1000
						       : 1;
}

static bool
is_time(const struct ie *ie)
{
	return ie->type >= IE_DATE_TIME_SECONDS &&
	       ie->type <= IE_DATE_TIME_NANOSECONDS;
}

/* Small ones, so that some are met. */
static void
text_value(struct value *v, FILE *out, bool octets, bool pattern)
{
	v->length = octets ? 1 + below(3) : below(4);
	fprintf(out, octets && !pattern ? "0x" : "\"");
	for (uint32_t i = 0; i < v->length; i++) {
		v->octets[i] = (uint8_t)("ab*?"[below(pattern ? 4 : 2)]);
		fprintf(out, octets && !pattern ? "%02x" : "%c", v->octets[i]);
	}
	fprintf(out, octets && !pattern ? "" : "\"");
}

static void
address_value(struct value *v, const struct ie *ie, FILE *out, bool prefix)
{
	v->length = ie->length;
	v->prefix = v->length * 8;
	memset(v->octets, 0, sizeof(v->octets));
	v->octets[0] = (uint8_t)(10 + below(2));
	v->octets[v->length - 1] = (uint8_t)below(4);
	if (ie->type == IE_IPV4_ADDRESS)
		fprintf(out, "%u.0.0.%u", v->octets[0], v->octets[3]);
	else if (ie->type == IE_MAC_ADDRESS)
		fprintf(out, "%02x:00:00:00:00:%02X", v->octets[0],
			v->octets[5]);
	else
		fprintf(out, "%x00::%x", v->octets[0], v->octets[15]);
	if (!prefix || ie->type == IE_MAC_ADDRESS)
		return;
	v->prefix = below(v->length * 8 + 1);
	fprintf(out, "/%u", v->prefix);
}

static uint64_t
some_number(const struct ie *ie)
{
	uint64_t most =
		ie_type_length(ie->type) == 8
			? UINT64_MAX
			: (UINT64_C(1) << 8 * ie_type_length(ie->type)) - 1;

	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return most;
	default:
		return below(6) + (below(4) ? 0 : 250);
	}
}

static void
number_value(struct value *v, const struct ie *ie, FILE *out, bool range)
{
	uint64_t a = some_number(ie), unit = unit_of(ie);

	if (is_signed(ie)) {
		int small = (int)below(9) - 4;

		v->min = v->max = small;
		fprintf(out, "%d", small);
		return;
	}
	if (is_time(ie)) {
		a = 1700000000 + below(3);
		for (uint64_t u = unit; u < 1000000000; u *= 1000)
			a = a * 1000 + below(3);
		v->min = (number)a * unit;
		v->max = v->min + (number)unit - 1;
		fprintf(out, "%" PRIu64, a);
		return;
	}
	v->min = v->max = (number)a;
	fprintf(out, below(4) ? "%" PRIu64 : "0x%" PRIx64, a);
	if (range && a < 200 && below(3) == 0) {
		uint64_t b = a + below(3);

		v->max = (number)b;
		fprintf(out, "-%" PRIu64, b);
	}
}

static void
write_value(struct node *n, struct value *v, FILE *out)
{
	const struct ie *ie = n->ie;
	bool set = n->compare <= NE || n->compare == IN || n->compare == NOT_IN;

	if (is_text(ie)) {
		text_value(v, out, ie->type == IE_OCTET_ARRAY,
			   n->compare == LIKE);
	} else if (is_address(ie)) {
		address_value(v, ie, out, true);
	} else if (ie->type == IE_FLOAT64 || ie->type == IE_FLOAT32) {
		v->real = ((int)below(5) - 2) / 4.0;
		fprintf(out, "%g", v->real);
	} else if (ie->type == IE_BOOLEAN) {
		v->min = v->max = 1 + (number)below(2);
		fprintf(out, v->min == 1 ? "true" : "false");
	} else {
		number_value(v, ie, out, set);
	}
}

static enum compare
some_compare(const struct ie *ie)
{
	static const enum compare for_text[] = {EQ,	NE,   IN,
						NOT_IN, LIKE, CONTAINS};

	if (is_text(ie))
		return for_text[below(6)];
	return (enum compare)below(is_unsigned(ie) ? BITS + 1 : HAS);
}

static void
write_compare(struct node *n, FILE *out)
{
	unsigned count = 1;

	n->kind = COMPARE;
	n->compare = some_compare(n->ie);
	if (n->compare == IN || n->compare == NOT_IN)
		count = 1 + below(VALUES);
	fprintf(out, "%s %s ", n->ie->name, compare_text[n->compare]);
	if (count > 1)
		fprintf(out, "[");
	for (n->value_count = 0; n->value_count < count; n->value_count++) {
		if (n->value_count)
			fprintf(out, below(2) ? ", " : " ");
		write_value(n, &n->value[n->value_count], out);
	}
	if (count > 1)
		fprintf(out, "]");
}

/* A random tree, and its text with no more parentheses than needed. */
static const struct node *
write_tree(unsigned depth, enum kind parent, FILE *out)
{
	struct node *n = &nodes[node_count++];
	unsigned what = depth && node_count < NODES - 8 ? below(10) : 9;
	bool brackets;

	*n = (struct node){
		.ie = ie_find(registry, 0, elements[below(ELEMENTS)])};
	if (what < 5) {
		n->kind = what < 3 ? AND : OR;
		/* A chain in one of its own kind would be the same chain. */
		brackets =
			parent == NOT || (parent == AND) || n->kind == parent;
		n->child_count = 2 + below(2);
		fprintf(out, brackets ? "(" : "");
		for (unsigned i = 0; i < n->child_count; i++) {
			if (i)
				fprintf(out, n->kind == AND ? " and " : " || ");
			n->child[i] = write_tree(depth - 1, n->kind, out);
		}
		fprintf(out, brackets ? ")" : "");
	} else if (what == 5) {
		n->kind = NOT;
		fprintf(out, below(2) ? "not " : "!");
		n->child[0] = write_tree(depth - 1, NOT, out);
	} else if (what == 6 && below(2)) {
		n->kind = ANY;
		fprintf(out, "any");
	} else if (what == 6) {
		n->kind = EXISTS;
		fprintf(out, "exists %s", n->ie->name);
	} else {
		write_compare(n, out);
	}
	return n;
}

/* ---- the slow side ----------------------------------------------------- */

struct piece {
	const uint8_t *p;
	uint32_t length;
};

/* The first field of the element; false: there is none. */
static bool
find_piece(const struct shape *shape, const uint8_t *p, const struct ie *ie,
	   struct piece *out)
{
	for (unsigned f = 0; f < shape->count; f++) {
		uint32_t n = shape->field[f].length;

		if (n == IE_VARIABLE) {
			n = *p++;
			if (n == 255) {
				n = (uint32_t)(p[0] << 8 | p[1]);
				p += 2;
			}
		}
		if (shape->field[f].ie == ie) {
			*out = (struct piece){p, n};
			return true;
		}
		p += n;
	}
	return false;
}

static number
piece_number(const struct piece *piece, const struct ie *ie)
{
	number n = 0;

	for (uint32_t i = 0; i < piece->length; i++)
		n = n * 256 + piece->p[i];
	if (is_signed(ie) && piece->p[0] & 0x80)
		n -= (number)1 << 8 * piece->length;
	if (ie->type == IE_DATE_TIME_MICROSECONDS ||
	    ie->type == IE_DATE_TIME_NANOSECONDS) {
		number seconds = n >> 32, fraction = n & 0xffffffff;
		number unit = (number)unit_of(ie);

		seconds -= 2208988800u;
		/* To the nearest unit. */
		n = (seconds * 1000000000 +
		     ((fraction * 1000000000 + 2147483648u) >> 32));
		n = (n + unit / 2) / unit * unit;
	} else if (is_time(ie)) {
		n *= (number)unit_of(ie);
	}
	return n;
}

static bool
by_order(enum compare compare, int low, int high)
{
	switch (compare) {
	case LT:
		return low < 0;
	case LE:
		return high <= 0;
	case GT:
		return high > 0;
	case GE:
		return low >= 0;
	default:
		return low >= 0 && high <= 0;
	}
}

static int
sign(number a, number b)
{
	return a < b ? -1 : a > b;
}

static bool
by_number(const struct node *n, const struct value *v, number x)
{
	if (n->compare == HAS)
		return (x & v->min) == v->min;
	if (n->compare == BITS)
		return (x & v->min) != 0;
	return by_order(n->compare, sign(x, v->min), sign(x, v->max));
}

static bool
bit(const uint8_t *p, unsigned i)
{
	return p[i / 8] >> (7 - i % 8) & 1;
}

/* Against the first and the last address of the prefix. */
static bool
by_address(const struct node *n, const struct value *v, const uint8_t *p)
{
	int low = 0, high = 0;

	for (unsigned i = 0; i < v->length * 8; i++) {
		bool first = i < v->prefix && bit(v->octets, i);
		bool last = i >= v->prefix || bit(v->octets, i);

		if (low == 0)
			low = bit(p, i) - first;
		if (high == 0)
			high = bit(p, i) - last;
	}
	return by_order(n->compare, low, high);
}

static bool
by_real(const struct node *n, const struct value *v, const struct piece *piece)
{
	uint64_t bits = wire_get_uint(piece->p, piece->length);
	uint32_t half = (uint32_t)bits;
	double x;
	float f;

	memcpy(&x, &bits, sizeof(x));
	memcpy(&f, &half, sizeof(f));
	if (piece->length == 4)
		x = (double)f;
	switch (n->compare) {
	case LT:
		return x < v->real;
	case LE:
		return x <= v->real;
	case GT:
		return x > v->real;
	case GE:
		return x >= v->real;
	default:
		return x == v->real;
	}
}

static bool
like(const uint8_t *pattern, uint32_t n, const uint8_t *p, uint32_t size)
{
	if (n == 0)
		return size == 0;
	if (*pattern == '*')
		return like(pattern + 1, n - 1, p, size) ||
		       (size && like(pattern, n, p + 1, size - 1));
	return size && (*pattern == '?' || *pattern == *p) &&
	       like(pattern + 1, n - 1, p + 1, size - 1);
}

static bool
by_text(const struct node *n, const struct value *v, struct piece piece)
{
	while (n->ie->type == IE_STRING && piece.length &&
	       piece.p[piece.length - 1] == 0)
		piece.length--;
	if (n->compare == LIKE)
		return like(v->octets, v->length, piece.p, piece.length);
	if (n->compare != CONTAINS)
		return piece.length == v->length &&
		       memcmp(piece.p, v->octets, v->length) == 0;
	for (uint32_t i = 0; i + v->length <= piece.length; i++)
		if (memcmp(piece.p + i, v->octets, v->length) == 0)
			return true;
	return false;
}

static bool
is_so(const struct node *n, const struct shape *shape, const uint8_t *record)
{
	struct piece piece;
	bool any = false;

	if (!find_piece(shape, record, n->ie, &piece))
		return false;
	for (unsigned i = 0; i < n->value_count; i++) {
		const struct value *v = &n->value[i];

		if (is_text(n->ie))
			any |= by_text(n, v, piece);
		else if (is_address(n->ie))
			any |= by_address(n, v, piece.p);
		else if (n->ie->type == IE_FLOAT64)
			any |= by_real(n, v, &piece);
		else
			any |= by_number(n, v, piece_number(&piece, n->ie));
	}
	return n->compare == NE || n->compare == NOT_IN ? !any : any;
}

static bool
evaluate(const struct node *n, const struct shape *shape, const uint8_t *record)
{
	struct piece piece;

	switch (n->kind) {
	case AND:
		for (unsigned i = 0; i < n->child_count; i++)
			if (!evaluate(n->child[i], shape, record))
				return false;
		return true;
	case OR:
		for (unsigned i = 0; i < n->child_count; i++)
			if (evaluate(n->child[i], shape, record))
				return true;
		return false;
	case NOT:
		return !evaluate(n->child[0], shape, record);
	case ANY:
		return true;
	case EXISTS:
		return find_piece(shape, record, n->ie, &piece);
	case COMPARE:
		break;
	}
	return is_so(n, shape, record);
}

/* ---- records ----------------------------------------------------------- */

static uint16_t
some_length(const struct ie *ie)
{
	if (ie->length == IE_VARIABLE)
		return below(2) ? IE_VARIABLE : (uint16_t)(1 + below(4));
	if (is_unsigned(ie) || is_signed(ie))
		return (uint16_t)(1 + below(ie->length));
	if (ie->type == IE_FLOAT64)
		return below(2) ? 4 : 8;
	return ie->length;
}

static void
some_octets(const struct ie *ie, uint8_t *p, uint32_t length)
{
	double real = ((int)below(5) - 2) / 4.0;
	float narrow = (float)real;
	uint32_t half;
	uint64_t bits;

	memset(p, 0, length);
	memcpy(&bits, &real, sizeof(bits));
	memcpy(&half, &narrow, sizeof(half));
	if (is_text(ie))
		for (uint32_t i = 0; i < length; i++)
			p[i] = (uint8_t)("ab\0"[below(8) ? below(2) : 2]);
	else if (is_address(ie))
		p[0] = (uint8_t)(10 + below(2)),
		p[length - 1] = (uint8_t)below(4);
	else if (ie->type == IE_FLOAT64)
		wire_put_uint(p, length == 4 ? half : bits, length);
	else if (ie->type == IE_DATE_TIME_SECONDS)
		wire_put32(p, 1700000000 + below(3));
	else if (ie->type == IE_DATE_TIME_MILLISECONDS)
		wire_put64(p,
			   (1700000000 + below(3)) * UINT64_C(1000) + below(3));
	else if (is_time(ie))
		wire_put64(p, (1700000000 + UINT64_C(2208988800) + below(3))
					      << 32 |
				      (below(2) ? 0 : below(20000)));
	else if (ie->type == IE_BOOLEAN)
		*p = (uint8_t)(1 + below(2));
	else if (below(5) == 0)
		memset(p, below(2) ? 255 : (int)below(256), length);
	else
		p[length - 1] = (uint8_t)(below(6) + (below(4) ? 0 : 250));
}

static const struct shape *
some_shape(struct shape_table *shapes)
{
	struct field field[FIELDS];
	uint16_t count = (uint16_t)(1 + below(FIELDS));
	const struct shape *shape;

	for (uint16_t i = 0; i < count; i++) {
		field[i].ie = ie_find(registry, 0, elements[below(ELEMENTS)]);
		field[i].length = some_length(field[i].ie);
	}
	if (shape_get(shapes, field, count, 0, &shape) < 0)
		abort();
	return shape;
}

static uint32_t
some_record(const struct shape *shape, uint8_t *p)
{
	uint8_t *start = p;

	for (unsigned f = 0; f < shape->count; f++) {
		uint32_t length = shape->field[f].length;

		if (length == IE_VARIABLE) {
			bool narrow = below(2);

			length = below(5);
			if (narrow) {
				*p++ = (uint8_t)length;
			} else {
				*p = 255;
				wire_put16(p + 1, (uint16_t)length);
				p += 3;
			}
		}
		some_octets(shape->field[f].ie, p, length);
		p += length;
	}
	return (uint32_t)(p - start);
}

/* ---- rounds ------------------------------------------------------------ */

static bool
compare(struct filter *filter, const struct node *tree, const char *text,
	struct shape_table *shapes)
{
	static uint8_t records[BATCH_MAX * RECORD];
	uint32_t offset[BATCH_MAX + 1] = {0}, index[BATCH_MAX], length;
	struct scope scope = {.serial = 1};
	struct batch batch = {
		.scope = &scope,
		.base = records,
		.count = 1 + below(BATCH_MAX),
		.shape = some_shape(shapes),
	};
	int kept, at = 0;
	bool same = true;

	for (uint32_t i = 0; i < batch.count; i++)
		offset[i + 1] = offset[i] +
				some_record(batch.shape, records + offset[i]);
	if (batch.shape->variable)
		batch.offset = offset;
	else
		batch.stride = offset[1];
	kept = filter_run(filter, &batch, index);
	for (uint32_t i = 0; i < batch.count && same; i++) {
		const uint8_t *record = batch_record(&batch, i, &length);
		bool passed = at < kept && index[at] == i;

		at += passed;
		if (evaluate(tree, batch.shape, record) == passed)
			continue;
		printf("record %u should %spass: %s\n", i, passed ? "not " : "",
		       text);
		same = false;
	}
	shape_release(batch.shape);
	return same && at == kept;
}

static bool
round_of(uint64_t seed)
{
	struct shape_table *shapes = shape_table_new(64);
	struct filter_error error;
	struct filter *filter = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const struct node *tree;
	bool same;

	state = seed * 0x9e3779b97f4a7c15;
	node_count = 0;
	tree = write_tree(below(5), OR, out);
	fclose(out);
	same = filter_new(text, registry, &filter, &error) == 0;
	if (!same)
		printf("%s\n", error.text);
	for (int i = 0; same && i < 4; i++)
		same = compare(filter, tree, text, shapes);
	if (!same)
		printf("seed %" PRIu64 ": %s\n", seed, text);
	filter_free(filter);
	free(text);
	shape_table_free(shapes);
	return same;
}

int
main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	bool same = true;

	registry = ie_registry_new(16);
	for (uint64_t i = 0; same && i < rounds; i++)
		same = round_of(seed + i);
	ie_registry_free(registry);
	return same ? 0 : 1;
}
