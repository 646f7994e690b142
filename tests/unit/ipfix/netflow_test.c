/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * NetFlow as the model of IPFIX: headers, the numbers of version 9, Templates
 * of its form, and records that are made into others.
 */
#include "conflux/netflow.h"

#include <errno.h>

#include "conflux/template.h"
#include "octets.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct template_store *store;
static struct template_event last;

static void
setup(void)
{
	static const struct template_limits limits = {
		.max_templates = 100,
		.max_fields = 50,
		.lifetime = true,
		.template_ms = 1000,
	};

	registry = ie_registry_new(100);
	shapes = shape_table_new(100);
	store = template_store_new(&limits, registry, shapes);
}

static void
teardown(void)
{
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static void
on_event(void *arg, const struct template_event *event)
{
	last = *event;
}

/* Reads a FlowSet of Templates; the last outcome. */
static enum template_outcome
flowset(uint16_t set_id, const char *hex)
{
	struct octets o = octets(hex);

	last.outcome = TEMPLATE_WITHDRAWN;
	template_store_read_netflow9(store, 7, set_id, o.data, o.length, 0, 0,
				     on_event, NULL);
	free(o.data);
	return last.outcome;
}

static bool
has_field(const struct shape *shape, unsigned i, uint32_t pen, uint16_t id,
	  uint16_t length)
{
	return shape && i < shape->count && shape->field[i].ie->pen == pen &&
	       shape->field[i].ie->id == id && shape->field[i].length == length;
}

/* ---- headers ----------------------------------------------------------- */

static void
test_header5(void)
{
	/* 1 flow; uptime 5000; 1700000000.25 s; 9; engine 1, 2; random 100 */
	struct octets o = octets("0005 0001 00001388 6553f100 0ee6b280"
				 "00000009 01 02 8064");
	struct netflow_header h;

	CU_ASSERT(netflow_is(o.data, o.length));
	CU_ASSERT_EQUAL(netflow_open(&h, o.data, o.length), 0);
	CU_ASSERT_EQUAL(h.count, 1);
	CU_ASSERT_EQUAL(h.uptime_ms, 5000);
	CU_ASSERT_EQUAL(h.export_ms, UINT64_C(1700000000250));
	CU_ASSERT_EQUAL(h.sequence, 9);
	CU_ASSERT_EQUAL(h.domain, 0x102);
	CU_ASSERT_EQUAL(h.sampling, 2);
	CU_ASSERT_EQUAL(h.interval, 100);
	for (size_t n = 0; n < o.length; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, o.data, n);
		CU_ASSERT_EQUAL(netflow_open(&h, copy, n), -EBADMSG);
		free(copy);
	}
	free(o.data);
}

static void
test_header9(void)
{
	struct octets o = octets("0009 0002 00001388 6553f100 00000009"
				 "fffffffe");
	struct netflow_header h;

	CU_ASSERT(netflow_is(o.data, o.length));
	CU_ASSERT_EQUAL(netflow_open(&h, o.data, o.length), 0);
	CU_ASSERT_EQUAL(h.count, 2);
	CU_ASSERT_EQUAL(h.uptime_ms, 5000);
	CU_ASSERT_EQUAL(h.export_ms, UINT64_C(1700000000000));
	CU_ASSERT_EQUAL(h.sequence, 9);
	CU_ASSERT_EQUAL(h.domain, 0xfffffffe);
	for (size_t n = 0; n < o.length; n++)
		CU_ASSERT_EQUAL(netflow_open(&h, o.data, n), -EBADMSG);
	CU_ASSERT(!netflow_is((const uint8_t *)"\0\0\0\5", 4)); /* sFlow */
	CU_ASSERT(!netflow_is((const uint8_t *)"\0\12", 2));
	free(o.data);
}

/* ---- numbers ----------------------------------------------------------- */

static void
test_elements(void)
{
	static const struct {
		uint16_t type;
		bool scope;
		uint32_t pen;
		uint16_t id;
	} cases[] = {
		{1, false, 0, IE_octetDeltaCount},
		{61, false, 0, IE_flowDirection},
		{234, false, 0, IE_ingressVRFID},
		{1, true, 0, IE_exportingProcessId},
		{2, true, 0, IE_ingressInterface},
		{3, true, 0, IE_lineCardId},
		{4, true, 0, IE_meteringProcessId},
		{5, true, 0, IE_templateId},
		{48, true, 0, IE_samplerId},
		{33002, false, 9, 234},
		{40000, false, 9, 7232},
		{57590, false, 35632, 118}, /* L7_PROTO of nProbe */
		{57471, false, 9, 24703},
		{58496, false, 9, 25728},
		{56701, false, 25461, 23933},
		{65535, false, 9, 32767},
	};

	for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
		uint32_t pen;
		uint16_t id;

		netflow9_element(cases[i].type, cases[i].scope, &pen, &id);
		CU_ASSERT_EQUAL(pen, cases[i].pen);
		CU_ASSERT_EQUAL(id, cases[i].id);
	}
}

/* ---- Templates --------------------------------------------------------- */

static void
test_templates(void)
{
	const struct shape *shape;

	setup();
	CU_ASSERT_EQUAL(flowset(SET_TEMPLATE, "0100 0003 0008 0004 0016 0004"
					      "9c40 0014"),
			TEMPLATE_NEW);
	shape = last.template->shape;
	CU_ASSERT(has_field(shape, 0, 0, IE_sourceIPv4Address, 4));
	CU_ASSERT(has_field(shape, 1, 0, IE_flowStartSysUpTime, 4));
	CU_ASSERT(has_field(shape, 2, 9, 7232, 20));
	/* Scopes System and Interface; a sampling interval; padding. */
	CU_ASSERT_EQUAL(flowset(SET_OPTIONS_TEMPLATE,
				"0101 0008 0004 0001 0004 0002 0002"
				"0022 0004 0000"),
			TEMPLATE_NEW);
	shape = last.template->shape;
	CU_ASSERT_EQUAL(shape->scope_count, 2);
	CU_ASSERT_EQUAL(shape->count, 3);
	CU_ASSERT(has_field(shape, 0, 0, IE_exportingProcessId, 4));
	CU_ASSERT(has_field(shape, 1, 0, IE_ingressInterface, 2));
	CU_ASSERT(has_field(shape, 2, 0, IE_samplingInterval, 4));
	/* No withdrawals; no fields; no scope; cut off. */
	CU_ASSERT_EQUAL(flowset(SET_TEMPLATE, "0100 0000"), TEMPLATE_MALFORMED);
	CU_ASSERT_PTR_NULL(template_store_find(store, 7, 256, 0, 0));
	CU_ASSERT_EQUAL(flowset(SET_OPTIONS_TEMPLATE, "0102 0000 0000"),
			TEMPLATE_MALFORMED);
	CU_ASSERT_EQUAL(
		flowset(SET_OPTIONS_TEMPLATE, "0102 0000 0004 0022 0004"),
		TEMPLATE_MALFORMED);
	CU_ASSERT_EQUAL(
		flowset(SET_OPTIONS_TEMPLATE, "0102 0004 0004 0001 0004 0022"),
		TEMPLATE_MALFORMED);
	CU_ASSERT_EQUAL(flowset(SET_OPTIONS_TEMPLATE,
				"0102 fffc fffc 0001 0004 0022 0004"),
			TEMPLATE_MALFORMED);
	CU_ASSERT_EQUAL(template_store_drop(store, 8), 0);
	CU_ASSERT_EQUAL(template_store_drop(store, 7), 1);
	CU_ASSERT_EQUAL(template_store_count(store), 0);
	teardown();
}

/* ---- records ----------------------------------------------------------- */

static const struct netflow_header header = {
	.uptime_ms = 1000,
	.export_ms = 1700000000000,
	.domain = 7,
	.sampling = 2,
	.interval = 100,
};

/* Several of the same at once. */
static void
converts_fixed(const struct netflow_plan *plan, const struct octets *record,
	       const struct octets *want)
{
	enum { COUNT = 3 };
	uint8_t *in = malloc(COUNT * record->length);
	uint8_t *out = malloc(COUNT * want->length);

	for (int i = 0; i < COUNT; i++)
		memcpy(in + i * record->length, record->data, record->length);
	netflow_convert_fixed(plan, &header, in, COUNT, out);
	for (int i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(memcmp(out + i * want->length, want->data,
				       want->length),
				0);
	free(in);
	free(out);
}

/* Octets of a record that came in the layout of the last Template. */
static void
converts(unsigned add, const char *in, const char *expected)
{
	struct octets record = octets(in), want = octets(expected);
	struct netflow_plan plan = {0};
	uint8_t out[256];
	uint32_t room = 2 * (uint32_t)record.length + NETFLOW_GROWTH;

	CU_ASSERT_EQUAL_FATAL(netflow_plan(&plan, registry, shapes,
					   last.template->shape, add),
			      0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan.to);
	CU_ASSERT_EQUAL(netflow_convert(&plan, &header, record.data,
					(uint32_t)record.length, out, room),
			want.length);
	CU_ASSERT_EQUAL(memcmp(out, want.data, want.length), 0);
	for (uint32_t n = 0; n < want.length; n++)
		CU_ASSERT_EQUAL(netflow_convert(&plan, &header, record.data,
						(uint32_t)record.length, out,
						n),
				0);
	for (uint32_t n = 0; n < record.length; n++)
		CU_ASSERT_EQUAL(netflow_convert(&plan, &header, record.data, n,
						out, room),
				0);
	CU_ASSERT_EQUAL(plan.fixed, !last.template->shape->variable);
	if (plan.fixed)
		converts_fixed(&plan, &record, &want);
	netflow_plan_fini(&plan);
	free(record.data);
	free(want.data);
}

static void
test_times(void)
{
	setup();
	/* Addresses, end, start. 500 ms before, and 24 ms after the message */
	flowset(SET_TEMPLATE, "0100 0004 0008 0004 000c 0004 0015 0004"
			      "0016 0004");
	converts(0, "0a000001 0a000002 00000400 000001f4",
		 "0a000001 0a000002 0000018bcfe56818 0000018bcfe5660c");
	/* From before sysUpTime wrapped: 1000 + 256 ms. */
	converts(0, "0a000001 0a000002 00000000 ffffff00",
		 "0a000001 0a000002 0000018bcfe56418 0000018bcfe56318");
	/* It has the absolute start, so the other one goes. */
	flowset(SET_TEMPLATE, "0101 0002 0016 0004 0098 0008");
	converts(0, "00000001 0000018bcfe56800", "0000018bcfe56800");
	/* Behind a string of variable length. */
	flowset(SET_TEMPLATE, "0102 0003 0053 ffff 0015 0004 0004 0001");
	converts(0, "03 616263 000003e8 06", "03 616263 0000018bcfe56800 06");
	converts(0, "ff0003 616263 000003e8 06",
		 "ff0003 616263 0000018bcfe56800 06");
	teardown();
}

static void
test_scopes(void)
{
	struct netflow_plan plan = {0};

	setup();
	/* System without octets is the Source ID. */
	flowset(SET_OPTIONS_TEMPLATE, "0100 0004 0008 0001 0000 0022 0004"
				      "0023 0001");
	converts(0, "00000064 02", "00000007 00000064 02");
	CU_ASSERT_EQUAL(
		netflow_plan(&plan, registry, shapes, last.template->shape, 0),
		0);
	CU_ASSERT_EQUAL(plan.to->scope_count, 1);
	CU_ASSERT(has_field(plan.to, 0, 0, IE_observationDomainId, 4));
	/* With another scope it goes. */
	flowset(SET_OPTIONS_TEMPLATE, "0101 0008 0004 0001 0000 0002 0002"
				      "0022 0004");
	converts(0, "0003 00000064", "0003 00000064");
	CU_ASSERT_EQUAL(
		netflow_plan(&plan, registry, shapes, last.template->shape, 0),
		0);
	CU_ASSERT_EQUAL(plan.to->scope_count, 1);
	CU_ASSERT(has_field(plan.to, 0, 0, IE_ingressInterface, 2));
	/* Nothing to do. */
	flowset(SET_TEMPLATE, "0102 0002 0008 0004 00d2 0004");
	CU_ASSERT_EQUAL(
		netflow_plan(&plan, registry, shapes, last.template->shape, 0),
		0);
	CU_ASSERT_PTR_NULL(plan.to);
	CU_ASSERT_EQUAL(plan.from, last.template->shape->serial);
	/* Nothing left: padding is no record. */
	flowset(SET_TEMPLATE, "0103 0002 00d2 0004 0008 0000");
	CU_ASSERT_EQUAL(
		netflow_plan(&plan, registry, shapes, last.template->shape, 0),
		-EINVAL);
	CU_ASSERT_EQUAL(plan.from, 0);
	netflow_plan_fini(&plan);
	teardown();
}

/* Numbers that are longer than their element can be. */
static void
test_wide(void)
{
	struct netflow_plan plan = {0};

	setup();
	/* samplerId, protocolIdentifier, sourceTransportPort; a MAC address */
	flowset(SET_TEMPLATE, "0100 0004 0030 0002 0004 0004 0007 0008"
			      "0038 0008");
	converts(0, "0007 00000006 0000000000001234 0102030405060708",
		 "07 06 1234 0102030405060708");
	converts(0, "0100 ffffffff 0000000000010000 0102030405060708",
		 "ff ff ffff 0102030405060708");
	CU_ASSERT_EQUAL(
		netflow_plan(&plan, registry, shapes, last.template->shape, 0),
		0);
	CU_ASSERT(has_field(plan.to, 0, 0, IE_samplerId, 1));
	CU_ASSERT(!plan.to->field[0].ie->unknown);
	CU_ASSERT(has_field(plan.to, 2, 0, IE_sourceTransportPort, 2));
	netflow_plan_fini(&plan);
	teardown();
}

static void
test_version5(void)
{
	struct template template = {0};
	const struct shape *shape;

	setup();
	CU_ASSERT_EQUAL_FATAL(netflow5_shape(registry, shapes, &shape), 0);
	CU_ASSERT_EQUAL(shape->min_length, NETFLOW5_RECORD);
	template.shape = shape;
	last.template = &template;
	converts(NETFLOW_ADD_INTERVAL | NETFLOW_ADD_ALGORITHM,
		 "0a000001 0a000002 0a000003 0004 0005 00000006 00000700"
		 "000001f4 000003e8 0050 1234 ff 12 06 08 000a 000b 18 10 ffff",
		 "0a000001 0a000002 0a000003 0004 0005 00000006 00000700"
		 "0000018bcfe5660c 0000018bcfe56800 0050 1234 12 06 08 000a"
		 "000b 18 10 00000064 02");
	shape_release(shape);
	teardown();
}

static const struct unit_test tests[] = {
	{"header of version 5", test_header5},
	{"header of version 9", test_header9},
	{"elements", test_elements},
	{"templates", test_templates},
	{"times", test_times},
	{"scopes", test_scopes},
	{"wide numbers", test_wide},
	{"records of version 5", test_version5},
};

int
main(void)
{
	return unit_run("netflow", tests, UNIT_COUNT(tests));
}
