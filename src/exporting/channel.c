/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One Observation Domain at one destination: its Templates, and the packing of
 * records into the message that is being filled.
 *
 * RFC 7011 section 8: a Template ID is unique per Transport Session and domain;
 * over a reliable transport an id may mean something else only after it has
 * been withdrawn (8.1), over UDP there are no withdrawals and an id should rest
 * until collectors have forgotten it (8.4). So ids are given out in turn from
 * 256 to 65534 and round again, skipping those that are in use or whose
 * withdrawal has not been sent yet.
 *
 * Streams of SCTP: a Template and its data go on one stream, so that neither
 * has to wait for the other (8.4 would allow others). That is the stream of the
 * domain; or each Template has its own as RFC 6526 wants it, and then a message
 * has data of one Template only. The Templates that its lists name (RFC 6313)
 * then are on that stream, too, beside those that other data may have.
 */
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/lists.h"
#include "exporting.h"

#define ID_LAST (ID_UNKNOWN - 1)
#define ID_COUNT (ID_UNKNOWN - SET_DATA_MIN)

static uint32_t
id_hash(uint16_t id)
{
	return (uint32_t)hash_u64(id, 0);
}

/* A Template of this shape, for data or for lists on a stream. */
struct shape_key {
	const struct shape *shape;
	const struct out_template *user; /* of the lists, or NULL */
};

static bool
shape_equal(const void *item, const void *key)
{
	const struct out_template *t = item;
	const struct shape_key *k = key;

	return t->shape == k->shape && t->inner == (k->user != NULL) &&
	       (!k->user || t->stream == k->user->stream);
}

static bool
id_equal(const void *item, const void *key)
{
	return ((const struct out_template *)item)->id ==
	       *(const uint16_t *)key;
}

struct channel *
channel_get(struct sink *s, struct domain *domain)
{
	struct channel *c;

	if (domain->index >= s->channel_size) {
		uint32_t size = s->channel_size ? s->channel_size : 16;
		struct channel **list;

		while (size <= domain->index)
			size *= 2;
		list = realloc(s->channel, size * sizeof(*list));
		if (!list)
			return NULL;
		for (uint32_t i = s->channel_size; i < size; i++)
			list[i] = NULL;
		s->channel = list;
		s->channel_size = size;
	}
	c = s->channel[domain->index];
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (c)
		c->sequence =
			calloc(s->conf->net.sctp.streams, sizeof(*c->sequence));
	if (!c || !c->sequence) {
		free(c);
		return NULL;
	}
	c->sink = s;
	c->domain = domain;
	c->number = domain->number;
	c->stream = (uint16_t)domain->index;
	c->next_id = SET_DATA_MIN;
	s->channel[domain->index] = c;
	return c;
}

struct channel *
channel_numbered(struct sink *s, uint32_t number)
{
	struct domain *domain = domain_numbered(s->exporting, number);

	return domain ? channel_get(s, domain) : NULL;
}

void
channel_free(struct channel *c)
{
	struct out_template *t;
	struct told *told;
	uint32_t at = 0;

	if (!c)
		return;
	while ((t = table_next(&c->by_id, &at))) {
		shape_release(t->shape);
		free(t->uses);
		free(t);
	}
	at = 0;
	while ((told = table_next(&c->told, &at)))
		free(told);
	table_fini(&c->by_id);
	table_fini(&c->by_shape);
	table_fini(&c->told);
	free(c->sequence);
	free(c);
}

/* RFC 7011 section 3.1: streams of SCTP count by themselves. */
uint32_t *
channel_sequence(struct channel *c, uint16_t stream)
{
	if (c->epoch != c->sink->epoch) {
		c->epoch = c->sink->epoch;
		for (unsigned i = 0; i < c->sink->conf->net.sctp.streams; i++)
			c->sequence[i] = 0;
	}
	return &c->sequence[stream];
}

/* ---- Templates ---------------------------------------------------------- */

struct out_template *
channel_template_by_id(struct channel *c, uint16_t id)
{
	if (c->last && c->last->id == id)
		return c->last;
	return table_find(&c->by_id, id_hash(id), id_equal, &id);
}

static void
forget_use(struct out_template *user, const struct out_template *used)
{
	for (uint16_t i = 0; i < user->uses_count; i++)
		if (user->uses[i] == used) {
			user->uses[i] = user->uses[--user->uses_count];
			return;
		}
}

void
out_template_free(struct out_template *t)
{
	struct out_template *user;
	uint32_t at = 0;

	if (t->reliability)
		out_template_free(t->reliability);
	forward_template_gone(t->channel->sink->forward, t);
	table_remove(&t->channel->by_id, id_hash(t->id), t);
	while (t->used && (user = table_next(&t->channel->by_id, &at)))
		forget_use(user, t);
	shape_release(t->shape);
	free(t->uses);
	free(t);
}

/* Takes it out of use; it goes when its last data has gone. */
static void
retire(struct out_template *t)
{
	struct sink *s = t->channel->sink;

	if (t->channel->last == t)
		t->channel->last = NULL;
	if (t->epoch && t->channel->sink->conf->kind == EXPORTING_UDP)
		TAILQ_REMOVE(&s->sent[t->options], t, sent);
	t->retired = true;
	STAILQ_INSERT_TAIL(&s->ending, t, ending);
}

/* Makes room for another one: the longest unused has to go. */
static void
evict(struct channel *c)
{
	struct out_template *t, *oldest = NULL;
	uint32_t at = 0;

	channel_finish(c);
	while ((t = table_next(&c->by_shape, &at)))
		if (!oldest || t->last_message < oldest->last_message)
			oldest = t;
	if (!oldest)
		return;
	table_remove(&c->by_shape, oldest->shape->hash, oldest);
	retire(oldest);
	sink_pump(c->sink);
}

static void
describe(struct out_template *t)
{
	const struct shape *shape = t->shape;
	uint32_t length = MESSAGE_HEADER + SET_HEADER + 4;

	t->options = shape->scope_count > 0;
	if (t->options)
		length += 2;
	for (uint16_t i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;

		length += ie->pen ? 8 : 4;
		if (options_describable(ie))
			t->enterprise = true;
		if (!ie->pen && (ie->id == IE_flowStartDeltaMicroseconds ||
				 ie->id == IE_flowEndDeltaMicroseconds))
			t->relative = true;
	}
	/* What is in lists may count from the Export Time, too. */
	t->relative |= lists_in(shape);
	t->lists = lists_in(shape) || lists_template_id(shape, 0) >= 0;
	t->too_long = length > t->channel->sink->max_message;
}

static uint16_t
free_id(struct channel *c)
{
	for (unsigned i = 0; i < ID_COUNT; i++) {
		uint16_t id = c->next_id;

		c->next_id = id == ID_LAST ? SET_DATA_MIN : id + 1;
		if (!table_find(&c->by_id, id_hash(id), id_equal, &id))
			return id;
	}
	return 0;
}

static struct out_template *
template_new(struct channel *c, const struct shape *shape, uint16_t stream)
{
	uint16_t id = free_id(c);
	struct out_template *t = id ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->id = id;
	t->stream = stream;
	t->channel = c;
	t->shape = shape;
	describe(t);
	if (table_add(&c->by_id, id_hash(id), t)) {
		free(t);
		return NULL;
	}
	shape_hold(shape);
	return t;
}

/* Where Templates have streams of their own they are given out in turn. */
static uint16_t
choose_stream(struct channel *c)
{
	struct sink *s = c->sink;

	if (!s->conf->stream_per_template)
		return c->stream;
	return s->next_stream++ % s->conf->net.sctp.streams;
}

static struct out_template *
template_make(struct channel *c, const struct shape_key *key)
{
	const struct out_template *user = key->user;
	struct out_template *t = template_new(
		c, key->shape, user ? user->stream : choose_stream(c));
	bool told = c->sink->conf->stream_per_template && !user;

	if (!t)
		return NULL;
	t->inner = user != NULL;
	if (told)
		t->reliability = template_new(
			c,
			c->sink->exporting
				->option_shape[OPTION_SHAPE_DATA_RELIABILITY],
			t->stream);
	if ((told && !t->reliability) ||
	    table_add(&c->by_shape, key->shape->hash, t)) {
		out_template_free(t);
		return NULL;
	}
	return t;
}

/* Retired ones wait for their data to go: as many again. */
bool
channel_template_room(const struct channel *c)
{
	const struct sink *s = c->sink;

	return c->by_id.count < s->exporting->conf.max_templates *
					(s->conf->stream_per_template ? 4 : 2);
}

static struct out_template *
find_or_make(struct channel *c, const struct shape_key *key)
{
	struct out_template *t =
		table_find(&c->by_shape, key->shape->hash, shape_equal, key);

	return t ? t : template_make(c, key);
}

struct out_template *
channel_template_own(struct channel *c, const struct shape *shape)
{
	return find_or_make(c, &(struct shape_key){.shape = shape});
}

struct out_template *
channel_template_inner(struct out_template *user, const struct shape *shape)
{
	struct channel *c = user->channel;
	bool apart = c->sink->conf->stream_per_template;

	return find_or_make(c, &(struct shape_key){shape, apart ? user : NULL});
}

struct out_template *
channel_template(struct channel *c, const struct shape *shape)
{
	uint32_t max = c->sink->exporting->conf.max_templates;
	const struct shape_key key = {.shape = shape};
	struct out_template *t = c->last;

	if (t && t->shape == shape)
		return t;
	t = table_find(&c->by_shape, shape->hash, shape_equal, &key);
	if (!t) {
		if (c->by_shape.count >= max)
			evict(c);
		if (channel_template_room(c))
			t = template_make(c, &key);
	}
	if (t)
		c->last = t;
	return t;
}

void
channel_end(struct channel *c)
{
	struct out_template *t;
	uint32_t at = 0;

	channel_finish(c);
	c->identity_epoch = 0;
	while ((t = table_next(&c->by_shape, &at)))
		retire(t);
	table_fini(&c->by_shape);
	c->by_shape = (struct table){0};
}

void
channel_end_shape(struct channel *c, const struct shape *shape)
{
	const struct shape_key key = {.shape = shape};
	struct out_template *t =
		table_find(&c->by_shape, shape->hash, shape_equal, &key);

	if (!t)
		return;
	table_remove(&c->by_shape, shape->hash, t);
	retire(t);
}

/* ---- packing ------------------------------------------------------------ */

static bool
channel_begin(struct channel *c)
{
	struct sink *s = c->sink;

	if (s->open_count >= s->open_max)
		channel_finish(TAILQ_FIRST(&s->open));
	c->buffer = sink_buffer_take(s);
	if (!c->buffer)
		return false;
	message_begin(&c->writer, c->buffer, s->max_message, c->number);
	s->open_octets += c->writer.length;
	c->begun_ms = s->exporting->now_ms;
	c->export_time = 0;
	c->reliable = false;
	c->flows = 0;
	TAILQ_INSERT_TAIL(&s->open, c, open);
	s->open_count++;
	return true;
}

/*
 * RFC 7011 section 10.2: partial reliability is for messages of Data Sets only,
 * and here only for those of Flow Records: what options say is needed to
 * understand others. A message that may come out of order goes on the stream
 * of its Templates all the same, since net lets it wait for them.
 */
static struct net_delivery
delivery(const struct channel *c)
{
	const struct exporting_destination *conf = c->sink->conf;
	struct net_delivery d = {.stream = c->filling};

	if (conf->kind == EXPORTING_SCTP && !c->reliable) {
		d.unordered = conf->unordered;
		d.lifetime_ms = conf->lifetime_ms;
	}
	return d;
}

void
channel_finish(struct channel *c)
{
	struct sink *s = c->sink;
	struct queue_entry entry = {
		.channel = c,
		.delivery = delivery(c),
		.records = c->writer.records,
		.flows = c->flows,
	};
	uint8_t *buffer = c->buffer;

	if (!c->writer.length)
		return;
	s->open_octets -= c->writer.length;
	entry.length = message_end(
		&c->writer, c->export_time
				    ? c->export_time
				    : (uint32_t)(clock_wall_ms() / 1000));
	c->writer.length = 0;
	c->buffer = NULL;
	TAILQ_REMOVE(&s->open, c, open);
	s->open_count--;
	if (entry.records) {
		s->open_records -= entry.records;
		c->finished++;
		if (sink_message(s, &entry, buffer))
			return; /* it is in use, and comes back */
	}
	sink_buffer_give(s, buffer);
}

/* How many records from the i-th on fit into room octets. */
static uint32_t
fitting(const struct batch *batch, uint32_t i, uint32_t room)
{
	uint32_t n = 0;

	if (batch->stride) {
		n = room / batch->stride;
		return n < batch->count - i ? n : batch->count - i;
	}
	while (i + n < batch->count &&
	       batch->offset[i + n + 1] - batch->offset[i] <= room)
		n++;
	return n;
}

uint32_t
channel_fits(const struct channel *c, const struct batch *batch)
{
	uint32_t used = c->writer.length ? c->writer.length : MESSAGE_HEADER;
	uint32_t room = c->sink->max_message;

	if (room < used + SET_HEADER)
		return 0;
	return fitting(batch, 0, room - used - SET_HEADER);
}

static void
taken_set(struct taken *taken, uint32_t first, uint32_t count)
{
	while (count) {
		uint32_t bit = first % 64;
		uint32_t n = count < 64 - bit ? count : 64 - bit;

		taken->bits[first / 64] |= UINT64_MAX >> (64 - n) << bit;
		first += n;
		count -= n;
	}
}

static void
copy(struct channel *c, struct out_template *t, const struct batch *batch,
     uint32_t i, uint32_t n)
{
	uint32_t from = batch->stride ? i * batch->stride : batch->offset[i];
	uint32_t before = c->writer.length;
	uint32_t to =
		batch->stride ? from + n * batch->stride : batch->offset[i + n];
	uint8_t *p = message_add_data(&c->writer, t->id, to - from, n);

	memcpy(p, batch->base + from, to - from);
	c->sink->open_octets += c->writer.length - before;
	c->sink->open_records += n;
	c->reliable |= t->options;
	c->flows += t->options ? 0 : n;
	t->last_message = c->finished + 1;
	for (uint16_t k = 0; k < t->uses_count; k++)
		if (!t->uses[k]->retired)
			t->uses[k]->last_message = t->last_message;
	t->records += n;
}

/*
 * The message that records of this Template can go into: the open one, or a
 * new one. RFC 7011 section 3.1 gives the Export Time, and elements like
 * flowStartDeltaMicroseconds count back from it: records with such elements
 * need the time of the message that they came in (RFC 7119 section 5).
 */
static bool
ready_message(struct channel *c, const struct out_template *t,
	      const struct batch *batch, enum loss *loss)
{
	uint32_t time = t->relative ? (uint32_t)(batch->export_ms / 1000) : 0;

	if (c->writer.length && time && c->export_time &&
	    c->export_time != time)
		channel_finish(c);
	if (c->writer.length && c->filling != t->stream)
		channel_finish(c);
	if (!c->writer.length) {
		if (!sink_admit(c->sink)) {
			*loss = sink_refusal(c->sink);
			return false;
		}
		if (!channel_begin(c)) {
			*loss = LOSS_NO_MEMORY;
			return false;
		}
		c->filling = t->stream;
	}
	if (time)
		c->export_time = time;
	return true;
}

static void
put(struct channel *c, struct out_template *t, const struct batch *batch,
    struct taken *taken)
{
	enum loss loss;
	uint32_t i = 0, n;

	while (i < batch->count) {
		if (!ready_message(c, t, batch, &loss)) {
			sink_lose_batch(c->sink, batch, i, batch->count - i,
					loss);
			return;
		}
		n = fitting(batch, i, message_room(&c->writer, t->id));
		if (n) {
			copy(c, t, batch, i, n);
			taken_set(taken, i, n);
		} else if (c->writer.records) {
			channel_finish(c);
		} else {
			/* Not even into an empty message. */
			n = 1;
			sink_lose_batch(c->sink, batch, i, n, LOSS_TOO_LONG);
		}
		i += n;
	}
}

/* Records with lists are changed on their way, so they go one by one. */
static void
put_lists(struct channel *c, struct out_template *t, const struct batch *batch,
	  struct taken *taken)
{
	uint8_t *copy = c->sink->record;

	for (uint32_t i = 0; i < batch->count; i++) {
		struct taken one = {0};
		struct batch single = *batch;
		const uint8_t *record = batch_record(batch, i, &single.stride);

		if (single.stride > MESSAGE_MAX) {
			sink_lose_batch(c->sink, batch, i, 1, LOSS_TOO_LONG);
			continue;
		}
		memcpy(copy, record, single.stride);
		lists_rewrite(t, batch->scope, copy, single.stride);
		single.base = copy;
		single.count = 1;
		put(c, t, &single, &one);
		if (one.bits[0])
			taken_set(taken, i, 1);
	}
}

void
channel_put(struct channel *c, const struct batch *batch, struct taken *taken)
{
	struct out_template *t = channel_template(c, batch->shape);

	if (!t || t->too_long) {
		sink_lose_batch(c->sink, batch, 0, batch->count,
				t ? LOSS_TOO_LONG : LOSS_LIMIT);
		return;
	}
	if (batch->flow_keys && batch->flow_keys != t->flow_keys) {
		t->flow_keys = batch->flow_keys;
		t->keys_epoch = 0;
	}
	t->accessed_ms = c->sink->exporting->wall_ms;
	if (t->lists && batch->scope->template_shape)
		put_lists(c, t, batch, taken);
	else
		put(c, t, batch, taken);
}
