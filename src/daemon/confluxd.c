/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * confluxd: loads a configuration, starts the runtime, waits for its end or
 * for a signal. Runs in the foreground and logs to stderr.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "conflux/config.h"
#include "conflux/log.h"
#include "conflux/runtime.h"

enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_SIGNAL = 128, /* and its number: ended without order */
};

/*
 * Without a configuration: whatever IPFIX is sent to this machine by itself is
 * printed, a good first look at an exporter.
 */
static const char preset[] =
	"<ipfix xmlns=\"urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp\""
	" xmlns:cx=\"urn:conflux:config:1\">"
	"<collectingProcess><name>loopback</name>"
	"<udpCollector><name>udp</name>"
	"<localIPAddress>127.0.0.1</localIPAddress>%s</udpCollector>"
	"<tcpCollector><name>tcp</name>"
	"<localIPAddress>127.0.0.1</localIPAddress>%s</tcpCollector>"
	"<exportingProcess>lines</exportingProcess></collectingProcess>"
	"<exportingProcess><name>lines</name>"
	"<destination><name>stdout</name><cx:jsonWriter/></destination>"
	"</exportingProcess></ipfix>";

struct options {
	const char *file;
	const char *user;
};

/* Signals that end it in order. */
enum { ENDINGS = 3 };

struct daemon {
	struct event_base *base;
	struct runtime *runtime;
	struct event *signal[ENDINGS];
	bool ending;
	bool terminal;		/* it was started from one */
	struct event *progress; /* of capture files, on a terminal */
	uint64_t packets;       /* as shown last */
	bool shown;
};

static void
usage(FILE *out)
{
	fputs("usage: confluxd [-c FILE] [-l LEVEL] [-u USER]\n"
	      "       confluxd -h | -V\n"
	      "\n"
	      "  -c FILE   configuration; without: collects on loopback port "
	      "4739\n"
	      "            and prints records as JSON lines\n"
	      "  -l LEVEL  logs what is as grave as that: error, warning, "
	      "notice,\n"
	      "            info or debug (notice)\n"
	      "  -u USER   goes on as this user once all is opened\n"
	      "  -h, --help     this text\n"
	      "  -V, --version  the version\n",
	      out);
}

/* ---- configuration ------------------------------------------------------- */

static int
load_preset(struct conf **conf, struct conf_errors *errors)
{
	static const char v6[] = "<localIPAddress>::1</localIPAddress>";
	char document[sizeof(preset) + 2 * sizeof(v6)];
	/* There are machines without IPv6 on their loopback interface. */
	const char *more = access("/proc/net/if_inet6", F_OK) == 0 ? v6 : "";

	snprintf(document, sizeof(document), preset, more, more);
	return runtime_load_memory(document, strlen(document), conf, errors);
}

static struct conf *
load(const char *file)
{
	struct conf_errors errors = {0};
	struct conf *conf = NULL;
	const char *name = file ? file : "(built in)";
	int rc = file ? runtime_load(file, &conf, &errors)
		      : load_preset(&conf, &errors);

	conf_errors_print(&errors, name, stderr);
	if (rc < 0 && errors.errors == 0)
		log_error("%s: %s", name, strerror(-rc));
	conf_errors_fini(&errors);
	return conf;
}

/* ---- privileges ---------------------------------------------------------- */

static int
become(const char *name)
{
	struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (!user) {
		log_error("-u %s: %s", name,
			  errno ? strerror(errno) : "there is no such user");
		return -1;
	}
	/* Groups first: without root none of the three is possible. */
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0) {
		log_error("-u %s: %s", name, strerror(errno));
		return -1;
	}
	return 0;
}

/* ---- running ------------------------------------------------------------- */

static const struct {
	int number;
	const char *name;
} endings[ENDINGS] = {
	{SIGTERM, "SIGTERM"},
	{SIGINT, "SIGINT"},
	{SIGHUP, "SIGHUP"},
};

static const char *
signal_name(int number)
{
	for (unsigned i = 0; i < ENDINGS; i++)
		if (endings[i].number == number)
			return endings[i].name;
	return "signal";
}

/* ---- progress ------------------------------------------------------------- */

/* While capture files are read, for who waits at a terminal. */
static void
on_progress(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;
	uint64_t done, total, packets;

	runtime_progress(daemon->runtime, &done, &total, &packets);
	if (!total)
		return;
	fprintf(stderr,
		"\r%3u %%, %" PRIu64 " of %" PRIu64 " MB, %" PRIu64
		" packets, %" PRIu64 " packets/s \033[K",
		(unsigned)(done * 100 / total), done / 1000000,
		total / 1000000, packets, packets - daemon->packets);
	daemon->packets = packets;
	daemon->shown = true;
}

static void
show_progress(struct daemon *daemon)
{
	static const struct timeval second = {.tv_sec = 1};

	if (!isatty(STDERR_FILENO))
		return;
	daemon->progress =
		event_new(daemon->base, -1, EV_PERSIST, on_progress, daemon);
	if (daemon->progress)
		event_add(daemon->progress, &second);
}

static void
end_progress(struct daemon *daemon)
{
	if (daemon->progress)
		event_free(daemon->progress);
	daemon->progress = NULL;
	/* The ledger follows, from the start of the line. */
	if (daemon->shown)
		fputs("\r\033[K", stderr);
}

static void
on_ended(void *arg)
{
	event_base_loopbreak(((struct daemon *)arg)->base);
}

static bool
has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* SIGHUP comes from who changed files, and from a terminal that goes away. */
static bool
asks_to_reload(const struct daemon *daemon, int number)
{
	return number == SIGHUP && (!daemon->terminal || has_terminal());
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *daemon = arg;

	if (asks_to_reload(daemon, number)) {
		log_notice("SIGHUP: reading certificates and keys again");
		runtime_reload(daemon->runtime);
		return;
	}
	if (daemon->ending)
		_exit(STATUS_SIGNAL + number);
	daemon->ending = true;
	log_notice("%s: flushing, then ending; once more ends at once",
		   signal_name(number));
	runtime_stop(daemon->runtime);
}

static int
catch_signals(struct daemon *daemon)
{
	daemon->terminal = has_terminal();
	signal(SIGPIPE, SIG_IGN);
	/* A file at its limit is an error of the write, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	for (unsigned i = 0; i < ENDINGS; i++) {
		daemon->signal[i] = evsignal_new(
			daemon->base, endings[i].number, on_signal, daemon);
		if (!daemon->signal[i] ||
		    event_add(daemon->signal[i], NULL) < 0)
			return -1;
	}
	return 0;
}

/* From the start on, and until somebody hears of it, it has to wait. */
static void
hold_hangup(int how)
{
	sigset_t hangup;

	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(how, &hangup, NULL);
}

static int
run(struct daemon *daemon, const struct conf *conf, const char *file,
    const char *user)
{
	char *error = NULL;
	int rc = runtime_new(daemon->base, conf, on_ended, daemon,
			     &daemon->runtime, &error);

	if (rc < 0) {
		log_error("%s%s%s", file ? file : "", file ? ": " : "",
			  error ? error : strerror(-rc));
		free(error);
		return STATUS_FAILED;
	}
	if (user && become(user) < 0)
		return STATUS_FAILED;
	rc = runtime_start(daemon->runtime);
	if (rc < 0) {
		log_error("%s", strerror(-rc));
		return STATUS_FAILED;
	}
	show_progress(daemon);
	event_base_dispatch(daemon->base);
	end_progress(daemon);
	runtime_log_ledger(daemon->runtime);
	return STATUS_OK;
}

static int
start(const struct options *options)
{
	struct daemon daemon = {.base = event_base_new()};
	struct conf *conf = load(options->file);
	int status = STATUS_FAILED;

	if (conf && daemon.base && catch_signals(&daemon) == 0) {
		hold_hangup(SIG_UNBLOCK);
		status = run(&daemon, conf, options->file, options->user);
	}
	runtime_free(daemon.runtime);
	conf_free(conf);
	for (unsigned i = 0; i < ENDINGS; i++)
		if (daemon.signal[i])
			event_free(daemon.signal[i]);
	if (daemon.base)
		event_base_free(daemon.base);
	libevent_global_shutdown();
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option words[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct options options = {0};
	int c, level;

	while ((c = getopt_long(argc, argv, "c:l:u:hV", words, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.file = optarg;
			break;
		case 'l':
			level = log_level_parse(optarg);
			if (level < 0) {
				fprintf(stderr,
					"confluxd: -l %s: expected error, "
					"warning, notice, info or debug\n",
					optarg);
				return STATUS_USAGE;
			}
			log_set_level((enum log_level)level);
			break;
		case 'u':
			options.user = optarg;
			break;
		case 'h':
			usage(stdout);
			return STATUS_OK;
		case 'V':
			puts("confluxd " PACKAGE_VERSION);
			return STATUS_OK;
		default:
			usage(stderr);
			return STATUS_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "confluxd: %s: no argument expected\n",
			argv[optind]);
		usage(stderr);
		return STATUS_USAGE;
	}
	hold_hangup(SIG_BLOCK);
	return start(&options);
}
