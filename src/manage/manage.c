/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of the control socket. A client has a few seconds for its
 * line and some more to take the answer, there are CLIENTS_MAX at a time, and
 * each gets one answer; so whatever clients do, they cost little.
 */
#include "conflux/manage.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 16,
	REQUEST_MAX = 4096, /* octets of a request line */
	WORDS_MAX = 128,
	REQUEST_SECONDS = 5,
	ANSWER_SECONDS = 10,
};

struct client {
	struct manage *manage;
	struct bufferevent *stream; /* NULL: free */
	bool answered;
	uid_t user;
};

struct manage {
	struct event_base *base;
	struct event *accept;
	struct event *retry; /* accepts again */
	int fd;
	char *path;
	dev_t device; /* of our socket in the file system */
	ino_t inode;
	const struct manage_ops *ops;
	void *arg;
	struct client client[CLIENTS_MAX];
};

static void
client_close(struct client *client)
{
	struct manage *manage = client->manage;

	bufferevent_free(client->stream);
	client->stream = NULL;
	client->answered = false;
	/* There is room again. */
	if (manage->accept)
		event_add(manage->accept, NULL);
}

/* ---- requests ------------------------------------------------------------ */

struct request {
	struct manage *manage;
	uid_t user;
	char **word; /* behind the first one */
	unsigned count;
};

static const char misunderstood[] =
	"not understood, expected \"status text|json [SECTION]\", \"selection "
	"[NAME [SELECTOR]]\" or \"change NAME SELECTOR PARAMETER=VALUE...\"";

static int
answer_status(const struct request *r, struct text *out)
{
	const char *section = r->count > 1 ? r->word[1] : NULL;
	struct report report;
	bool json;
	int ret;

	json = r->count && strcmp(r->word[0], "json") == 0;
	if (!r->count || r->count > 2 ||
	    (!json && strcmp(r->word[0], "text") != 0)) {
		text_add(out, misunderstood);
		return -EINVAL;
	}
	report_begin(&report, out, json);
	ret = r->manage->ops->status(r->manage->arg, section, &report);
	if (ret == 0) {
		report_end(&report);
		return 0;
	}
	text_reset(out);
	if (ret == -ENOENT && section)
		text_printf(out, "there is no section \"%s\"", section);
	else
		text_add(out, strerror(-ret));
	return ret;
}

static int
answer_selection(const struct request *r, struct text *out)
{
	if (r->count > 2) {
		text_add(out, misunderstood);
		return -EINVAL;
	}
	return r->manage->ops->selection(r->manage->arg, r->word, r->count,
					 out);
}

static int
answer_change(const struct request *r, struct text *out)
{
	uid_t own = geteuid();

	if (r->count < 3) {
		text_add(out, misunderstood);
		return -EINVAL;
	}
	if (r->user != 0 && r->user != own) {
		text_printf(out,
			    "user %u may ask, but only root and user %u, as "
			    "whom the daemon runs, may change what it does",
			    (unsigned)r->user, (unsigned)own);
		return -EPERM;
	}
	return r->manage->ops->change(r->manage->arg, r->user, r->word,
				      r->count, out);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* In place. False: it is not as manage_add_word writes it. */
static bool
decode_word(char *word)
{
	char *out = word;

	for (; *word; word++) {
		if (*word == '%') {
			int high = hex_digit(word[1]);
			int low = high < 0 ? -1 : hex_digit(word[2]);

			if (low < 0 || high * 16 + low == 0)
				return false;
			*out++ = (char)(high * 16 + low);
			word += 2;
		} else {
			*out++ = *word;
		}
	}
	*out = 0;
	return true;
}

/* Fills word; how many there are, 0 if the line is no request. */
static unsigned
split(char *line, char **word)
{
	char *rest = NULL, *next = strtok_r(line, " ", &rest);
	unsigned count = 0;

	for (; next; next = strtok_r(NULL, " ", &rest)) {
		if (count == WORDS_MAX || !decode_word(next))
			return 0;
		word[count++] = next;
	}
	return count;
}

static int
answer_verb(const struct client *client, char *line, struct text *out)
{
	static const struct {
		const char *name;
		int (*answer)(const struct request *r, struct text *out);
	} verb[] = {
		{"status", answer_status},
		{"selection", answer_selection},
		{"change", answer_change},
	};
	char *word[WORDS_MAX];
	unsigned count = split(line, word);
	struct request r = {
		.manage = client->manage,
		.user = client->user,
		.word = word + 1,
		.count = count - 1,
	};

	for (size_t i = 0; count && i < sizeof(verb) / sizeof(verb[0]); i++)
		if (strcmp(word[0], verb[i].name) == 0)
			return verb[i].answer(&r, out);
	text_add(out, misunderstood);
	return -EINVAL;
}

/* Fills out with the whole answer. */
static void
answer(const struct client *client, char *line, struct text *out)
{
	struct text body = {0};
	int ret = answer_verb(client, line, &body);

	text_add(out, ret == 0 ? "ok\n" : "error: ");
	if (body.length)
		text_add_bytes(out, body.data, body.length);
	else if (ret)
		text_add(out, strerror(-ret));
	if (ret)
		text_add_char(out, '\n');
	if (body.failed) {
		text_reset(out);
		text_printf(out, "error: %s\n", strerror(ENOMEM));
	}
	text_fini(&body);
}

static void
client_read(struct bufferevent *stream, void *arg)
{
	struct timeval wait = {.tv_sec = ANSWER_SECONDS};
	struct client *client = arg;
	struct evbuffer *in = bufferevent_get_input(stream);
	struct text out = {0};
	char *line;

	if (client->answered) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
	if (!line) {
		if (evbuffer_get_length(in) > REQUEST_MAX)
			client_close(client);
		return;
	}
	client->answered = true;
	answer(client, line, &out);
	free(line);
	bufferevent_set_timeouts(stream, NULL, &wait);
	if (out.failed ||
	    bufferevent_write(stream, out.data, out.length) != 0)
		client_close(client);
	text_fini(&out);
}

/* The answer has been taken. */
static void
client_written(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;

	if (client->answered)
		client_close(client);
}

static void
client_event(struct bufferevent *stream, short what, void *arg)
{
	struct client *client = arg;

	/* One that has ended its side may still want the answer. */
	if ((what & BEV_EVENT_EOF) && client->answered)
		return;
	client_close(client);
}

static struct client *
client_free_slot(struct manage *manage)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (!manage->client[i].stream)
			return &manage->client[i];
	return NULL;
}

/* Nobody, if the kernel does not say. */
static uid_t
user_of(int peer)
{
	struct ucred cred;
	socklen_t length = sizeof(cred);

	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &length) != 0)
		return (uid_t)-1;
	return cred.uid;
}

static void
manage_accept(evutil_socket_t fd, short what, void *arg)
{
	struct timeval wait = {.tv_sec = REQUEST_SECONDS};
	struct timeval pause = {.tv_sec = 1};
	struct manage *manage = arg;
	struct client *client = client_free_slot(manage);
	int peer;

	if (!client) {
		/* Others wait in the backlog until one goes. */
		event_del(manage->accept);
		return;
	}
	peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (peer < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			event_del(manage->accept);
			event_add(manage->retry, &pause);
		}
		return;
	}
	client->user = user_of(peer);
	client->stream = bufferevent_socket_new(manage->base, peer,
						BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream) {
		close(peer);
		return;
	}
	bufferevent_setcb(client->stream, client_read, client_written,
			  client_event, client);
	bufferevent_set_timeouts(client->stream, &wait, NULL);
	bufferevent_setwatermark(client->stream, EV_READ, 0, REQUEST_MAX * 2);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

static void
accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct manage *manage = arg;

	event_add(manage->accept, NULL);
}

/* Is there a socket at the address with nobody behind it? */
static bool
left_over(const struct sockaddr_un *sun)
{
	struct stat st;
	bool dead;
	int fd;

	if (lstat(sun->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 &&
	       errno == ECONNREFUSED;
	close(fd);
	return dead;
}

static void
make_folder(const char *path)
{
	char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (slash && slash != folder) {
		*slash = 0;
		/* If it fails, bind says so. */
		(void)mkdir(folder, 0755);
	}
	free(folder);
}

/*
 * Binds and listens; the mode is set between the two, so that nobody gets in
 * before. Returns the socket or a negative errno.
 */
static int
listen_at(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, ret;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	make_folder(path);
	ret = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	if (ret != 0 && errno == EADDRINUSE && left_over(&sun)) {
		unlink(path);
		ret = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	}
	if (ret == 0)
		ret = chmod(path, 0660);
	if (ret == 0)
		ret = listen(fd, CLIENTS_MAX);
	if (ret != 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static void
set_error(char **error, const char *path, int ret)
{
	const char *what = ret == -EADDRINUSE
				   ? "another process has this socket"
				   : strerror(-ret);

	if (asprintf(error, "control socket %s: %s", path, what) < 0)
		*error = NULL;
}

int
manage_open(struct event_base *base, const char *path,
	    const struct manage_ops *ops, void *arg, struct manage **out,
	    char **error)
{
	struct manage *manage = calloc(1, sizeof(*manage));
	struct stat st;
	int ret = -ENOMEM;

	if (!manage)
		goto fail;
	manage->base = base;
	manage->ops = ops;
	manage->arg = arg;
	manage->fd = -1;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		manage->client[i].manage = manage;
	ret = listen_at(path);
	if (ret < 0)
		goto fail;
	manage->fd = ret;
	if (stat(path, &st) == 0) {
		manage->device = st.st_dev;
		manage->inode = st.st_ino;
	}
	ret = -ENOMEM;
	manage->path = strdup(path);
	manage->accept = event_new(base, manage->fd, EV_READ | EV_PERSIST,
				   manage_accept, manage);
	manage->retry = evtimer_new(base, accept_again, manage);
	if (!manage->path || !manage->accept || !manage->retry ||
	    event_add(manage->accept, NULL) != 0)
		goto fail;
	*out = manage;
	return 0;
fail:
	set_error(error, path, ret);
	manage_close(manage);
	return ret;
}

void
manage_close(struct manage *manage)
{
	struct stat st;

	if (!manage)
		return;
	if (manage->accept)
		event_free(manage->accept);
	manage->accept = NULL;
	if (manage->retry)
		event_free(manage->retry);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (manage->client[i].stream)
			client_close(&manage->client[i]);
	if (manage->fd >= 0)
		close(manage->fd);
	if (manage->path && stat(manage->path, &st) == 0 &&
	    st.st_dev == manage->device && st.st_ino == manage->inode)
		unlink(manage->path);
	free(manage->path);
	free(manage);
}
