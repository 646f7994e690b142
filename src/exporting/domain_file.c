/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Observation Domain IDs that were given out, in a file, so that after a
 * restart each exporter has the same ones. Lines of text, which may be read and
 * changed by hand while nobody runs:
 *
 *	NUMBER EXPORTER DOMAIN
 *
 * the id that we send, the address of the exporter ("-": files and our own
 * caches), the id that it sends. It is written anew when something is new, once
 * a second at most, under another name first: a process that is killed leaves
 * the old or the new one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "conflux/file.h"
#include "exporting.h"

enum {
	WRITE_MS = 1000,
	RETRY_MS = 30000, /* after a write that failed */
	LINE_OCTETS = 256,
};

/* ---- reading --------------------------------------------------------------
 */

static int
refuse(struct exporting *e, unsigned line, const char *reason, char **error)
{
	if (asprintf(error, "%s:%u: %s", e->conf.domain_file, line, reason) < 0)
		*error = NULL;
	return -EINVAL;
}

static int
read_line(struct exporting *e, const char *text, unsigned line, char **error)
{
	char exporter[ADDR_TEXT_SIZE], rest[2];
	uint32_t number, source;
	struct addr owner = {0};
	int r;

	if (sscanf(text, "%" SCNu32 " %71s %" SCNu32 " %1s", &number, exporter,
		   &source, rest) != 3)
		return refuse(e, line,
			      "expected: an Observation Domain ID, the address "
			      "of an exporter or -, the ID that it sends",
			      error);
	if (strcmp(exporter, "-") != 0 && addr_parse(&owner, exporter, 0) < 0)
		return refuse(e, line, "this is no address of an exporter",
			      error);
	r = domain_restore(e, number, &owner, source);
	if (r == -EEXIST)
		return refuse(e, line,
			      "this Observation Domain ID is given out twice",
			      error);
	if (r == -ENOSPC)
		return refuse(e, line, "there are more than are allowed",
			      error);
	return r;
}

int
domain_file_load(struct exporting *e, char **error)
{
	char text[LINE_OCTETS];
	unsigned line = 0;
	FILE *file;
	int r = 0;

	if (!e->conf.domain_file)
		return 0;
	file = fopen(e->conf.domain_file, "re");
	if (!file && errno == ENOENT)
		return 0;
	if (!file) {
		r = -errno;
		if (asprintf(error, "%s: %s", e->conf.domain_file,
			     strerror(errno)) < 0)
			*error = NULL;
		return r;
	}
	while (r == 0 && fgets(text, sizeof(text), file)) {
		line++;
		if (text[0] != '#' && text[strspn(text, " \t\r\n")])
			r = read_line(e, text, line, error);
	}
	fclose(file);
	e->domains.changed = false;
	return r;
}

/* ---- writing --------------------------------------------------------------
 */

static void
write_all(const struct exporting *e, FILE *file)
{
	char text[ADDR_TEXT_SIZE];

	fprintf(file,
		"# Observation Domain IDs that exportingProcess %s has given "
		"out:\n# the ID, the exporter's address, the ID that it "
		"sends\n",
		e->conf.name);
	for (uint32_t i = 0; i < e->domains.count; i++) {
		const struct domain *d = e->domains.all[i];

		if (!d->pinned)
			fprintf(file, "%" PRIu32 " %s %" PRIu32 "\n", d->number,
				addr_format_host(text, &d->owner), d->source);
	}
}

/* 0 or a negative errno. */
static int
replace_file(const struct exporting *e)
{
	size_t length = 0;
	char *text = NULL;
	FILE *file = open_memstream(&text, &length);
	int r = 0;

	if (!file)
		return -errno;
	write_all(e, file);
	if (fclose(file))
		r = -errno;
	else
		r = file_replace(e->conf.domain_file, text, length, 0666, true);
	free(text);
	return r;
}

void
domain_file_save(struct exporting *e, bool end)
{
	struct domains *ds = &e->domains;
	uint32_t held;
	int r;

	if (!e->conf.domain_file || !ds->changed ||
	    (!end && e->now_ms < ds->write_ms))
		return;
	r = replace_file(e);
	ds->changed = r != 0;
	ds->write_ms = e->now_ms + (r ? RETRY_MS : WRITE_MS);
	if (r && log_limit_pass(&ds->file_limit, e->now_ms, &held))
		log_warning("exportingProcess %s: %s: %s: after a restart "
			    "exporters may get other Observation Domain IDs",
			    e->conf.name, e->conf.domain_file, strerror(-r));
}
