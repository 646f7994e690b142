/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/element_file.h"
#include "unit.h"

#define OPEN "<elements xmlns='urn:conflux:elements:1'>\n"
#define CLOSE "</elements>\n"

static void
test_adds(void)
{
	static const char document[] =
		"<?xml version='1.0'?>\n"
		"<e:elements xmlns:e='urn:conflux:elements:1'>\n"
		"<!-- of our own -->\n"
		"<e:element pen='32473' id='1' name='acmeLoad' "
		"type='unsigned32' semantics='quantity' units='4-octet words' "
		"range='1-0xFf' status='deprecated' "
		"description='how much &lt;it> carries'/>\n"
		"<e:element id='32000' name='newCount' type='unsigned64' "
		"semantics='deltaCounter'/>\n"
		"<e:element id='32001' name='flat' type='string' "
		"reversible='no'/>\n"
		"<e:element id='1' name='octetDeltaCount' type='unsigned64'/>\n"
		"</e:elements>\n";
	struct ie_registry *registry = ie_registry_new(10);
	struct text errors = {0};
	const struct ie *ie;

	CU_ASSERT_EQUAL(element_file_parse(registry, document, strlen(document),
					   "f.xml", &errors),
			0);
	CU_ASSERT_EQUAL(errors.length, 0);
	ie = ie_find(registry, 32473, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_STRING_EQUAL(ie->name, "acmeLoad");
	CU_ASSERT_STRING_EQUAL(ie->description, "how much <it> carries");
	CU_ASSERT_EQUAL(ie->type, IE_UNSIGNED32);
	CU_ASSERT_EQUAL(ie->semantics, IE_QUANTITY);
	CU_ASSERT_EQUAL(ie->units, 9);
	CU_ASSERT_EQUAL(ie->range_min, 1);
	CU_ASSERT_EQUAL(ie->range_max, 255);
	CU_ASSERT(ie->deprecated);
	CU_ASSERT_FALSE(ie->reversible);
	CU_ASSERT_PTR_NOT_NULL(ie_by_name(registry, "reverseNewCount"));
	CU_ASSERT_PTR_NULL(ie_by_name(registry, "reverseFlat"));
	/* A second time: all known, nothing changes. */
	CU_ASSERT_EQUAL(element_file_parse(registry, document, strlen(document),
					   "f.xml", &errors),
			0);
	CU_ASSERT_PTR_EQUAL(ie_find(registry, 32473, 1), ie);
	text_fini(&errors);
	ie_registry_free(registry);
}

static void
refused(const char *document, const char *expected)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct text errors = {0};

	CU_ASSERT_EQUAL(element_file_parse(registry, document, strlen(document),
					   "f.xml", &errors),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(errors.data);
	if (strstr(errors.data, expected) == NULL)
		printf("\n%s, wanted: %s\n", errors.data, expected);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.data, expected));
	CU_ASSERT_EQUAL(strncmp(errors.data, "f.xml:", 6), 0);
	CU_ASSERT_EQUAL(errors.data[errors.length - 1], '\n');
	CU_ASSERT_PTR_NULL(ie_find(registry, 32473, 1));
	text_fini(&errors);
	ie_registry_free(registry);
}

static void
test_refuses(void)
{
	static const struct {
		const char *attributes;
		const char *expected;
	} cases[] = {
		{"pen='9' name='a' type='string'",
		 "f.xml:3: element: has no attribute \"id\"\n"},
		{"pen='9' id='2' type='string'", "has no attribute \"name\""},
		{"pen='9' id='2' name='a'", "has no attribute \"type\""},
		{"pen='9' id='0' name='a' type='string'",
		 "id \"0\" is wrong, expected a number from 1 to 32767"},
		{"pen='9' id='32768' name='a' type='string'", "id \"32768\""},
		{"pen='9' id='' name='a' type='string'", "id \"\""},
		{"pen='9' id='1x' name='a' type='string'", "id \"1x\""},
		{"pen='4294967296' id='1' name='a' type='string'",
		 "expected a number from 0 to 4294967295"},
		{"pen='-1' id='1' name='a' type='string'", "pen \"-1\""},
		{"pen='9' id='2' name='a b' type='string'", "name \"a b\""},
		{"pen='9' id='2' name='' type='string'", "name \"\""},
		{"pen='9' id='2' name='a' type='unsinged32'",
		 "type \"unsinged32\" is not known, did you mean "
		 "\"unsigned32\"?"},
		{"pen='9' id='2' name='a' type='qqqqqqqqqqqq'",
		 "type \"qqqqqqqqqqqq\" is not known\n"},
		{"pen='9' id='2' name='a' type='string' semantics='counter'",
		 "semantics \"counter\" is not known"},
		{"pen='9' id='2' name='a' type='string' units='octet'",
		 "did you mean \"octets\"?"},
		{"pen='9' id='2' name='a' type='string' range='5'",
		 "range \"5\" is wrong"},
		{"pen='9' id='2' name='a' type='string' range='5-4'", "range"},
		{"pen='9' id='2' name='a' type='string' range='0-0x'", "range"},
		{"pen='9' id='2' name='a' type='string' status='old'",
		 "status \"old\" is wrong, expected \"current\" or "
		 "\"deprecated\""},
		{"pen='9' id='2' name='a' type='string' reversible='1'",
		 "expected \"yes\" or \"no\""},
		{"pen='9' id='2' name='a' type='string' unit='bits'",
		 "attribute \"unit\" is not known, did you mean \"units\"?"},
		{"id='1' name='a' type='string'",
		 "id 1 of pen 0 is octetDeltaCount of type unsigned64 already"},
		{"pen='9' id='2' name='octetDeltaCount' type='string'",
		 "name \"octetDeltaCount\" is that of id 1 of pen 0 already"},
		{"pen='32473' id='1' name='a' type='string'",
		 "id 1 of pen 32473 is in line 2 too"},
		{"pen='9' id='2' name='good' type='string'",
		 "name \"good\" is in line 2 too"},
	};
	char document[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(document, sizeof(document),
			 OPEN "<element pen='32473' id='1' name='good' "
			      "type='string'/>\n<element %s/>\n" CLOSE,
			 cases[i].attributes);
		refused(document, cases[i].expected);
	}
}

static void
test_refuses_documents(void)
{
	refused("", "f.xml:");
	refused("<elements", "f.xml:1: XML: ");
	refused(OPEN, "f.xml:2: XML: ");
	refused("<elements/>", "expected \"elements\" in namespace "
			       "urn:conflux:elements:1");
	refused("<a xmlns='urn:conflux:elements:1'/>", "f.xml:1: a: ");
	refused(OPEN "<b/>" CLOSE, "f.xml:2: b: is not known here");
	refused(OPEN "<element id='30000' name='a' type='string'>\n<b/>\n"
		     "</element>" CLOSE,
		"f.xml:3: b: ");
	refused("<!DOCTYPE e [<!ENTITY a 'x'>]>\n" OPEN CLOSE,
		"a document type declaration is not taken here");
	refused("<!DOCTYPE e [<!ENTITY a 'aaaaaaaaaa'>"
		"<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>\n" OPEN
		"<element id='30000' name='&b;' type='string'/>" CLOSE,
		"a document type declaration is not taken here");
	refused("<!DOCTYPE e SYSTEM 'http://192.0.2.1/e.dtd'>\n" OPEN CLOSE,
		"a document type declaration is not taken here");
}

static void
test_tells_all_errors(void)
{
	static const char document[] =
		OPEN "<element pen='9' id='70000' name='a' type='strin'/>\n"
		     "<elemnt/>\n"
		     "<element pen='9' id='2' name='b' type='string'/>\n"
		     "<element pen='9' id='2' name='c' typ='string'/>\n" CLOSE;
	struct ie_registry *registry = ie_registry_new(10);
	struct text errors = {0};
	unsigned lines = 0;

	CU_ASSERT_EQUAL(element_file_parse(registry, document, strlen(document),
					   "f", &errors),
			-EINVAL);
	for (size_t i = 0; i < errors.length; i++)
		lines += errors.data[i] == '\n';
	CU_ASSERT_EQUAL(lines, 5);
	CU_ASSERT_PTR_NULL(ie_find(registry, 9, 2));
	text_fini(&errors);
	ie_registry_free(registry);
}

static void
test_a_full_registry(void)
{
	static const char document[] =
		OPEN "<element pen='9' id='2' name='b' type='string'/>\n"
		     "<element pen='9' id='3' name='c' type='string'/>\n" CLOSE;
	struct ie_registry *registry = ie_registry_new(1);
	struct text errors = {0};

	CU_ASSERT_EQUAL(element_file_parse(registry, document, strlen(document),
					   "f", &errors),
			-ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.data, "f:3: element: too many"));
	text_fini(&errors);
	ie_registry_free(registry);
}

/* IANA's own file says what the table of the program says. */
static void
test_the_table_itself(void)
{
	const char *srcdir = getenv("srcdir");
	struct ie_registry *registry = ie_registry_new(0);
	struct text errors = {0};
	char path[4096];
	char *data = malloc(1 << 20);
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/xml/ipfix-elements.xml",
		 srcdir ? srcdir : ".");
	file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	length = fread(data, 1, 1 << 20, file);
	fclose(file);
	CU_ASSERT_EQUAL(
		element_file_parse(registry, data, length, path, &errors), 0);
	text_fini(&errors);
	free(data);
	ie_registry_free(registry);
}

static const struct unit_test tests[] = {
	{"adds elements", test_adds},
	{"refuses wrong elements", test_refuses},
	{"refuses wrong documents", test_refuses_documents},
	{"tells all errors", test_tells_all_errors},
	{"tells that the registry is full", test_a_full_registry},
	{"takes the table of IANA's elements", test_the_table_itself},
};

int
main(void)
{
	return unit_run("element_file", tests, UNIT_COUNT(tests));
}
