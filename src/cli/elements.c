/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * conflux elements: the registry of Information Elements, and the loading of
 * element files for all commands.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "conflux/element_file.h"
#include "conflux/file.h"

enum { ADDED_MAX = 65536, FILE_MAX = 64 << 20 };

static const char help[] =
	"usage: conflux elements [--elements FILE]... [NAME | ID | PEN/ID]...\n"
	"\n"
	"Lists Information Elements: enterprise number and id, name, type,\n"
	"semantics, units and range; all of them, or those named.\n"
	"\n"
	"  -E, --elements FILE  adds the elements of FILE\n"
	"  -h, --help           this text\n";

int
cli_load_elements(struct ie_registry *registry, const char *path)
{
	struct text errors = {0};
	char *data = NULL;
	size_t length = 0;
	int ret = file_read_all(path, FILE_MAX, &data, &length);

	if (ret) {
		fprintf(stderr, "%s: %s\n", path, strerror(-ret));
		return CLI_FAILED;
	}
	ret = element_file_parse(registry, data, length, path, &errors);
	if (ret)
		fprintf(stderr, "%s", errors.length ? errors.data
						    : strerror(-ret));
	text_fini(&errors);
	free(data);
	return ret ? CLI_FAILED : CLI_OK;
}

static int
compare(const void *a, const void *b)
{
	const struct ie *x = *(const struct ie *const *)a;
	const struct ie *y = *(const struct ie *const *)b;

	if (x->pen != y->pen)
		return x->pen < y->pen ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static void
print(const struct ie *ie)
{
	printf("%u/%u\t%s\t%s\t%s\t%s", ie->pen, ie->id, ie->name,
	       ie_type_name(ie->type), ie_semantics_name(ie->semantics),
	       ie_units_name(ie->units));
	if (ie->range_min || ie->range_max)
		printf("\t%" PRIu64 "-%" PRIu64, ie->range_min, ie->range_max);
	printf("%s\n", ie->deprecated ? "\tdeprecated" : "");
}

static int
print_all(const struct ie_registry *registry)
{
	const struct ie **all = NULL, *ie;
	size_t count = 0, size = 0;
	uint32_t at = 0;

	while ((ie = ie_next(registry, &at))) {
		if (count == size) {
			const struct ie **more;

			size = size ? size * 2 : 1024;
			more = realloc(all, size * sizeof(*all));
			if (!more) {
				free(all);
				fprintf(stderr, "conflux: out of memory\n");
				return CLI_FAILED;
			}
			all = more;
		}
		all[count++] = ie;
	}
	if (count)
		qsort(all, count, sizeof(*all), compare);
	for (size_t i = 0; i < count; i++)
		print(all[i]);
	free(all);
	return CLI_OK;
}

/* NAME, ID or PEN/ID; NULL if there is no such element. */
static const struct ie *
find(const struct ie_registry *registry, const char *what)
{
	unsigned long first, second;
	char *end;

	first = strtoul(what, &end, 10);
	if (end == what)
		return ie_by_name(registry, what);
	if (*end == 0)
		return first <= UINT16_MAX
			       ? ie_find(registry, 0, (uint16_t)first)
			       : NULL;
	if (*end != '/')
		return ie_by_name(registry, what);
	second = strtoul(end + 1, &end, 10);
	if (*end || first > UINT32_MAX || second > UINT16_MAX)
		return NULL;
	return ie_find(registry, (uint32_t)first, (uint16_t)second);
}

static int
print_some(const struct ie_registry *registry, char **names)
{
	int status = CLI_OK;

	for (; *names; names++) {
		const struct ie *ie = find(registry, *names);
		const char *nearest;

		if (ie) {
			print(ie);
			continue;
		}
		nearest = ie_nearest_name(registry, *names);
		fprintf(stderr, "conflux elements: %s: no such element%s%s\n",
			*names, nearest ? ", nearest is " : "",
			nearest ? nearest : "");
		status = CLI_FAILED;
	}
	return status;
}

int
cli_elements(int argc, char **argv)
{
	static const struct option options[] = {
		{"elements", required_argument, NULL, 'E'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct ie_registry *registry = ie_registry_new(ADDED_MAX);
	int status = CLI_OK, c;

	if (!registry) {
		fprintf(stderr, "conflux: out of memory\n");
		return CLI_FAILED;
	}
	while (status == CLI_OK &&
	       (c = getopt_long(argc, argv, "E:h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			ie_registry_free(registry);
			return CLI_OK;
		}
		status = c == 'E' ? cli_load_elements(registry, optarg)
				  : CLI_USAGE;
	}
	if (status == CLI_OK)
		status = argv[optind] ? print_some(registry, argv + optind)
				      : print_all(registry);
	ie_registry_free(registry);
	return status;
}
