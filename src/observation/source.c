/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* See source.h. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
	READ_SIZE = 256 * 1024,
	BUFFER_SIZE = SOURCE_WINDOW + READ_SIZE,
	BEHIND = 32 << 20, /* mapped octets that were read and are given back */
};

struct source_file {
	int fd;
	uint64_t size; /* of the file, 0: not known */
	/* Mapped: */
	uint8_t *map;
	size_t at, released;
	/* Read: */
	bool wait;       /* it is a pipe or the like */
	uint8_t *buffer;
	size_t start, end;
	uint64_t done;
	bool ended;
	/* Packed: */
	bool packed;
	z_stream z;
	uint8_t *input;
};

static bool
has_gzip_magic(const uint8_t *p, size_t length)
{
	return length >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static int
open_packed(struct source_file *s)
{
	s->packed = true;
	s->input = malloc(READ_SIZE);
	if (!s->input)
		return -ENOMEM;
	/* 16: gzip, several members one after the other are dealt with. */
	return inflateInit2(&s->z, 15 + 16) == Z_OK ? 0 : -ENOMEM;
}

static int
open_mapped(struct source_file *s)
{
	s->map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, s->fd, 0);
	if (s->map == MAP_FAILED) {
		s->map = NULL;
		return -errno;
	}
	madvise(s->map, s->size, MADV_SEQUENTIAL);
	return 0;
}

static int
open_read(struct source_file *s, const struct stat *st)
{
	uint8_t magic[2];
	ssize_t n;

	s->buffer = malloc(BUFFER_SIZE);
	if (!s->buffer)
		return -ENOMEM;
	s->wait = !S_ISREG(st->st_mode);
	if (s->wait) {
		int flags = fcntl(s->fd, F_GETFL);

		/* Whether it is packed is seen when the first octets come. */
		if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		return 0;
	}
	n = pread(s->fd, magic, sizeof(magic), 0);
	if (n < 0)
		return -errno;
	return has_gzip_magic(magic, (size_t)n) ? open_packed(s) : 0;
}

int
source_file_open(const char *path, struct source_file **out)
{
	struct source_file *s = calloc(1, sizeof(*s));
	uint8_t magic[2] = {0};
	struct stat st;
	int rc = 0;

	if (!s)
		return -ENOMEM;
	s->fd = strcmp(path, "-") == 0
			? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
			: open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	if (rc == 0 && S_ISREG(st.st_mode)) {
		s->size = (uint64_t)st.st_size;
		if (pread(s->fd, magic, sizeof(magic), 0) < 0)
			rc = -errno;
	}
	if (rc == 0 && s->size && !has_gzip_magic(magic, sizeof(magic)) &&
	    open_mapped(s) == 0) {
		*out = s;
		return 0;
	}
	if (rc == 0)
		rc = open_read(s, &st);
	if (rc < 0) {
		source_file_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
source_file_close(struct source_file *s)
{
	if (!s)
		return;
	if (s->map)
		munmap(s->map, s->size);
	if (s->packed)
		inflateEnd(&s->z);
	free(s->input);
	free(s->buffer);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

const uint8_t *
source_file_at(const struct source_file *s, size_t *length)
{
	if (s->map) {
		*length = s->size - s->at;
		return s->map + s->at;
	}
	*length = s->end - s->start;
	return s->buffer + s->start;
}

/*
 * Pages that were read are given back, so that a file of any size takes little
 * memory; they stay in the page cache.
 */
void
source_file_skip(struct source_file *s, size_t length)
{
	if (!s->map) {
		s->start += length;
		return;
	}
	s->at += length;
	if (s->at - s->released < 2 * BEHIND)
		return;
	madvise(s->map + s->released, BEHIND, MADV_DONTNEED);
	s->released += BEHIND;
}

static ssize_t
read_some(struct source_file *s, uint8_t *to, size_t size)
{
	ssize_t n;

	do {
		n = read(s->fd, to, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	s->done += (uint64_t)n;
	return n;
}

/* A gzip file may have several members; zeros behind them are padding. */
static int
next_member(struct source_file *s)
{
	while (s->z.avail_in && *s->z.next_in == 0) {
		s->z.next_in++;
		s->z.avail_in--;
	}
	return inflateReset(&s->z) == Z_OK ? 0 : -EIO;
}

static ssize_t
inflate_some(struct source_file *s, uint8_t *to, size_t size)
{
	ssize_t n;
	int z;

	for (;;) {
		if (s->z.avail_in == 0) {
			n = read_some(s, s->input, READ_SIZE);
			if (n <= 0)
				return n;
			s->z.next_in = s->input;
			s->z.avail_in = (uInt)n;
		}
		s->z.next_out = to;
		s->z.avail_out = (uInt)size;
		z = inflate(&s->z, Z_NO_FLUSH);
		n = (ssize_t)(size - s->z.avail_out);
		if (z == Z_STREAM_END && next_member(s) < 0)
			return -EIO;
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return n ? n : -EBADMSG;
		if (n)
			return n;
	}
}

static int
refill(struct source_file *s)
{
	uint8_t *to;
	ssize_t n;
	size_t size;

	memmove(s->buffer, s->buffer + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	to = s->buffer + s->end;
	size = BUFFER_SIZE - s->end;
	if (size > READ_SIZE)
		size = READ_SIZE;
	n = s->packed ? inflate_some(s, to, size) : read_some(s, to, size);
	if (n < 0)
		return (int)n;
	if (s->done == (uint64_t)n && s->wait && !s->packed && s->end == 0 &&
	    has_gzip_magic(to, (size_t)n)) {
		int rc = open_packed(s);

		if (rc < 0)
			return rc;
		memcpy(s->input, to, (size_t)n);
		s->z.next_in = s->input;
		s->z.avail_in = (uInt)n;
		return refill(s);
	}
	s->end += (size_t)n;
	s->ended = n == 0;
	return n > 0;
}

int
source_file_fill(struct source_file *s, size_t want)
{
	struct stat st;

	if (s->map) {
		/* Somebody may have cut it under us. */
		if (fstat(s->fd, &st) == 0 && (uint64_t)st.st_size < s->size)
			return -EIO;
		return 0;
	}
	if (s->ended || want > SOURCE_WINDOW)
		return 0;
	return refill(s);
}

int
source_file_fd(const struct source_file *s)
{
	return s->wait ? s->fd : -1;
}

uint64_t
source_file_done(const struct source_file *s)
{
	return s->map ? s->at : s->done;
}

uint64_t
source_file_size(const struct source_file *s)
{
	return s->size;
}
