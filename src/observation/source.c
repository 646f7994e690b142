/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* See source.h. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
	READ_SIZE = 128 * 1024, /* what was read is in the cache when used */
	BUFFER_SIZE = SOURCE_WINDOW + READ_SIZE,
};

struct source_file {
	int fd;
	uint64_t size;   /* of the file, 0: not known */
	uint64_t offset; /* of the cursor */
	uint64_t done;   /* octets that were read */
	bool wait;       /* it is a pipe or the like */
	bool connected;  /* a named pipe: somebody has written to it */
	int flags;       /* of standard input, as they were; -1: as they are */
	size_t start, end;
	bool looked;     /* at whether it is packed */
	bool ended;
	bool packed;
	bool member;     /* within one of gzip */
	z_stream z;
	uint8_t *input;  /* octets that are packed */
	uint8_t buffer[BUFFER_SIZE];
};

static bool
has_gzip_magic(const uint8_t *p, size_t length)
{
	return length >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

/* Octets that were read already are given as the first ones. */
static int
open_packed(struct source_file *s, const uint8_t *p, size_t length)
{
	s->input = malloc(READ_SIZE);
	if (!s->input)
		return -ENOMEM;
	/* 16: gzip. */
	if (inflateInit2(&s->z, 15 + 16) != Z_OK)
		return -ENOMEM;
	s->packed = true;
	memcpy(s->input, p, length);
	s->z.next_in = s->input;
	s->z.avail_in = (uInt)length;
	return 0;
}

/* Reading does not block, so that the event loop can wait for it. */
static int
open_waiting(struct source_file *s, bool standard_input)
{
	int flags = fcntl(s->fd, F_GETFL);

	if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	/* Others may go on with our standard input. */
	if (standard_input)
		s->flags = flags;
	s->wait = true;
	return 0;
}

static int
open_octets(struct source_file *s, const char *path)
{
	bool standard_input = strcmp(path, "-") == 0;
	struct stat st;

	/* Does not wait for the writer of a named pipe. */
	s->fd = standard_input
			? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
			: open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	s->connected = !S_ISFIFO(st.st_mode) || standard_input;
	if (!S_ISREG(st.st_mode))
		return open_waiting(s, standard_input);
	s->size = (uint64_t)st.st_size;
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int
source_file_open(const char *path, struct source_file **out)
{
	struct source_file *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	/* Not the buffer: pages of it that nobody needs are not touched. */
	memset(s, 0, offsetof(struct source_file, buffer));
	s->flags = -1;
	rc = open_octets(s, path);
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
	if (s->packed)
		inflateEnd(&s->z);
	free(s->input);
	if (s->flags >= 0)
		fcntl(s->fd, F_SETFL, s->flags);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

const uint8_t *
source_file_at(const struct source_file *s, size_t *length)
{
	*length = s->end - s->start;
	return s->buffer + s->start;
}

void
source_file_skip(struct source_file *s, size_t length)
{
	s->start += length;
	s->offset += length;
}

/* ---- more of it ------------------------------------------------------------ */

/* A named pipe seems to have ended as long as nobody has opened it to write. */
static bool
is_unconnected(struct source_file *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	return !s->connected && poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
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
	if (n == 0 && is_unconnected(s))
		return -EAGAIN;
	s->connected = true;
	s->done += (uint64_t)n;
	return n;
}

/* A gzip file may have several members; zeros behind them are padding. */
static int
begin_member(struct source_file *s)
{
	while (s->z.avail_in && *s->z.next_in == 0) {
		s->z.next_in++;
		s->z.avail_in--;
	}
	if (s->z.avail_in == 0)
		return 0;
	s->member = true;
	return inflateReset(&s->z) == Z_OK ? 0 : -EBADMSG;
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
				return n == 0 && s->member ? -EBADMSG : n;
			s->z.next_in = s->input;
			s->z.avail_in = (uInt)n;
		}
		if (!s->member) {
			if (begin_member(s) < 0)
				return -EBADMSG;
			if (!s->member)
				continue;
		}
		s->z.next_out = to;
		s->z.avail_out = (uInt)size;
		z = inflate(&s->z, Z_NO_FLUSH);
		n = (ssize_t)(size - s->z.avail_out);
		if (z == Z_STREAM_END)
			s->member = false;
		else if (z != Z_OK && z != Z_BUF_ERROR && n == 0)
			return -EBADMSG;
		if (n)
			return n;
	}
}

/* Whether it is packed is known with its first two octets. */
static int
look(struct source_file *s)
{
	int rc = 0;

	s->looked = true;
	if (has_gzip_magic(s->buffer, s->end)) {
		rc = open_packed(s, s->buffer, s->end);
		s->end = 0;
	}
	return rc;
}

static int
refill(struct source_file *s)
{
	size_t size = BUFFER_SIZE - s->end;
	uint8_t *to = s->buffer + s->end;
	ssize_t n;

	if (size > READ_SIZE)
		size = READ_SIZE;
	n = s->packed ? inflate_some(s, to, size) : read_some(s, to, size);
	if (n < 0)
		return (int)n;
	s->end += (size_t)n;
	s->ended = n == 0;
	return n > 0;
}

int
source_file_fill(struct source_file *s, size_t want)
{
	int rc;

	if (s->ended || want > SOURCE_WINDOW)
		return 0;
	memmove(s->buffer, s->buffer + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	rc = refill(s);
	if (rc < 0 || s->looked || (s->end < 2 && !s->ended))
		return rc;
	rc = look(s);
	if (rc < 0)
		return rc;
	return s->packed ? refill(s) : !s->ended;
}

/* ---- what is known of it --------------------------------------------------- */

int
source_file_fd(const struct source_file *s)
{
	return s->wait ? s->fd : -1;
}

const char *
source_file_reason(int rc)
{
	switch (rc) {
	case -EBADMSG:
		return "what gzip has packed is wrong or cut off";
	default:
		return strerror(-rc);
	}
}

uint64_t
source_file_offset(const struct source_file *s)
{
	return s->offset;
}

uint64_t
source_file_done(const struct source_file *s)
{
	return s->done;
}

uint64_t
source_file_size(const struct source_file *s)
{
	return s->size;
}
