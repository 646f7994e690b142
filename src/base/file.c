/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static int
write_all(int fd, const uint8_t *p, size_t length)
{
	while (length) {
		ssize_t n = write(fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		length -= (size_t)n;
	}
	return 0;
}

int
file_replace(const char *path, const void *data, size_t length, unsigned mode,
	     bool sync)
{
	char *part;
	int fd, rc;

	if (asprintf(&part, "%s.part", path) < 0)
		return -ENOMEM;
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	rc = fd < 0 ? -errno : write_all(fd, data, length);
	if (rc == 0 && sync && fsync(fd) < 0)
		rc = -errno;
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(part, path) < 0)
		rc = -errno;
	if (rc < 0 && fd >= 0)
		unlink(part);
	free(part);
	return rc;
}
