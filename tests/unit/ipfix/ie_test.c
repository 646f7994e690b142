/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "unit.h"

#define NAMED(name)              \
	{                        \
		IE_##name, #name \
	}

/* Every number that ie.h gives a name must be that of the table. */
static void
test_ids_of_the_header(void)
{
	static const struct {
		uint16_t id;
		const char *name;
	} named[] = {
		NAMED(octetDeltaCount),
		NAMED(packetDeltaCount),
		NAMED(deltaFlowCount),
		NAMED(protocolIdentifier),
		NAMED(ipClassOfService),
		NAMED(tcpControlBits),
		NAMED(sourceTransportPort),
		NAMED(sourceIPv4Address),
		NAMED(sourceIPv4PrefixLength),
		NAMED(ingressInterface),
		NAMED(destinationTransportPort),
		NAMED(destinationIPv4Address),
		NAMED(destinationIPv4PrefixLength),
		NAMED(egressInterface),
		NAMED(flowEndSysUpTime),
		NAMED(flowStartSysUpTime),
		NAMED(sourceIPv6Address),
		NAMED(destinationIPv6Address),
		NAMED(sourceIPv6PrefixLength),
		NAMED(destinationIPv6PrefixLength),
		NAMED(samplingInterval),
		NAMED(exportedMessageTotalCount),
		NAMED(exportedFlowRecordTotalCount),
		NAMED(sourceIPv4Prefix),
		NAMED(destinationIPv4Prefix),
		NAMED(sourceMacAddress),
		NAMED(ipVersion),
		NAMED(destinationMacAddress),
		NAMED(interfaceName),
		NAMED(octetTotalCount),
		NAMED(packetTotalCount),
		NAMED(exporterIPv4Address),
		NAMED(exporterIPv6Address),
		NAMED(flowEndReason),
		NAMED(observationPointId),
		NAMED(meteringProcessId),
		NAMED(exportingProcessId),
		NAMED(templateId),
		NAMED(flowId),
		NAMED(observationDomainId),
		NAMED(flowStartSeconds),
		NAMED(flowEndSeconds),
		NAMED(flowStartMilliseconds),
		NAMED(flowEndMilliseconds),
		NAMED(flowStartMicroseconds),
		NAMED(flowEndMicroseconds),
		NAMED(flowStartNanoseconds),
		NAMED(flowEndNanoseconds),
		NAMED(flowStartDeltaMicroseconds),
		NAMED(flowEndDeltaMicroseconds),
		NAMED(systemInitTimeMilliseconds),
		NAMED(flowDurationMilliseconds),
		NAMED(flowDurationMicroseconds),
		NAMED(ignoredPacketTotalCount),
		NAMED(notSentFlowTotalCount),
		NAMED(notSentPacketTotalCount),
		NAMED(notSentOctetTotalCount),
		NAMED(sourceIPv6Prefix),
		NAMED(destinationIPv6Prefix),
		NAMED(flowKeyIndicator),
		NAMED(paddingOctets),
		NAMED(collectorIPv4Address),
		NAMED(collectorIPv6Address),
		NAMED(collectorTransportPort),
		NAMED(exporterTransportPort),
		NAMED(biflowDirection),
		NAMED(collectionTimeMilliseconds),
		NAMED(basicList),
		NAMED(subTemplateList),
		NAMED(subTemplateMultiList),
		NAMED(selectorId),
		NAMED(informationElementId),
		NAMED(selectorAlgorithm),
		NAMED(samplingPacketInterval),
		NAMED(samplingPacketSpace),
		NAMED(informationElementDataType),
		NAMED(informationElementDescription),
		NAMED(informationElementName),
		NAMED(informationElementRangeBegin),
		NAMED(informationElementRangeEnd),
		NAMED(informationElementSemantics),
		NAMED(informationElementUnits),
		NAMED(privateEnterpriseNumber),
		NAMED(layer2OctetDeltaCount),
		NAMED(layer2OctetTotalCount),
		NAMED(originalExporterIPv4Address),
		NAMED(originalExporterIPv6Address),
		NAMED(originalObservationDomainId),
	};
	struct ie_registry *registry = ie_registry_new(0);

	CU_ASSERT(sizeof(named) / sizeof(named[0]) > 80);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		const struct ie *ie = ie_by_name(registry, named[i].name);

		CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
		CU_ASSERT_EQUAL(ie->id, named[i].id);
		CU_ASSERT_EQUAL(ie->pen, 0);
		CU_ASSERT_PTR_EQUAL(ie_find(registry, 0, ie->id), ie);
	}
	ie_registry_free(registry);
}

static void
test_reverse_elements(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	const struct ie *forward = ie_find(registry, 0, IE_octetDeltaCount);
	const struct ie *ie =
		ie_find(registry, IE_PEN_REVERSE, IE_octetDeltaCount);
	uint32_t at = 0, twins = 0, iana = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_PTR_EQUAL(ie->forward, forward);
	CU_ASSERT_PTR_NULL(forward->forward);
	CU_ASSERT_STRING_EQUAL(ie->name, "reverseOctetDeltaCount");
	CU_ASSERT_EQUAL(ie->type, IE_UNSIGNED64);
	CU_ASSERT_EQUAL(ie->semantics, IE_DELTA_COUNTER);
	CU_ASSERT_EQUAL(ie->pen, IE_PEN_REVERSE);
	CU_ASSERT_PTR_EQUAL(ie_by_name(registry, ie->name), ie);
	/* RFC 5103 section 6.1: what describes no flow has no reverse. */
	CU_ASSERT_PTR_NULL(ie_find(registry, IE_PEN_REVERSE, IE_flowId));
	CU_ASSERT_PTR_NULL(
		ie_find(registry, IE_PEN_REVERSE, IE_biflowDirection));
	while ((ie = ie_next(registry, &at))) {
		twins += ie->pen == IE_PEN_REVERSE;
		iana += ie->pen == 0;
	}
	CU_ASSERT_EQUAL(iana, 502);
	CU_ASSERT_EQUAL(twins, 477);
	ie_registry_free(registry);
}

static void
test_unknown_elements_are_bounded(void)
{
	struct ie_registry *registry = ie_registry_new(3);
	const struct ie *ie = ie_get(registry, 12345, 678);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT(ie->unknown);
	CU_ASSERT_EQUAL(ie->type, IE_OCTET_ARRAY);
	CU_ASSERT_STRING_EQUAL(ie->name, "e12345id678");
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 12345, 678), ie);
	CU_ASSERT_PTR_NULL(ie_find(registry, 12345, 678));
	/* 0 is reserved, 105 belongs to NetFlow: neither has a type. */
	CU_ASSERT_PTR_NOT_NULL(ie_get(registry, 0, 0));
	CU_ASSERT_PTR_NOT_NULL(ie_get(registry, 0, 105));
	CU_ASSERT_PTR_NULL(ie_get(registry, 0, 106));
	CU_ASSERT_PTR_NULL(ie_get(registry, UINT32_MAX, UINT16_MAX));
	CU_ASSERT_PTR_NOT_NULL(ie_get(registry, 12345, 678));
	CU_ASSERT_PTR_NOT_NULL(ie_get(registry, 0, 1));
	ie_registry_free(registry);
}

/* What a peer names: nameless if unknown, or if the length is wrong. */
static void
test_met_elements(void)
{
	struct ie_registry *registry = ie_registry_new(3);
	const struct ie *known = ie_find(registry, 0, IE_sourceIPv4Address);
	const struct ie *ie = ie_meet(registry, 0, IE_sourceIPv4Address, 50);
	const struct ie *unknown = ie_meet(registry, 9, 1, 50);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_PTR_NOT_EQUAL(ie, known);
	CU_ASSERT(ie->unknown);
	CU_ASSERT_EQUAL(ie->id, IE_sourceIPv4Address);
	CU_ASSERT_PTR_EQUAL(ie_meet(registry, 0, IE_sourceIPv4Address, 50), ie);
	CU_ASSERT_PTR_EQUAL(ie_meet(registry, 0, IE_sourceIPv4Address, 4),
			    known);
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 0, IE_sourceIPv4Address), known);
	CU_ASSERT_PTR_NOT_NULL_FATAL(unknown);
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 9, 1), unknown);
	ie_registry_free(registry);
}

/* Nameless elements that nobody holds make room for others. */
static void
test_reclaimed_elements(void)
{
	enum { MANY = 100 };
	struct ie_registry *registry = ie_registry_new(MANY);
	const struct ie *met[MANY], *kept, *pinned;
	struct ie learnt = {.pen = 2, .id = 1, .type = 1, .name = "x"};

	pinned = ie_get(registry, 1, 0);
	kept = ie_hold(ie_meet(registry, 1, 1, 4));
	ie_release(kept);
	for (uint16_t i = 2; i < MANY; i++)
		CU_ASSERT_PTR_NOT_NULL(met[i] = ie_meet(registry, 1, i, 4));
	CU_ASSERT_PTR_NULL(ie_meet(registry, 2, 1, 4));
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -ENOSPC);
	ie_release(met[2]); /* one is not worth the walk */
	CU_ASSERT_PTR_NULL(ie_meet(registry, 2, 1, 4));
	for (uint16_t i = 3; i < MANY; i++)
		ie_release(met[i]);
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 1, 0), pinned);
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 1, 1), kept);
	for (uint16_t i = 0; i < MANY - 3; i++)
		CU_ASSERT_PTR_NOT_NULL(ie_meet(registry, 3, i, 4));
	CU_ASSERT_PTR_NULL(ie_meet(registry, 3, MANY, 4));
	ie_registry_free(registry);
}

static void
test_learnt_elements(void)
{
	struct ie_registry *registry = ie_registry_new(6);
	char name[] = "acmeTemperature", description[] = "how hot it is";
	struct ie learnt = {
		.pen = 32473,
		.id = 7,
		.type = IE_SIGNED32,
		.semantics = IE_QUANTITY,
		.name = name,
		.description = description,
	};
	const struct ie *unknown = ie_get(registry, 32473, 7), *ie;

	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	name[0] = description[0] = 'X';
	ie = ie_find(registry, 32473, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_STRING_EQUAL(ie->name, "acmeTemperature");
	CU_ASSERT_STRING_EQUAL(ie->description, "how hot it is");
	CU_ASSERT_EQUAL(ie->length, 4);
	CU_ASSERT_FALSE(ie->unknown);
	CU_ASSERT_PTR_EQUAL(ie_by_name(registry, "acmeTemperature"), ie);
	CU_ASSERT_STRING_EQUAL(unknown->name, "e32473id7"); /* still there */
	CU_ASSERT_PTR_EQUAL(ie_get(registry, 32473, 7), ie);

	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	learnt.type = IE_STRING;
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -EEXIST);
	learnt = (struct ie){.id = 1, .type = IE_STRING, .name = "x"};
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -EEXIST);
	learnt.id = 30000;
	learnt.type = 24;
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -EINVAL);
	learnt.type = IE_STRING;
	learnt.name = "";
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -EINVAL);

	/* A name that is taken: the element is there, the name stays. */
	learnt.name = "octetDeltaCount";
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	CU_ASSERT_EQUAL(ie_by_name(registry, "octetDeltaCount")->id, 1);

	/* A new element of IANA has a twin. */
	learnt = (struct ie){.id = 30001,
			     .type = IE_UNSIGNED8,
			     .reversible = true,
			     .name = "newThing"};
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	ie = ie_by_name(registry, "reverseNewThing");
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_EQUAL(ie->pen, IE_PEN_REVERSE);
	CU_ASSERT_PTR_EQUAL(ie->forward, ie_find(registry, 0, 30001));
	learnt.pen = 9;
	learnt.name = "a";
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), 0);
	learnt.pen = 10;
	CU_ASSERT_EQUAL(ie_add(registry, &learnt), -ENOSPC);
	ie_registry_free(registry);
}

static void
test_learnt_are_bounded(void)
{
	struct ie_registry *registry = ie_registry_new(100);
	struct ie ie = {.pen = 9, .id = 1, .type = 1, .name = "a"};

	ie_registry_set_learnt_max(registry, 2);
	CU_ASSERT_EQUAL(ie_learn(registry, &ie), 0);
	CU_ASSERT_EQUAL(ie_learn(registry, &ie), 0);
	ie.id = 2;
	CU_ASSERT_EQUAL(ie_learn(registry, &ie), 0);
	ie.id = 3;
	CU_ASSERT_EQUAL(ie_learn(registry, &ie), -ENOSPC);
	ie.id = 2;
	CU_ASSERT_EQUAL(ie_learn(registry, &ie), 0);
	ie.id = 3;
	CU_ASSERT_EQUAL(ie_add(registry, &ie), 0);
	ie_registry_free(registry);
}

static void
test_many_added(void)
{
	enum { MANY = 3000 };
	struct ie_registry *registry = ie_registry_new(2 * MANY);
	uint32_t at = 0, count = 0;
	const struct ie *ie;

	for (uint32_t i = 0; i < MANY; i++)
		CU_ASSERT_PTR_NOT_NULL(
			ie_get(registry, i % 7 + 1, (uint16_t)i));
	for (uint32_t i = 0; i < MANY; i++) {
		char name[16];
		struct ie add = {
			.pen = i % 7 + 1,
			.id = (uint16_t)i,
			.type = IE_STRING,
			.name = name,
		};

		snprintf(name, sizeof(name), "n%" PRIu32, i);
		CU_ASSERT_EQUAL(ie_add(registry, &add), 0);
		CU_ASSERT_PTR_EQUAL(ie_by_name(registry, name),
				    ie_find(registry, add.pen, add.id));
	}
	while ((ie = ie_next(registry, &at)))
		count += ie->pen > 0 && ie->pen < 8;
	CU_ASSERT_EQUAL(count, MANY);
	ie_registry_free(registry);
}

static void
test_names(void)
{
	CU_ASSERT_STRING_EQUAL(ie_type_name(IE_UNSIGNED64), "unsigned64");
	CU_ASSERT_STRING_EQUAL(ie_type_name(IE_SUB_TEMPLATE_MULTI_LIST),
			       "subTemplateMultiList");
	CU_ASSERT_STRING_EQUAL(ie_type_name(24), "unassigned");
	CU_ASSERT_STRING_EQUAL(ie_semantics_name(IE_DEFAULT), "default");
	CU_ASSERT_STRING_EQUAL(ie_semantics_name(9), "unassigned");
	CU_ASSERT_STRING_EQUAL(ie_units_name(0), "");
	CU_ASSERT_STRING_EQUAL(ie_units_name(9), "4-octet words");
	CU_ASSERT_STRING_EQUAL(ie_units_name(200), "");
	for (uint8_t i = 0; i <= IE_UNSIGNED256; i++)
		CU_ASSERT_EQUAL(ie_type_parse(ie_type_name(i)), i);
	for (uint8_t i = 0; i <= IE_SNMP_GAUGE; i++)
		CU_ASSERT_EQUAL(ie_semantics_parse(ie_semantics_name(i)), i);
	for (uint8_t i = 0; i <= 15; i++)
		CU_ASSERT_EQUAL(ie_units_parse(ie_units_name(i)), i);
	CU_ASSERT_EQUAL(ie_units_parse("none"), 0);
	CU_ASSERT_EQUAL(ie_type_parse("unsigned128"), -EINVAL);
	CU_ASSERT_EQUAL(ie_semantics_parse(""), -EINVAL);
	CU_ASSERT_EQUAL(ie_units_parse("octet"), -EINVAL);
	CU_ASSERT_EQUAL(ie_type_length(IE_UNSIGNED256), 32);
	CU_ASSERT_EQUAL(ie_type_length(IE_MAC_ADDRESS), 6);
	CU_ASSERT_EQUAL(ie_type_length(IE_STRING), IE_VARIABLE);
	CU_ASSERT_EQUAL(ie_type_length(99), IE_VARIABLE);
}

static void
test_nearest_names(void)
{
	static const char *const pairs[][2] = {
		{"sourceIpv4Adress", "sourceIPv4Address"},
		{"octetdeltacount", "octetDeltaCount"},
		{"packetsDeltaCount", "packetDeltaCount"},
		{"reverseOctetDelatCount", "reverseOctetDeltaCount"},
		{"flowStartMiliseconds", "flowStartMilliseconds"},
		{"protocolIdentifer", "protocolIdentifier"},
	};
	struct ie_registry *registry = ie_registry_new(0);
	char longest[4000];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *name = ie_nearest_name(registry, pairs[i][0]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(name);
		CU_ASSERT_STRING_EQUAL(name, pairs[i][1]);
	}
	CU_ASSERT_PTR_NULL(ie_nearest_name(registry, "zzzzzzzzzzzzzzz"));
	CU_ASSERT_PTR_NULL(ie_nearest_name(registry, ""));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	CU_ASSERT_PTR_NULL(ie_nearest_name(registry, longest));
	ie_registry_free(registry);
}

static bool
length_ok(uint8_t type, uint16_t length)
{
	struct ie ie = {.type = type, .length = ie_type_length(type)};

	return ie_length_ok(&ie, length);
}

static void
test_lengths(void)
{
	static const struct {
		uint8_t type;
		const char *good; /* of 0 to 9 octets */
	} cases[] = {
		{IE_OCTET_ARRAY, "0123456789"},
		{IE_STRING, "0123456789"},
		{IE_UNSIGNED8, "1"},
		{IE_UNSIGNED16, "12"},
		{IE_UNSIGNED32, "1234"},
		{IE_UNSIGNED64, "12345678"},
		{IE_SIGNED8, "1"},
		{IE_SIGNED16, "12"},
		{IE_SIGNED32, "1234"},
		{IE_SIGNED64, "12345678"},
		{IE_FLOAT32, "4"},
		{IE_FLOAT64, "48"},
		{IE_BOOLEAN, "1"},
		{IE_MAC_ADDRESS, "6"},
		{IE_DATE_TIME_SECONDS, "4"},
		{IE_DATE_TIME_MILLISECONDS, "8"},
		{IE_DATE_TIME_MICROSECONDS, "8"},
		{IE_DATE_TIME_NANOSECONDS, "8"},
		{IE_IPV4_ADDRESS, "4"},
		{IE_IPV6_ADDRESS, ""},
		{IE_BASIC_LIST, "123456789"},
		{IE_SUB_TEMPLATE_LIST, "123456789"},
		{IE_SUB_TEMPLATE_MULTI_LIST, "123456789"},
		{IE_UNSIGNED256, "123456789"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint16_t n = 0; n < 10; n++)
			CU_ASSERT_EQUAL(length_ok(cases[i].type, n),
					strchr(cases[i].good, '0' + n) != NULL);
	CU_ASSERT(length_ok(IE_IPV6_ADDRESS, 16));
	CU_ASSERT(length_ok(IE_UNSIGNED256, 32));
	CU_ASSERT_FALSE(length_ok(IE_UNSIGNED256, 33));
	CU_ASSERT_FALSE(length_ok(IE_IPV4_ADDRESS, 50));
	for (uint8_t type = 0; type <= IE_UNSIGNED256; type++)
		CU_ASSERT_EQUAL(length_ok(type, IE_VARIABLE),
				ie_type_length(type) == IE_VARIABLE);
}

/* One line of the facts; strsep because fields may be empty. */
static void
check_line(const struct ie_registry *registry, char *line)
{
	char *column[8];
	const struct ie *ie;
	char range[48] = "";

	for (int i = 0; i < 8; i++)
		column[i] = strsep(&line, ",");
	ie = ie_find(registry, 0, (uint16_t)atoi(column[0]));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_STRING_EQUAL(ie->name, column[1]);
	CU_ASSERT_STRING_EQUAL(ie_type_name(ie->type), column[2]);
	CU_ASSERT_EQUAL(ie->length, ie_type_length(ie->type));
	CU_ASSERT_STRING_EQUAL(ie_semantics_name(ie->semantics),
			       *column[3] ? column[3] : "default");
	CU_ASSERT_EQUAL(ie->deprecated, strcmp(column[4], "deprecated") == 0);
	CU_ASSERT_STRING_EQUAL(ie_units_name(ie->units), column[5]);
	if (strncmp(strchr(column[6], '-') ? column[6] : "", "0-0x", 4) == 0)
		snprintf(range, sizeof(range), "%" PRIu64 "-0x%" PRIX64,
			 ie->range_min, ie->range_max);
	else if (*column[6])
		snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64,
			 ie->range_min, ie->range_max);
	CU_ASSERT_STRING_EQUAL(range, column[6]);
	CU_ASSERT_EQUAL(ie->reversible, strcmp(column[7], "yes") == 0);
}

static void
test_against_the_facts(void)
{
	const char *srcdir = getenv("srcdir");
	struct ie_registry *registry;
	char path[4096], line[1024];
	unsigned lines = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/../shared/reference/iana-ipfix.csv",
		 srcdir ? srcdir : ".");
	file = fopen(path, "r");
	if (!file) {
		printf("(skipped, there is no %s) ", path);
		return;
	}
	registry = ie_registry_new(0);
	if (fgets(line, sizeof(line), file))
		while (fgets(line, sizeof(line), file)) {
			check_line(registry, line);
			lines++;
		}
	CU_ASSERT_EQUAL(lines, 502);
	fclose(file);
	ie_registry_free(registry);
}

static const struct unit_test tests[] = {
	{"ids of the header are those of the table", test_ids_of_the_header},
	{"reversible elements have twins", test_reverse_elements},
	{"unknown elements are bounded", test_unknown_elements_are_bounded},
	{"elements that a peer names", test_met_elements},
	{"elements that nobody holds make room", test_reclaimed_elements},
	{"elements can be learnt", test_learnt_elements},
	{"learnt elements are bounded", test_learnt_are_bounded},
	{"many elements added", test_many_added},
	{"names of types, semantics and units", test_names},
	{"nearest names", test_nearest_names},
	{"lengths that a field may have", test_lengths},
	{"the table agrees with the facts", test_against_the_facts},
};

int
main(void)
{
	return unit_run("ie", tests, UNIT_COUNT(tests));
}
