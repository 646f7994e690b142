/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A file of pre-shared keys. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("psk", MFD_CLOEXEC);
	struct psk_list list;
	char *error = NULL;
	char file[32];
	bool shared;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    fchmod(fd, 0600) < 0)
		abort();
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	if (psk_load(&list, file, &shared, &error) == 0) {
		assert(list.count > 0 && !error);
		for (unsigned i = 0; i < list.count; i++)
			assert(list.psk[i].key_length >= SECURE_PSK_MIN &&
			       list.psk[i].key_length <= SECURE_PSK_MAX);
		psk_free(&list);
	} else {
		assert(error);
		free(error);
	}
	close(fd);
	return 0;
}
