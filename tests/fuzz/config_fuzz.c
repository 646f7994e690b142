/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration as an editor or an enemy writes it. What loads has to print
 * to something that loads and prints the same; what does not load has to say
 * why.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/config.h"
#include "conflux/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every element exists; what it is depends on its name or number. */
static int
find(void *ctx, struct conf_element *e)
{
	unsigned kind = e->name ? (unsigned char)e->name[0] : e->id;

	if (!e->name)
		e->name = "someElement";
	e->length = kind % 3 == 0 ? 65535 : 8;
	e->reducible = kind % 3 == 1;
	e->prefix_max = kind % 2 ? 32 : 0;
	return kind % 7 == 6 ? -ENOENT : 0;
}

static const char *
nearest(void *ctx, const char *name)
{
	return name[0] ? name : NULL;
}

static struct conf *
load(const void *data, size_t size)
{
	static const struct conf_elements elements = {
		.find = find,
		.nearest = nearest,
	};
	struct conf_options options = {.elements = &elements};
	struct conf_errors errors = {0};
	struct conf *conf;
	int ret;

	ret = conf_load_memory(&conf, data, size, &options, &errors);
	assert((ret == 0) == (conf != NULL));
	assert((ret == 0) == (errors.errors == 0));
	for (size_t i = 0; i < errors.count; i++)
		assert(strstr(errors.list[i].text, "expected") ||
		       errors.list[i].warning ||
		       strlen(errors.list[i].text) > 200);
	conf_errors_fini(&errors);
	return conf;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf = load(data, size), *again;
	unsigned flags = CONF_PRINT_DEFAULTS | CONF_PRINT_SECRETS;
	struct text one = {0}, two = {0};

	if (!conf)
		return 0;
	conf_print(conf, CONF_PRINT_RFC, &one);
	text_reset(&one);
	conf_print(conf, flags, &one);
	again = load(one.data, one.length);
	assert(again);
	conf_print(again, flags, &two);
	assert(strcmp(one.data, two.data) == 0);
	conf_free(conf);
	conf_free(again);
	text_fini(&one);
	text_fini(&two);
	return 0;
}
