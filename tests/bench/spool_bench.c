/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A spool alone: messages of one length are written to it, and read out of it.
 *
 *	spool_bench write|read FOLDER OCTETS MESSAGES never|segment|MILLISECONDS
 *
 * write leaves them there for read. Prints wall seconds; those of write end
 * when the spool is closed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/message.h"
#include "spool.h"

static void
on_lost(void *arg, uint64_t records, enum loss loss)
{
	fprintf(stderr, "%llu records are lost: %s\n",
		(unsigned long long)records, loss_name(loss));
	exit(1);
}

static int
write_all(struct spool *sp, uint32_t octets, unsigned long messages)
{
	uint8_t *message = calloc(1, octets);
	uint64_t segment;
	enum loss loss;

	if (!message)
		return 1;
	wire_put16(message, MESSAGE_VERSION);
	wire_put16(message + 2, (uint16_t)octets);
	for (unsigned long i = 0; i < messages; i++) {
		wire_put32(message + 8, (uint32_t)i);
		if (spool_prepare(sp, octets, &segment, &loss) ||
		    spool_append(sp, message, octets, 1, 1, &loss)) {
			fprintf(stderr, "%s\n", loss_name(loss));
			return 1;
		}
		/* As often as the loop would, at least. */
		if (i % 1024 == 0)
			spool_tick(sp, clock_mono_ms());
	}
	free(message);
	return 0;
}

static int
read_all(struct spool *sp, unsigned long messages)
{
	struct spool_message m;
	unsigned long n = 0;

	while (spool_next(sp, &m)) {
		n++;
		spool_done(sp);
		if (n % 16 == 0)
			spool_commit(sp);
	}
	return n != messages;
}

int
main(int argc, char **argv)
{
	struct exporting_spool conf = {
		.max_octets = UINT64_C(1) << 50,
		.segment_octets = 16 << 20,
	};
	struct spool *sp;
	char *error = NULL;
	uint64_t start;
	int failed;

	if (argc != 6)
		return 2;
	conf.directory = argv[2];
	conf.sync_ms = (uint32_t)atoi(argv[5]);
	conf.sync = strcmp(argv[5], "never") == 0     ? EXPORTING_SYNC_NEVER
		    : strcmp(argv[5], "segment") == 0 ? EXPORTING_SYNC_SEGMENT
						      : EXPORTING_SYNC_TIME;
	start = clock_mono_ms();
	if (spool_open(&conf, "bench", on_lost, NULL, &sp, &error)) {
		fprintf(stderr, "%s\n", error ? error : "no memory");
		return 1;
	}
	if (strcmp(argv[1], "write") == 0)
		failed = write_all(sp, (uint32_t)atoi(argv[3]),
				   strtoul(argv[4], NULL, 10));
	else
		failed = read_all(sp, strtoul(argv[4], NULL, 10));
	spool_close(sp);
	printf("%.3f\n", (double)(clock_mono_ms() - start) / 1000);
	return failed;
}
