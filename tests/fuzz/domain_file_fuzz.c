/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The file of Observation Domain IDs of an Exporting Process. */
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conflux/exporting.h"
#include "conflux/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOMAINS_MAX = 100 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("domains", MFD_CLOEXEC);
	struct event_base *base = event_base_new();
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	struct exporting_destination destination = {
		.name = "d",
		.kind = EXPORTING_FILE,
		.net.file = "/dev/null",
	};
	char file[32];
	struct exporting_conf conf = {
		.name = "e",
		.destination = &destination,
		.destination_count = 1,
		.domain_file = file,
		.max_domains = DOMAINS_MAX,
	};
	struct stage *stage = NULL;
	char *error = NULL;
	int rc;

	log_set_level(LOG_LEVEL_ERROR);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	rc = exporting_new(base, &conf, registry, shapes, &stage, &error);
	assert(rc == 0 || error);
	free(error);
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
	event_base_free(base);
	close(fd);
	return 0;
}
