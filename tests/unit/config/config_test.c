/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The accessors, the rules that the table itself must keep, and hostile
 * documents. What each kind of mistake is told as is in tests/config.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/config.h"
#include "conflux/nearest.h"
#include "conflux/text.h"
#include "tree.h"
#include "unit.h"

#define HEAD                                                                   \
	"<ipfix xmlns='" CONF_NS_RFC "' xmlns:cx='" CONF_NS_CX "'"             \
	" xmlns:i='" CONF_NS_RFC "'>"
#define OUT(name)                                                              \
	"<exportingProcess><name>" name "</name><destination><name>d</name>"   \
	"<udpExporter><destinationIPAddress>192.0.2.1</destinationIPAddress>"  \
	"</udpExporter></destination></exportingProcess>"

static struct conf *
load(const char *document, struct conf_errors *errors)
{
	struct conf *conf = NULL;

	memset(errors, 0, sizeof(*errors));
	conf_load_memory(&conf, document, strlen(document), NULL, errors);
	return conf;
}

/* Loads what is right, without a warning. */
static struct conf *
load_right(const char *document)
{
	struct conf_errors errors;
	struct conf *conf = load(document, &errors);

	CU_ASSERT_PTR_NOT_NULL(conf);
	CU_ASSERT_EQUAL(errors.count, 0);
	conf_errors_print(&errors, "right", stderr);
	conf_errors_fini(&errors);
	return conf;
}

/* Loads what is wrong; whether the first message has these words. */
static bool
refuses(const char *document, const char *words)
{
	struct conf_errors errors;
	struct conf *conf = load(document, &errors);
	bool right = !conf && errors.count && errors.errors &&
		     strstr(errors.list[0].text, words);

	if (!right)
		conf_errors_print(&errors, "wrong", stderr);
	conf_errors_fini(&errors);
	conf_free(conf);
	return right;
}

static const char whole[] = HEAD
	"<collectingProcess><name>in</name>"
	"<udpCollector><name>u1</name><localPort> +016 </localPort>"
	"<localIPAddress>127.0.0.1</localIPAddress>"
	"<localIPAddress>::1</localIPAddress></udpCollector>"
	"<udpCollector><name>u2</name>"
	"<optionsTemplateLifeTime>4294968</optionsTemplateLifeTime>"
	"</udpCollector>"
	"<cx:meterReader><cx:name>m</cx:name><cx:address>192.0.2.7</cx:address>"
	"<cx:community>se&lt;cret</cx:community></cx:meterReader>"
	"<exportingProcess>out</exportingProcess><cx:cache>c</cx:cache>"
	"</collectingProcess>"
	"<cache><name>c</name><timeoutCache><cacheLayout>"
	"<cacheField><name>a</name><ieName>sourceIPv4Address</ieName>"
	"<isFlowKey/></cacheField>"
	"<cacheField><name>b</name><ieId>1</ieId></cacheField>"
	"</cacheLayout></timeoutCache>"
	"<exportingProcess>out</exportingProcess></cache>"
	"<exportingProcess><name>out</name><exportMode> i:fallback "
	"</exportMode>"
	"<destination><name>d</name><fileWriter><file>file:///tmp/a%20b</file>"
	"</fileWriter></destination></exportingProcess></ipfix>";

static void
test_values(void)
{
	struct conf *conf = load_right(whole);
	const struct conf_node *in, *udp, *node;
	char secret[16];

	if (!conf)
		return;
	in = conf_find(conf, "collectingProcess", "in");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	udp = conf_child(in, "udpCollector");
	CU_ASSERT_EQUAL(conf_uint(udp, "localPort", 1), 16);
	CU_ASSERT_STRING_EQUAL(conf_text(udp, "localPort"), "16");
	CU_ASSERT_EQUAL(conf_addr(udp, "localIPAddress")->version, 4);
	node = conf_next_same(conf_child(udp, "localIPAddress"));
	CU_ASSERT_EQUAL(node->addr.version, 6);
	CU_ASSERT_PTR_NULL(conf_next_same(node));
	udp = conf_next_same(udp);
	CU_ASSERT_STRING_EQUAL(conf_name(udp), "u2");
	CU_ASSERT_EQUAL(conf_uint(udp, "localPort", 1), 4739);
	CU_ASSERT(conf_child(udp, "localPort")->defaulted);
	CU_ASSERT_FALSE(conf_has(udp, "localIPAddress"));
	CU_ASSERT_EQUAL(conf_uint(udp, "templateLifePacket", 7), 7);
	CU_ASSERT_EQUAL(conf_ms(udp, "templateLifeTime"), 1800000);
	CU_ASSERT_EQUAL(conf_ms(udp, "optionsTemplateLifeTime"), UINT32_MAX);
	CU_ASSERT_EQUAL(conf_ms(udp, "nothing"), 0);
	node = conf_child(in, "exportingProcess");
	CU_ASSERT_PTR_EQUAL(node->target,
			    conf_find(conf, "exportingProcess", "out"));
	CU_ASSERT(conf_is(node->target, "exportMode", "fallback"));
	node = conf_child(conf_child(node->target, "destination"),
			  "fileWriter");
	CU_ASSERT_STRING_EQUAL(conf_path(node, "file"), "/tmp/a b");
	node = conf_child(in, "meterReader");
	CU_ASSERT_EQUAL(conf_secret(node, "community", secret, 16), 0);
	CU_ASSERT_STRING_EQUAL(secret, "se<cret");
	CU_ASSERT_EQUAL(conf_secret(node, "community", secret, 7), -ENOSPC);
	CU_ASSERT_EQUAL(conf_secret(node, "writeCommunity", secret, 16),
			-ENOENT);
	node = conf_child(conf_find(conf, "cache", "c"), "timeoutCache");
	node = conf_child(conf_child(node, "cacheLayout"), "cacheField");
	CU_ASSERT(conf_bool(node, "isFlowKey"));
	CU_ASSERT_FALSE(conf_bool(conf_next_same(node), "isFlowKey"));
	node = conf_child(conf_root(conf), "limits");
	CU_ASSERT_EQUAL(conf_uint(node, "heldTime", 0), 5000);
	conf_free(conf);
}

/* What is printed loads again and is printed as the same. */
static void
test_print_again(void)
{
	struct conf *conf = load_right(whole), *again;
	struct text one = {0}, two = {0};
	unsigned flags = CONF_PRINT_DEFAULTS | CONF_PRINT_SECRETS;

	if (!conf)
		return;
	conf_print(conf, flags, &one);
	again = load_right(one.data);
	if (again)
		conf_print(again, flags, &two);
	CU_ASSERT(again && strcmp(one.data, two.data) == 0);
	text_reset(&one);
	conf_print(conf, 0, &one);
	CU_ASSERT_PTR_NULL(strstr(one.data, "cret"));
	text_fini(&one);
	text_fini(&two);
	conf_free(conf);
	conf_free(again);
}

static void
test_secret_file(void)
{
	char name[] = "/tmp/conflux-config-test-XXXXXX";
	char document[1024], secret[16];
	const struct conf_node *meter;
	int fd = mkstemp(name);
	struct conf *conf;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "hidden\r\nrest", 12), 12);
	close(fd);
	snprintf(document, sizeof(document),
		 HEAD "<collectingProcess><name>in</name><cx:meterReader>"
		      "<cx:name>m</cx:name><cx:address>::1</cx:address>"
		      "<cx:communityFile>%s</cx:communityFile>"
		      "</cx:meterReader><exportingProcess>o</exportingProcess>"
		      "</collectingProcess>" OUT("o") "</ipfix>",
		 name);
	conf = load_right(document);
	if (conf) {
		meter = conf_child(
			conf_child(conf_root(conf), "collectingProcess"),
			"meterReader");
		CU_ASSERT_EQUAL(conf_secret(meter, "community", secret, 16), 0);
		CU_ASSERT_STRING_EQUAL(secret, "hidden");
		unlink(name);
		CU_ASSERT_EQUAL(conf_secret(meter, "community", secret, 16),
				-ENOENT);
	}
	unlink(name);
	conf_free(conf);
}

/* Each row has what its kind needs, and no name stands twice in a place. */
static void
check_rows(const struct conf_row *holder)
{
	const struct conf_row *row, *other;
	unsigned at = 0, count = 0;

	while ((row = conf_row_next(holder->rows, &at))) {
		unsigned k = 0;

		CU_ASSERT(++count <= CONF_ROWS_MAX);
		CU_ASSERT(row->kind != CONF_END);
		while ((other = conf_row_next(holder->rows, &k)))
			CU_ASSERT(other == row ||
				  strcmp(other->name, row->name) != 0);
		CU_ASSERT(!conf_row_holds(row) || row->rows);
		CU_ASSERT(row->type != CONF_REF || row->ref);
		CU_ASSERT(row->type != CONF_UINT || row->min <= row->max);
		CU_ASSERT(row->state || row->help);
		CU_ASSERT(!row->def || !row->mandatory);
		k = 0;
		if (row->kind == CONF_LIST && !row->state)
			CU_ASSERT_STRING_EQUAL(
				conf_row_next(row->rows, &k)->name, "name");
		/* Beneath ours there is only ours. */
		CU_ASSERT(!holder->cx || row->cx);
		if (conf_row_holds(row))
			check_rows(row);
	}
}

static void
test_table(void)
{
	check_rows(conf_rows_root);
}

static void
test_long_lines(void)
{
	struct text text = {0};
	struct conf_errors errors;
	struct conf *conf;

	text_add(&text, HEAD);
	for (unsigned i = 1; i < 100000; i++)
		text_add_char(&text, '\n');
	text_add(&text, "<nonsense/></ipfix>");
	conf = load(text.data, &errors);
	CU_ASSERT_PTR_NULL(conf);
	CU_ASSERT_EQUAL(errors.errors, 1);
	CU_ASSERT(errors.count &&
		  errors.list[errors.count - 1].line == 100000);
	conf_errors_fini(&errors);
	text_fini(&text);
}

static void
test_hostile(void)
{
	struct text text = {0};
	struct conf_errors errors;

	CU_ASSERT(refuses("<!DOCTYPE a [<!ENTITY b 'c'>]>" HEAD
			  "&b;</ipfix>",
			  "entities are refused"));
	CU_ASSERT(refuses("<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" HEAD
			  "</ipfix>",
			  "entities are refused"));
	CU_ASSERT(refuses(HEAD "&undefined;</ipfix>", "undefined"));
	CU_ASSERT(refuses("", "there is no element"));
	CU_ASSERT(refuses("\xff\xfe", "expected"));
	for (unsigned i = 0; i < 100000; i++)
		text_add(&text, "<a>");
	CU_ASSERT(refuses(text.data, "is not a configuration"));
	text_reset(&text);
	text_add(&text, HEAD);
	for (unsigned i = 0; i < 20000; i++)
		text_add(&text, "<cache/>");
	text_add(&text, "</ipfix>");
	CU_ASSERT_PTR_NULL(load(text.data, &errors));
	CU_ASSERT_EQUAL(errors.count, CONF_ERRORS_MAX);
	CU_ASSERT(errors.dropped > 1000);
	conf_errors_fini(&errors);
	text_reset(&text);
	while (text.length <= CONF_SIZE_MAX)
		text_add(&text, "                                        ");
	CU_ASSERT(refuses(text.data, "octets, expected at most"));
	text_fini(&text);
}

/* Checks of others are told in the same list. */
static void
test_added_error(void)
{
	struct conf *conf = load_right(whole);
	struct conf_errors errors = {0};

	if (!conf)
		return;
	conf_errors_add(&errors, conf_find(conf, "cache", "c"), "is too big");
	CU_ASSERT_EQUAL(errors.errors, 1);
	CU_ASSERT(errors.count == 1 &&
		  strcmp(errors.list[0].text, "cache: is too big") == 0);
	conf_errors_fini(&errors);
	conf_free(conf);
}

static void
test_no_file(void)
{
	struct conf_errors errors = {0};
	struct conf *conf;

	CU_ASSERT_EQUAL(conf_load_file(&conf, "/nonexistent/x", NULL, &errors),
			-ENOENT);
	CU_ASSERT_EQUAL(errors.errors, 1);
	conf_errors_fini(&errors);
	CU_ASSERT_EQUAL(conf_load_file(&conf, "/", NULL, &errors), -EISDIR);
	conf_errors_fini(&errors);
}

static void
test_nearest(void)
{
	unsigned distance = nearest_start("udpColector");

	CU_ASSERT_FALSE(nearest_closer("udpColector", "fileReader", &distance));
	CU_ASSERT(nearest_closer("udpColector", "tcpCollector", &distance));
	CU_ASSERT(nearest_closer("udpColector", "udpCollector", &distance));
	CU_ASSERT_EQUAL(distance, 1);
	distance = nearest_start("nmae");
	CU_ASSERT(nearest_closer("nmae", "name", &distance));
	CU_ASSERT_EQUAL(distance, 1);
}

/* ---- changes of what runs ---------------------------------------------------
 */

static const char selection[] = HEAD
	"<selectionProcess><name>s</name>"
	"<selector><name>count</name><sampCountBased><packetInterval>1"
	"</packetInterval><packetSpace>9</packetSpace></sampCountBased>"
	"</selector>"
	"<selector><name>hash</name><filterHash><selectedRange><name>low part"
	"</name><min>0</min><max>99</max></selectedRange></filterHash></"
	"selector>"
	"<selector><name>all</name><selectAll/></selector></selectionProcess>"
	"</ipfix>";

/* What becomes of the n-th selector by two changes, or why not. */
static void
edit(unsigned n, const char *first, const char *second, const char *wanted)
{
	const char *const change[] = {first, second};
	struct conf_errors errors;
	struct conf *conf = load(selection, &errors);
	struct conf_node *copy = NULL;
	const struct conf_node *entry;
	struct text before = {0}, text = {0};
	int ret;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	conf_errors_fini(&errors); /* warnings: nothing feeds it */
	entry = conf_child(conf_find(conf, "selectionProcess", "s"),
			   "selector");
	while (n--)
		entry = conf_next_same(entry);
	conf_print(conf, CONF_PRINT_DEFAULTS, &before);
	ret = conf_edit(entry, change, second ? 2 : 1, &copy, &errors);
	CU_ASSERT_EQUAL(ret, errors.errors ? -EINVAL : 0);
	if (ret == 0)
		conf_edit_print(copy, &text);
	for (size_t i = 0; i < errors.count; i++)
		text_printf(&text, "%s%s", i ? "\n" : "", errors.list[i].text);
	CU_ASSERT_STRING_EQUAL(text.data, wanted);
	text_reset(&text);
	conf_print(conf, CONF_PRINT_DEFAULTS, &text);
	CU_ASSERT_STRING_EQUAL(text.data, before.data);
	text_fini(&text);
	text_fini(&before);
	conf_edit_free(copy);
	conf_errors_fini(&errors);
	conf_free(conf);
}

static void
test_edit(void)
{
	edit(0, "packetSpace=99", NULL, "packetInterval=1 packetSpace=99");
	edit(0, "packetInterval= +07 ", "packetSpace=0",
	     "packetInterval=7 packetSpace=0");
	edit(1, "initializerValue=5", "selectedRange/low part/max=7",
	     "initializerValue=5 selectedRange/low part/min=0 "
	     "selectedRange/low part/max=7");
}

static void
test_no_edit(void)
{
	edit(0, "packetSpce=99", "packetInterval=4294967296",
	     "\"packetSpce\" is no parameter of it, expected one of "
	     "packetInterval, packetSpace, nearest is packetSpace\n"
	     "packetInterval: \"4294967296\" is out of range, expected packets "
	     "from 0 to 4294967295");
	edit(0, "packetSpace", NULL,
	     "\"packetSpace\" is no change, expected NAME=VALUE");
	edit(0, "packetSpace=", NULL,
	     "packetSpace: the value is empty, expected packets from 0 to "
	     "4294967295");
	edit(0, "=", NULL,
	     "\"\" is no parameter of it, expected one of packetInterval, "
	     "packetSpace");
	edit(0, "name=x", NULL,
	     "\"name\" cannot change while it runs, expected one of "
	     "packetInterval, packetSpace");
	edit(1, "hashFunction=CRC", "selectedRange/high part/max=1",
	     "\"hashFunction\" cannot change while it runs, expected one of "
	     "initializerValue, selectedRange/low part/min, "
	     "selectedRange/low part/max\n"
	     "\"selectedRange/high part/max\" is no parameter of it, expected "
	     "one of initializerValue, selectedRange/low part/min, "
	     "selectedRange/low part/max, nearest is "
	     "selectedRange/low part/max");
	edit(2, "size=1", NULL,
	     "\"size\" is no parameter of it, and nothing of this selector "
	     "can be changed");
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"values, defaults, references", test_values},
		{"printed form loads again", test_print_again},
		{"secret in a file", test_secret_file},
		{"table is sound", test_table},
		{"line numbers beyond 65535", test_long_lines},
		{"hostile documents", test_hostile},
		{"errors of others", test_added_error},
		{"no file", test_no_file},
		{"nearest name", test_nearest},
		{"changes of what runs", test_edit},
		{"changes that are refused", test_no_edit},
	};

	return unit_run("config", tests, UNIT_COUNT(tests));
}
