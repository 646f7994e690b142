/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back from a collector that should acknowledge. Input: pieces of
 * one octet length and content, as they might be read. An exporter waits for
 * its first answer, with some records in its spool.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/conflux-fuzz.XXXXXX";

/* What there is in the folder at the end is known. */
static void
clean(void)
{
	char name[sizeof(path) + 64];

	for (int i = 1; i < 100; i++)
		for (int k = 0; k < 2; k++) {
			snprintf(name, sizeof(name), "%s/%020d.%s", path, i,
				 k ? "index" : "ipfix");
			unlink(name);
		}
	snprintf(name, sizeof(name), "%s/lock", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s/position", path);
	unlink(name);
}

static void
feed(struct exporting *e)
{
	struct scope scope = {.serial = 1, .domain = 1};
	struct field field = {.ie = ie_get(e->registry, 0, IE_octetDeltaCount),
			      .length = 8};
	uint8_t record[8] = {0};
	struct batch batch = {
		.scope = &scope,
		.base = record,
		.count = 1,
		.stride = 8,
	};

	if (shape_get(e->shapes, &field, 1, 0, &batch.shape))
		abort();
	stage_run(&e->stage, &batch);
	exporting_secure(&e->stage);
	shape_release(batch.shape);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_base *base = event_base_new();
	struct ie_registry *registry = ie_registry_new(64);
	struct shape_table *shapes = shape_table_new(64);
	struct exporting_destination destination = {
		.name = "d",
		.kind = EXPORTING_TCP,
		.net.remote = {.version = 4, .port = 9},
		.spool = {.directory = path, .max_octets = 1 << 20},
		.acknowledged = true,
	};
	struct exporting_conf conf = {
		.name = "e",
		.destination = &destination,
		.destination_count = 1,
	};
	struct stage *stage = NULL;
	struct forward *f;
	char *error = NULL;

	log_set_level(LOG_LEVEL_ERROR);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	if (!mkdtemp(path) ||
	    exporting_new(base, &conf, registry, shapes, &stage, &error))
		abort();
	feed((struct exporting *)stage);
	f = ((struct exporting *)stage)->sink[0].forward;
	if (forward_answer_begin(f))
		abort();
	/* So that inputs can say it: the run, and where we are. */
	f->greeted = true;
	f->peer_run = 1;
	while (size > 1) {
		size_t n = data[0] < size ? data[0] : size - 1;

		forward_answer(f, data + 1, n);
		data += 1 + n;
		size -= 1 + n;
	}
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
	event_base_free(base);
	clean();
	rmdir(path);
	return 0;
}
