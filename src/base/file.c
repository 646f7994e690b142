/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEP = 65536 };

static int
read_all(FILE *file, size_t max, char **data, size_t *length)
{
	size_t size = 0;
	char *more;

	while (!feof(file)) {
		if (size - *length < STEP) {
			size = size * 2 + STEP;
			more = realloc(*data, size);
			if (!more)
				return -ENOMEM;
			*data = more;
		}
		*length += fread(*data + *length, 1, size - *length, file);
		if (ferror(file))
			return errno ? -errno : -EIO;
		if (*length > max)
			return -EFBIG;
	}
	return 0;
}

int
file_read_all(const char *path, size_t max, char **data, size_t *length)
{
	FILE *file = fopen(path, "rbe");
	int rc = -errno;

	*data = NULL;
	*length = 0;
	if (!file)
		return rc;
	errno = 0;
	rc = read_all(file, max, data, length);
	fclose(file);
	if (rc < 0) {
		free(*data);
		*data = NULL;
	}
	return rc;
}
