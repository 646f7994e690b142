/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Collecting Process alone: the messages of an IPFIX file in memory, as if
 * they came over UDP or from a file; the batches are counted and thrown away.
 *
 *	collect_bench FILE [ROUNDS [udp|file]]
 *
 * Prints processor time per record and per message.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conflux/collecting.h"
#include "conflux/log.h"
#include "conflux/message.h"

static uint64_t batches;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	batches++;
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t
run(struct collecting_receiver *receiver, struct net_session *net,
    const uint8_t *p, const uint8_t *end)
{
	const struct net_in_ops *ops = collecting_net_ops();
	uint64_t messages = 0;

	while (p < end) {
		int length = message_frame(p, (size_t)(end - p));

		if (length <= 0 || length > end - p)
			break;
		ops->message(receiver, net, p, (size_t)length);
		p += length;
		messages++;
	}
	return messages;
}

static const uint8_t *
map(const char *name, size_t *size)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	*size = (size_t)st.st_size;
	p = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int
main(int argc, char **argv)
{
	static const struct stage_ops sink_ops = {.run = sink_run};
	struct stage sink = {.ops = &sink_ops};
	bool udp = argc > 3 && strcmp(argv[3], "udp") == 0;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	struct collecting_receiver_conf receiver_conf = {
		.name = "r", .transport = udp ? TRANSPORT_UDP : TRANSPORT_FILE};
	struct collecting_conf conf = {.name = "bench"};
	struct collecting_receiver *receiver;
	struct collecting *c;
	const uint8_t *data = NULL;
	size_t size = 0;

	conf.registry = ie_registry_new(100);
	conf.shapes = shape_table_new(100);
	if (argc > 1)
		data = map(argv[1], &size);
	if (!data || collecting_new(&conf, &c) ||
	    stage_link(collecting_stage(c), &sink) ||
	    collecting_add(c, &receiver_conf, &receiver)) {
		fprintf(stderr, "usage: collect_bench FILE [ROUNDS [udp]]\n");
		return 1;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (int i = 0; i < rounds; i++) {
		struct net_session net = {.transport = receiver_conf.transport,
					  .file = argv[1]};
		uint64_t before = collecting_stage(c)->ledger.in;
		uint64_t messages, records;
		double begin;

		collecting_net_ops()->opened(receiver, &net);
		begin = cpu_seconds();
		messages = run(receiver, &net, data, data + size);
		begin = cpu_seconds() - begin;
		records = collecting_stage(c)->ledger.in - before;
		collecting_net_ops()->closed(receiver, &net, NULL, 0);
		printf("%llu records, %llu messages: %.2f ns a record, %.1f ns "
		       "a message\n",
		       (unsigned long long)records,
		       (unsigned long long)messages,
		       begin * 1e9 / (double)records,
		       begin * 1e9 / (double)messages);
	}
	stage_free(collecting_stage(c));
	shape_table_free(conf.shapes);
	ie_registry_free(conf.registry);
	return 0;
}
