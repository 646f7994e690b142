/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An IPFIX file in memory as batches for one stage: what measurements of single
 * stages share. Only records without variable-length fields are run.
 */
#ifndef CONFLUX_BENCH_FILE_H
#define CONFLUX_BENCH_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/message.h"
#include "conflux/stage.h"
#include "conflux/template.h"

/* The end: what comes is counted and thrown away. */
struct bench_sink {
	struct stage stage;
	uint64_t records;
};

static inline void
bench_sink_run(struct stage *stage, const struct batch *batch)
{
	((struct bench_sink *)stage)->records += batch->count;
}

static const struct stage_ops bench_sink_ops = {.run = bench_sink_run};

static inline void
on_template(void *arg, const struct template_event *event)
{
	if (event->outcome == TEMPLATE_MALFORMED)
		fprintf(stderr, "template %u: %s\n", event->id, event->reason);
}

static inline uint64_t
run_set(struct stage *stage, const struct template *t, const struct set *set,
	struct batch *batch)
{
	uint32_t size = t->shape->min_length;
	uint32_t left = set->length / size;
	uint64_t records = left;

	batch->shape = t->shape;
	batch->base = set->content;
	batch->stride = size;
	while (left) {
		batch->count = left < BATCH_MAX ? left : BATCH_MAX;
		stage_run(stage, batch);
		batch->base += (size_t)batch->count * size;
		left -= batch->count;
	}
	return records;
}

/* Where all records are from, unless it is said. */
static const struct scope bench_scope = {.serial = 1,
					 .exporter = {.version = 4}};

static inline uint64_t
run_file(struct stage *stage, struct template_store *store, const uint8_t *p,
	 size_t left, const struct scope *scope)
{
	uint64_t records = 0;
	int length;

	while ((length = message_frame(p, left)) > 0 &&
	       (size_t)length <= left) {
		struct message_reader reader;
		struct set set;
		struct batch batch = {.scope = scope};

		if (message_open(&reader, p, (size_t)length) != 0)
			break;
		batch.export_ms = reader.header.export_time * 1000ull;
		while (message_next_set(&reader, &set)) {
			struct template *t;

			if (set.id < SET_DATA_MIN) {
				template_store_read(store, 0, set.id,
						    set.content, set.length, 0,
						    0, on_template, NULL);
				continue;
			}
			t = template_store_find(store, 0, set.id, 0, 0);
			if (t && !t->shape->variable)
				records += run_set(stage, t, &set, &batch);
		}
		p += length;
		left -= (size_t)length;
	}
	return records;
}

static inline double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static inline const uint8_t *
map(const char *name, size_t *length)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) != 0)
		return NULL;
	*length = (size_t)st.st_size;
	data = mmap(NULL, *length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd,
		    0);
	return data == MAP_FAILED ? NULL : data;
}

/* Runs the file so often, and prints the least time. */
static inline void
measure(struct stage *stage, struct bench_sink *sink,
	struct template_store *store, const uint8_t *data, size_t length,
	int rounds)
{
	double best = 0;
	uint64_t n = 0;

	for (int i = 0; i < rounds; i++) {
		double start = cpu_seconds(), used;

		sink->records = 0;
		n = run_file(stage, store, data, length, &bench_scope);
		used = cpu_seconds() - start;
		if (i == 0 || used < best)
			best = used;
	}
	printf("records=%llu passed=%llu ns_per_record=%.2f\n",
	       (unsigned long long)n, (unsigned long long)sink->records,
	       best * 1e9 / (double)(n ? n : 1));
}

#endif
