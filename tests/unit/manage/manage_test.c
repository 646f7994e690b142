/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conflux/manage.h"
#include "unit.h"

/* The daemon runs in the test's thread, clients in another one. */
struct fixture {
	char folder[64];
	char path[96];
	struct event_base *base;
	struct manage *manage;
	void (*client)(struct fixture *f);
};

static int
status(void *arg, const char *section, struct report *report)
{
	if (section && strcmp(section, "cache") != 0)
		return -ENOENT;
	report_open(report, "cache");
	report_uint(report, "activeFlows", 3);
	report_close(report);
	return 0;
}

/* The words, each in brackets. */
static void
add_words(struct text *answer, char *const *word, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		text_printf(answer, "[%s]", word[i]);
	text_add_char(answer, '\n');
}

static int
selection(void *arg, char *const *word, unsigned count, struct text *answer)
{
	add_words(answer, word, count);
	return 0;
}

static int
change(void *arg, uint32_t user, char *const *word, unsigned count,
       struct text *answer)
{
	CU_ASSERT_EQUAL(user, geteuid());
	if (strcmp(word[2], "wrong") == 0) {
		text_add(answer, "one reason\nand another");
		return -EINVAL;
	}
	add_words(answer, word, count);
	return 0;
}

static const struct manage_ops ops = {
	.status = status,
	.selection = selection,
	.change = change,
};

static void
fixture_init(struct fixture *f)
{
	char *error = NULL;

	*f = (struct fixture){.folder = "/tmp/conflux-manage.XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/run/sock", f->folder);
	f->base = event_base_new();
	CU_ASSERT_EQUAL_FATAL(
		manage_open(f->base, f->path, &ops, NULL, &f->manage, &error),
		0);
}

static void
fixture_fini(struct fixture *f)
{
	char run[96];

	manage_close(f->manage);
	event_base_free(f->base);
	CU_ASSERT(access(f->path, F_OK) != 0);
	snprintf(run, sizeof(run), "%s/run", f->folder);
	CU_ASSERT_EQUAL(rmdir(run), 0);
	CU_ASSERT_EQUAL(rmdir(f->folder), 0);
}

static void *
client_main(void *arg)
{
	struct fixture *f = arg;

	f->client(f);
	return NULL;
}

/* Runs the loop until the client has returned. */
static void
serve(struct fixture *f, void (*client)(struct fixture *f))
{
	struct timeval pause = {.tv_usec = 5000};
	pthread_t thread;

	f->client = client;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, client_main, f),
			      0);
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		event_base_loopexit(f->base, &pause);
		event_base_dispatch(f->base);
	}
}

static void
ask(struct fixture *f, const char *request, int ret, const char *answer)
{
	struct text text = {0};

	CU_ASSERT_EQUAL(manage_ask(f->path, request, 3000, &text), ret);
	CU_ASSERT_STRING_EQUAL(text.data, answer);
	text_fini(&text);
}

static const char misunderstood[] =
	"not understood, expected \"status text|json [SECTION]\", \"selection "
	"[NAME [SELECTOR]]\" or \"change NAME SELECTOR PARAMETER=VALUE...\"";

static void
clients_ask(struct fixture *f)
{
	ask(f, "status json", 0, "{\"cache\":{\"activeFlows\":3}}\n");
	ask(f, "status text", 0, "cache activeFlows 3\n");
	ask(f, "status text cache", 0, "cache activeFlows 3\n");
	ask(f, "status text none", -EPROTO,
	    "there is no section \"none\"");
	ask(f, "status xml", -EPROTO, misunderstood);
	ask(f, "status", -EPROTO, misunderstood);
	ask(f, "status text a b", -EPROTO, misunderstood);
	ask(f, "", -EPROTO, misunderstood);
	ask(f, "selections", -EPROTO, misunderstood);
}

static void
clients_order(struct fixture *f)
{
	struct text request = {0};

	ask(f, "selection", 0, "\n");
	ask(f, "selection a b", 0, "[a][b]\n");
	ask(f, "selection a b c", -EPROTO, misunderstood);
	ask(f, "change a b", -EPROTO, misunderstood);
	ask(f, "change a b wrong", -EPROTO, "one reason\nand another");
	manage_add_word(&request, "change");
	manage_add_word(&request, "a name\nof 100 %");
	manage_add_word(&request, "\xc3\xa4");
	manage_add_word(&request, "value=a b");
	ask(f, request.data, 0, "[a name\nof 100 %][\xc3\xa4][value=a b]\n");
	ask(f, "change a b %", -EPROTO, misunderstood);
	ask(f, "change a b %2", -EPROTO, misunderstood);
	ask(f, "change a b %00", -EPROTO, misunderstood);
	text_reset(&request);
	text_add(&request, "change");
	for (int i = 0; i < 128; i++)
		text_add(&request, " x");
	ask(f, request.data, -EPROTO, misunderstood);
	text_fini(&request);
}

static void
test_orders(void)
{
	struct fixture f;

	fixture_init(&f);
	serve(&f, clients_order);
	fixture_fini(&f);
}

static void
test_answers(void)
{
	struct fixture f;
	struct stat st;

	fixture_init(&f);
	CU_ASSERT_EQUAL(stat(f.path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0660);
	serve(&f, clients_ask);
	fixture_fini(&f);
}

static int
raw_connect(struct fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->path);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* Silent ones, one that never ends its line, and many of them. */
static void
clients_misbehave(struct fixture *f)
{
	char octets[4096];
	int silent[15], fd;

	for (unsigned i = 0; i < 15; i++)
		silent[i] = raw_connect(f);
	ask(f, "status text", 0, "cache activeFlows 3\n");
	fd = raw_connect(f);
	memset(octets, 'x', sizeof(octets));
	CU_ASSERT(send(fd, octets, sizeof(octets), MSG_NOSIGNAL) > 0);
	while (recv(fd, octets, sizeof(octets), 0) > 0)
		;
	close(fd);
	close(silent[0]);
	/* The seventeenth waits until there is room. */
	silent[0] = raw_connect(f);
	fd = raw_connect(f);
	close(silent[1]);
	ask(f, "status text", 0, "cache activeFlows 3\n");
	close(fd);
	close(silent[0]);
	for (unsigned i = 2; i < 15; i++)
		close(silent[i]);
	ask(f, "status text", 0, "cache activeFlows 3\n");
}

static void
test_bad_clients(void)
{
	struct fixture f;

	fixture_init(&f);
	serve(&f, clients_misbehave);
	fixture_fini(&f);
}

static void
test_left_over_socket(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct manage *second = NULL;
	char *error = NULL;
	struct fixture f;
	int fd;

	fixture_init(&f);
	/* One that is alive is left alone. */
	CU_ASSERT_EQUAL(
		manage_open(f.base, f.path, &ops, NULL, &second, &error),
		-EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "another process"));
	free(error);
	manage_close(f.manage);
	/* A dead one is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f.path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CU_ASSERT_EQUAL(
		manage_open(f.base, f.path, &ops, NULL, &f.manage, &error), 0);
	serve(&f, clients_ask);
	/* A file that is no socket is never removed. */
	manage_close(f.manage);
	close(open(f.path, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(
		manage_open(f.base, f.path, &ops, NULL, &f.manage, &error),
		-EADDRINUSE);
	free(error);
	CU_ASSERT_EQUAL(unlink(f.path), 0);
	f.manage = NULL;
	fixture_fini(&f);
}

static void
test_nobody_there(void)
{
	struct text text = {0};
	char path[256];

	CU_ASSERT_EQUAL(manage_ask("/nonexistent/sock", "status text", 100,
				   &text),
			-ENOENT);
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	CU_ASSERT_EQUAL(manage_ask(path, "status text", 100, &text),
			-ENAMETOOLONG);
	text_fini(&text);
}

static const struct unit_test tests[] = {
	{"answers", test_answers},
	{"bad clients", test_bad_clients},
	{"orders", test_orders},
	{"left over socket", test_left_over_socket},
	{"nobody there", test_nobody_there},
};

int
main(void)
{
	return unit_run("manage", tests, UNIT_COUNT(tests));
}
