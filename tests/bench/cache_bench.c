/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache alone: an IPFIX file in memory is read, decoded and merged by
 * 5-tuple; what is exported is counted and thrown away.
 *
 *	cache_bench FILE [ROUNDS [STATE [JOURNAL]]]
 *
 * Prints processor time per record for the rounds, and memory per flow. With a
 * state file: what a tick that saves takes, all of them, the last one at the
 * end, which is synced, and how long it takes to go on with the flows. JOURNAL:
 * so many octets of a journal.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench_file.h"
#include "conflux/cache.h"
#include "conflux/clock.h"

static double
seconds_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
seconds(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

/* Saves in slices, then as a whole; returns the cache that goes on with it. */
static struct stage *
save(struct stage *cache, struct cache_conf *conf, struct ie_registry *registry,
     struct shape_table *shapes)
{
	uint64_t now = clock_mono_ms() + 3600000;
	double start, cpu, took, sum = 0, worst = 0, worst_cpu = 0;
	unsigned slices = 0;
	const char *error;
	struct stat st;

	unlink(conf->state_file);
	do {
		now += 100;
		start = seconds();
		cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
		stage_tick(cache, now);
		took = seconds() - start;
		cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
		sum += took;
		if (took > worst)
			worst = took;
		if (cpu > worst_cpu)
			worst_cpu = cpu;
		slices++;
	} while (stat(conf->state_file, &st) != 0);
	/* On a busy machine others have their share of a slice. */
	printf("slices=%u worst_ms=%.2f worst_cpu_ms=%.2f sum_ms=%.1f "
	       "octets=%llu\n",
	       slices, worst * 1e3, worst_cpu * 1e3, sum * 1e3,
	       (unsigned long long)st.st_size);
	start = seconds();
	stage_flush(cache);
	printf("whole_ms=%.1f\n", (seconds() - start) * 1e3);
	stage_free(cache);
	start = seconds();
	conf->state_export = true;
	if (cache_new(conf, registry, shapes, &cache, &error) != 0)
		return NULL;
	printf("load_ms=%.1f\n", (seconds() - start) * 1e3);
	unlink(conf->state_file);
	return cache;
}

int
main(int argc, char **argv)
{
	static const uint16_t id[] = {8, 12, 7, 11, 4, 1, 2, 152, 153};
	struct template_limits limits = {.max_templates = 100,
					 .max_fields = 100};
	struct ie_registry *registry = ie_registry_new(1000);
	struct shape_table *shapes = shape_table_new(1000);
	struct template_store *store =
		template_store_new(&limits, registry, shapes);
	struct cache_field field[9];
	struct cache_conf conf = {.name = "bench",
				  .type = CACHE_TIMEOUT,
				  .max_flows = 16777216,
				  .fields = field,
				  .field_count = 9};
	struct bench_sink sink = {
		.stage = {.ops = &bench_sink_ops, .name = "sink"}};
	struct cache_stats stats;
	struct stage *cache;
	const char *error;
	struct stat st;
	uint8_t *data;
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	int rounds = argc > 2 ? atoi(argv[2]) : 1;

	conf.state_file = argc > 3 ? argv[3] : NULL;
	conf.state_interval_s = 3600;
	conf.state_journal = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		fprintf(stderr, "usage: cache_bench FILE [ROUNDS [STATE [JOURNAL]]]\n");
		return 2;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ,
		    MAP_PRIVATE | MAP_POPULATE, fd, 0);
	for (unsigned i = 0; i < 9; i++)
		field[i] =
			(struct cache_field){.ie = ie_find(registry, 0, id[i]),
					     .key = i < 5,
					     .prefix_length = -1};
	if (data == MAP_FAILED ||
	    cache_new(&conf, registry, shapes, &cache, &error) != 0)
		return 1;
	stage_link(cache, &sink.stage);
	for (int i = 0; i < rounds; i++) {
		double start = cpu_seconds();
		uint64_t n = run_file(cache, store, data, (size_t)st.st_size,
				      &bench_scope);
		double used = cpu_seconds() - start;

		cache_stats(cache, &stats);
		printf("records=%llu ns_per_record=%.1f flows=%llu "
		       "octets_per_flow=%.1f\n",
		       (unsigned long long)n, used * 1e9 / (double)n,
		       (unsigned long long)stats.active_flows,
		       (double)stats.octets / (double)stats.active_flows);
	}
	if (conf.state_file) {
		cache = save(cache, &conf, registry, shapes);
		if (!cache)
			return 1;
		stage_link(cache, &sink.stage);
	}
	stage_flush(cache);
	printf("exported=%llu cpu=%.3f\n", (unsigned long long)sink.records,
	       cpu_seconds());
	stage_free(cache);
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
