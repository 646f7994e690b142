/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * conflux read: IPFIX files as text. RFC 5655 section 5: a file is a sequence
 * of IPFIX Messages and nothing else, in effect one Transport Session. Files
 * are streamed, so they may be of any size and standard input may be a pipe
 * that goes on for ever: what has come is printed before we wait for more.
 *
 * The length in a message's header is the only thing that tells where the next
 * one begins. A message with a bad body is told of and left out; behind a
 * header that is none, the rest of the file is.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "conflux/observation.h"
#include "read.h"

enum {
	ELEMENTS_MAX = 262144,
	SHAPES_MAX = 262144,
	TEMPLATES_MAX = 131072,
	BUFFER_SIZE = 1 << 20,   /* much more than a message */
	OUT_SIZE = 1 << 16,      /* written when so much has gathered */
	COMPLAINTS_MAX = 100,    /* printed for each file */
	PROGRESS_STEP = 1 << 22, /* octets between two looks at the clock */
};

static const char help[] =
	"usage: conflux read [OPTION]... [FILE]... [EXPRESSION]\n"
	"\n"
	"Prints the records of IPFIX files (RFC 5655), one a line. Without "
	"FILE,\n"
	"or if it is -, reads standard input. An expression such as\n"
	"'proto tcp and dst net 10.0.0.0/8' picks records: see conflux(1), "
	"EXPRESSIONS.\n"
	"\n"
	"  -f, --format FORMAT  text (default), json or csv\n"
	"  -t, --templates      prints Templates too (text and json)\n"
	"  -o, --options        prints Options Data Records too\n"
	"  -F, --filter EXPRESSION\n"
	"                       the same as the last argument\n"
	"  -n, --limit COUNT    ends after so many records\n"
	"  -T, --top COUNT      aggregates the records and prints those with\n"
	"                       the most octets, and a summary\n"
	"  -b, --by WHAT        the most octets (default), packets or flows\n"
	"  -k, --key LIST       of what: elements with commas between them, "
	"or\n"
	"                       srcip, dstip, srcport, dstport, proto (all "
	"five)\n"
	"  -E, --elements FILE  adds Information Elements of one's own\n"
	"  -h, --help           this text\n";

void
read_complain(struct read *read, uint64_t offset, const char *format, ...)
{
	va_list args;

	read->problems++;
	if (++read->complaints > COMPLAINTS_MAX)
		return;
	fprintf(stderr, "%s: offset %" PRIu64 ": ", read->name, offset);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Writes what has gathered. CLI_FAILED if stdout does not take it. */
static int
flush(struct read *read)
{
	size_t done = 0;

	if (read->out.failed) {
		fprintf(stderr, "conflux: out of memory\n");
		return CLI_FAILED;
	}
	while (done < read->out.length) {
		ssize_t n = write(STDOUT_FILENO, read->out.data + done,
				  read->out.length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fprintf(stderr, "conflux: standard output: %s\n",
				strerror(errno));
			return CLI_FAILED;
		}
		done += (size_t)n;
	}
	text_reset(&read->out);
	return CLI_OK;
}

struct stream {
	int fd;
	uint8_t *buffer; /* BUFFER_SIZE octets */
	size_t from, to; /* what of it is not yet consumed */
	bool end;
};

/* Reads on; behind that there is more, or stream->end is set. */
static int
fill(struct stream *stream)
{
	ssize_t n;

	memmove(stream->buffer, stream->buffer + stream->from,
		stream->to - stream->from);
	stream->to -= stream->from;
	stream->from = 0;
	do {
		n = read(stream->fd, stream->buffer + stream->to,
			 BUFFER_SIZE - stream->to);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	stream->to += (size_t)n;
	stream->end = n == 0;
	return 0;
}

/*
 * For a list all is read before anything is printed: who waits at a terminal
 * is told how far it is, once a second.
 */
static void
show_progress(struct read *read)
{
	time_t now;

	if (read->offset - read->shown < PROGRESS_STEP ||
	    !isatty(STDERR_FILENO))
		return;
	read->shown = read->offset;
	now = time(NULL);
	if (now == read->shown_time)
		return;
	read->shown_time = now;
	read->progress = true;
	fprintf(stderr, "\r%s: ", read->name);
	if (read->size)
		fprintf(stderr, "%3u %%, ",
			(unsigned)(read->offset * 100 / read->size));
	fprintf(stderr, "%" PRIu64 " MB \033[K", read->offset / 1000000);
}

/* What is left at the end, or cannot be read, is told of. */
static int
read_stream(struct read *read, struct stream *stream)
{
	int ret, length = 0;

	while (!read_done(read)) {
		const uint8_t *p = stream->buffer + stream->from;
		size_t have = stream->to - stream->from;

		length = message_frame(p, have);
		if (length < 0) {
			read_complain(read, read->offset,
				      capture_is_file(p, have)
					      ? "this is a capture file; "
						"confluxd meters it, see "
						"examples/probe.xml and "
						"cx:captureFile in "
						"conflux.xml(5)"
				      : have && wire_get16(p) == MESSAGE_VERSION
					      ? "message length is less than "
						"its header's; the rest is "
						"left out"
					      : "no IPFIX message begins "
						"here; the rest is left out");
			return CLI_OK;
		}
		if (length == 0 || (size_t)length > have) {
			if (stream->end)
				break;
			if (flush(read) != CLI_OK)
				return CLI_FAILED;
			ret = fill(stream);
			if (ret) {
				read_complain(read, read->offset + have, "%s",
					      strerror(-ret));
				return CLI_OK;
			}
			continue;
		}
		read_message(read, p, (size_t)length);
		if (read->options.top)
			show_progress(read);
		read->offset += (unsigned)length;
		stream->from += (unsigned)length;
		if (read->out.length >= OUT_SIZE && flush(read) != CLI_OK)
			return CLI_FAILED;
	}
	if (!read_done(read) && stream->to > stream->from)
		read_complain(read, read->offset,
			      "the file ends within a message: %zu octets, "
			      "%d expected",
			      stream->to - stream->from,
			      length ? length : MESSAGE_HEADER);
	return flush(read);
}

static int
read_file(struct read *read, const char *name, uint8_t *buffer)
{
	struct template_limits limits = {.max_templates = TEMPLATES_MAX};
	bool standard = strcmp(name, "-") == 0;
	struct stream stream = {.buffer = buffer};
	struct stat st;
	int status;

	stream.fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	if (stream.fd < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		read->problems++;
		return CLI_OK;
	}
	read->name = standard ? "standard input" : name;
	read->file++;
	read->offset = read->shown = 0;
	read->size = fstat(stream.fd, &st) == 0 && S_ISREG(st.st_mode)
			     ? (uint64_t)st.st_size
			     : 0;
	read->complaints = 0;
	read->templates =
		template_store_new(&limits, read->registry, read->shapes);
	if (read->templates) {
		status = read_stream(read, &stream);
	} else {
		fprintf(stderr, "conflux: out of memory\n");
		status = CLI_FAILED;
	}
	if (read->complaints > COMPLAINTS_MAX)
		fprintf(stderr, "%s: %" PRIu64 " more errors\n", read->name,
			read->complaints - COMPLAINTS_MAX);
	template_store_free(read->templates);
	read->templates = NULL;
	if (!standard)
		close(stream.fd);
	return status;
}

static int
read_files(struct read *read, char **names)
{
	static char standard[] = "-";
	char *only[] = {standard, NULL};
	uint8_t *buffer = malloc(BUFFER_SIZE);
	int status = CLI_OK;

	if (!buffer) {
		fprintf(stderr, "conflux: out of memory\n");
		return CLI_FAILED;
	}
	if (!*names)
		names = only;
	for (; *names && status == CLI_OK && !read_done(read); names++)
		status = read_file(read, *names, buffer);
	free(buffer);
	if (read->progress)
		fputs("\r\033[K", stderr);
	if (read->top && status == CLI_OK) {
		top_print(read->top, read->options.format, &read->out);
		status = flush(read);
	}
	return read->problems ? CLI_FAILED : status;
}

static const struct option long_options[] = {
	{"format", required_argument, NULL, 'f'},
	{"templates", no_argument, NULL, 't'},
	{"options", no_argument, NULL, 'o'},
	{"filter", required_argument, NULL, 'F'},
	{"limit", required_argument, NULL, 'n'},
	{"top", required_argument, NULL, 'T'},
	{"by", required_argument, NULL, 'b'},
	{"key", required_argument, NULL, 'k'},
	{"elements", required_argument, NULL, 'E'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* CLI_OK: go on; -1: help was asked for and given. */
static int
parse_options(struct read *read, int argc, char **argv)
{
	struct read_options *o = &read->options;
	int c, by, format, status = CLI_OK;
	char *end;

	while (status == CLI_OK &&
	       (c = getopt_long(argc, argv, "f:toF:n:T:b:k:E:h", long_options,
				NULL)) != -1) {
		switch (c) {
		case 'f':
			format = format_parse(optarg);
			if (format < 0)
				return cli_usage_error(
					"read", "--format: expected text, "
						"json or csv");
			o->format = (enum format)format;
			break;
		case 't':
			o->templates = true;
			break;
		case 'o':
			o->options = true;
			break;
		case 'F':
			o->filter = optarg;
			break;
		case 'n':
			errno = 0;
			o->limit = strtoull(optarg, &end, 10);
			if (*end || errno || *optarg < '0' || *optarg > '9' ||
			    !o->limit)
				return cli_usage_error(
					"read", "--limit: expected a number "
						"from 1 on");
			break;
		case 'T':
			o->top = strtoul(optarg, &end, 10);
			if (*end || *optarg < '1' || *optarg > '9' ||
			    o->top > TOP_MAX)
				return cli_usage_error("read",
						       "--top: expected a "
						       "number from 1 to %d",
						       TOP_MAX);
			break;
		case 'b':
			by = top_by_parse(optarg);
			if (by < 0)
				return cli_usage_error(
					"read", "--by: expected octets, "
						"packets or flows");
			o->by = (enum top_by)by;
			break;
		case 'k':
			o->key = optarg;
			break;
		case 'E':
			status = cli_load_elements(read->registry, optarg);
			break;
		case 'h':
			fputs(help, stdout);
			return -1;
		default:
			return CLI_USAGE;
		}
	}
	if (status == CLI_OK && o->templates && o->format == FORMAT_CSV)
		return cli_usage_error("read",
				       "there are no Templates in CSV");
	if (status == CLI_OK && (o->key || o->by) && !o->top)
		return cli_usage_error("read", "--by and --key need --top");
	return status;
}

/* The expression, with a caret below what is wrong with it. */
static int
open_filter(struct read *read)
{
	struct filter_error error = {0};
	int rc = filter_new(read->options.filter, read->registry, &read->filter,
			    &error);

	read->passed = malloc(READ_PASSED);
	if (rc == -ENOMEM || !read->passed) {
		fprintf(stderr, "conflux: out of memory\n");
		return CLI_FAILED;
	}
	if (rc < 0)
		fprintf(stderr, "conflux read: expression: %s\n",
			error.text ? error.text : strerror(-rc));
	free(error.text);
	return rc < 0 ? CLI_USAGE : CLI_OK;
}

/*
 * Is it an expression and not the name of a file? If there is no such file, and
 * there is a space in it, as in most expressions and few names, or it makes
 * sense as one.
 */
static bool
is_expression(const struct read *read, const char *text)
{
	struct filter_error error;
	struct filter *filter = NULL;
	int rc;

	if (strcmp(text, "-") == 0 || access(text, F_OK) == 0)
		return false;
	if (strchr(text, ' '))
		return true;
	rc = filter_new(text, read->registry, &filter, &error);
	filter_free(filter);
	free(error.text);
	return rc == 0;
}

/* Takes an expression from the end of the arguments. */
static int
parse_filter(struct read *read, int argc, char **argv)
{
	struct read_options *o = &read->options;

	if (optind < argc && is_expression(read, argv[argc - 1])) {
		if (o->filter)
			return cli_usage_error(
				"read", "there are two expressions, expected "
					"--filter or one at the end");
		o->filter = argv[argc - 1];
		argv[argc - 1] = NULL;
	}
	return o->filter ? open_filter(read) : CLI_OK;
}

int
cli_read(int argc, char **argv)
{
	struct read read = {
		.registry = ie_registry_new(ELEMENTS_MAX),
		.shapes = shape_table_new(SHAPES_MAX),
	};
	int status = CLI_FAILED;

	if (read.registry && read.shapes) {
		status = parse_options(&read, argc, argv);
		if (status == CLI_OK)
			status = parse_filter(&read, argc, argv);
		if (status == CLI_OK && read.options.top)
			status = top_new(read.registry, read.shapes,
					 read.options.key, read.options.by,
					 (unsigned)read.options.top, &read.top);
		if (status == CLI_OK)
			status = read_files(&read, argv + optind);
		else if (status < 0)
			status = CLI_OK;
	} else {
		fprintf(stderr, "conflux: out of memory\n");
	}
	top_free(read.top);
	filter_free(read.filter);
	free(read.passed);
	shape_release(read.header);
	text_fini(&read.out);
	if (read.shapes)
		shape_table_free(read.shapes);
	if (read.registry)
		ie_registry_free(read.registry);
	return status;
}
