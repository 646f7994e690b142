/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * flowmeter: a traffic flow meter to try meter readers on. Its flows are made
 * up or read from a script, everything else is the agent that a real meter
 * uses. Prints where it listens, and "counted" when a finite number of counts
 * is done; on SIGTERM or SIGINT it writes what every flow has counted, to be
 * compared with what a reader has got.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "generator.h"

enum {
	RUN_MS = 20,
	USERS_MAX = 16,
	LISTEN_MAX = 8,
	SECRET_SIZE = 256,
	ADDRESS_SIZE = 96,
	MAX_RULES = 100000,
	FLOWS_DEFAULT = 1000,
	RATE_DEFAULT = 100,
	MAX_OCTETS = 24000, /* 16 packets of an Ethernet */
};

enum {
	OPT_FLOWS = 256,
	OPT_MAX_FLOWS,
	OPT_SEED,
	OPT_RATE,
	OPT_UPDATES,
	OPT_MAX_OCTETS,
	OPT_SCRIPT,
	OPT_TRUTH,
	OPT_STYLE,
	OPT_RFC2064,
	OPT_ABSENT,
	OPT_RESTART,
	OPT_INACTIVITY,
	OPT_UPTIME,
	OPT_AGENTX,
	OPT_ENGINE_ID,
};

struct user_text {
	struct metermib_user user;
	char text[SECRET_SIZE];
};

struct flowmeter {
	struct meter_config meter_config;
	struct generator_config generator_config;
	struct metermib_agent_config agent_config;
	struct user_text user[USERS_MAX];
	size_t users;
	const char *bind[LISTEN_MAX];
	size_t binds;
	const char *port;
	char address[LISTEN_MAX][ADDRESS_SIZE];
	const char *listen[LISTEN_MAX];
	char read_community[SECRET_SIZE];
	char write_community[SECRET_SIZE];
	const char *truth_name;
	uint32_t restart_ms; /* 0: never */

	FILE *truth;
	struct event_base *base;
	struct event *event[3]; /* SIGTERM, SIGINT, timer */
	struct meter *meter;
	struct generator *generator;
	struct metermib_agent *agent;
	uint64_t start_ms;
	bool restarted;
};

/* clang-format off */
static const char help[] =
	"Usage: flowmeter [option...]\n"
	"A traffic flow meter (RFC 2720) with made-up flows, for tests.\n"
	"\n"
	"Access; at least one is needed unless --agentx is given. A value of\n"
	"@FILE is read from the first line of FILE.\n"
	"  -c COMMUNITY       may read by SNMPv1 and v2c\n"
	"  -w COMMUNITY       may read and write\n"
	"  -u USER            SNMPv3: NAME, NAME,AUTH,PASS or\n"
	"                     NAME,AUTH,PASS,PRIV,PASS; AUTH is MD5, SHA,\n"
	"                     SHA-256, ..., PRIV is DES or AES; ends in \",ro\"\n"
	"                     if the user may not write; may be repeated\n"
	"  --engine-id HEX    engine ID (default: another at each start)\n"
	"Where:\n"
	"  -p PORT            UDP port (default 0: a free one, which is printed)\n"
	"  -b ADDRESS         listens on it; may be repeated (default 127.0.0.1)\n"
	"  --agentx SOCKET    is a sub-agent of the master there instead\n"
	"Flows:\n"
	"  --flows N          flows that live at a time (default 1000)\n"
	"  --max-flows N      places in the flow table (default 4 times the\n"
	"                     flows, at least 1000)\n"
	"  --seed N           makes other flows (default 1)\n"
	"  --rate N           counts a second, over all flows (default 100);\n"
	"                     0: each flow counts once and that is all\n"
	"  --updates N        ends counting after N counts\n"
	"  --max-octets N     octets of one count, at most (default 24000)\n"
	"  --script FILE      counts from a file, beside made-up flows or\n"
	"                     (--flows 0) instead of them, a count in a line:\n"
	"                     ms,source,dest,protocol,source port,dest port,\n"
	"                     octets,packets,to|from\n"
	"  --truth FILE       writes what each flow has counted, as CSV, when it\n"
	"                     leaves the table and at the end (SIGTERM)\n"
	"The meter:\n"
	"  --inactivity S     flowInactivityTimeout (default 600)\n"
	"  --uptime CS        Uptime to start with, centiseconds\n"
	"  --restart-after MS restarts once: tables are empty, Uptime is small\n"
	"  --style STYLE      TimeFilter: one-pass (default), traditional (T+1)\n"
	"                     or literal (LastActiveTime in the names)\n"
	"  --rfc2064          the MIB of 1997: no packages, Counter32\n"
	"  --absent HOW       attributes that a flow has not, in packages: zero\n"
	"                     (default), empty or null\n"
	"  -l LEVEL           logs: error, warning, notice (default), info, debug\n"
	"  -h, --help         this\n";
/* clang-format on */

static int
usage(const char *what, const char *value)
{
	fprintf(stderr, "flowmeter: %s%s%s (see --help)\n", what,
		value ? ": " : "", value ? value : "");
	return -EINVAL;
}

static int
get_number(const char *name, const char *text, uint64_t min, uint64_t max,
	   uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *number < min ||
	    *number > max) {
		fprintf(stderr,
			"flowmeter: %s: %s is not a number from %" PRIu64
			" to %" PRIu64 "\n",
			name, text, min, max);
		return -EINVAL;
	}
	return 0;
}

/* A secret or the file that has it. It must not show up in the process list. */
static int
get_secret(char secret[SECRET_SIZE], char *text)
{
	FILE *file;
	int err = 0;

	if (*text != '@') {
		if (snprintf(secret, SECRET_SIZE, "%s", text) >= SECRET_SIZE)
			err = usage("a community or user is too long", NULL);
		memset(text, '*', strlen(text));
		return err;
	}
	file = fopen(text + 1, "r");
	if (!file || !fgets(secret, SECRET_SIZE, file))
		err = usage("cannot read", text + 1);
	else
		secret[strcspn(secret, "\r\n")] = '\0';
	if (file)
		fclose(file);
	return err;
}

static int
get_user(struct flowmeter *f, char *text)
{
	struct user_text *u = &f->user[f->users];
	char *field[6] = {NULL};
	char *rest = u->text;
	unsigned fields = 0;

	if (f->users == USERS_MAX)
		return usage("too many users", NULL);
	if (get_secret(u->text, text))
		return -EINVAL;
	while (fields < 6 && (field[fields] = strsep(&rest, ",")))
		fields++;
	u->user.write = true;
	if (fields && strcmp(field[fields - 1], "ro") == 0) {
		u->user.write = false;
		field[--fields] = NULL;
	}
	if (rest || (fields != 1 && fields != 3 && fields != 5))
		return usage("a user is NAME[,AUTH,PASS[,PRIV,PASS]]", NULL);
	u->user.name = field[0];
	u->user.auth = field[1];
	u->user.auth_pass = field[2];
	u->user.priv = field[3];
	u->user.priv_pass = field[4];
	f->users++;
	return 0;
}

static int
get_style(struct flowmeter *f, const char *text)
{
	static const char *const name[] = {
		[METERMIB_ONE_PASS] = "one-pass",
		[METERMIB_PLUS_ONE] = "traditional",
		[METERMIB_LITERAL] = "literal",
	};

	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (strcmp(text, name[i]) == 0) {
			f->agent_config.time_filter =
				(enum metermib_time_filter)i;
			return 0;
		}
	return usage("--style is one-pass, traditional or literal, not", text);
}

static int
get_absent(struct flowmeter *f, const char *text)
{
	static const char *const name[] = {
		[METERMIB_ABSENT_ZERO] = "zero",
		[METERMIB_ABSENT_EMPTY] = "empty",
		[METERMIB_ABSENT_NULL] = "null",
	};

	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (strcmp(text, name[i]) == 0) {
			f->agent_config.absent = (enum metermib_absent)i;
			return 0;
		}
	return usage("--absent is zero, empty or null, not", text);
}

/* Options that have a number. Returns -ENOENT if it is none of them. */
static int
number_option(struct flowmeter *f, int option, const char *text)
{
	struct generator_config *g = &f->generator_config;
	uint64_t n = 0;
	int err;

	switch (option) {
	case OPT_FLOWS:
		err = get_number("--flows", text, 0, METER_TABLE_MAX / 4, &n);
		g->flows = (uint32_t)n;
		return err;
	case OPT_MAX_FLOWS:
		err = get_number("--max-flows", text, 1, METER_TABLE_MAX, &n);
		f->meter_config.max_flows = (uint32_t)n;
		return err;
	case OPT_SEED:
		return get_number("--seed", text, 0, UINT64_MAX, &g->seed);
	case OPT_RATE:
		err = get_number("--rate", text, 0, 1000000, &n);
		g->rate = (uint32_t)n;
		return err;
	case OPT_UPDATES:
		return get_number("--updates", text, 1, UINT64_MAX,
				  &g->updates);
	case OPT_MAX_OCTETS:
		return get_number("--max-octets", text, 1, 1ull << 62,
				  &g->max_octets);
	case OPT_RESTART:
		err = get_number("--restart-after", text, 1, UINT32_MAX, &n);
		f->restart_ms = (uint32_t)n;
		return err;
	case OPT_INACTIVITY:
		err = get_number("--inactivity", text, 0, INT32_MAX, &n);
		f->meter_config.inactivity = (uint32_t)n;
		return err;
	case OPT_UPTIME:
		err = get_number("--uptime", text, 1, UINT32_MAX, &n);
		f->meter_config.uptime = (uint32_t)n;
		return err;
	}
	return -ENOENT;
}

static int
other_option(struct flowmeter *f, int option, char *text)
{
	int level;

	switch (option) {
	case 'b':
		if (f->binds == LISTEN_MAX)
			return usage("too many addresses", NULL);
		f->bind[f->binds++] = text;
		return 0;
	case 'c':
		f->agent_config.read_community = f->read_community;
		return get_secret(f->read_community, text);
	case 'w':
		f->agent_config.write_community = f->write_community;
		return get_secret(f->write_community, text);
	case 'u':
		return get_user(f, text);
	case 'p':
		f->port = text;
		return 0;
	case 'l':
		level = log_level_parse(text);
		if (level < 0)
			return usage("no such level", text);
		log_set_level((enum log_level)level);
		return 0;
	case OPT_SCRIPT:
		f->generator_config.script = text;
		return 0;
	case OPT_TRUTH:
		f->truth_name = text;
		return 0;
	case OPT_STYLE:
		return get_style(f, text);
	case OPT_RFC2064:
		f->agent_config.rfc2064 = true;
		f->meter_config.all_rule_sets = true;
		return 0;
	case OPT_ABSENT:
		return get_absent(f, text);
	case OPT_AGENTX:
		f->agent_config.agentx = text;
		return 0;
	case OPT_ENGINE_ID:
		if (strspn(text, "0123456789abcdefABCDEF") != strlen(text) ||
		    strlen(text) < 10 || strlen(text) > 64 || strlen(text) % 2)
			return usage("an engine ID has 5 to 32 octets in "
				     "hexadecimal, not",
				     text);
		f->agent_config.engine_id = text;
		return 0;
	default:
		return usage("an option is unknown or lacks its value", NULL);
	}
}

static int
parse_options(struct flowmeter *f, int argc, char **argv)
{
	static const struct option options[] = {
		{"flows", required_argument, NULL, OPT_FLOWS},
		{"max-flows", required_argument, NULL, OPT_MAX_FLOWS},
		{"seed", required_argument, NULL, OPT_SEED},
		{"rate", required_argument, NULL, OPT_RATE},
		{"updates", required_argument, NULL, OPT_UPDATES},
		{"max-octets", required_argument, NULL, OPT_MAX_OCTETS},
		{"script", required_argument, NULL, OPT_SCRIPT},
		{"truth", required_argument, NULL, OPT_TRUTH},
		{"style", required_argument, NULL, OPT_STYLE},
		{"rfc2064", no_argument, NULL, OPT_RFC2064},
		{"absent", required_argument, NULL, OPT_ABSENT},
		{"restart-after", required_argument, NULL, OPT_RESTART},
		{"inactivity", required_argument, NULL, OPT_INACTIVITY},
		{"uptime", required_argument, NULL, OPT_UPTIME},
		{"agentx", required_argument, NULL, OPT_AGENTX},
		{"engine-id", required_argument, NULL, OPT_ENGINE_ID},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, err;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "b:c:w:u:p:l:h", options,
				     NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		err = number_option(f, option, optarg);
		if (err == -ENOENT)
			err = other_option(f, option, optarg);
		if (err)
			return err;
	}
	if (optind < argc)
		return usage("an argument too many", argv[optind]);
	if (!f->agent_config.agentx && !f->users && !*f->read_community &&
	    !*f->write_community)
		return usage("give -c, -w or -u, else nobody may read", NULL);
	return 0;
}

static int
make_addresses(struct flowmeter *f)
{
	if (f->agent_config.agentx)
		return 0;
	if (f->binds == 0)
		f->bind[f->binds++] = "127.0.0.1";
	for (size_t i = 0; i < f->binds; i++) {
		bool v6 = strchr(f->bind[i], ':');
		int n = snprintf(f->address[i], ADDRESS_SIZE, "%s%s%s:%s",
				 v6 ? "udp6:[" : "udp:", f->bind[i],
				 v6 ? "]" : "", f->port);

		if (n >= ADDRESS_SIZE)
			return usage("no address", f->bind[i]);
		f->listen[i] = f->address[i];
	}
	f->agent_config.listen = f->listen;
	f->agent_config.listen_count = f->binds;
	return 0;
}

static void
flow_left(void *arg, const struct meter_flow *flow, enum flow_end_reason reason)
{
	static const char *const name[] = {
		[FLOW_END_RECYCLED] = "recycled",
		[FLOW_END_DESTROYED] = "destroyed",
		[FLOW_END_RESTART] = "restart",
	};
	struct flowmeter *f = arg;

	if (f->truth)
		truth_flow(f->truth, flow, name[reason]);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct flowmeter *f = arg;

	event_base_loopbreak(f->base);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct flowmeter *f = arg;
	uint64_t now = clock_mono_ms();

	if (f->restart_ms && !f->restarted &&
	    now - f->start_ms >= f->restart_ms) {
		f->restarted = true;
		meter_restart(f->meter, now);
		log_notice("restarted");
	}
	if (generator_run(f->generator, now)) {
		printf("counted %" PRIu64 "\n",
		       generator_counters(f->generator)->updates);
		fflush(stdout);
	}
}

static int
start(struct flowmeter *f)
{
	static const struct timeval run = {0, RUN_MS * 1000};
	struct metermib_user user[USERS_MAX];
	int err;

	for (size_t i = 0; i < f->users; i++)
		user[i] = f->user[i].user;
	f->start_ms = clock_mono_ms();
	if (!f->meter_config.max_flows) {
		f->meter_config.max_flows = 4 * f->generator_config.flows;
		if (f->meter_config.max_flows < FLOWS_DEFAULT)
			f->meter_config.max_flows = FLOWS_DEFAULT;
	}
	if (f->truth_name) {
		f->truth = fopen(f->truth_name, "w");
		if (!f->truth)
			return -errno;
		truth_header(f->truth);
	}
	f->base = event_base_new();
	f->meter = meter_new(&f->meter_config, f->start_ms);
	if (!f->base || !f->meter)
		return -ENOMEM;
	meter_table_on_removal(meter_flows(f->meter), flow_left, f);
	f->event[0] = evsignal_new(f->base, SIGTERM, on_signal, f);
	f->event[1] = evsignal_new(f->base, SIGINT, on_signal, f);
	f->event[2] = event_new(f->base, -1, EV_PERSIST, on_time, f);
	for (unsigned i = 0; i < 3; i++)
		if (!f->event[i] ||
		    event_add(f->event[i], i == 2 ? &run : NULL))
			return -ENOMEM;
	err = generator_new(&f->generator_config, f->meter, f->start_ms,
			    &f->generator);
	if (err)
		return err;
	return metermib_agent_new(f->base, f->meter, &f->agent_config, user,
				  f->users, &f->agent);
}

static void
say_where(const struct flowmeter *f)
{
	for (size_t i = 0; i < f->agent_config.listen_count; i++)
		printf("listening %s %u\n", f->bind[i],
		       metermib_agent_port(f->agent, i));
	if (f->agent_config.agentx)
		printf("sub-agent %s\n", f->agent_config.agentx);
	fflush(stdout);
}

static int
finish(struct flowmeter *f)
{
	const struct generator_counters *g = generator_counters(f->generator);
	const struct metermib_agent_counters *a =
		metermib_agent_counters(f->agent);
	struct meter_table *flows = meter_flows(f->meter);
	int err = 0;

	log_notice("%" PRIu64 " counts, %" PRIu64 " octets, %" PRIu64
		   " packets, %" PRIu64 " refused; served %" PRIu64
		   " objects, %" PRIu64 " packages, refused %" PRIu64
		   " requests",
		   g->updates, g->octets, g->pdus, g->refused, a->objects,
		   a->packages, a->refused);
	if (!f->truth)
		return 0;
	for (uint32_t i = 1; i <= meter_table_max(flows); i++) {
		const struct meter_flow *flow = meter_table_at(flows, i);

		if (flow)
			truth_flow(f->truth, flow, "live");
	}
	if (ferror(f->truth))
		err = -EIO;
	if (fclose(f->truth))
		err = -errno;
	f->truth = NULL;
	if (err)
		log_error("%s: %s", f->truth_name, strerror(-err));
	return err;
}

static void
cleanup(struct flowmeter *f)
{
	metermib_agent_free(f->agent);
	generator_free(f->generator);
	meter_free(f->meter);
	for (unsigned i = 0; i < 3; i++)
		if (f->event[i])
			event_free(f->event[i]);
	if (f->base)
		event_base_free(f->base);
	if (f->truth)
		fclose(f->truth);
	explicit_bzero(f, sizeof(*f));
}

int
main(int argc, char **argv)
{
	struct flowmeter f = {
		.meter_config = {.max_rules = MAX_RULES,
				 .inactivity = METER_INACTIVITY},
		.generator_config = {.flows = FLOWS_DEFAULT,
				     .seed = 1,
				     .rate = RATE_DEFAULT,
				     .max_octets = MAX_OCTETS},
		.agent_config = {.name = "flowmeter",
				 .description = "Conflux flowmeter"},
		.port = "0",
	};
	int err;

	if (parse_options(&f, argc, argv) || make_addresses(&f))
		return 2;
	/* An AgentX master may go away. */
	signal(SIGPIPE, SIG_IGN);
	err = start(&f);
	if (err) {
		log_error("cannot start: %s", strerror(-err));
	} else {
		say_where(&f);
		event_base_dispatch(f.base);
		err = finish(&f);
	}
	cleanup(&f);
	return err ? 1 : 0;
}
