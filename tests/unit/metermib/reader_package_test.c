/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Names of flow data, packages as rows, files of rules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "meter_package.h"
#include "meter_rules.h"
#include "unit.h"

static const struct selector selector = {3, {11, 18, 29}};

/* The example of RFC 2720, as section 4.2 of the facts reads it. */
static void
test_package_name(void)
{
	static const oid wanted[] = {1, 3, 6, 1, 2, 1, 40, 2, 3, 1, 5,
				     3, 11, 18, 29, 7, 12345, 3447};
	oid name[MAX_OID_LEN];
	uint32_t time, index;
	size_t n = package_oid(name, &selector, 7, 12345, 3447);

	CU_ASSERT_EQUAL_FATAL(n, OID_LENGTH(wanted));
	CU_ASSERT_EQUAL(memcmp(name, wanted, sizeof(wanted)), 0);
	CU_ASSERT_EQUAL(package_oid_parse(name, n, &selector, 7, &time,
					  &index), 0);
	CU_ASSERT_EQUAL(time, 12345);
	CU_ASSERT_EQUAL(index, 3447);
	CU_ASSERT_EQUAL(package_oid_parse(name, n, &selector, 8, &time,
					  &index), -ENOENT);
	CU_ASSERT_EQUAL(package_oid_parse(name, n - 1, &selector, 7, &time,
					  &index), -ENOENT);
	name[13] = 19;
	CU_ASSERT_EQUAL(package_oid_parse(name, n, &selector, 7, &time,
					  &index), -ENOENT);
	name[13] = 18;
	name[n - 1] = (oid)1 << 31;
	CU_ASSERT_EQUAL(package_oid_parse(name, n, &selector, 7, &time,
					  &index), -ENOENT);
}

static void
test_column_name(void)
{
	oid name[MAX_OID_LEN];
	uint32_t time, index;
	size_t n = column_oid(name, 27, 7, 99, 5);

	CU_ASSERT_EQUAL(n, 14);
	CU_ASSERT_EQUAL(column_oid_parse(name, n, 27, 7, &time, &index), 0);
	CU_ASSERT_EQUAL(time, 99);
	CU_ASSERT_EQUAL(index, 5);
	CU_ASSERT_EQUAL(column_oid_parse(name, n, 28, 7, &time, &index),
			-ENOENT);
	/* RFC 2064 has no rule set there. */
	CU_ASSERT_EQUAL(column_oid_parse(name, n, 27, 0, &time, &index),
			-ENOENT);
	n = column_oid(name, 27, 0, 99, 5);
	CU_ASSERT_EQUAL(n, 13);
	CU_ASSERT_EQUAL(column_oid_parse(name, n, 27, 0, &time, &index), 0);
}

static void
test_package(void)
{
	static const uint8_t package[] = {
		0x30, 16, 0x02, 1, 6, 0x05, 0, 0x46, 9, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct meter_row row;

	CU_ASSERT_EQUAL(package_row(&row, &selector, package,
				    sizeof(package)), 0);
	CU_ASSERT_EQUAL(row_number(&row, 11), 6);
	CU_ASSERT_PTR_NULL(row_get(&row, 18));
	CU_ASSERT_EQUAL(row_number(&row, 29), UINT64_MAX);
	CU_ASSERT_EQUAL(package_row(&row, &selector, package,
				    sizeof(package) - 1), -EBADMSG);
	CU_ASSERT_EQUAL(package_row(&row, &selector, NULL, 0), -EBADMSG);
}

static int
read_rules(const char *text, struct meter_rules *rules)
{
	char path[] = "/tmp/conflux-rules.XXXXXX";
	int fd = mkstemp(path), err;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	err = meter_rules_read(path, rules);
	unlink(path);
	return err;
}

static void
test_rules(void)
{
	struct meter_rules rules;
	int err = read_rules(
		"# a comment\n"
		"start: SourcePeerType 255 1 PushPktTo ip # and one more\n"
		"\tNull 0 0 Ignore\n"
		"\n"
		"ip:\n"
		"DestPeerAddress 255.255.255.0 10.1.2.0 pushruletoact next\n"
		"next: SourceTransAddress 0xffff 80 15 start\n"
		"9 ffff:: 2001:db8:: CountPkt 0\n"
		"V1 0 SourcePeerAddress AssignAct 3\n"
		"SourceAdjacentAddress x:ffffff 00-00-5e-00-53-01 Count\n",
		&rules);

	CU_ASSERT_EQUAL_FATAL(err, 0);
	CU_ASSERT_EQUAL_FATAL(rules.count, 7);
	CU_ASSERT_EQUAL(rules.rule[0].selector, 8);
	CU_ASSERT_EQUAL(rules.rule[0].length, 2);
	CU_ASSERT_EQUAL(rules.rule[0].mask[0], 255);
	CU_ASSERT_EQUAL(rules.rule[0].mask[1], 0);
	CU_ASSERT_EQUAL(rules.rule[0].action, 14);
	CU_ASSERT_EQUAL(rules.rule[0].parameter, 3);
	CU_ASSERT_EQUAL(rules.rule[2].length, 4);
	CU_ASSERT_EQUAL(rules.rule[2].parameter, 4);
	CU_ASSERT_EQUAL(rules.rule[3].mask[0], 0xff);
	CU_ASSERT_EQUAL(rules.rule[3].value[0], 0);
	CU_ASSERT_EQUAL(rules.rule[3].value[1], 80);
	CU_ASSERT_EQUAL(rules.rule[3].parameter, 1);
	CU_ASSERT_EQUAL(rules.rule[4].length, 16);
	CU_ASSERT_EQUAL(rules.rule[5].selector, 51);
	CU_ASSERT_EQUAL(rules.rule[5].value[0], 9);
	CU_ASSERT_EQUAL(rules.rule[6].length, 6);
	CU_ASSERT_EQUAL(rules.rule[6].value[5], 1);
	meter_rules_fini(&rules);
}

static void
test_bad_rules(void)
{
	static const char *const bad[] = {
		"", "# nothing\n", "SourcePeerType 255 1\n",
		"NoSuch 255 1 Count\n", "ToOctets 255 1 Count\n",
		"SourcePeerType 255 1 Jump 3\n",
		"SourcePeerType 255 1 Goto nowhere\n",
		"SourcePeerType 300 1 Count\n",
		"a: Null 0 0 Count\na: Null 0 0 Count\n",
		"SourcePeerType 255 1 Goto 70000\n",
		"9 x:000102030405060708090a0b0c0d0e0f1011121314 0 Count\n",
		"Null 0 0 Count 1 2\n",
	};
	struct meter_rules rules;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_EQUAL(read_rules(bad[i], &rules), -EINVAL);
	CU_ASSERT_EQUAL(meter_rules_read("/nonexistent/x", &rules), -ENOENT);
}

static const struct unit_test tests[] = {
	{"names of packages", test_package_name},
	{"names of columns", test_column_name},
	{"packages", test_package},
	{"files of rules", test_rules},
	{"mistakes in files of rules", test_bad_rules},
};

int
main(void)
{
	return unit_run("meter packages", tests, UNIT_COUNT(tests));
}
