/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "conflux/cache.h"

enum { KEYS_MAX = 32, VALUES = 7, CELL_MAX = 64 };

/* What is summed up, behind the keys. */
static const struct {
	uint32_t pen;
	uint16_t id;
} value_element[VALUES] = {
	{0, IE_octetDeltaCount},	{0, IE_packetDeltaCount},
	{IE_PEN_REVERSE, IE_octetDeltaCount},
	{IE_PEN_REVERSE, IE_packetDeltaCount},
	{0, IE_deltaFlowCount},		{0, IE_flowStartMilliseconds},
	{0, IE_flowEndMilliseconds},
};

enum value { OCTETS, PACKETS, BACK_OCTETS, BACK_PACKETS, FLOWS, START, END };

struct line {
	uint64_t rank;
	uint64_t value[VALUES];
	const struct shape *shape; /* held */
	uint8_t *record;
	uint32_t length;
};

struct top {
	struct stage sink; /* behind the cache */
	struct stage *cache;
	struct scope scope;
	uint64_t export_ms; /* of the message whose records come */
	enum top_by by;
	bool plain; /* the usual keys: shown as source and destination */
	unsigned key_count;
	const struct ie *key[KEYS_MAX];
	unsigned count;
	unsigned line_count;
	struct line *line; /* a heap, the least in front, until it is sorted */
	uint64_t flows;    /* different ones */
	uint64_t sum[VALUES];
	bool failed;
};

/* ---- options ----------------------------------------------------------------- */

int
top_by_parse(const char *name)
{
	static const char *const names[] = {"octets", "packets", "flows"};

	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -EINVAL;
}

/* A word that stands for one or two elements. */
static const char *
expand(const char *word)
{
	static const char *const words[][2] = {
		{"srcip", "sourceIPv4Address,sourceIPv6Address"},
		{"dstip", "destinationIPv4Address,destinationIPv6Address"},
		{"srcport", "sourceTransportPort"},
		{"dstport", "destinationTransportPort"},
		{"proto", "protocolIdentifier"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i][0]) == 0)
			return words[i][1];
	return NULL;
}

static int
add_keys(struct top *top, const struct ie_registry *registry, const char *keys)
{
	char *copy = strdup(keys), *save = NULL, *word;
	int status = copy ? CLI_OK : CLI_FAILED;

	for (word = copy ? strtok_r(copy, ",", &save) : NULL;
	     word && status == CLI_OK; word = strtok_r(NULL, ",", &save)) {
		const char *more = expand(word);
		const struct ie *ie = more ? NULL : ie_by_name(registry, word);

		if (more)
			status = add_keys(top, registry, more);
		else if (!ie)
			status = cli_usage_error("read",
						 "--key: there is no element "
						 "%s; conflux elements lists "
						 "them", word);
		else if (top->key_count == KEYS_MAX)
			status = cli_usage_error("read",
						 "--key: at most %d elements",
						 KEYS_MAX);
		else
			top->key[top->key_count++] = ie;
	}
	free(copy);
	return status;
}

/* ---- the list ------------------------------------------------------------------ */

static void
line_free(struct line *line)
{
	shape_release(line->shape);
	free(line->record);
}

static void
swap(struct line *a, struct line *b)
{
	struct line c = *a;

	*a = *b;
	*b = c;
}

/* Down from the top, until no child is less. */
static void
sink_down(struct top *top, unsigned i)
{
	for (;;) {
		unsigned least = i, child = 2 * i + 1;

		for (unsigned k = child; k < child + 2; k++)
			if (k < top->line_count &&
			    top->line[k].rank < top->line[least].rank)
				least = k;
		if (least == i)
			return;
		swap(&top->line[i], &top->line[least]);
		i = least;
	}
}

static void
rise(struct top *top, unsigned i)
{
	while (i && top->line[i].rank < top->line[(i - 1) / 2].rank) {
		swap(&top->line[i], &top->line[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static void
keep(struct top *top, const struct line *new, const uint8_t *record)
{
	struct line *to;

	if (top->line_count == top->count && new->rank <= top->line[0].rank)
		return;
	if (top->line_count == top->count) {
		line_free(&top->line[0]);
		swap(&top->line[0], &top->line[--top->line_count]);
		sink_down(top, 0);
	}
	to = &top->line[top->line_count];
	*to = *new;
	to->record = malloc(new->length);
	if (!to->record) {
		top->failed = true;
		return;
	}
	memcpy(to->record, record, new->length);
	shape_hold(new->shape);
	rise(top, top->line_count++);
}

static uint64_t
value_of(const struct shape *shape, const uint8_t *record, uint32_t length,
	 enum value v)
{
	int field = shape_find(shape, value_element[v].pen,
			       value_element[v].id, 0);
	uint64_t value = 0;

	shape_uint(shape, field, record, length, &value);
	return value;
}

static void
take(struct top *top, const struct shape *shape, const uint8_t *record,
     uint32_t length)
{
	struct line line = {.shape = shape, .length = length};
	uint64_t *v = line.value;

	for (int i = 0; i < VALUES; i++)
		v[i] = value_of(shape, record, length, (enum value)i);
	for (int i = 0; i <= FLOWS; i++)
		top->sum[i] += v[i];
	if (v[START] && (!top->sum[START] || v[START] < top->sum[START]))
		top->sum[START] = v[START];
	if (v[END] > top->sum[END])
		top->sum[END] = v[END];
	top->flows++;
	line.rank = top->by == TOP_OCTETS ? v[OCTETS] + v[BACK_OCTETS]
		    : top->by == TOP_PACKETS
			    ? v[PACKETS] + v[BACK_PACKETS]
			    : v[FLOWS];
	keep(top, &line, record);
}

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct top *top = (struct top *)stage;
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);

		take(top, batch->shape, record, length);
	}
}

static const struct stage_ops sink_ops = {.run = sink_run};

/* ---- records come ----------------------------------------------------------------- */

static int
open_cache(struct top *top, struct ie_registry *registry,
	   struct shape_table *shapes)
{
	struct cache_field field[KEYS_MAX + VALUES];
	struct cache_conf conf = {
		.name = "top",
		.type = CACHE_TIMEOUT,
		.max_flows = TOP_FLOWS_MAX,
		.fields = field,
	};
	const char *error = NULL;
	int rc;

	for (unsigned i = 0; i < top->key_count; i++)
		field[conf.field_count++] = (struct cache_field){
			.ie = top->key[i], .key = true, .prefix_length = -1};
	for (int i = 0; i < VALUES; i++)
		field[conf.field_count++] = (struct cache_field){
			.ie = ie_find(registry, value_element[i].pen,
				      value_element[i].id),
			.prefix_length = -1};
	rc = cache_new(&conf, registry, shapes, &top->cache, &error);
	if (rc == 0)
		rc = stage_link(top->cache, &top->sink);
	if (rc == 0)
		return CLI_OK;
	fprintf(stderr, "conflux: --top: %s\n", error ? error : strerror(-rc));
	return CLI_FAILED;
}

int
top_new(struct ie_registry *registry, struct shape_table *shapes,
	const char *keys, enum top_by by, unsigned count, struct top **out)
{
	struct top *top = calloc(1, sizeof(*top));
	int status;

	if (!top)
		return CLI_FAILED;
	top->sink.ops = &sink_ops;
	top->by = by;
	top->count = count;
	top->plain = !keys;
	top->line = calloc(count, sizeof(*top->line));
	status = top->line ? add_keys(top, registry,
				      keys ? keys
					   : "srcip,dstip,srcport,dstport,"
					     "proto")
			   : CLI_FAILED;
	if (status == CLI_OK)
		status = open_cache(top, registry, shapes);
	if (status != CLI_OK) {
		top_free(top);
		return status;
	}
	*out = top;
	return CLI_OK;
}

void
top_free(struct top *top)
{
	if (!top)
		return;
	stage_free(top->cache);
	for (unsigned i = 0; i < top->line_count; i++)
		line_free(&top->line[i]);
	free(top->line);
	free(top);
}

void
top_message(struct top *top, uint32_t file, uint32_t domain,
	    uint32_t export_time)
{
	/* The cache takes its own from scope_serial, far below these. */
	top->scope.serial = (uint64_t)file << 32 | domain;
	top->scope.domain = domain;
	top->export_ms = (uint64_t)export_time * 1000;
}

void
top_add(struct top *top, const struct shape *shape, const uint8_t *p,
	uint32_t length)
{
	uint32_t offset[2] = {0, length};
	struct batch batch = {
		.shape = shape,
		.scope = &top->scope,
		.base = p,
		.count = 1,
		.offset = offset,
		.export_ms = top->export_ms,
	};

	/* Fixed records that follow one another go in one piece. */
	if (!shape->variable) {
		batch.stride = shape->min_length;
		batch.count = length / batch.stride;
	}
	while (batch.count > BATCH_MAX) {
		struct batch part = batch;

		part.count = BATCH_MAX;
		stage_run(top->cache, &part);
		batch.base += (size_t)BATCH_MAX * batch.stride;
		batch.count -= BATCH_MAX;
	}
	stage_run(top->cache, &batch);
}

/* ---- the print --------------------------------------------------------------------- */

static int
by_rank(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->rank < y->rank ? 1 : x->rank > y->rank ? -1 : 0;
}

/* The first of the fields with these ids, as text; empty without one. */
static void
cell(struct text *out, const struct line *line, const struct ie *ie)
{
	int field = shape_find(line->shape, ie->pen, ie->id, 0);
	uint32_t length;
	const uint8_t *p = shape_field(line->shape, field, line->record,
				       line->length, &length);

	if (p)
		format_value_text(out, ie, p, length);
}

static const char *
protocol(uint64_t number, char *text, size_t size)
{
	struct protoent *entry = getprotobynumber((int)number);

	if (entry)
		snprintf(text, size, "%s", entry->p_name);
	else
		snprintf(text, size, "%" PRIu64, number);
	return text;
}

static uint64_t
number_of(const struct line *line, uint16_t id, bool *there)
{
	uint64_t value = 0;

	*there = shape_uint(line->shape, shape_find(line->shape, 0, id, 0),
			    line->record, line->length, &value);
	return value;
}

/* 192.0.2.1:53, [2001:db8::1]:53 */
static void
endpoint(struct text *out, const struct top *top, const struct line *line,
	 unsigned first, uint16_t port)
{
	struct text address = {0};
	bool there;
	uint64_t number = number_of(line, port, &there);

	cell(&address, line, top->key[first]);
	if (!address.length)
		cell(&address, line, top->key[first + 1]);
	if (!address.length)
		text_add(out, "-");
	else if (there && strchr(address.data, ':'))
		text_printf(out, "[%s]", address.data);
	else
		text_add(out, address.data);
	if (there)
		text_printf(out, ":%" PRIu64, number);
	text_fini(&address);
}

static void
add_when(struct text *out, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (!ms || !gmtime_r(&seconds, &tm)) {
		text_printf(out, "%-23s", "-");
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	text_printf(out, "%s.%03u", text, (unsigned)(ms % 1000));
}

/* 1234, 12.3 k, 4.5 M: as wide for any size */
static const char *
scaled(double v, char *text, size_t size)
{
	static const char unit[] = " kMGTPE";
	unsigned i = 0;

	for (; v >= 100000 && unit[i + 1]; i++)
		v /= 1000;
	if (i)
		snprintf(text, size, "%.1f %c", v, unit[i]);
	else
		snprintf(text, size, "%.0f", v);
	return text;
}

static double
seconds_of(const uint64_t *v)
{
	return v[END] > v[START] && v[START]
		       ? (double)(v[END] - v[START]) / 1000
		       : 0;
}

static void
key_text(struct text *out, const struct top *top, const struct line *line)
{
	struct text from = {0};
	char name[CELL_MAX];
	bool there;
	uint64_t number;

	if (!top->plain) {
		for (unsigned i = 0; i < top->key_count; i++) {
			text_reset(&from);
			cell(&from, line, top->key[i]);
			if (from.length)
				text_printf(out, "%s%s",
					    out->length ? " " : "", from.data);
		}
		if (!out->length)
			text_add(out, "-");
		text_fini(&from);
		return;
	}
	number = number_of(line, IE_protocolIdentifier, &there);
	endpoint(&from, top, line, 0, IE_sourceTransportPort);
	text_printf(out, "%-6s %21s -> ",
		    there ? protocol(number, name, sizeof(name)) : "-",
		    from.data ? from.data : "-");
	endpoint(out, top, line, 2, IE_destinationTransportPort);
	text_fini(&from);
}

static void
print_line(const struct top *top, const struct line *line, int width,
	   struct text *out)
{
	const uint64_t *v = line->value;
	uint64_t octets = v[OCTETS] + v[BACK_OCTETS];
	uint64_t packets = v[PACKETS] + v[BACK_PACKETS];
	uint64_t all = top->sum[OCTETS] + top->sum[BACK_OCTETS];
	double seconds = seconds_of(v);
	struct text key = {0};
	char cell_text[3][CELL_MAX];

	key_text(&key, top, line);
	add_when(out, v[START]);
	text_printf(out,
		    " %10.3f  %-*s %9s %9s %9s %6" PRIu64 " %7" PRIu64
		    " %5.1f\n",
		    seconds, width, key.data ? key.data : "",
		    scaled((double)packets, cell_text[0], CELL_MAX),
		    scaled((double)octets, cell_text[1], CELL_MAX),
		    scaled(seconds > 0 ? (double)octets * 8 / seconds : 0,
			   cell_text[2], CELL_MAX),
		    packets ? octets / packets : 0, v[FLOWS],
		    all ? (double)octets * 100 / (double)all : 0);
	text_fini(&key);
}

static bool
evicted(const struct top *top)
{
	struct cache_stats stats;

	cache_stats(top->cache, &stats);
	return stats.evicted > 0;
}

static void
print_summary(const struct top *top, struct text *out)
{
	const uint64_t *v = top->sum;
	uint64_t octets = v[OCTETS] + v[BACK_OCTETS];
	uint64_t packets = v[PACKETS] + v[BACK_PACKETS];
	double seconds = seconds_of(v);
	char text[2][CELL_MAX];

	text_printf(out,
		    "\n%" PRIu64 " records, %" PRIu64 " flows, %" PRIu64
		    " packets, %" PRIu64 " octets",
		    v[FLOWS], top->flows, packets, octets);
	if (packets)
		text_printf(out, ", %" PRIu64 " octets a packet",
			    octets / packets);
	if (seconds > 0)
		text_printf(out, "\n%.3f seconds, %s bit/s, %s packets/s",
			    seconds,
			    scaled((double)octets * 8 / seconds, text[0],
				   CELL_MAX),
			    scaled((double)packets / seconds, text[1],
				   CELL_MAX));
	text_add(out, "\n");
	if (evicted(top))
		text_add(out, "A flow may be in it more than once: there are "
			      "more than 16777216.\n");
}

static void
print_table(const struct top *top, struct text *out)
{
	int width = 3;

	for (unsigned i = 0; i < top->line_count; i++) {
		struct text key = {0};

		key_text(&key, top, &top->line[i]);
		if ((int)key.length > width)
			width = (int)key.length;
		text_fini(&key);
	}
	text_printf(out, "%-23s %10s  %-*s %9s %9s %9s %6s %7s %5s\n",
		    "first seen", "seconds", width,
		    top->plain ? "proto            source -> destination"
			       : "key",
		    "packets", "octets", "bit/s", "oct/p", "records", "%");
	for (unsigned i = 0; i < top->line_count; i++)
		print_line(top, &top->line[i], width, out);
	print_summary(top, out);
}

void
top_print(struct top *top, enum format format, struct text *out)
{
	const struct shape *header = NULL;

	stage_flush(top->cache);
	if (top->failed)
		fprintf(stderr, "conflux: out of memory: the list has gaps\n");
	if (ledger_lost(&top->cache->ledger))
		fprintf(stderr,
			"conflux: %" PRIu64 " records are not in the list: "
			"malformed, or no room for them\n",
			ledger_lost(&top->cache->ledger));
	qsort(top->line, top->line_count, sizeof(*top->line), by_rank);
	if (format == FORMAT_TEXT) {
		print_table(top, out);
		return;
	}
	for (unsigned i = 0; i < top->line_count; i++) {
		const struct line *line = &top->line[i];

		if (format == FORMAT_CSV && header != line->shape) {
			if (header)
				text_add(out, "\n");
			header = line->shape;
			format_header_csv(out, header);
			text_add(out, "\n");
		}
		format_record(out, format, NULL, line->shape, line->record,
			      line->length);
		text_add(out, "\n");
	}
}
