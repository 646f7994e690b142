/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What Options Data Records teach. */
#include "fixture.h"

enum { PEN = 32473 }; /* for documentation, RFC 5612 */

/* An Options Template: id, scope count, then (id, length) pairs. */
static void
msg_options_template(struct msg *m, unsigned id, unsigned scope_count,
		     const uint16_t *fields, unsigned count)
{
	msg_set(m, 3);
	msg_u16(m, id);
	msg_u16(m, count);
	msg_u16(m, scope_count);
	for (unsigned i = 0; i < 2 * count; i++)
		msg_u16(m, fields[i]);
	msg_end_set(m);
}

static const uint16_t type_fields[] = {
	IE_privateEnterpriseNumber,	  4,
	IE_informationElementId,	  2,
	IE_informationElementDataType,	  1,
	IE_informationElementSemantics,	  1,
	IE_informationElementUnits,	  2,
	IE_informationElementRangeBegin,  8,
	IE_informationElementRangeEnd,	  8,
	IE_informationElementName,	  65535,
	IE_informationElementDescription, 65535,
};

static void
msg_type(struct msg *m, uint32_t pen, unsigned id, unsigned type,
	 const char *name)
{
	msg_u32(m, pen);
	msg_u16(m, id);
	msg_u8(m, type);
	msg_u8(m, IE_QUANTITY);
	msg_u16(m, 2);
	msg_u64(m, 0);
	msg_u64(m, 1000);
	msg_string(m, name, false);
	msg_string(m, "How it was", true);
}

static void
test_types(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	const struct ie *ie;

	fixture_open(f, &net, TRANSPORT_UDP);
	/* A template with an element that nobody knows, and data. */
	msg_begin(&f->m, 0, 1);
	msg_set(&f->m, 2);
	msg_u16(&f->m, 256);
	msg_u16(&f->m, 1);
	msg_u16(&f->m, 0x8000 | 7);
	msg_u16(&f->m, 4);
	msg_u32(&f->m, PEN);
	msg_set(&f->m, 256);
	msg_u32(&f->m, 42);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_PTR_NULL(ie_find(f->registry, PEN, 7));
	/* Its type information, and data of it behind that. */
	msg_begin(&f->m, 1, 1);
	msg_options_template(&f->m, 300, 2, type_fields, 9);
	msg_set(&f->m, 300);
	msg_type(&f->m, PEN, 0x8000 | 7, IE_UNSIGNED32, "dropRate");
	msg_set(&f->m, 256);
	msg_u32(&f->m, 44);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 3); /* it is passed on as well */
	CU_ASSERT_NOT_EQUAL(f->sink->seen[2].shape, f->sink->seen[0].shape);
	ie = ie_find(f->registry, PEN, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_FALSE(ie->unknown);
	CU_ASSERT_STRING_EQUAL(ie->name, "dropRate");
	CU_ASSERT_EQUAL(ie->type, IE_UNSIGNED32);
	CU_ASSERT_EQUAL(ie->semantics, IE_QUANTITY);
	CU_ASSERT_EQUAL(ie->units, 2);
	CU_ASSERT_EQUAL(ie->range_max, 1000);
	CU_ASSERT_STRING_EQUAL(ie->description, "How it was");
	msg_begin(&f->m, 3, 1);
	msg_set(&f->m, 256);
	msg_u32(&f->m, 43);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	CU_ASSERT_PTR_EQUAL(f->sink->seen[3].shape, f->sink->seen[2].shape);
	fixture_close(f, &net);
	fixture_free(f);
}

/* None of these is learnt. */
static void
test_types_refused(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_options_template(&f->m, 300, 2, type_fields, 9);
	msg_set(&f->m, 300);
	msg_type(&f->m, 0, 30000, IE_UNSIGNED32, "ours");
	msg_type(&f->m, 0, IE_octetDeltaCount, IE_STRING, "octets");
	msg_type(&f->m, IE_PEN_REVERSE, 30001, IE_UNSIGNED32, "reverseOurs");
	msg_type(&f->m, PEN, 1, IE_UNSIGNED32, "octetDeltaCount");
	msg_type(&f->m, PEN, 2, IE_UNSIGNED32, "");
	msg_type(&f->m, PEN, 3, IE_UNSIGNED32, "a\x1b[31mb");
	msg_type(&f->m, PEN, 4, IE_UNSIGNED32, "a<b>");
	msg_type(&f->m, PEN, 5, 99, "good");
	msg_type(&f->m, PEN, 0, IE_UNSIGNED32, "good");
	msg_u32(&f->m, PEN);
	msg_u16(&f->m, 6);
	msg_u8(&f->m, IE_STRING);
	msg_u8(&f->m, 0);
	msg_u16(&f->m, 0);
	msg_u64(&f->m, 0);
	msg_u64(&f->m, 0);
	msg_u8(&f->m, 200);
	for (int i = 0; i < 200; i++)
		msg_u8(&f->m, 'x');
	msg_u8(&f->m, 0);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	CU_ASSERT_PTR_NULL(ie_find(f->registry, 0, 30000));
	CU_ASSERT_EQUAL(ie_find(f->registry, 0, IE_octetDeltaCount)->type,
			IE_UNSIGNED64);
	for (uint16_t id = 0; id <= 6; id++)
		CU_ASSERT_PTR_NULL(ie_find(f->registry, PEN, id));
	fixture_close(f, &net);
	fixture_free(f);
}

/* Elements are bounded by the registry. */
static void
test_types_bound(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	char name[20];

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned i = 1; i < 5000; i++) {
		msg_begin(&f->m, i - 1, 1);
		msg_options_template(&f->m, 300, 2, type_fields, 9);
		msg_set(&f->m, 300);
		snprintf(name, sizeof(name), "thing%u", i);
		msg_type(&f->m, PEN, i, IE_UNSIGNED32, name);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	CU_ASSERT_PTR_NOT_NULL(ie_by_name(f->registry, "thing1000"));
	CU_ASSERT_PTR_NULL(ie_by_name(f->registry, "thing1001"));
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_flow_keys(void)
{
	static const uint16_t fields[] = {IE_templateId, 2, IE_flowKeyIndicator,
					  8};
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_options_template(&f->m, 300, 1, fields, 2);
	msg_set(&f->m, 300);
	msg_u16(&f->m, 256);
	msg_u64(&f->m, 1);
	msg_u16(&f->m, 999); /* nobody knows this one */
	msg_u64(&f->m, 1);
	msg_flows(&f->m, 256, 0, 2);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	CU_ASSERT_EQUAL(f->sink->seen[3].flow_keys, 1);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
msg_mark(struct msg *m, unsigned template, unsigned element, unsigned technique,
	 unsigned flags)
{
	msg_u16(m, template);
	msg_u16(m, element);
	msg_u16(m, technique);
	msg_u16(m, flags);
}

/* RFC 6235: what was done to the values of fields goes on with their records.
 */
static void
test_marks(void)
{
	static const uint16_t fields[] = {IE_templateId,
					  2,
					  IE_informationElementId,
					  2,
					  IE_anonymizationTechnique,
					  2,
					  IE_anonymizationFlags,
					  2};
	struct fixture *f = fixture_new(NULL);
	const struct shape *shape;
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_options_template(&f->m, 300, 2, fields, 4);
	msg_set(&f->m, 300);
	msg_mark(&f->m, 256, 0x8000 | IE_sourceIPv4Address, 6, 3);
	msg_mark(&f->m, 256, 9999, 5, 3); /* it has no such element */
	msg_mark(&f->m, 999, IE_sourceIPv4Address, 5, 3);
	msg_mark(&f->m, 300, IE_templateId, 5, 3); /* of its own Template */
	msg_mark(&f->m, 300, IE_informationElementId, 5, 3);
	msg_flows(&f->m, 256, 0, 2);
	msg_end(&f->m);
	fixture_send(f, &net);
	shape = f->sink->last_shape;
	CU_ASSERT_PTR_NOT_NULL_FATAL(shape->mark);
	for (uint16_t i = 0; i < shape->count; i++) {
		bool is = shape->field[i].ie->id == IE_sourceIPv4Address;

		CU_ASSERT_EQUAL(shape->mark[i].technique, is ? 6 : 0);
		CU_ASSERT_EQUAL(shape->mark[i].flags, is ? 3 : 0);
	}
	/* The Template comes again: nothing has changed. */
	msg_begin(&f->m, 7, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 2, 2);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_PTR_EQUAL(f->sink->last_shape, shape);
	fixture_close(f, &net);
	fixture_free(f);
}

struct find {
	uint64_t value;
	unsigned count;
	const struct scope *scope;
};

static bool
find_last(void *arg, const struct collecting_option *option)
{
	struct find *find = arg;

	find->count++;
	find->scope = option->scope;
	find->value += wire_get32(option->record + option->length - 4);
	return true;
}

static const uint16_t sampling_fields[] = {IE_selectorId,
					   4,
					   IE_interfaceName,
					   65535,
					   IE_samplingPacketInterval,
					   4};

static void
msg_sampling(struct msg *m, uint32_t selector, const char *name,
	     uint32_t interval)
{
	msg_u32(m, selector);
	msg_string(m, name, false);
	msg_u32(m, interval);
}

static void
test_remember(void)
{
	static const uint16_t init[] = {IE_observationDomainId, 4,
					IE_systemInitTimeMilliseconds, 8};
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	struct find find = {0};
	struct text text = {0};
	struct report report;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_options_template(&f->m, 300, 2, sampling_fields, 3);
	msg_options_template(&f->m, 301, 1, init, 2);
	msg_set(&f->m, 300);
	msg_sampling(&f->m, 1, "eth0", 100);
	msg_sampling(&f->m, 2, "eth0", 200);
	msg_sampling(&f->m, 1, "eth1", 300);
	msg_sampling(&f->m, 1, "eth0", 1000); /* in place of the first */
	msg_set(&f->m, 301);
	msg_u32(&f->m, 1);
	msg_u64(&f->m, UINT64_C(1600000000000));
	msg_end(&f->m);
	fixture_send(f, &net);
	msg_begin(&f->m, 0, 2); /* the same in another domain */
	msg_options_template(&f->m, 300, 2, sampling_fields, 3);
	msg_set(&f->m, 300);
	msg_sampling(&f->m, 1, "eth0", 5000);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 6);

	collecting_options(f->process, NULL, find_last, &find);
	CU_ASSERT_EQUAL(find.count, 5);
	memset(&find, 0, sizeof(find));
	collecting_options(f->process, NULL, find_last, &find);
	report_begin(&report, &text, true);
	f->stage->ops->report(f->stage, &report);
	report_end(&report);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text.data);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"samplingPacketInterval\":\"1000\""));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"samplingPacketInterval\":\"5000\""));
	CU_ASSERT_PTR_NULL(
		strstr(text.data, "\"samplingPacketInterval\":\"100\""));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"systemInitTimeMilliseconds\":\"2020-"));
	text_fini(&text);

	/* A longer record under the same scope. */
	memset(&find, 0, sizeof(find));
	fixture_close(f, &net);
	collecting_options(f->process, NULL, find_last, &find);
	CU_ASSERT_EQUAL(find.count, 0);
	fixture_free(f);
}

static void
test_remember_bound(void)
{
	struct collecting_conf conf = {.max_options = 10,
				       .max_options_octets = 2000};
	static const uint16_t fields[] = {IE_selectorId, 4, IE_interfaceName,
					  65535};
	struct fixture *f = fixture_new(&conf);
	struct net_session net;
	struct find find = {0};
	char name[250];

	fixture_open(f, &net, TRANSPORT_UDP);
	for (uint32_t i = 0; i < 100; i++) {
		memset(name, 'a', sizeof(name));
		name[1 + i] = '\0';
		msg_begin(&f->m, 3 * i, 1);
		msg_options_template(&f->m, 300, 1, fields, 2);
		msg_set(&f->m, 300);
		msg_u32(&f->m, i);
		msg_string(&f->m, "abcd", false);
		msg_u32(&f->m, 1); /* ever longer */
		msg_string(&f->m, name, false);
		msg_u32(&f->m, 2);
		msg_string(&f->m, "abcd", false);
		msg_end(&f->m);
		fixture_send(f, &net);
	}
	collecting_options(f->process, NULL, find_last, &find);
	CU_ASSERT(find.count > 3 && find.count <= 10);
	CU_ASSERT_EQUAL(f->sink->count, 300);
	fixture_close(f, &net);
	fixture_free(f);
}

static const uint16_t origin_fields[] = {
	IE_observationDomainId,		4,  IE_originalExporterIPv6Address, 16,
	IE_originalObservationDomainId, 4,  IE_basicList,		    65535,
};

static void
msg_origin(struct msg *m, uint32_t domain, uint32_t original,
	   const uint32_t *path, unsigned count)
{
	static const uint8_t address[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};

	msg_u32(m, domain);
	msg_bytes(m, address, sizeof(address));
	msg_u32(m, original);
	msg_u8(m, 5 + 4 * count);
	msg_u8(m, 4); /* ordered */
	msg_u16(m, IE_exportingProcessId);
	msg_u16(m, 4);
	for (unsigned i = 0; i < count; i++)
		msg_u32(m, path[i]);
}

static bool
note_scope(void *arg, const struct collecting_option *option)
{
	*(const struct scope **)arg = option->scope;
	return false;
}

/* One message of an option about the domain 1, then of two flows in it. */
static void
send_path(struct fixture *f, struct net_session *net, uint32_t sequence,
	  const uint32_t *path, unsigned count)
{
	msg_begin(&f->m, sequence, 1);
	msg_options_template(&f->m, 300, 1, origin_fields, 4);
	msg_set(&f->m, 300);
	msg_origin(&f->m, 1, 42, path, count);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 0, 2);
	msg_end(&f->m);
	fixture_send(f, net);
}

/* What mediators tell of the way of records; a loop is noticed, and its end. */
static void
test_path(void)
{
	static const uint32_t ours[] = {7, 9}, path[] = {1, 2, 3};
	static const uint32_t loop[] = {1, 9}, far[SCOPE_PATH_MAX + 1];
	const struct collecting_conf conf = {.exporting_id = ours,
					     .exporting_ids = 2};
	struct fixture *f = fixture_new(&conf);
	const struct scope *scope = NULL;
	const struct ledger *ledger = &f->stage->ledger;
	struct net_session net;
	char text[ADDR_TEXT_SIZE];

	fixture_open(f, &net, TRANSPORT_TCP);
	send_path(f, &net, 0, path, 3);
	CU_ASSERT_EQUAL(f->sink->count, 3);
	collecting_options(f->process, NULL, note_scope, &scope);
	CU_ASSERT_PTR_NOT_NULL_FATAL(scope);
	CU_ASSERT_EQUAL(scope->origin.serial, 1);
	CU_ASSERT_EQUAL(scope->origin.domain, 42);
	CU_ASSERT_EQUAL(scope->origin.path_count, 3);
	CU_ASSERT_EQUAL(scope->origin.path[2], 3);
	CU_ASSERT_STRING_EQUAL(
		addr_format_host(text, &scope->origin.exporter),
		"2001:db8::1");
	send_path(f, &net, 3, path, 3);
	CU_ASSERT_EQUAL(scope->origin.serial, 1);
	send_path(f, &net, 6, loop, 2);
	CU_ASSERT_EQUAL(f->sink->count, 6);
	CU_ASSERT_EQUAL(ledger->lost[LOSS_LOOP], 3);
	send_path(f, &net, 9, path, 3);
	CU_ASSERT_EQUAL(f->sink->count, 9);
	CU_ASSERT_EQUAL(scope->origin.serial, 3);
	send_path(f, &net, 12, far, SCOPE_PATH_MAX + 1);
	CU_ASSERT_EQUAL(ledger->lost[LOSS_LOOP], 6);
	CU_ASSERT_TRUE(ledger_balanced(ledger));
	fixture_close(f, &net);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"type information", test_types},
	{"type information refused", test_types_refused},
	{"type information is bounded", test_types_bound},
	{"flow keys", test_flow_keys},
	{"anonymised fields", test_marks},
	{"remembered per scope", test_remember},
	{"remembered within bounds", test_remember_bound},
	{"the way of records", test_path},
};

int
main(void)
{
	return unit_run("options", tests, UNIT_COUNT(tests));
}
