/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file of a cache: its checksums are made right, then the cache goes
 * on with it, or exports what it can't go on with. The first octet says what
 * cache it is; its fields need not be those of the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);

		if (shape_record_length(batch->shape, record, length) !=
		    (int)length)
			abort();
	}
}

static const struct stage_ops sink_ops = {.run = sink_run};

/* Sums, and in a head the fingerprint, as they have to be. */
static void
make_right(uint8_t *data, size_t size, uint64_t fingerprint)
{
	for (size_t at = 0; size - at >= MESSAGE_HEADER + STATE_SUM;) {
		uint8_t *p = data + at;
		size_t length = wire_get16(p + 2);

		if (length < MESSAGE_HEADER + STATE_SUM || length > size - at)
			return;
		for (size_t i = 0; i + 13 <= length; i++)
			if (memcmp(p + i, "CONFLUX!", 8) == 0)
				wire_put64(p + i, fingerprint);
		memset(p + length - 8, 0, 8);
		wire_put64(p + length - 8,
			   hash_bytes(p, length, STATE_SUM_SEED));
		at += length;
	}
}

static struct stage *
open_cache(const char *path, uint8_t how, struct ie_registry *registry,
	   struct shape_table *shapes)
{
	static const uint16_t id[] = {8, 27, 82, 1, 2, 152, 153, 6, 148, 136};
	struct cache_field field[10];
	struct cache_conf conf = {
		.name = "fuzz",
		.type = how & 1 ? CACHE_PERMANENT : CACHE_NATURAL,
		.max_flows = 100,
		.active_timeout_s = 60,
		.idle_timeout_s = 15,
		.fields = field,
		.field_count = 10,
		.biflow = how & 2,
		.data_clock = how & 4,
		.distribution =
			how & 1 ? DISTRIBUTION_START : DISTRIBUTION_NONE,
		.interval_s = 60,
		.state_file = path,
		.state_journal = how & 8 ? 1000 : 0,
	};
	struct stage *cache;
	const char *error;

	for (unsigned i = 0; i < 10; i++)
		field[i] = (struct cache_field){
			.ie = ie_find(registry, 0, id[i]),
			.key = i < 3,
			.prefix_length = -1,
		};
	return cache_new(&conf, registry, shapes, &cache, &error) == 0 ? cache
								       : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage sink = {.ops = &sink_ops};
	struct ie_registry *registry = ie_registry_new(1000);
	struct shape_table *shapes = shape_table_new(1000);
	struct stage *cache;
	uint8_t *copy;
	char path[64];
	int fd = memfd_create("state", MFD_CLOEXEC);

	copy = malloc(size + 1);
	if (fd < 0 || !size || size > 65536 || !copy || !registry || !shapes)
		goto out;
	log_set_level(LOG_LEVEL_ERROR);
	cache = open_cache(NULL, data[0], registry, shapes);
	if (!cache)
		goto out;
	memcpy(copy, data + 1, size - 1);
	make_right(copy, size - 1,
		   state_fingerprint((const struct cache *)cache));
	stage_free(cache);
	if (write(fd, copy, size - 1) != (ssize_t)size - 1)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cache = open_cache(path, data[0], registry, shapes);
	if (cache) {
		if (stage_link(cache, &sink) < 0)
			abort();
		for (unsigned i = 0; i < 10; i++)
			stage_tick(cache, clock_mono_ms() + i * 5000);
		stage_flush(cache);
		if (!stage_drained(cache) || !ledger_balanced(&cache->ledger) ||
		    cache->ledger.held)
			abort();
		stage_free(cache);
	}
out:
	free(copy);
	shape_table_free(shapes);
	ie_registry_free(registry);
	if (fd >= 0)
		close(fd);
	return 0;
}
