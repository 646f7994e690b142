/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in, one after the other. RFC 5655 section 5: a file is a series of
 * messages like a stream, and one Transport Session of its own.
 *
 * Regular files are read a chunk per turn of the event loop, so that nothing
 * else starves; pipes and terminals when they have something. Messages are
 * handed out where they lie in the chunk; only the part of a message at its
 * end is moved. Read, not mapped: a file that shrinks must not kill us.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "in.h"
#include "socket.h"
#include "timer.h"

enum {
	CHUNK = 256 * 1024,
	/* Messages handed out between two questions whether to go on. */
	PORTION = 16 * 1024,
};

struct file_in {
	struct net_in in;
	unsigned next;        /* file to open */
	int fd;               /* of the present one, -1: none */
	bool opened;          /* the session is known to the receiver */
	bool ended;           /* nothing more can be read from it */
	bool failed;          /* because that was an error */
	struct net_session session;
	struct event *turn;   /* timer: the next chunk, or ask "ready" */
	struct event *readable; /* pipes: there is something */
	bool can_read;
	bool paused;          /* the receiver can't take what was read */
	size_t start, end;    /* of what is in the buffer */
	uint8_t buffer[NET_MESSAGE_MAX + CHUNK];
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct file_in *in = arg;

	in->can_read = true;
	timer_start(in->turn, 0);
}

static int
open_fd(const char *name)
{
	int fd;

	if (strcmp(name, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		/* Does not wait for the writer of a named pipe. */
		fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Do its octets come one after the other, when somebody writes them? */
static bool
comes_slowly(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(fd);
}

static void
file_end(struct file_in *in, const char *reason, size_t lost)
{
	if (in->opened)
		in->in.ops->closed(in->in.arg, &in->session, reason, lost);
	if (in->readable)
		event_free(in->readable);
	if (in->fd >= 0)
		close(in->fd);
	in->readable = NULL;
	in->fd = -1;
	in->opened = in->ended = in->failed = false;
	in->paused = in->can_read = false;
	in->start = in->end = 0;
}

/* Octets of the present file from the buffer's start on. */
static size_t
file_rest(const struct file_in *in)
{
	size_t rest = in->end - in->start;
	struct stat st;
	off_t at;

	if (fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return rest;
	at = lseek(in->fd, 0, SEEK_CUR);
	return at >= 0 && st.st_size > at ? rest + (size_t)(st.st_size - at)
					  : rest;
}

/* Opens the next file that can be; false after the last one. */
static bool
file_begin(struct file_in *in)
{
	const char *name;

	while (in->next < in->in.conf.file_count) {
		name = in->in.conf.files[in->next++];
		in->fd = open_fd(name);
		if (in->fd < 0) {
			log_error("%s: %s: it is left out", name,
				  strerror(-in->fd));
			in->fd = -1;
			continue;
		}
		memset(&in->session, 0, sizeof(in->session));
		in->session.transport = TRANSPORT_FILE;
		in->session.file = name;
		in->session.start_ms = in->session.last_ms = clock_wall_ms();
		if (in->in.ops->opened(in->in.arg, &in->session) != 0) {
			file_end(in, NULL, 0);
			continue;
		}
		in->opened = true;
		if (comes_slowly(in->fd))
			in->readable = event_new(in->in.base, in->fd, EV_READ,
						 on_readable, in);
		else
			posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return true;
	}
	return false;
}

/* Reads a chunk behind what is left. */
static void
file_read(struct file_in *in)
{
	ssize_t n;

	memmove(in->buffer, in->buffer + in->start, in->end - in->start);
	in->end -= in->start;
	in->start = 0;
	n = read(in->fd, in->buffer + in->end, CHUNK);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		log_error("%s: %s", in->session.file, strerror(errno));
		in->failed = true;
	}
	if (n <= 0)
		in->ended = true;
	else
		in->end += (size_t)n;
	in->session.last_ms = clock_wall_ms();
}

/*
 * Hands out what is in the buffer. False: the receiver can't take more now.
 * *reason is set if the file can't be understood.
 */
static bool
file_take(struct file_in *in, const char **reason)
{
	size_t rest, used, need;

	while (in->start < in->end) {
		if (!net_in_ready(&in->in))
			return false;
		rest = in->end - in->start;
		used = net_in_split(&in->in, &in->session,
				    in->buffer + in->start,
				    rest < PORTION ? rest : PORTION, &need,
				    reason);
		if (used == 0 && rest > PORTION && !*reason)
			used = net_in_split(&in->in, &in->session,
					    in->buffer + in->start,
					    need < rest ? need : rest, &need,
					    reason);
		in->start += used;
		if (used == 0 || *reason)
			break;
	}
	return true;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct file_in *in = arg;
	const char *reason = NULL;

	if (in->fd < 0 && !file_begin(in)) {
		if (in->in.ops->finished)
			in->in.ops->finished(in->in.arg);
		return;
	}
	if (!in->paused) {
		if (in->readable && !in->can_read) {
			event_add(in->readable, NULL);
			return;
		}
		in->can_read = false;
		file_read(in);
	}
	in->paused = !file_take(in, &reason);
	if (in->paused) {
		timer_start(in->turn, NET_READY_MS);
		return;
	}
	if (reason) {
		file_end(in, reason, file_rest(in));
	} else if (in->ended) {
		size_t lost = in->end - in->start;

		if (in->failed)
			reason = "it can't be read";
		else if (lost)
			reason = "it ends within a message";
		file_end(in, reason, lost);
	}
	timer_start(in->turn, 0);
}

static int
file_readable(const char *name)
{
	struct stat st;

	if (strcmp(name, "-") == 0)
		return 0;
	if (stat(name, &st) < 0 || access(name, R_OK) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

static int
file_in_open(struct net_in *net, char **error)
{
	struct file_in *in = (struct file_in *)net;
	const char *name;
	int rc;

	in->fd = -1;
	/* A wrong name is told at once, and not when its turn comes. */
	for (unsigned i = 0; i < net->conf.file_count; i++) {
		name = net->conf.files[i];
		rc = file_readable(name);
		if (rc == 0)
			continue;
		*error = net_error("%s: %s", name, strerror(-rc));
		return rc;
	}
	in->turn = evtimer_new(net->base, on_turn, in);
	if (!in->turn)
		return -ENOMEM;
	timer_start(in->turn, 0);
	return 0;
}

static void
file_in_close(struct net_in *net)
{
	struct file_in *in = (struct file_in *)net;

	if (!in->turn)
		return; /* it did not open */
	if (in->opened)
		file_end(in, NULL, 0);
	event_free(in->turn);
}

static struct net_session *
file_in_next(const struct net_in *net, uint32_t *at)
{
	struct file_in *in = (struct file_in *)net;

	return (*at)++ == 0 && in->opened ? &in->session : NULL;
}

const struct net_in_type net_file_in = {
	.size = sizeof(struct file_in),
	.open = file_in_open,
	.close = file_in_close,
	.next = file_in_next,
};
