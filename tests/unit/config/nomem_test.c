/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of loading and printing fails once: nothing crashes, and the
 * caller is told. Leaks are for the sanitizers. Only our own allocations can
 * be made to fail here, not those of libxml2.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/config.h"
#include "conflux/text.h"
#include "nomem.h"
#include "rows.h"
#include "unit.h"

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

char *
__wrap_strdup(const char *text)
{
	return nomem_fails() ? NULL : __real_strdup(text);
}

#define HEAD "<ipfix xmlns='" CONF_NS_RFC "' xmlns:cx='" CONF_NS_CX "'>"
#define TAIL                                                                   \
	"<cache><name>c</name><naturalCache><cacheLayout><cacheField>"         \
	"<name>f</name><ieId>8</ieId></cacheField></cacheLayout>"              \
	"</naturalCache><exportingProcess>out</exportingProcess></cache>"      \
	"<exportingProcess><name>out</name><destination><name>d</name>"        \
	"<fileWriter><file>file:///tmp/x</file></fileWriter></destination>"    \
	"</exportingProcess></ipfix>"

static const char right[] = HEAD
	"<cx:elementFile>a</cx:elementFile>"
	"<collectingProcess><name>in</name><udpCollector><name>u</name>"
	"<localIPAddress>127.0.0.1</localIPAddress></udpCollector>"
	"<cx:meterReader><cx:name>m</cx:name><cx:address>::1</cx:address>"
	"<cx:community>x</cx:community></cx:meterReader>"
	"<cx:cache>c</cx:cache></collectingProcess>" TAIL;

static const char wrong[] = HEAD
	"<colectingProcess/><activeTimeout/><name/>"
	"<collectingProcess><name>in</name><exportingProcess>oout"
	"</exportingProcess><cx:cache>c</cx:cache>"
	"<fileReader><name>r</name><file>nowhere</file></fileReader>"
	"</collectingProcess>" TAIL;

/* Loads and prints; the error of loading. */
static int
run(const char *document)
{
	struct conf_errors errors = {0};
	struct text text = {0};
	struct conf *conf;
	int ret;

	ret = conf_load_memory(&conf, document, strlen(document), NULL,
			       &errors);
	CU_ASSERT_EQUAL(ret == 0, conf != NULL);
	if (conf) {
		conf_print(conf, CONF_PRINT_DEFAULTS, &text);
		if (text.failed)
			ret = -ENOMEM;
	}
	CU_ASSERT(ret != -EINVAL || errors.errors > 0);
	text_fini(&text);
	conf_errors_fini(&errors);
	conf_free(conf);
	return ret;
}

static void
try_all(const char *document, int expected)
{
	CU_ASSERT_EQUAL(run(document), expected);
	for (unsigned n = 1; n < 10000; n++) {
		int ret;

		nomem_begin(n);
		ret = run(document);
		if (!nomem_end())
			break;
		/* A message that is lost is still an error. */
		CU_ASSERT(ret == -ENOMEM || ret == -EINVAL);
	}
	CU_ASSERT_FALSE(nomem_failed);
}

static void
test_right(void)
{
	try_all(right, 0);
}

static void
test_wrong(void)
{
	try_all(wrong, -EINVAL);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"what is right", test_right},
		{"what is wrong", test_wrong},
	};

	return unit_run("config without memory", tests, UNIT_COUNT(tests));
}
