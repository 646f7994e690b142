/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/message.h"
#include "conflux/template.h"
#include "octets.h"
#include "unit.h"

enum { DOMAIN = 5 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct template_store *store;

/* Of the last read: its events, the last one of them, all as letters. */
static char outcomes[64];
static struct template_event last;

static void
setup_limits(const struct template_limits *limits, uint32_t max_added,
	     uint32_t max_shapes)
{
	registry = ie_registry_new(max_added);
	shapes = shape_table_new(max_shapes);
	store = template_store_new(limits, registry, shapes);
}

static void
setup(bool lifetime)
{
	struct template_limits limits = {
		.max_templates = 100,
		.max_fields = 50,
		.lifetime = lifetime,
		.template_ms = 1000,
		.options_ms = 2000,
		.template_messages = 10,
		.options_messages = 20,
	};

	setup_limits(&limits, 100, 100);
}

static void
teardown(void)
{
	template_store_free(store);
	shape_table_free(shapes); /* asserts that no shape is held */
	ie_registry_free(registry);
}

static void
on_event(void *arg, const struct template_event *event)
{
	static const char letters[] = {
		[TEMPLATE_NEW] = 'n',
		[TEMPLATE_REFRESHED] = 'r',
		[TEMPLATE_REDEFINED] = 'd',
		[TEMPLATE_REDEFINED_BAD] = 'D',
		[TEMPLATE_WITHDRAWN] = 'w',
		[TEMPLATE_WITHDRAWN_ALL] = 'W',
		[TEMPLATE_WITHDRAWN_UNKNOWN] = 'u',
		[TEMPLATE_WITHDRAWN_UDP] = 'U',
		[TEMPLATE_MALFORMED] = 'm',
		[TEMPLATE_REFUSED] = 'f',
	};
	size_t n = strlen(outcomes);

	CU_ASSERT_PTR_EQUAL(arg, &outcomes);
	if (n + 1 < sizeof(outcomes))
		outcomes[n] = letters[event->outcome];
	last = *event;
	CU_ASSERT_EQUAL(event->reason != NULL,
			event->outcome == TEMPLATE_MALFORMED ||
				event->outcome == TEMPLATE_REFUSED);
	CU_ASSERT_EQUAL(event->template != NULL,
			event->outcome <= TEMPLATE_REDEFINED_BAD ||
				event->outcome == TEMPLATE_WITHDRAWN);
}

static const char *
read_at(uint16_t set_id, const char *hex, uint64_t now_ms, uint64_t messages)
{
	struct octets o = octets(hex);

	memset(outcomes, 0, sizeof(outcomes));
	template_store_read(store, DOMAIN, set_id, o.data, o.length, now_ms,
			    messages, on_event, &outcomes);
	free(o.data);
	return outcomes;
}

static const char *
templates(const char *hex)
{
	return read_at(SET_TEMPLATE, hex, 0, 0);
}

static const char *
options(const char *hex)
{
	return read_at(SET_OPTIONS_TEMPLATE, hex, 0, 0);
}

static const struct shape *
shape_of(uint16_t id)
{
	struct template *t = template_store_find(store, DOMAIN, id, 0, 0);

	return t ? t->shape : NULL;
}

static void
test_definitions(void)
{
	const struct shape *shape;

	setup(false);
	CU_ASSERT_STRING_EQUAL(templates("0100 0003 0008 0004 0001 0008 "
					 "8001 ffff 00003039"
					 "0101 0001 0004 0001"),
			       "nn");
	CU_ASSERT_EQUAL(template_store_count(store), 2);
	shape = shape_of(256);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shape);
	CU_ASSERT_EQUAL(shape->count, 3);
	CU_ASSERT_EQUAL(shape->scope_count, 0);
	CU_ASSERT_EQUAL(shape->min_length, 13);
	CU_ASSERT_EQUAL(shape->field[2].ie->pen, 12345);
	CU_ASSERT(shape->field[2].ie->unknown);
	CU_ASSERT_PTR_NULL(shape_of(258));
	CU_ASSERT_PTR_NULL(template_store_find(store, DOMAIN + 1, 256, 0, 0));

	CU_ASSERT_STRING_EQUAL(options("0102 0002 0001 0090 0004 0029 0008"),
			       "n");
	CU_ASSERT_EQUAL(shape_of(258)->scope_count, 1);
	/* All of its fields are scope fields: legal. */
	CU_ASSERT_STRING_EQUAL(options("0103 0002 0002 0090 0004 0029 0008"),
			       "n");
	CU_ASSERT_EQUAL(shape_of(259)->scope_count, 2);
	/* The same element twice, and a field of no octets. */
	CU_ASSERT_STRING_EQUAL(templates("0104 0003 0001 0008 0001 0004 "
					 "00d2 0000"),
			       "n");
	CU_ASSERT_EQUAL(shape_of(260)->min_length, 12);
	teardown();
}

static void
test_padding(void)
{
	static const char *const padded[] = {
		"0100 0001 0004 0001",
		"0100 0001 0004 0001 00",
		"0100 0001 0004 0001 0000",
		"0100 0001 0004 0001 ffffff",
		"0100 0001 0004 0001 00000000",
		"0100 0001 0004 0001 0000000000000000000000",
	};

	for (size_t i = 0; i < sizeof(padded) / sizeof(padded[0]); i++) {
		setup(false);
		CU_ASSERT_STRING_EQUAL(templates(padded[i]), "n");
		teardown();
	}
	setup(false);
	CU_ASSERT_STRING_EQUAL(templates(""), "");
	CU_ASSERT_STRING_EQUAL(templates("000000"), "");
	CU_ASSERT_STRING_EQUAL(templates("00000000"), "");
	CU_ASSERT_STRING_EQUAL(options("0100 0001 0001 0004 0001 0000"), "n");
	teardown();
}

static void
test_malformed(void)
{
	static const struct {
		uint16_t set_id;
		const char *hex;
		const char *outcomes;
	} cases[] = {
		/* Template IDs below 256, also as what follows padding. */
		{2, "00ff 0001 0004 0001", "m"},
		{2, "0000 0001 0004 0001", "m"},
		{2, "0003 0000", "m"},
		{3, "0002 0000", "m"},
		{2, "0101 0001 0004 0001 00000000 0000 0001 0004 0001", "nm"},
		/* The record ends too early. */
		{2, "0100 0002 0004 0001", "m"},
		{2, "0100 0001 0004 00", "m"},
		{2, "0100 ffff 0004 0001", "m"},
		{2, "0100 0001 8004 0001", "m"},
		{2, "0100 0001 8004 0001 000000", "m"},
		{3, "0100 0001 00", "m"},
		{3, "0100 0001 0001 0004", "m"},
		{3, "0100 0001 0001 8004 0001 0000", "m"},
		/* Records without octets, or with more than fit. */
		{2, "0100 0001 00d2 0000", "m"},
		{2, "0100 0002 00d2 0000 0008 0000", "m"},
		{2, "0100 0002 00d2 fffe 0008 0004", "m"},
		/* Scope: none, more than fields. The next record is read. */
		{3, "0100 0001 0000 0004 0001 0101 0001 0001 0004 0001", "mn"},
		{3, "0100 0001 0002 0004 0001 0101 0001 0001 0004 0001", "mn"},
		/* An Options Template as a Template: odd fields, no harm. */
		{2, "0100 0002 0001 0090 0004 0029 0008", "n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(false);
		CU_ASSERT_STRING_EQUAL(
			read_at(cases[i].set_id, cases[i].hex, 0, 0),
			cases[i].outcomes);
		CU_ASSERT_EQUAL(template_store_count(store),
				strchr(cases[i].outcomes, 'n') != NULL);
		teardown();
	}
}

/* What cannot be decoded any more must not be decoded by the old layout. */
static void
test_malformed_redefinition_drops(void)
{
	setup(true);
	templates("0100 0001 0004 0001 0101 0001 0004 0001");
	CU_ASSERT_STRING_EQUAL(templates("0100 0001 00d2 0000"), "m");
	CU_ASSERT_PTR_NULL(shape_of(256));
	CU_ASSERT_STRING_EQUAL(templates("0101 0005 0001 0008"), "m");
	CU_ASSERT_PTR_NULL(shape_of(257));
	CU_ASSERT_EQUAL(template_store_count(store), 0);
	teardown();
}

static void
test_wrong_lengths_are_octets(void)
{
	static const char *const fields[] = {
		"0008 0032", /* address of 50 octets */
		"0008 ffff", "001b 0032", "0038 0032", "0007 0003",
		"0001 0009", "0001 ffff", "0098 0004", "0001 0000",
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char hex[64] = "0100 0002 0004 0001 ";
		const struct ie *ie;

		setup(false);
		strcat(hex, fields[i]);
		CU_ASSERT_STRING_EQUAL(templates(hex), "n");
		ie = shape_of(256)->field[1].ie;
		CU_ASSERT(ie->unknown);
		CU_ASSERT_EQUAL(ie->type, IE_OCTET_ARRAY);
		CU_ASSERT_EQUAL(ie->pen, 0);
		CU_ASSERT_EQUAL(shape_of(256)->field[0].ie,
				ie_find(registry, 0, 4));
		template_store_relearn(store);
		CU_ASSERT_PTR_EQUAL(shape_of(256)->field[1].ie, ie);
		teardown();
	}
	setup(false);
	/* Reduced-size encoding and variable octets are right. */
	templates("0100 0004 0001 0004 000a 0002 005f ffff 00d2 0007");
	for (int i = 0; i < 4; i++)
		CU_ASSERT_FALSE(shape_of(256)->field[i].ie->unknown);
	teardown();
}

static void
test_redefinition(void)
{
	struct template *t;

	for (int udp = 0; udp < 2; udp++) {
		setup(udp);
		templates("0100 0001 0004 0001");
		t = last.template;
		t->data_records = 7;
		t->flow_keys = 1;
		CU_ASSERT_STRING_EQUAL(read_at(2, "0100 0001 0004 0001", 10, 2),
				       "r");
		CU_ASSERT_EQUAL(t->data_records, 7);
		CU_ASSERT_EQUAL(t->defined_ms, 10);
		CU_ASSERT_EQUAL(t->defined_messages, 2);
		CU_ASSERT_STRING_EQUAL(read_at(2, "0100 0001 0005 0001", 11, 3),
				       udp ? "d" : "D");
		CU_ASSERT_PTR_EQUAL(last.template, t);
		CU_ASSERT_EQUAL(t->data_records, 0);
		CU_ASSERT_EQUAL(t->flow_keys, 0);
		CU_ASSERT_EQUAL(t->defined_ms, 11);
		/* The id of a Template becomes that of an Options Template. */
		CU_ASSERT_STRING_EQUAL(
			read_at(3, "0100 0001 0001 0005 0001", 12, 4),
			udp ? "d" : "D");
		CU_ASSERT_EQUAL(t->set_id, SET_OPTIONS_TEMPLATE);
		CU_ASSERT_EQUAL(shape_of(256)->scope_count, 1);
		CU_ASSERT_EQUAL(template_store_count(store), 1);
		teardown();
	}
}

static void
test_withdrawal(void)
{
	setup(false);
	templates("0100 0001 0004 0001 0101 0001 0004 0001");
	options("0102 0001 0001 0004 0001 0103 0001 0001 0004 0001");
	CU_ASSERT_STRING_EQUAL(templates("0100 0000"), "w");
	CU_ASSERT_EQUAL(last.id, 256);
	CU_ASSERT_PTR_NULL(shape_of(256));
	CU_ASSERT_PTR_NOT_NULL(shape_of(257));
	CU_ASSERT_STRING_EQUAL(templates("0100 0000"), "u");
	/* Of the other kind: not meant. */
	CU_ASSERT_STRING_EQUAL(templates("0102 0000"), "u");
	CU_ASSERT_STRING_EQUAL(options("0102 0000 0000"), "w");
	/* Withdrawn and defined again in one set, then all of a kind. */
	CU_ASSERT_STRING_EQUAL(templates("0101 0000 0101 0001 0005 0001"),
			       "wn");
	CU_ASSERT_STRING_EQUAL(templates("0002 0000"), "W");
	CU_ASSERT_PTR_NULL(shape_of(257));
	CU_ASSERT_PTR_NOT_NULL(shape_of(259));
	CU_ASSERT_STRING_EQUAL(options("0003 0000"), "W");
	CU_ASSERT_EQUAL(template_store_count(store), 0);
	teardown();

	setup(true);
	templates("0100 0001 0004 0001");
	CU_ASSERT_STRING_EQUAL(templates("0100 0000"), "U");
	CU_ASSERT_STRING_EQUAL(templates("0002 0000"), "U");
	CU_ASSERT_PTR_NOT_NULL(shape_of(256));
	teardown();
}

static void
test_domains_are_apart(void)
{
	struct octets o = octets("0100 0001 0004 0001 0101 0001 0004 0001");
	uint32_t at = 0, seen = 0;

	setup(false);
	templates("0100 0002 0004 0001 0005 0001");
	/* The same id in another domain. */
	template_store_read(store, DOMAIN + 256, 2, o.data, o.length, 0, 0,
			    on_event, &outcomes);
	CU_ASSERT_EQUAL(template_store_count(store), 3);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(shape_of(256)->count, 2);
		CU_ASSERT_EQUAL(
			template_store_find(store, DOMAIN + 256, 256, 0, 0)
				->shape->count,
			1);
	}
	CU_ASSERT_STRING_EQUAL(templates("0002 0000"), "W");
	CU_ASSERT_PTR_NULL(shape_of(256));
	CU_ASSERT_PTR_NOT_NULL(
		template_store_find(store, DOMAIN + 256, 256, 0, 0));
	while (template_store_next(store, &at))
		seen++;
	CU_ASSERT_EQUAL(seen, 2);
	free(o.data);
	teardown();
}

static void
test_lifetimes(void)
{
	setup(true);
	read_at(2, "0100 0001 0004 0001", 5000, 100);
	read_at(3, "0101 0001 0001 0004 0001", 5000, 100);
	CU_ASSERT_PTR_NOT_NULL(
		template_store_find(store, DOMAIN, 256, 5999, 110));
	CU_ASSERT_PTR_NULL(template_store_find(store, DOMAIN, 256, 6000, 100));
	CU_ASSERT_PTR_NULL(template_store_find(store, DOMAIN, 256, 5000, 111));
	CU_ASSERT_PTR_NOT_NULL(
		template_store_find(store, DOMAIN, 257, 6999, 120));
	CU_ASSERT_PTR_NULL(template_store_find(store, DOMAIN, 257, 7000, 100));
	CU_ASSERT_PTR_NULL(template_store_find(store, DOMAIN, 257, 5000, 121));
	/* A clock that went back expires nothing. */
	CU_ASSERT_PTR_NOT_NULL(template_store_find(store, DOMAIN, 256, 1, 1));
	CU_ASSERT_EQUAL(template_store_tick(store, 5999, 110), 0);
	CU_ASSERT_EQUAL(template_store_tick(store, 6000, 110), 1);
	CU_ASSERT_EQUAL(template_store_count(store), 1);
	/* One that had expired is taken anew without complaint. */
	CU_ASSERT_STRING_EQUAL(
		read_at(3, "0101 0001 0001 0005 0001", 9000, 110), "d");
	CU_ASSERT_EQUAL(template_store_tick(store, 9000, 110), 0);
	CU_ASSERT_EQUAL(template_store_tick(store, UINT64_MAX, 110), 1);
	teardown();

	setup(false);
	read_at(2, "0100 0001 0004 0001", 5000, 100);
	CU_ASSERT_PTR_NOT_NULL(template_store_find(store, DOMAIN, 256,
						   UINT64_MAX, UINT64_MAX));
	CU_ASSERT_EQUAL(template_store_tick(store, UINT64_MAX, UINT64_MAX), 0);
	teardown();
}

/* Stores with one count: the second one finds room that the first left. */
static void
test_shared_limit(void)
{
	uint32_t count = 0;
	struct template_limits limits = {
		.max_templates = 100,
		.max_fields = 3,
		.shared = &count,
		.max_shared = 4,
	};
	struct template_store *first;

	setup_limits(&limits, 10, 10);
	CU_ASSERT_STRING_EQUAL(templates("0100 0001 0004 0001"
					 "0101 0001 0004 0001"
					 "0102 0001 0004 0001"),
			       "nnf");
	first = store;
	store = template_store_new(&limits, registry, shapes);
	CU_ASSERT_STRING_EQUAL(templates("0100 0001 0004 0001"
					 "0101 0001 0004 0001"),
			       "nf");
	CU_ASSERT_EQUAL(count, 3);
	CU_ASSERT_STRING_EQUAL(templates("0100 0000"), "w");
	CU_ASSERT_EQUAL(count, 2);
	template_store_free(first);
	CU_ASSERT_EQUAL(count, 0);
	teardown();
}

static void
test_limits(void)
{
	struct template_limits limits = {
		.max_templates = 2,
		.max_fields = 3,
		.lifetime = true,
		.template_ms = 1000,
	};

	setup_limits(&limits, 2, 3);
	CU_ASSERT_STRING_EQUAL(
		templates("0100 0004 0004 0001 0005 0001 0006 0001 0007 0001"
			  "0101 0003 0004 0001 0005 0001 0006 0001"),
		"fn");
	/* Elements, though known ones always go. */
	CU_ASSERT_STRING_EQUAL(templates("0102 0003 f001 0001 00000001 "
					 "f002 0001 00000001 "
					 "f003 0001 00000001"
					 "0102 0001 f001 0001 00000001"),
			       "fn");
	CU_ASSERT_STRING_EQUAL(templates("0103 0001 0004 0001"), "f");
	CU_ASSERT_EQUAL(template_store_count(store), 2);
	/* An old one makes room when it has expired. */
	CU_ASSERT_STRING_EQUAL(read_at(2, "0101 0001 0004 0001", 500, 0), "d");
	CU_ASSERT_STRING_EQUAL(read_at(2, "0103 0001 0004 0001", 1100, 0), "n");
	CU_ASSERT_PTR_NULL(shape_of(258));
	CU_ASSERT_STRING_EQUAL(read_at(2, "0101 0001 0005 0001", 1100, 0), "d");
	/* Shapes: the third is the last one. */
	CU_ASSERT_STRING_EQUAL(read_at(2, "0103 0001 0006 0001", 1100, 0), "d");
	CU_ASSERT_STRING_EQUAL(read_at(2, "0103 0001 0005 0001", 1100, 0), "d");
	teardown();

	limits.max_templates = 10;
	setup_limits(&limits, 2, 1);
	CU_ASSERT_STRING_EQUAL(templates("0100 0001 0004 0001"
					 "0101 0001 0004 0001"
					 "0101 0001 0005 0001"),
			       "nnf");
	CU_ASSERT_PTR_NULL(shape_of(257));
	CU_ASSERT_PTR_NOT_NULL(shape_of(256));
	teardown();
}

/* A peer that makes up elements takes its share, and gives it back. */
static void
test_unknown_elements(void)
{
	struct template_limits limits = {
		.max_templates = 10,
		.max_unknown = 20,
	};
	struct template_store *other;
	char hex[20 * 20];

	setup_limits(&limits, 30, 10);
	strcpy(hex, "0100 0014");
	for (int i = 0; i < 20; i++)
		sprintf(hex + strlen(hex), "%04x 0001 00000009", 0x8000 + i);
	CU_ASSERT_STRING_EQUAL(templates(hex), "n");
	CU_ASSERT_STRING_EQUAL(templates("0101 0001 8100 0001 00000009"), "f");
	CU_ASSERT_STRING_EQUAL(templates("0101 0001 0008 0032"), "f");
	CU_ASSERT_STRING_EQUAL(templates("0101 0001 0008 0004"), "n");
	CU_ASSERT_STRING_EQUAL(templates(hex), "r");
	CU_ASSERT_STRING_EQUAL(templates("0100 0001 8100 0001 00000009"), "D");
	memcpy(hex, "0102 0013", 9);
	hex[strlen(hex) - 18] = 0;
	CU_ASSERT_STRING_EQUAL(templates(hex), "n");
	CU_ASSERT_STRING_EQUAL(templates("0002 0000"), "W");

	/* What it made up makes room for the elements of others. */
	other = store;
	store = template_store_new(&limits, registry, shapes);
	strcpy(hex, "0100 0014");
	for (int i = 0; i < 20; i++)
		sprintf(hex + strlen(hex), "%04x 0001 0000000a", 0x8000 + i);
	CU_ASSERT_STRING_EQUAL(templates(hex), "n");
	template_store_free(other);
	teardown();
}

static void
count_event(void *arg, const struct template_event *event)
{
	unsigned *count = arg;

	count[event->outcome]++;
}

/* A peer that defines all ids, in two domains, and withdraws them. */
static void
test_all_ids(void)
{
	struct template_limits limits = {.max_templates = 70000};
	unsigned count[TEMPLATE_REFUSED + 1] = {0};
	uint8_t record[] = {0, 0, 0, 1, 0, 4, 0, 1};
	uint8_t all[] = {0, 2, 0, 0};

	setup_limits(&limits, 0, 1);
	for (uint32_t domain = 0; domain < 2; domain++)
		for (uint32_t id = 256; id <= 65535; id++) {
			wire_put16(record, (uint16_t)id);
			template_store_read(store, domain, 2, record,
					    sizeof(record), 0, 0, count_event,
					    count);
		}
	CU_ASSERT_EQUAL(count[TEMPLATE_NEW], 70000);
	CU_ASSERT_EQUAL(count[TEMPLATE_REFUSED], 2 * 65280 - 70000);
	for (uint32_t id = 256; id <= 65535; id++)
		CU_ASSERT_EQUAL(
			template_store_find(store, 0, (uint16_t)id, 0, 0)->id,
			id);
	template_store_read(store, 0, 2, all, sizeof(all), 0, 0, count_event,
			    count);
	CU_ASSERT_EQUAL(template_store_count(store), 70000 - 65280);
	template_store_read(store, 1, 2, all, sizeof(all), 0, 0, count_event,
			    count);
	CU_ASSERT_EQUAL(template_store_count(store), 0);
	CU_ASSERT_EQUAL(count[TEMPLATE_WITHDRAWN_ALL], 2);
	teardown();
}

static void
test_relearn(void)
{
	struct ie learnt = {.pen = 32473,
			    .id = 9,
			    .type = IE_UNSIGNED32,
			    .name = "acmeLoad"};
	const struct shape *before, *other;
	struct template *t;

	setup(false);
	templates("0100 0002 0004 0001 8009 0004 00007ed9"
		  "0101 0001 8009 0007 00007ed9"
		  "0102 0001 8008 0004 00007ed9");
	before = shape_of(256);
	other = shape_of(258);
	t = template_store_find(store, DOMAIN, 256, 0, 0);
	t->data_records = 3;
	CU_ASSERT(before->field[1].ie->unknown);
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	template_store_relearn(store);
	CU_ASSERT_PTR_NOT_EQUAL(shape_of(256), before);
	CU_ASSERT_STRING_EQUAL(shape_of(256)->field[1].ie->name, "acmeLoad");
	CU_ASSERT_EQUAL(t->data_records, 3);
	/* A length that the learnt type cannot have: octets it stays. */
	CU_ASSERT(shape_of(257)->field[0].ie->unknown);
	CU_ASSERT_STRING_EQUAL(templates("0101 0001 8009 0007 00007ed9"), "r");
	CU_ASSERT_PTR_EQUAL(shape_of(258), other);
	/* The refresh that follows is one. */
	CU_ASSERT_STRING_EQUAL(
		templates("0100 0002 0004 0001 8009 0004 00007ed9"), "r");
	teardown();
}

/* What our writer writes, our reader reads. */
static void
test_round_trip(void)
{
	struct message_reader reader;
	struct message_writer w;
	uint8_t buffer[512];
	struct set set;
	uint32_t length;

	setup(false);
	templates("0100 0003 0008 0004 8001 ffff 00007279 f123 0003 00003039"
		  "0101 0002 0008 0032 0001 0008");
	options("0102 0002 0001 0090 0004 0029 0008");
	message_begin(&w, buffer, sizeof(buffer), DOMAIN);
	for (uint16_t id = 256; id < 259; id++)
		CU_ASSERT_EQUAL(message_add_template(&w, id, shape_of(id)), 0);
	length = message_end(&w, 1);
	CU_ASSERT_EQUAL(message_open(&reader, buffer, length), 0);
	memset(outcomes, 0, sizeof(outcomes));
	while (message_next_set(&reader, &set))
		template_store_read(store, DOMAIN, set.id, set.content,
				    set.length, 0, 0, on_event, &outcomes);
	CU_ASSERT_STRING_EQUAL(outcomes, "rrr");
	teardown();
}

static const struct unit_test tests[] = {
	{"definitions", test_definitions},
	{"padding", test_padding},
	{"malformed records", test_malformed},
	{"a malformed redefinition drops", test_malformed_redefinition_drops},
	{"wrong lengths are carried as octets", test_wrong_lengths_are_octets},
	{"redefinition", test_redefinition},
	{"withdrawal", test_withdrawal},
	{"observation domains are apart", test_domains_are_apart},
	{"lifetimes over UDP", test_lifetimes},
	{"a limit of all stores", test_shared_limit},
	{"limits", test_limits},
	{"unknown elements have a bound", test_unknown_elements},
	{"a peer that uses all ids", test_all_ids},
	{"learnt elements get into shapes", test_relearn},
	{"written templates are read", test_round_trip},
};

int
main(void)
{
	return unit_run("template", tests, UNIT_COUNT(tests));
}
