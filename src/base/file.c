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

int
file_write_all(int fd, const void *data, size_t length)
{
	const uint8_t *p = data;

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

/* To be freed; NULL without memory. */
static char *
part_name(const char *path)
{
	char *part;

	return asprintf(&part, "%s.part", path) < 0 ? NULL : part;
}

int
file_part_open(const char *path, unsigned mode)
{
	char *part = part_name(path);
	int fd;

	if (!part)
		return -ENOMEM;
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		fd = -errno;
	free(part);
	return fd;
}

int
file_part_done(const char *path, int fd, bool sync)
{
	char *part = part_name(path);
	int rc = 0;

	if (!part)
		return -ENOMEM;
	if (sync && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && rename(part, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(part);
	free(part);
	return rc;
}

void
file_part_drop(const char *path)
{
	char *part = part_name(path);

	if (part)
		unlink(part);
	free(part);
}

int
file_replace(const char *path, const void *data, size_t length, unsigned mode,
	     bool sync)
{
	int fd = file_part_open(path, mode);
	int rc;

	if (fd < 0)
		return fd;
	rc = file_write_all(fd, data, length);
	if (rc < 0)
		file_part_drop(path);
	else
		rc = file_part_done(path, fd, sync);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}
