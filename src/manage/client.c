/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the control socket: blocking, for command line tools. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "conflux/manage.h"

/* The connected socket, or a negative errno. */
static int
connect_to(const char *path, int timeout_ms)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000,
	};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, ret;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int
send_line(int fd, const char *line)
{
	struct text text = {0};
	size_t sent = 0;
	int ret = 0;

	text_add(&text, line);
	text_add_char(&text, '\n');
	if (text.failed)
		ret = -ENOMEM;
	while (ret == 0 && sent < text.length) {
		ssize_t n = send(fd, text.data + sent, text.length - sent,
				 MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			ret = -errno;
	}
	text_fini(&text);
	return ret;
}

static int
receive_all(int fd, struct text *answer)
{
	char buffer[16384];
	ssize_t n;

	for (;;) {
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n == 0)
			return answer->failed ? -ENOMEM : 0;
		if (n > 0)
			text_add_bytes(answer, buffer, (size_t)n);
		else if (errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
}

/* Takes the first line off. -EPROTO: it was not "ok", answer is the reason. */
static int
open_answer(struct text *answer)
{
	static const char error[] = "error: ";
	size_t skip = 3;
	int ret = 0;

	if (answer->length == 0)
		return -ECONNRESET;
	if (strncmp(answer->data, "ok\n", 3) != 0) {
		ret = -EPROTO;
		skip = strncmp(answer->data, error, sizeof(error) - 1) == 0
			       ? sizeof(error) - 1
			       : 0;
	}
	answer->length -= skip;
	memmove(answer->data, answer->data + skip, answer->length + 1);
	if (ret && answer->length &&
	    answer->data[answer->length - 1] == '\n')
		answer->data[--answer->length] = 0;
	return ret;
}

void
manage_add_word(struct text *request, const char *word)
{
	if (request->length)
		text_add_char(request, ' ');
	for (; *word; word++) {
		if ((unsigned char)*word <= ' ' || *word == '%')
			text_printf(request, "%%%02x", (unsigned char)*word);
		else
			text_add_char(request, *word);
	}
}

int
manage_ask(const char *path, const char *request, int timeout_ms,
	   struct text *answer)
{
	int fd = connect_to(path, timeout_ms), ret;

	if (fd < 0)
		return fd;
	text_reset(answer);
	ret = send_line(fd, request);
	if (ret == 0)
		ret = receive_all(fd, answer);
	close(fd);
	return ret ? ret : open_answer(answer);
}
