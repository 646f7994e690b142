/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows to uniflows, against a slow reference: random shapes of the elements
 * below, of each of which the table says what becomes of it, and random values;
 * what comes out is compared field by field.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/mediation.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {.serial = 1};

/* ---- what is known of elements ----------------------------------------- */

enum role {
	BOTH,	 /* the reverse record has it, too */
	ONE_WAY, /* not without a reverse element */
	SWAPPED, /* by other */
	GONE,	 /* neither has it */
};

static const struct known {
	uint32_t pen;
	uint16_t id, other;
	enum role role;
} known[] = {
	{0, IE_sourceIPv4Address, IE_destinationIPv4Address, SWAPPED},
	{0, IE_destinationIPv4Address, IE_sourceIPv4Address, SWAPPED},
	{0, IE_sourceTransportPort, IE_destinationTransportPort, SWAPPED},
	{0, IE_destinationTransportPort, IE_sourceTransportPort, SWAPPED},
	{0, IE_ingressInterface, IE_egressInterface, SWAPPED},
	{0, IE_egressInterface, IE_ingressInterface, SWAPPED},
	{0, IE_bgpSourceAsNumber, IE_bgpDestinationAsNumber, SWAPPED},
	{0, IE_protocolIdentifier, 0, BOTH},
	{0, IE_octetDeltaCount, 0, ONE_WAY},
	{0, IE_packetDeltaCount, 0, ONE_WAY},
	{0, IE_tcpControlBits, 0, ONE_WAY},
	{0, IE_minimumTTL, 0, ONE_WAY},
	{0, IE_minimumIpTotalLength, 0, ONE_WAY},
	{0, IE_ipClassOfService, 0, ONE_WAY},
	{0, IE_flowStartMilliseconds, 0, BOTH},
	{0, IE_flowEndMilliseconds, 0, BOTH},
	{0, IE_flowDurationMilliseconds, 0, BOTH},
	{0, IE_flowEndReason, 0, BOTH},
	{0, IE_flowId, 0, BOTH},
	{0, IE_vlanId, 0, BOTH},
	{0, IE_interfaceName, 0, BOTH},
	{0, IE_applicationName, 0, BOTH},
	{0, IE_samplingInterval, 0, BOTH},
	{0, IE_flowDirection, 0, ONE_WAY},
	{0, IE_biflowDirection, 0, GONE},
	{4711, 7, 0, BOTH}, /* nobody knows what it is */
	{IE_PEN_REVERSE, IE_octetDeltaCount, 0, GONE},
	{IE_PEN_REVERSE, IE_packetDeltaCount, 0, GONE},
	{IE_PEN_REVERSE, IE_tcpControlBits, 0, GONE},
	{IE_PEN_REVERSE, IE_flowStartMilliseconds, 0, GONE},
	{IE_PEN_REVERSE, IE_interfaceName, 0, GONE},
	{IE_PEN_REVERSE, IE_minimumTTL, 0, GONE},
	{IE_PEN_REVERSE, IE_sourceMacAddress, 0, GONE},
};

/* ---- records as lists of values ----------------------------------------- */

enum { FIELDS = UNIT_COUNT(known), KEPT = 2 * BATCH_MAX };

struct value {
	uint32_t pen, length;
	uint16_t id;
	uint8_t octets[32];
};

struct record {
	unsigned count;
	struct value value[FIELDS];
};

static void
add(struct record *r, uint32_t pen, uint16_t id, const struct value *v)
{
	struct value *to = &r->value[r->count++];

	*to = *v;
	to->pen = pen;
	to->id = id;
}

static const struct value *
find(const struct record *r, uint32_t pen, uint16_t id)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->value[i].pen == pen && r->value[i].id == id)
			return &r->value[i];
	return NULL;
}

static bool
equal(const struct record *a, const struct record *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		const struct value *v = &a->value[i];
		const struct value *w = find(b, v->pen, v->id);

		if (!w || w->length != v->length ||
		    memcmp(w->octets, v->octets, v->length) != 0)
			return false;
	}
	return true;
}

static void
read_record(const struct batch *batch, uint32_t i, struct record *r)
{
	const struct shape *shape = batch->shape;
	uint32_t size;
	const uint8_t *p = batch_record(batch, i, &size);

	CU_ASSERT_EQUAL(shape_record_length(shape, p, size), (int)size);
	r->count = 0;
	for (int f = 0; f < shape->count; f++) {
		struct value v = {0};
		const uint8_t *octets =
			shape_field(shape, f, p, size, &v.length);

		if (octets)
			memcpy(v.octets, octets, v.length);
		add(r, shape->field[f].ie->pen, shape->field[f].ie->id, &v);
	}
}

/* ---- the reference ------------------------------------------------------ */

static const struct known *
known_of(const struct value *v)
{
	for (size_t i = 0; i < UNIT_COUNT(known); i++)
		if (known[i].pen == v->pen && known[i].id == v->id)
			return &known[i];
	return NULL;
}

static void
forward_of(const struct record *r, struct record *out)
{
	out->count = 0;
	for (unsigned i = 0; i < r->count; i++)
		if (known_of(&r->value[i])->role != GONE)
			add(out, r->value[i].pen, r->value[i].id, &r->value[i]);
}

static void
reverse_of(const struct record *r, bool keys, struct record *out)
{
	out->count = 0;
	for (unsigned i = 0; i < r->count; i++) {
		const struct value *v = &r->value[i];
		const struct known *k = known_of(v);

		if (v->pen == IE_PEN_REVERSE)
			add(out, 0, v->id, v);
		else if (k->role == SWAPPED)
			add(out, 0, k->other, v);
		else if (k->role != GONE && !find(r, IE_PEN_REVERSE, v->id) &&
			 (keys || k->role == BOTH))
			add(out, v->pen, v->id, v);
	}
}

static bool
is_biflow(const struct record *r)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->value[i].pen == IE_PEN_REVERSE)
			return true;
	return false;
}

static bool
is_empty(const struct record *r, uint32_t pen)
{
	const struct value *v = find(r, pen, IE_packetDeltaCount);

	if (!v)
		v = find(r, pen, IE_octetDeltaCount);
	return v && wire_get_uint(v->octets, (uint16_t)v->length) == 0;
}

/* ---- what comes out ------------------------------------------------------ */

static struct sink {
	struct unit_sink base;
	unsigned count, shapes, ends, withdrawn;
	const struct shape *last;
	struct record record[KEPT];
} sink;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		CU_ASSERT_FATAL(sink.count < KEPT);
		read_record(batch, i, &sink.record[sink.count++]);
	}
	sink.shapes += batch->shape != sink.last;
	sink.last = batch->shape;
}

static void
sink_scope_end(struct stage *stage, const struct scope *ended)
{
	sink.ends++;
}

static void
sink_template_end(struct stage *stage, const struct scope *in,
		  const struct shape *shape)
{
	sink.withdrawn += shape == sink.last;
}

static const struct stage_ops sink_ops = {.run = sink_run,
					  .scope_end = sink_scope_end,
					  .template_end = sink_template_end};

static struct stage *
open_stage(void)
{
	struct stage *stage;

	sink = (struct sink){.base.stage.ops = &sink_ops};
	CU_ASSERT_EQUAL_FATAL(split_stage_new("s", registry, shapes, &stage),
			      0);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &sink.base.stage), 0);
	return stage;
}

/* ---- random biflows ------------------------------------------------------ */

static uint16_t
random_length(const struct ie *ie)
{
	if (ie->length == IE_VARIABLE)
		return rand() % 2 ? IE_VARIABLE : (uint16_t)(1 + rand() % 9);
	if (ie->semantics == IE_DELTA_COUNTER && rand() % 2)
		return (uint16_t)(3 + rand() % 6);
	return ie->length;
}

static uint16_t
random_fields(struct field *field)
{
	unsigned percent = (unsigned)rand() % 101;
	uint16_t count = 0;

	for (size_t i = 0; i < UNIT_COUNT(known); i++) {
		struct field f = {
			.ie = ie_get(registry, known[i].pen, known[i].id)};
		unsigned to = count;

		if ((unsigned)rand() % 100 >= percent)
			continue;
		f.length = random_length(f.ie);
		if (count) /* anywhere */
			to = (unsigned)rand() % (count + 1u);
		memmove(&field[to + 1], &field[to],
			(count++ - to) * sizeof(*field));
		field[to] = f;
	}
	if (count == 0) {
		field[0].ie = ie_find(registry, 0, IE_vlanId);
		field[0].length = 2;
		count = 1;
	}
	return count;
}

static uint8_t *
random_record(const struct shape *shape, uint8_t *p)
{
	for (int f = 0; f < shape->count; f++) {
		uint16_t length = shape->field[f].length;
		bool zero = rand() % 3 == 0;

		if (length == IE_VARIABLE) {
			length = (uint16_t)(rand() % 30);
			if (rand() % 2) {
				*p++ = 255;
				wire_put16(p, length);
				p += 2;
			} else {
				*p++ = (uint8_t)length;
			}
		}
		for (; length; length--)
			*p++ = zero ? 0 : (uint8_t)rand();
	}
	return p;
}

static void
expect(unsigned *at, const struct record *want)
{
	CU_ASSERT_FATAL(*at < sink.count);
	CU_ASSERT(equal(&sink.record[*at], want));
	++*at;
}

/* Forward records come first, in their order, then the reverse ones. */
static void
compare(const struct batch *batch)
{
	struct record in, want;
	unsigned at = 0, halves = 2;

	for (unsigned half = 0; half < halves; half++)
		for (uint32_t i = 0; i < batch->count; i++) {
			read_record(batch, i, &in);
			if (!is_biflow(&in)) {
				halves = 1;
				expect(&at, &in);
				continue;
			}
			if (half == 0 && is_empty(&in, 0) &&
			    !is_empty(&in, IE_PEN_REVERSE))
				continue;
			if (half == 1 && is_empty(&in, IE_PEN_REVERSE))
				continue;
			if (half == 0)
				forward_of(&in, &want);
			else
				reverse_of(&in, batch->flow_keys != 0, &want);
			if (want.count)
				expect(&at, &want);
		}
	CU_ASSERT_EQUAL(at, sink.count);
}

static void
test_random(void)
{
	struct stage *stage = open_stage();
	struct field field[FIELDS + 1];
	uint32_t offset[BATCH_MAX + 1];
	uint8_t *data = malloc(BATCH_MAX * 4096);

	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	for (unsigned turn = 0; turn < unit_turns(3000); turn++) {
		struct batch batch = {.scope = &scope,
				      .base = data,
				      .offset = offset,
				      .flow_keys = rand() % 2 ? UINT64_MAX : 0};
		uint8_t *p = data;

		CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field,
						random_fields(field), 0,
						&batch.shape),
				      0);
		batch.count = 1 + (uint32_t)rand() % BATCH_MAX;
		for (uint32_t i = 0; i < batch.count; i++) {
			offset[i] = (uint32_t)(p - data);
			p = random_record(batch.shape, p);
		}
		offset[batch.count] = (uint32_t)(p - data);
		if (!batch.shape->variable && rand() % 4)
			batch.stride = batch.shape->min_length;
		sink.count = 0;
		stage_run(stage, &batch);
		compare(&batch);
		CU_ASSERT(ledger_balanced(&stage->ledger));
		shape_release(batch.shape);
	}
	CU_ASSERT_EQUAL(ledger_lost(&stage->ledger), 0);
	free(data);
	stage_free(stage);
}

/* ---- one by one ---------------------------------------------------------- */

static void
run_one(struct stage *stage, const struct field *field, uint16_t count,
	uint16_t scopes, const uint8_t *data)
{
	struct batch batch = {.scope = &scope, .base = data, .count = 1};

	CU_ASSERT_EQUAL_FATAL(
		shape_get(shapes, field, count, scopes, &batch.shape), 0);
	batch.stride = batch.shape->min_length;
	stage_run(stage, &batch);
	sink.withdrawn = 0;
	stage_template_end(stage, &scope, batch.shape);
	CU_ASSERT_EQUAL(sink.withdrawn, 1);
	shape_release(batch.shape);
}

static struct field
make_field(uint32_t pen, uint16_t id)
{
	const struct ie *ie = ie_get(registry, pen, id);

	return (struct field){.ie = ie, .length = ie->length};
}

/* Both directions of a usual biflow have one Template. */
static void
test_one_shape(void)
{
	const struct field field[] = {
		make_field(0, IE_sourceIPv4Address),
		make_field(0, IE_destinationIPv4Address),
		make_field(0, IE_packetDeltaCount),
		make_field(IE_PEN_REVERSE, IE_packetDeltaCount),
		make_field(0, IE_biflowDirection),
	};
	uint8_t data[25] = {192, 0, 2, 1, 192, 0, 2, 2, [15] = 5, [23] = 7};
	struct stage *stage = open_stage();

	run_one(stage, field, 5, 0, data);
	CU_ASSERT_EQUAL(sink.count, 2);
	CU_ASSERT_EQUAL(sink.shapes, 1);
	CU_ASSERT_EQUAL(sink.record[0].value[2].octets[7], 5);
	CU_ASSERT_EQUAL(sink.record[1].value[0].octets[3], 2);
	CU_ASSERT_EQUAL(sink.record[1].value[2].octets[7], 7);
	CU_ASSERT_EQUAL(stage->ledger.split, 1);
	/* Not one packet came back: no split. Or none went. */
	data[23] = 0;
	run_one(stage, field, 5, 0, data);
	CU_ASSERT_EQUAL(sink.count, 3);
	data[23] = 7;
	data[15] = 0;
	run_one(stage, field, 5, 0, data);
	CU_ASSERT_EQUAL(sink.count, 4);
	CU_ASSERT_EQUAL(sink.record[3].value[0].octets[3], 2);
	/* Neither: it says something all the same. */
	data[23] = 0;
	run_one(stage, field, 5, 0, data);
	CU_ASSERT_EQUAL(sink.count, 5);
	CU_ASSERT_EQUAL(stage->ledger.split, 1);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	stage_scope_end(stage, &scope);
	CU_ASSERT_EQUAL(sink.ends, 1);
	stage_free(stage);
}

/* An element twice (RFC 7011 section 8): first with first, second with second.
 */
static void
test_twice(void)
{
	const struct field field[] = {
		make_field(0, IE_vlanId),
		make_field(0, IE_octetDeltaCount),
		make_field(0, IE_octetDeltaCount),
		make_field(IE_PEN_REVERSE, IE_octetDeltaCount),
		make_field(IE_PEN_REVERSE, IE_octetDeltaCount),
		make_field(IE_PEN_REVERSE, IE_octetDeltaCount),
	};
	uint8_t data[42] = {[9] = 1, [17] = 2, [25] = 3, [33] = 4, [41] = 5};
	struct stage *stage = open_stage();

	run_one(stage, field, 6, 0, data);
	CU_ASSERT_EQUAL(sink.count, 2);
	CU_ASSERT_EQUAL(sink.record[0].count, 3);
	CU_ASSERT_EQUAL(sink.record[1].count, 4);
	for (int i = 1; i <= 2; i++)
		CU_ASSERT_EQUAL(sink.record[0].value[i].octets[7], i);
	for (int i = 1; i <= 3; i++)
		CU_ASSERT_EQUAL(sink.record[1].value[i].octets[7], i + 2);
	stage_free(stage);
}

/* Options pass, whatever they have. */
static void
test_options(void)
{
	const struct field field[] = {
		make_field(0, IE_vlanId),
		make_field(IE_PEN_REVERSE, IE_octetDeltaCount),
	};
	uint8_t data[10] = {0};
	struct stage *stage = open_stage();

	run_one(stage, field, 2, 1, data);
	CU_ASSERT_EQUAL(sink.count, 1);
	CU_ASSERT_EQUAL(sink.record[0].value[1].pen, IE_PEN_REVERSE);
	stage_free(stage);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"random biflows", test_random},
		{"one shape for both directions", test_one_shape},
		{"elements that are there twice", test_twice},
		{"options", test_options},
	};
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(8192);
	srand(5);
	rc = unit_run("split biflows", tests, UNIT_COUNT(tests));
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
