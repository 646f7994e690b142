/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages into a file (RFC 5655 section 5) or pipe. Whole messages only:
 * after a write that failed, a regular file is cut back to the last whole
 * message, and what is still in the buffer is tried again with the next one.
 * Written when the buffer is full, each second, and at the end. A file that is
 * appended to may end within a message, as its writer was killed: it is cut back
 * likewise.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "out.h"
#include "outbuf.h"
#include "socket.h"

enum {
	BUFFER = 256 * 1024,
	WRITE_AT = 65536,
	FLUSH_MS = 1000,
};

struct file_out {
	struct net_out out;
	int fd;
	bool open;
	bool regular;
	bool failing;          /* the last write failed, it was logged */
	struct event *up;
	struct event *flush;   /* each second */
	struct event *writable; /* pipes */
	struct outbuf buffer;
};

/*
 * One write. A pipe that is not empty takes PIPE_BUF octets at least when it
 * says that it can be written to, so this never waits for its reader, though
 * its descriptor is not made non-blocking: others may have it, too.
 */
static ssize_t
write_some(struct file_out *out, const uint8_t *p, size_t length)
{
	struct pollfd pipe = {.fd = out->fd, .events = POLLOUT};

	if (out->regular)
		return write(out->fd, p, length);
	if (poll(&pipe, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(out->fd, p, length < PIPE_BUF ? length : PIPE_BUF);
}

static void
cut_back(struct file_out *out)
{
	off_t at;

	if (!out->regular || out->buffer.partial == 0)
		return;
	at = lseek(out->fd, 0, SEEK_CUR) - (off_t)out->buffer.partial;
	if (ftruncate(out->fd, at) < 0 || lseek(out->fd, at, SEEK_SET) < 0) {
		log_error("%s: it ends within a message now: %s",
			  out->out.name, strerror(errno));
		return;
	}
	out->out.stats.octets -= out->buffer.partial;
	outbuf_unwrite(&out->buffer);
}

/* 0, -EAGAIN (a pipe is full), or what the write said. */
static int
flush(struct file_out *out)
{
	struct outbuf *b = &out->buffer;
	ssize_t n;
	int rc;

	while (outbuf_octets(b)) {
		n = write_some(out, b->data + b->start, outbuf_octets(b));
		if (n > 0) {
			out->out.stats.octets += (uint64_t)n;
			out->out.stats.messages +=
				outbuf_wrote(b, (size_t)n);
			continue;
		}
		rc = n == 0 ? -EIO : -errno;
		if (rc == -EINTR)
			continue;
		if (rc == -EAGAIN) {
			event_add(out->writable, NULL);
			return rc;
		}
		cut_back(out);
		if (!out->failing)
			log_error("%s: %s", out->out.name, strerror(-rc));
		out->failing = true;
		return rc;
	}
	out->failing = false;
	return 0;
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct file_out *out = arg;

	if (flush(out) == 0)
		net_out_writable(&out->out);
}

static void
on_up(evutil_socket_t fd, short what, void *arg)
{
	struct file_out *out = arg;

	out->out.stats.up = true;
	out->out.stats.start_ms = clock_wall_ms();
	out->out.ops->up(out->out.arg);
}

static int
file_out_send(struct net_out *net, const uint8_t *message, size_t length)
{
	struct file_out *out = (struct file_out *)net;
	int rc = 0;

	if (outbuf_octets(&out->buffer) >= WRITE_AT)
		rc = flush(out);
	if (rc < 0 && rc != -EAGAIN)
		return rc;
	return outbuf_add(&out->buffer, message, length);
}

static int
open_fd(const char *name, bool append)
{
	int fd;

	if (strcmp(name, "-") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		/* Does not wait for the reader of a named pipe. */
		fd = open(name,
			  (append ? O_RDWR : O_WRONLY) | O_CREAT | O_CLOEXEC |
				  O_NONBLOCK,
			  0666);
	return fd < 0 ? -errno : fd;
}

/* Where the last whole message ends, or a negative errno. */
static off_t
find_end(const struct file_out *out, off_t size)
{
	uint8_t head[16];
	off_t at = 0;
	ssize_t n;
	int length;

	while (at < size) {
		n = pread(out->fd, head, sizeof(head), at);
		if (n < 0)
			return -errno;
		length = out->out.conf.append(head, (size_t)n);
		if (length < 0)
			return length;
		if (length == 0 || size - at < length)
			break;
		at += length;
	}
	return at;
}

/* Behind what the file has. */
static int
go_to_end(struct file_out *out, off_t size)
{
	off_t end = find_end(out, size);

	if (end < 0)
		return (int)end;
	if (end < size)
		log_warning("%s: its last message was cut off, and goes (%lld "
			    "octets)",
			    out->out.name, (long long)(size - end));
	if (ftruncate(out->fd, end) < 0 || lseek(out->fd, end, SEEK_SET) < 0)
		return -errno;
	return 0;
}

static int
open_file(struct file_out *out)
{
	struct stat st;

	out->fd = open_fd(out->out.conf.file, out->out.conf.append);
	if (out->fd < 0)
		return out->fd;
	out->open = true;
	if (fstat(out->fd, &st) < 0)
		return -errno;
	out->regular = S_ISREG(st.st_mode);
	/* Standard output may be redirected behind what others wrote. */
	if (!out->regular || strcmp(out->out.conf.file, "-") == 0)
		return 0;
	if (out->out.conf.append)
		return go_to_end(out, st.st_size);
	return ftruncate(out->fd, 0) < 0 ? -errno : 0;
}

static int
file_out_open(struct net_out *net, char **error)
{
	static const struct timeval second = {.tv_sec = FLUSH_MS / 1000};
	struct file_out *out = (struct file_out *)net;
	int rc = open_file(out);

	if (rc < 0) {
		*error = net_error("%s: %s", net->name,
				   rc == -ENXIO     ? "nobody reads this pipe"
				   : rc == -EBADMSG ? "it has something else "
						      "than messages, and is "
						      "not appended to"
						    : strerror(-rc));
		return rc;
	}
	if (outbuf_init(&out->buffer, BUFFER) < 0)
		return -ENOMEM;
	out->up = evtimer_new(net->base, on_up, out);
	out->flush = event_new(net->base, -1, EV_PERSIST, on_flush, out);
	out->writable = event_new(net->base, out->regular ? -1 : out->fd,
				  EV_WRITE, on_flush, out);
	if (!out->up || !out->flush || !out->writable ||
	    event_add(out->flush, &second) < 0)
		return -ENOMEM;
	event_active(out->up, EV_TIMEOUT, 0);
	return 0;
}

static bool
file_out_drained(const struct net_out *net)
{
	struct file_out *out = (struct file_out *)net;

	/* Asked before the end: a good moment to write the rest. */
	return flush(out) == 0;
}

static bool
file_out_length(const struct net_out *net, uint64_t *length)
{
	const struct file_out *out = (const struct file_out *)net;
	off_t at;

	if (!out->regular || !net->conf.append)
		return false;
	at = lseek(out->fd, 0, SEEK_CUR);
	if (at < 0)
		return false;
	*length = (uint64_t)at - out->buffer.partial;
	return true;
}

static int
file_out_cut(struct net_out *net, uint64_t length)
{
	struct file_out *out = (struct file_out *)net;
	uint64_t now;

	if (!file_out_length(net, &now) || now <= length)
		return 0;
	if (ftruncate(out->fd, (off_t)length) < 0 ||
	    lseek(out->fd, (off_t)length, SEEK_SET) < 0)
		return -errno;
	return 0;
}

static void
free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static size_t
file_out_close(struct net_out *net, unsigned linger_ms)
{
	struct file_out *out = (struct file_out *)net;
	size_t unsent;
	uint64_t until = clock_mono_ms() + linger_ms;
	struct pollfd pipe = {.fd = out->fd, .events = POLLOUT};

	if (!out->open)
		return 0;
	while (out->writable && flush(out) == -EAGAIN &&
	       clock_mono_ms() < until)
		poll(&pipe, 1, 10);
	unsent = out->buffer.count;
	if (out->buffer.count)
		log_error("%s: %u messages could not be written", net->name,
			  out->buffer.count);
	if (close(out->fd) < 0 && errno != EINTR)
		log_error("%s: %s", net->name, strerror(errno));
	free_event(out->up);
	free_event(out->flush);
	free_event(out->writable);
	outbuf_fini(&out->buffer);
	return unsent;
}

const struct net_out_type net_file_out = {
	.size = sizeof(struct file_out),
	.open = file_out_open,
	.send = file_out_send,
	.drained = file_out_drained,
	.length = file_out_length,
	.cut = file_out_cut,
	.close = file_out_close,
};
