/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of saved Templates: its checksum is made right, then an exporter that
 * is in the seeds sends, and what was saved is written again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conflux/collecting.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAGIC UINT64_C(0x436f6e666c757854)

static void
send_message(struct collecting_receiver *receiver)
{
	const struct net_in_ops *ops = collecting_net_ops();
	struct net_session net = {.transport = TRANSPORT_UDP};
	uint8_t message[28] = {0};

	addr_parse(&net.remote, "192.0.2.1", 1000);
	wire_put16(message, 10);
	wire_put16(message + 2, sizeof(message));
	wire_put32(message + 8, 110);
	wire_put32(message + 12, 5);
	wire_put16(message + 16, 300);
	wire_put16(message + 18, 12);
	if (ops->opened(receiver, &net) < 0)
		abort();
	ops->message(receiver, &net, message, sizeof(message));
	ops->closed(receiver, &net, NULL, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct collecting_receiver_conf receiver_conf = {
		.name = "udp",
		.transport = TRANSPORT_UDP,
	};
	struct collecting_conf conf = {.name = "fuzz"};
	struct collecting_receiver *receiver;
	struct collecting *collecting;
	uint64_t sum = hash_bytes(data, size, MAGIC);
	char path[64];
	int fd = memfd_create("saved", MFD_CLOEXEC);

	if (fd < 0 || size > 65536)
		return fd < 0 ? 0 : close(fd);
	if (write(fd, data, size) != (ssize_t)size ||
	    write(fd, &sum, sizeof(sum)) != sizeof(sum))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	log_set_level(LOG_LEVEL_ERROR);
	conf.template_file = path;
	conf.registry = ie_registry_new(1000);
	conf.shapes = shape_table_new(1000);
	if (!conf.registry || !conf.shapes ||
	    collecting_new(&conf, &collecting) < 0 ||
	    collecting_add(collecting, &receiver_conf, &receiver) < 0)
		abort();
	send_message(receiver);
	stage_free(collecting_stage(collecting));
	shape_table_free(conf.shapes);
	ie_registry_free(conf.registry);
	close(fd);
	return 0;
}
