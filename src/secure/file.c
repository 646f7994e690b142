/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads files of certificates and keys. A file with a secret that others may
 * read or write is refused: whoever can do so can be us.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/text.h"

static int
read_all(int fd, struct file_data *out, size_t size)
{
	ssize_t n;

	out->data = malloc(size + 1);
	if (!out->data)
		return -ENOMEM;
	while (out->length < size) {
		n = read(fd, out->data + out->length, size - out->length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		out->length += (size_t)n;
	}
	out->data[out->length] = '\0';
	return 0;
}

static int
check(const char *file, const struct stat *st, bool secret, char **error)
{
	unsigned mode = st->st_mode & 07777;

	if (!S_ISREG(st->st_mode))
		return text_error(error, -EINVAL, "%s: it is no regular file",
				  file);
	if (st->st_size > FILE_OCTETS_MAX)
		return text_error(error, -EFBIG, "%s: more than %d octets",
				  file, FILE_OCTETS_MAX);
	if (secret && (mode & (S_IRWXO | S_IWGRP)))
		return text_error(error, -EPERM,
				  "%s: it is secret, but others may read or "
				  "change it (mode %04o): chmod 600 it",
				  file, mode);
	return 0;
}

static int
read_file(struct file_data *out, const char *file, bool secret, bool *shared,
	  char **error)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc;

	*out = (struct file_data){0};
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = text_error(error, -errno, "%s: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = check(file, &st, secret, error);
	if (rc == 0) {
		*shared = st.st_mode & S_IRGRP;
		rc = read_all(fd, out, (size_t)st.st_size);
		if (rc < 0)
			text_error(error, rc, "%s: %s", file, strerror(-rc));
	}
	close(fd);
	if (rc < 0)
		file_free(out);
	return rc;
}

int
file_read(struct file_data *out, const char *file, char **error)
{
	bool shared;

	return read_file(out, file, false, &shared, error);
}

int
file_read_secret(struct file_data *out, const char *file, bool *shared,
		 char **error)
{
	return read_file(out, file, true, shared, error);
}

void
file_free(struct file_data *data)
{
	if (data->data)
		OPENSSL_cleanse(data->data, data->length);
	free(data->data);
	*data = (struct file_data){0};
}
