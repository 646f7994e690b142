/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups: prefixes against a search of the whole list, networks files and
 * their mistakes, databases, and what records get. Where memory ends, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/mmdb.h"
#include "conflux/mediation.h"
#include "conflux/wire.h"
#include "lookup.h"
#include "nomem.h"
#include "prefixes.h"
#include "sink.h"
#include "unit.h"

enum { PEN = 32473, COUNTRY = 1, SITE = 2, RATIO = 3 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {
	.serial = 1, .exporter = {.version = 4, .bytes = {203, 0, 113, 9}}};
static char folder[] = "/tmp/lookup-test-XXXXXX";

static uint64_t
random_next(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* ---- prefixes ---------------------------------------------------------- */

static bool
holds(const struct prefix *prefix, const uint8_t *bytes)
{
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;

	if (memcmp(prefix->bytes, bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       (prefix->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

static uint32_t
slow_find(const struct prefix *list, uint32_t count, uint8_t version,
	  const uint8_t *bytes)
{
	const struct prefix *best = NULL;

	for (uint32_t i = 0; i < count; i++)
		if (list[i].version == version && holds(&list[i], bytes) &&
		    (!best || list[i].length > best->length))
			best = &list[i];
	return best ? best->value : PREFIXES_NONE;
}

static void
random_bytes(uint8_t bytes[16])
{
	/* Few different ones, so that prefixes lie within each other. */
	for (int i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(random_next() % 4 * 85);
}

static struct prefix
random_prefix(uint32_t n)
{
	struct prefix prefix = {.version = random_next() % 2 ? 4 : 6,
				.value = n + 1,
				.line = n};
	unsigned octets = prefix.version == 4 ? 4 : 16;

	random_bytes(prefix.bytes);
	prefix.length = (uint8_t)(random_next() % (8 * octets + 1));
	for (unsigned i = 0; i < 16; i++) {
		if (i >= octets || prefix.length <= 8 * i)
			prefix.bytes[i] = 0;
		else if (prefix.length < 8 * (i + 1))
			prefix.bytes[i] &=
				(uint8_t)(0xff00 >> (prefix.length - 8 * i));
	}
	return prefix;
}

static bool
listed(const struct prefix *list, uint32_t count, const struct prefix *prefix)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].version == prefix->version &&
		    list[i].length == prefix->length &&
		    memcmp(list[i].bytes, prefix->bytes, 16) == 0)
			return true;
	return false;
}

static void
compare_all(struct prefix *list, uint32_t count)
{
	struct prefixes *prefixes;
	uint32_t twice;
	uint8_t bytes[16];

	CU_ASSERT_EQUAL_FATAL(prefixes_new(list, count, &prefixes, &twice), 0);
	for (int i = 0; i < 300; i++) {
		random_bytes(bytes);
		/* Near to where one begins or ends. */
		if (count && i % 2) {
			memcpy(bytes, list[(uint32_t)i % count].bytes, 16);
			bytes[i % 16] ^= (uint8_t)(i % 3 - 1);
		}
		CU_ASSERT_EQUAL(prefixes_find4(prefixes, bytes),
				slow_find(list, count, 4, bytes));
		CU_ASSERT_EQUAL(prefixes_find6(prefixes, bytes),
				slow_find(list, count, 6, bytes));
	}
	prefixes_free(prefixes);
}

static void
test_prefixes(void)
{
	struct prefix list[64];

	for (unsigned turn = 0; turn < unit_turns(500); turn++) {
		uint32_t count = 0, wanted = (uint32_t)(random_next() % 64);

		while (count < wanted) {
			struct prefix prefix = random_prefix(count);

			if (!listed(list, count, &prefix))
				list[count++] = prefix;
			else
				wanted--;
		}
		compare_all(list, count);
	}
}

/* The last addresses, all of them, and one prefix twice. */
static void
test_prefix_ends(void)
{
	struct prefix list[] = {
		{.version = 4, .length = 0, .value = 1},
		{.version = 4,
		 .length = 32,
		 .bytes = {255, 255, 255, 255},
		 .value = 2},
		{.version = 6, .length = 0, .value = 3},
	};
	const uint8_t last[16] = {255, 255, 255, 255}, other[16] = {1};
	struct prefixes *prefixes;
	uint32_t twice;

	CU_ASSERT_EQUAL_FATAL(prefixes_new(list, 3, &prefixes, &twice), 0);
	CU_ASSERT_EQUAL(prefixes_find4(prefixes, last), 2);
	CU_ASSERT_EQUAL(prefixes_find4(prefixes, other), 1);
	CU_ASSERT_EQUAL(prefixes_find6(prefixes, last), 3);
	prefixes_free(prefixes);
	list[2] = list[0];
	CU_ASSERT_EQUAL(prefixes_new(list, 3, &prefixes, &twice), -EEXIST);
	CU_ASSERT_EQUAL(twice, 1);
	CU_ASSERT_EQUAL_FATAL(prefixes_new(NULL, 0, &prefixes, &twice), 0);
	CU_ASSERT_EQUAL(prefixes_find4(prefixes, last), PREFIXES_NONE);
	prefixes_free(prefixes);
}

/* ---- files ------------------------------------------------------------- */

static struct lookup_conf
conf_of(const char *path)
{
	struct lookup_conf conf = {
		.name = "where",
		.networks_path = path,
		.existing = LOOKUP_FILL,
		.registry = registry,
		.shapes = shapes,
		.value_count = 4,
		.value =
			{
				{LOOKUP_SOURCE,
				 ie_find(registry, 0, IE_bgpSourceAsNumber),
				 "as"},
				{LOOKUP_DESTINATION,
				 ie_find(registry, 0,
					 IE_bgpDestinationAsNumber),
				 "as"},
				{LOOKUP_SOURCE, ie_find(registry, PEN, COUNTRY),
				 "country"},
				{LOOKUP_DESTINATION,
				 ie_find(registry, PEN, SITE), "site"},
			},
	};

	return conf;
}

static const char networks_text[] =
	"# who is where\n"
	"prefix         site            as     country unused\n"
	"192.0.2.0/24   \"Berlin, \\\"N\\\"\"  64500  DE      x\n"
	"192.0.2.128/25 -               64501  -       x # within\n"
	"\t198.51.100.7 Paris - FR x\r\n"
	"\n"
	"2001:db8::/32  Wien            64502  AT      x\n"
	"0.0.0.0/0      -               -      -       x";

static const char *
in_folder(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CU_ASSERT_FATAL(file != NULL);
	fputs(text, file);
	fclose(file);
}

static void
expect_mistake(const char *text, const char *expected)
{
	struct lookup_conf conf = conf_of("net");
	struct networks *networks;
	char *error = NULL;

	CU_ASSERT_EQUAL(
		networks_parse(&conf, text, strlen(text), &networks, &error),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	if (strcmp(error, expected) != 0)
		printf("\n%s\n  instead of\n%s\n", error, expected);
	CU_ASSERT_STRING_EQUAL(error, expected);
	free(error);
}

#define COLUMNS "prefix as country site\n"

static void
test_mistakes(void)
{
	expect_mistake("", "net:1: there are no columns, expected a line that "
			   "begins with \"prefix\"");
	expect_mistake("10.0.0.0/8 1 DE x\n",
		       "net:1: expected the names of the columns first, of "
		       "which the first one is \"prefix\"");
	expect_mistake("prefix a country site\n",
		       "net:1: there is no column \"as\"\n"
		       "net:1: there is no column \"as\"");
	expect_mistake("prefix as county site\n",
		       "net:1: there is no column \"country\", nearest is "
		       "county");
	expect_mistake(
		COLUMNS "10.0.0.1/8 1 DE x\n"
			"10.0.0.0/33 1 DE x\n"
			"10.0.0/8 1 DE x\n"
			"2001:db8::1/64 1 DE x\n"
			"10.0.0.0/8 1 DE\n"
			"10.0.0.0/8 4294967296 DE x\n"
			"10.0.0.0/8 1 \"DE x\n",
		"net:2: 10.0.0.1/8 has bits behind its length, expected "
		"10.0.0.0/8\n"
		"net:3: \"33\" is no length of a prefix, expected 0 to 32\n"
		"net:4: \"10.0.0/8\" is no prefix, expected one as "
		"192.0.2.0/24 or 2001:db8::/32\n"
		"net:5: 2001:db8::1/64 has bits behind its length, expected "
		"2001:db8::/64\n"
		"net:6: 3 columns, expected 4\n"
		"net:7: as: \"4294967296\" is no value of bgpSourceAsNumber\n"
		"net:7: as: \"4294967296\" is no value of "
		"bgpDestinationAsNumber\n"
		"net:8: quotes that do not end");
	expect_mistake(COLUMNS "10.0.0.0/8 1 DE x\n"
			       "2001:db8::/32 1 DE x\n"
			       "10.0.0.0/8 2 DE x\n",
		       "net:4: this prefix is in line 2, too");
}

/* No more of them are told than anybody reads. */
static void
test_many_mistakes(void)
{
	struct lookup_conf conf = conf_of("net");
	struct text text = {0};
	struct networks *networks;
	char *error = NULL;
	unsigned lines = 1;

	text_add(&text, COLUMNS);
	for (int i = 0; i < 1000; i++)
		text_add(&text, "x 1 DE x\n");
	CU_ASSERT_EQUAL(networks_parse(&conf, text.data, text.length, &networks,
				       &error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	for (char *p = error; (p = strchr(p, '\n')); p++)
		lines++;
	CU_ASSERT_EQUAL(lines, 21);
	CU_ASSERT(strstr(error, "net: and 980 more mistakes") != NULL);
	free(error);
	text_fini(&text);
}

/* ---- records ----------------------------------------------------------- */

enum { RECORDS = 4 };

static struct seen {
	struct unit_sink sink;
	const struct shape *shape, *ended;
	unsigned records;
	uint8_t octets[RECORDS][512];
	uint32_t length[RECORDS];
} seen;

static void
seen_run(struct stage *stage, const struct batch *batch)
{
	shape_release(seen.shape);
	seen.shape = shape_hold(batch->shape);
	for (uint32_t i = 0; i < batch->count; i++) {
		unsigned n = seen.records++ % RECORDS;
		const uint8_t *p = batch_record(batch, i, &seen.length[n]);

		memcpy(seen.octets[n], p, seen.length[n]);
	}
}

static void
seen_template_end(struct stage *stage, const struct scope *ended,
		  const struct shape *shape)
{
	seen.ended = shape;
}

static const struct stage_ops seen_ops = {.run = seen_run,
					  .template_end = seen_template_end};

static void
seen_begin(struct stage *stage)
{
	seen.sink.stage.ops = &seen_ops;
	seen.records = 0;
	if (stage->next_count == 0)
		CU_ASSERT_EQUAL_FATAL(stage_link(stage, &seen.sink.stage), 0);
}

static uint64_t
seen_uint(unsigned record, uint32_t pen, uint16_t id)
{
	uint64_t value = UINT64_MAX;

	shape_uint(seen.shape, shape_find(seen.shape, pen, id, 0),
		   seen.octets[record], seen.length[record], &value);
	return value;
}

static void
expect_text(unsigned record, uint16_t id, const char *text)
{
	uint32_t length;
	const uint8_t *p =
		shape_field(seen.shape, shape_find(seen.shape, PEN, id, 0),
			    seen.octets[record], seen.length[record], &length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(length, strlen(text));
	CU_ASSERT(length == strlen(text) && memcmp(p, text, length) == 0);
}

/* Addresses, then a number. */
static struct batch
flows4(const uint8_t *octets, uint32_t count)
{
	static const struct shape *shape;
	struct field field[] = {
		{.ie = ie_find(registry, 0, IE_sourceIPv4Address), .length = 4},
		{.ie = ie_find(registry, 0, IE_destinationIPv4Address),
		 .length = 4},
		{.ie = ie_find(registry, 0, IE_packetDeltaCount), .length = 2},
	};
	struct batch batch = {
		.scope = &scope, .base = octets, .count = count, .stride = 10};

	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 3, 0, &shape), 0);
	batch.shape = shape;
	return batch;
}

static const uint8_t flow4[2][10] = {
	{192, 0, 2, 1, 198, 51, 100, 7, 1, 2},
	{192, 0, 2, 129, 10, 0, 0, 1, 3, 4},
};

static struct stage *
stage_of(const struct lookup_conf *conf)
{
	struct stage *stage = NULL;
	char *error;
	int rc = lookup_stage_new(conf, NULL, &stage, &error);

	if (rc < 0)
		printf("%s\n", error ? error : "no memory");
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	seen_begin(stage);
	return stage;
}

static void
run(struct stage *stage, const struct batch *batch)
{
	seen.records = 0;
	stage_run(stage, batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	shape_release(batch->shape);
}

static void
test_networks(void)
{
	char path[128];
	struct lookup_conf conf = conf_of(in_folder(path, "net"));
	struct batch batch = flows4(flow4[0], 2);
	struct stage *stage;

	write_file(path, networks_text);
	stage = stage_of(&conf);
	run(stage, &batch);
	CU_ASSERT_EQUAL(seen.records, 2);
	CU_ASSERT_EQUAL(seen.shape->count, 7);
	CU_ASSERT_EQUAL(memcmp(seen.octets[0], flow4[0], 10), 0);
	CU_ASSERT_EQUAL(memcmp(seen.octets[1], flow4[1], 10), 0);
	CU_ASSERT_EQUAL(seen_uint(0, 0, IE_bgpSourceAsNumber), 64500);
	CU_ASSERT_EQUAL(seen_uint(0, 0, IE_bgpDestinationAsNumber), 0);
	expect_text(0, COUNTRY, "DE");
	expect_text(0, SITE, "Paris");
	/* The longer prefix has no country. */
	CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpSourceAsNumber), 64501);
	CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpDestinationAsNumber), 0);
	expect_text(1, COUNTRY, "");
	expect_text(1, SITE, "");
	/* What is withdrawn is what was announced. */
	stage_template_end(stage, &scope, batch.shape);
	CU_ASSERT_PTR_EQUAL(seen.ended, seen.shape);
	stage_free(stage);
}

/* Both addresses in one record, variable fields, and what is there already. */
static void
test_fill(void)
{
	static const uint8_t record[] = {
		0,    0, 0,   0, /* no IPv4 */
		0x20, 1, 0xd, 0xb8, 0, 0, 0, 0,	  0,   0,
		0,    0, 0,   0,    0, 5, 2, 'e', '0', /* interface */
		0,    0,			       /* AS */
		9,    9,			       /* country */
	};
	struct field field[] = {
		{.ie = ie_find(registry, 0, IE_sourceIPv4Address), .length = 4},
		{.ie = ie_find(registry, 0, IE_sourceIPv6Address),
		 .length = 16},
		{.ie = ie_find(registry, 0, IE_interfaceName),
		 .length = IE_VARIABLE},
		{.ie = ie_find(registry, 0, IE_bgpSourceAsNumber), .length = 2},
		{.ie = ie_find(registry, PEN, COUNTRY), .length = 2},
	};
	uint32_t offset[] = {0, sizeof(record)};
	struct batch batch = {
		.scope = &scope, .base = record, .count = 1, .offset = offset};
	char path[128];
	struct lookup_conf conf = conf_of(in_folder(path, "net"));
	struct stage *stage;

	write_file(path, networks_text);
	for (int how = LOOKUP_KEEP; how <= LOOKUP_REPLACE; how++) {
		conf.existing = (enum lookup_existing)how;
		stage = stage_of(&conf);
		CU_ASSERT_EQUAL_FATAL(
			shape_get(shapes, field, 5, 0, &batch.shape), 0);
		run(stage, &batch);
		/* There is no destination, so nothing is told of it. */
		CU_ASSERT_EQUAL(seen.shape->count, 5);
		CU_ASSERT_EQUAL(seen_uint(0, 0, IE_bgpSourceAsNumber),
				how == LOOKUP_KEEP ? 0 : 64502);
		if (how == LOOKUP_REPLACE)
			expect_text(0, COUNTRY, "AT");
		else
			CU_ASSERT_EQUAL(seen_uint(0, PEN, COUNTRY), 0x0909);
		stage_free(stage);
	}
}

/* Options Data, records without addresses, and the exporter's. */
static void
test_others(void)
{
	static const uint8_t record[] = {0, 0, 0, 1, 0, 5};
	struct field field[] = {
		{.ie = ie_find(registry, 0, IE_observationDomainId),
		 .length = 4},
		{.ie = ie_find(registry, 0, IE_packetDeltaCount), .length = 2},
	};
	struct batch batch = {
		.scope = &scope, .base = record, .count = 1, .stride = 6};
	char path[128];
	struct lookup_conf conf = conf_of(in_folder(path, "net"));
	struct stage *stage;

	write_file(path, COLUMNS "203.0.113.0/24 1 X here\n");
	stage = stage_of(&conf);
	for (uint16_t scopes = 0; scopes < 2; scopes++) {
		CU_ASSERT_EQUAL_FATAL(
			shape_get(shapes, field, 2, scopes, &batch.shape), 0);
		run(stage, &batch);
		CU_ASSERT_EQUAL(seen.records, 1);
		CU_ASSERT_EQUAL(seen.shape->count, 2);
	}
	stage_free(stage);
	conf.value[0] = conf.value[3];
	conf.value[0].address = LOOKUP_EXPORTER;
	conf.value_count = 1;
	stage = stage_of(&conf);
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 0, &batch.shape), 0);
	run(stage, &batch);
	expect_text(0, SITE, "here");
	stage_free(stage);
}

/* What two threads share, and what they see of a new file and of a bad one. */
static void
test_reload(void)
{
	char path[128], *error = NULL;
	struct lookup_conf conf = conf_of(in_folder(path, "net"));
	struct batch batch = flows4(flow4[0], 2);
	struct stage *first, *second;

	write_file(path, networks_text);
	first = stage_of(&conf);
	CU_ASSERT_EQUAL_FATAL(lookup_stage_new(&conf, first, &second, &error),
			      0);
	write_file(path, COLUMNS "192.0.2.0/24 7 CH Bern\n");
	CU_ASSERT_EQUAL(first->ops->reload(first, &error), 1);
	run(first, &batch);
	CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpSourceAsNumber), 7);
	seen_begin(second);
	batch = flows4(flow4[0], 2);
	run(second, &batch);
	CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpSourceAsNumber), 64501);
	CU_ASSERT_EQUAL(second->ops->reload(second, &error), 1);
	write_file(path, COLUMNS "192.0.2.0 x CH Bern\n");
	CU_ASSERT_EQUAL(first->ops->reload(first, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(error);
	free(error);
	stage_free(first);
	batch = flows4(flow4[0], 2);
	run(second, &batch);
	CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpSourceAsNumber), 7);
	stage_free(second);
}

static void
test_no_file(void)
{
	struct lookup_conf conf = conf_of("/nonexistent/net");
	struct stage *stage;
	char *error;

	CU_ASSERT_EQUAL(lookup_stage_new(&conf, NULL, &stage, &error), -ENOENT);
	CU_ASSERT_STRING_EQUAL(error,
			       "/nonexistent/net: No such file or directory");
	free(error);
}

/* ---- databases --------------------------------------------------------- */

static void
add_pairs(struct mmdb_writer *writer, const char *prefix, unsigned length,
	  const char *a, const char *b, const char *c)
{
	char text[3][64], *pair[3] = {text[0], text[1], text[2]};
	struct addr addr;

	snprintf(text[0], 64, "%s", a);
	snprintf(text[1], 64, "%s", b);
	snprintf(text[2], 64, "%s", c);
	CU_ASSERT_EQUAL_FATAL(addr_parse(&addr, prefix, 0), 0);
	mmdb_add(writer, &addr, length, pair, 3);
}

static struct lookup_conf
database(char path[128])
{
	struct lookup_conf conf = conf_of(NULL);
	struct mmdb_writer writer = {0};

	add_pairs(&writer, "192.0.2.0", 24, "as.number=64500", "as.ratio=0.5",
		  "country.names.en=Germany");
	add_pairs(&writer, "192.0.2.128", 25, "as.number=AS64501",
		  "as.ratio=true", "country.names.en=17");
	add_pairs(&writer, "2001:db8::", 32, "as.number=5000000000",
		  "as.ratio=x", "country.names.en=Austria");
	conf.maxmind_path = in_folder(path, "db.mmdb");
	CU_ASSERT_EQUAL_FATAL(mmdb_write(&writer, path, "Test"), 0);
	conf.value_count = 3;
	conf.value[0].key = "as.number";
	conf.value[1] = conf.value[2];
	conf.value[1].key = "country.names.en";
	conf.value[2] = (struct lookup_value){
		LOOKUP_SOURCE, ie_find(registry, PEN, RATIO), "as.ratio"};
	return conf;
}

static void
test_database(void)
{
	char path[128];
	struct lookup_conf conf = database(path);
	struct batch batch;
	struct text text = {0};
	struct report report;
	struct stage *stage = stage_of(&conf);
	double half = 0.5;
	uint64_t bits;

	memcpy(&bits, &half, sizeof(bits));
	for (int turn = 0; turn < 3; turn++) {
		batch = flows4(flow4[0], 2);
		run(stage, &batch);
		CU_ASSERT_EQUAL(seen_uint(0, 0, IE_bgpSourceAsNumber), 64500);
		CU_ASSERT_EQUAL(seen_uint(0, PEN, RATIO), bits);
		expect_text(0, COUNTRY, "Germany");
		CU_ASSERT_EQUAL(seen_uint(1, 0, IE_bgpSourceAsNumber), 64501);
		CU_ASSERT_EQUAL(seen_uint(1, PEN, RATIO), 0);
		expect_text(1, COUNTRY, "17");
		if (turn == 1)
			CU_ASSERT_EQUAL(stage->ops->reload(stage, NULL), 1);
	}
	report_begin(&report, &text, false);
	stage->ops->report(stage, &report);
	report_end(&report);
	CU_ASSERT(strstr(text.data, "databaseType Test") != NULL);
	/* true is no number; once, and once more after the file was read. */
	CU_ASSERT(strstr(text.data, "valuesOfOtherType 2") != NULL);
	text_fini(&text);
	stage_free(stage);
}

/*
 * So many addresses that those that were found last give way to others: each
 * second network of 10.0.0.0/8 or 2001:db8::/32 has its number.
 */
static void
many_addresses(struct stage *stage, uint16_t id, const uint8_t *prefix,
	       uint16_t octets)
{
	uint8_t data[RECORDS * 16];
	struct field field = {.ie = ie_find(registry, 0, id),
			      .length = octets};
	struct batch batch = {.scope = &scope,
			      .base = data,
			      .count = RECORDS,
			      .stride = octets};
	uint8_t *network;
	uint32_t n;

	srand(3);
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, &field, 1, 0, &batch.shape), 0);
	for (int turn = 0; turn < 50000; turn++) {
		for (unsigned i = 0; i < RECORDS; i++) {
			/* Some come again at once, most later. */
			n = (uint32_t)rand() % (turn % 2 ? 100 : 200000);
			memcpy(data + i * octets, prefix, octets);
			network = data + i * octets + (octets == 4 ? 1 : 4);
			network[0] = (uint8_t)n;
			data[(i + 1) * octets - 2] = (uint8_t)(n >> 16);
			data[(i + 1) * octets - 1] = (uint8_t)(n >> 8);
		}
		seen.records = 0;
		stage_run(stage, &batch);
		for (unsigned i = 0; i < RECORDS; i++) {
			network = data + i * octets + (octets == 4 ? 1 : 4);
			CU_ASSERT_EQUAL(seen_uint(i, 0, IE_bgpSourceAsNumber),
					network[0] % 2 ? network[0] : 0u);
		}
	}
	shape_release(batch.shape);
}

static void
test_many_addresses(void)
{
	static const uint8_t ten[4] = {10};
	static const uint8_t documentation[16] = {0x20, 0x01, 0x0d, 0xb8};
	char path[128], prefix[32], number[32];
	struct mmdb_writer writer = {0};
	struct lookup_conf conf = conf_of(NULL);
	struct stage *stage;

	for (unsigned i = 1; i < 256; i += 2) {
		snprintf(number, sizeof(number), "as.number=%u", i);
		snprintf(prefix, sizeof(prefix), "10.%u.0.0", i);
		add_pairs(&writer, prefix, 16, number, "a=1", "b=1");
		snprintf(prefix, sizeof(prefix), "2001:db8:%x00::", i);
		add_pairs(&writer, prefix, 40, number, "a=1", "b=1");
	}
	CU_ASSERT_EQUAL_FATAL(mmdb_write(&writer, in_folder(path, "db.mmdb"),
					 "Test"),
			      0);
	conf.maxmind_path = path;
	conf.value_count = 1;
	conf.value[0].key = "as.number";
	stage = stage_of(&conf);
	many_addresses(stage, IE_sourceIPv4Address, ten, 4);
	many_addresses(stage, IE_sourceIPv6Address, documentation, 16);
	stage_free(stage);
}

static void
expect_refused(struct lookup_conf *conf, const char *expected)
{
	struct stage *stage;
	char *error;

	CU_ASSERT(lookup_stage_new(conf, NULL, &stage, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	CU_ASSERT(strstr(error, expected) != NULL);
	free(error);
}

static void
test_bad_database(void)
{
	char path[128];
	struct lookup_conf conf = database(path);

	conf.value[0].key = "as..number";
	expect_refused(&conf, "\"as..number\" is no way into a database");
	conf.value[0].key = "as";
	write_file(path, "no database");
	expect_refused(&conf, "db.mmdb: ");
	conf.maxmind_path = "/nonexistent.mmdb";
	expect_refused(&conf, "/nonexistent.mmdb: ");
}

/* ---- memory ------------------------------------------------------------ */

/* As far as it goes. */
static int
make_and_run(const struct lookup_conf *conf, const struct batch *batch)
{
	struct stage *stage;
	char *error;
	int rc = lookup_stage_new(conf, NULL, &stage, &error);

	if (rc < 0) {
		free(error);
		return rc;
	}
	rc = stage_link(stage, &seen.sink.stage);
	stage_run(stage, batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	if (stage->ledger.lost[LOSS_NO_MEMORY])
		rc = -ENOMEM;
	stage_free(stage);
	return rc;
}

static void
test_nomem(void)
{
	char path[128], db[128];
	struct lookup_conf conf[] = {conf_of(in_folder(path, "net")),
				     database(db)};
	struct batch batch = flows4(flow4[0], 2);
	int rc = 0;

	conf[1].networks_path = NULL;
	write_file(path, networks_text);
	for (int i = 0; i < 2; i++) {
		for (unsigned n = 1;; n++) {
			nomem_begin(n);
			rc = make_and_run(&conf[i], &batch);
			if (!nomem_end())
				break;
			CU_ASSERT(rc == -ENOMEM || i == 1);
		}
		CU_ASSERT_EQUAL(rc, 0);
	}
	shape_release(batch.shape);
}

static void
test_warm(void)
{
	char path[128], db[128];
	struct lookup_conf conf[] = {conf_of(in_folder(path, "net")),
				     database(db)};
	struct batch batch = flows4(flow4[0], 2);

	write_file(path, networks_text);
	for (int i = 0; i < 2; i++) {
		struct stage *stage = stage_of(&conf[i]);
		unsigned calls;

		stage_run(stage, &batch);
		calls = nomem_calls;
		for (int turn = 0; turn < 1000; turn++)
			stage_run(stage, &batch);
		CU_ASSERT_EQUAL(nomem_calls, calls);
		CU_ASSERT_EQUAL(stage->ledger.exported, 2002);
		stage_free(stage);
	}
	shape_release(batch.shape);
}

static void
add_element(uint16_t id, uint8_t type, const char *name)
{
	struct ie ie = {.pen = PEN, .id = id, .type = type, .name = name};

	if (ie_add(registry, &ie) < 0)
		abort();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"prefixes", test_prefixes},
		{"ends of prefixes", test_prefix_ends},
		{"mistakes in a file", test_mistakes},
		{"many mistakes", test_many_mistakes},
		{"networks", test_networks},
		{"values that are there", test_fill},
		{"other records", test_others},
		{"a file read again", test_reload},
		{"no file", test_no_file},
		{"database", test_database},
		{"more addresses than are kept", test_many_addresses},
		{"bad database", test_bad_database},
		{"no memory", test_nomem},
		{"warm", test_warm},
	};
	char path[128];
	int rc;

	if (!mkdtemp(folder))
		return 1;
	registry = ie_registry_new(64);
	shapes = shape_table_new(64);
	add_element(COUNTRY, IE_STRING, "country");
	add_element(SITE, IE_STRING, "site");
	add_element(RATIO, IE_FLOAT64, "ratio");
	rc = unit_run("lookup", tests, UNIT_COUNT(tests));
	shape_release(seen.shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	unlink(in_folder(path, "net"));
	unlink(in_folder(path, "db.mmdb"));
	rmdir(folder);
	return rc;
}
