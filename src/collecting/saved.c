/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates learnt over UDP, in a file, so that after a restart no record has
 * to wait for the next refresh (RFC 7011 section 8.4), which may be half an
 * hour away.
 *
 * What is saved of a domain is used when its first message comes, if all of
 * this holds:
 *
 *  - it comes to the receiver of that name, from the same address and port (the
 *    port does not count where all ports are one session) and has the same
 *    Observation Domain or Source ID;
 *  - IPFIX: its sequence number is not before the last one that was seen, as
 *    that of an exporter would be that was restarted meanwhile;
 *    NetFlow version 9: its sysUpTime did not go back (follow_clock);
 *  - of each Template: its lifetime is not over, the time of the absence
 *    included.
 *
 * Not noticed is an exporter that gave a Template another meaning while we
 * were away and neither has a new port nor counts anew: its records are read
 * as the old Template has them until it sends the new one, which replaces it.
 * Sessions of DTLS begin anew and are not saved.
 *
 * With a Template goes what is known of its enterprise-specific elements, as
 * options may have described them (RFC 5610).
 *
 * The file: header, domains, and a checksum, so that one that was torn is not
 * used. It is written under another name first. Integers are in network byte
 * order, but the checksum is the machine's: the file is for this machine. Each
 * worker has a file of its own and reads those of all, since exporters may be
 * steered elsewhere after a restart.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/file.h"
#include "conflux/hash.h"
#include "conflux/type_information.h"
#include "conflux/wire.h"
#include "process.h"

#define MAGIC UINT64_C(0x436f6e666c757854)   /* "ConfluxT" */
#define KEEP_MS (UINT64_C(7) * 86400 * 1000) /* without a lifetime */

enum {
	VERSION = 1,
	HEADER = 16,
	CHECKSUM = 8,
	FILE_MIN = 65536,
	FILE_MAX = 64 << 20,
	FILES_MAX = 64,
};

/* A domain in a file that was read. */
struct saved {
	const uint8_t *entry; /* behind its length */
	uint32_t length;
	bool own;	   /* of our file: to be written again */
	bool taken;	   /* it has come */
	uint64_t saved_ms; /* wall clock */
	enum protocol protocol;
	struct addr remote;
	uint32_t domain;
	const uint8_t *receiver;
	uint8_t receiver_length;
	struct reader rest; /* what follows in the entry */
};

struct saved_files {
	uint8_t *data[FILES_MAX];
	unsigned count;
	struct table domains;
};

/* ---- finding ------------------------------------------------------------- */

static uint32_t
hash_of(const struct collecting *c, enum protocol protocol,
	const struct addr *remote, uint32_t domain)
{
	uint64_t seed = hash_u64((uint64_t)protocol << 32 | domain, c->seed);

	return (uint32_t)hash_bytes(remote->bytes, sizeof(remote->bytes), seed);
}

struct key {
	const struct collecting_receiver *receiver;
	const struct addr *remote;
	enum protocol protocol;
	uint32_t domain;
};

static bool
saved_equal(const void *item, const void *arg)
{
	const struct saved *s = item;
	const struct key *key = arg;
	const struct collecting_receiver *receiver = key->receiver;

	return s->protocol == key->protocol && s->domain == key->domain &&
	       (receiver->any_port ? addr_equal_host(&s->remote, key->remote)
				   : addr_equal(&s->remote, key->remote)) &&
	       s->receiver_length == strlen(receiver->name) &&
	       memcmp(s->receiver, receiver->name, s->receiver_length) == 0;
}

/* ---- reading ------------------------------------------------------------- */

static bool
read_entry(struct saved *s)
{
	struct reader *r = &s->rest;
	const uint8_t *p;

	reader_init(r, s->entry, s->length);
	s->saved_ms = reader_u64(r);
	s->protocol = reader_u8(r);
	s->remote.version = reader_u8(r);
	s->remote.port = reader_u16(r);
	s->remote.zone = reader_u32(r);
	p = reader_take(r, sizeof(s->remote.bytes));
	if (p)
		memcpy(s->remote.bytes, p, sizeof(s->remote.bytes));
	s->domain = reader_u32(r);
	s->receiver_length = reader_u8(r);
	s->receiver = reader_take(r, s->receiver_length);
	return !r->failed;
}

static bool
same_domain(const void *item, const void *arg)
{
	const struct saved *a = item, *b = arg;

	return a->protocol == b->protocol && a->domain == b->domain &&
	       addr_equal(&a->remote, &b->remote) &&
	       a->receiver_length == b->receiver_length &&
	       memcmp(a->receiver, b->receiver, a->receiver_length) == 0;
}

/* Takes *s over; the newer one of two stays. */
static void
add(struct collecting *c, struct saved *s)
{
	uint32_t hash = hash_of(c, s->protocol, &s->remote, s->domain);
	struct saved *other =
		table_find(&c->saved->domains, hash, same_domain, s);

	if (other && other->saved_ms < s->saved_ms)
		*other = *s;
	if (other || table_add(&c->saved->domains, hash, s))
		free(s);
}

/* False: it is not whole, or of another version. */
static bool
read_domains(struct collecting *c, const uint8_t *data, size_t length, bool own)
{
	struct reader r;
	uint64_t sum;

	if (length < HEADER + CHECKSUM)
		return false;
	length -= CHECKSUM;
	memcpy(&sum, data + length, sizeof(sum));
	reader_init(&r, data, length);
	if (hash_bytes(data, length, MAGIC) != sum || reader_u64(&r) != MAGIC ||
	    reader_u32(&r) != VERSION)
		return false;
	for (uint32_t n = reader_u32(&r); n && !r.failed; n--) {
		struct saved *s = calloc(1, sizeof(*s));

		if (!s)
			return true;
		s->length = reader_u32(&r);
		s->entry = reader_take(&r, s->length);
		s->own = own;
		if (!s->entry || !read_entry(s))
			free(s);
		else
			add(c, s);
	}
	return true;
}

/* The file of a worker: that of the first has the name as it is. */
static char *
file_name(const struct collecting *c, unsigned worker)
{
	char *path = NULL;
	int r = worker ? asprintf(&path, "%s.%u", c->conf.template_file, worker)
		       : asprintf(&path, "%s", c->conf.template_file);

	return r < 0 ? NULL : path;
}

static void
load(struct collecting *c, unsigned number)
{
	struct saved_files *files = c->saved;
	char *path = file_name(c, number);
	size_t length = 0;
	char *text = NULL;
	uint8_t *data;
	bool own = number % c->conf.workers == c->conf.worker;

	if (path)
		file_read_all(path, FILE_MAX, &text, &length);
	data = (uint8_t *)text;
	if (data && length && !read_domains(c, data, length, own)) {
		if (c->conf.worker == 0)
			log_warning("collecting process %s: %s is not whole, "
				    "or of another version: Templates have to "
				    "come again",
				    c->name, path);
		free(data);
		data = NULL;
	}
	if (data)
		files->data[files->count++] = data;
	free(path);
}

int
saved_load(struct collecting *c)
{
	if (!c->conf.template_file)
		return 0;
	c->saved = calloc(1, sizeof(*c->saved));
	if (!c->saved)
		return -ENOMEM;
	for (unsigned i = 0; i < FILES_MAX; i++)
		load(c, i);
	return 0;
}

void
saved_free(struct collecting *c)
{
	struct saved *s;
	uint32_t at = 0;

	if (!c->saved)
		return;
	while ((s = table_next(&c->saved->domains, &at)))
		free(s);
	table_fini(&c->saved->domains);
	for (unsigned i = 0; i < c->saved->count; i++)
		free(c->saved->data[i]);
	free(c->saved);
}

/* ---- using --------------------------------------------------------------- */

struct restoring {
	struct domain *domain;
	uint64_t flow_keys;
};

static void
restored(void *arg, const struct template_event *event)
{
	struct restoring *r = arg;

	if (!event->template)
		return;
	event->template->flow_keys = r->flow_keys;
	r->domain->session->process->restored++;
}

/* An element that is not known otherwise. */
static void
restore_element(struct domain *domain, struct reader *r)
{
	char name[UINT8_MAX + 1];
	const char *reason = NULL;
	struct ie ie = {.name = name};
	uint8_t length;
	const uint8_t *p;

	ie.pen = reader_u32(r);
	ie.id = reader_u16(r);
	ie.type = reader_u8(r);
	ie.semantics = reader_u8(r);
	ie.units = reader_u8(r);
	ie.range_min = reader_u64(r);
	ie.range_max = reader_u64(r);
	length = reader_u8(r);
	p = reader_take(r, length);
	if (!p)
		return;
	memcpy(name, p, length);
	name[length] = 0;
	if (type_information_add(domain->session->process->conf.registry, &ie,
				 &reason) > 0)
		domain->session->learnt++;
}

/* One Template, unless its lifetime is over. */
static void
restore_template(struct domain *domain, struct reader *r, uint64_t wall_ms)
{
	struct collecting *c = domain->session->process;
	const struct template_limits *limits =
		&domain->session->receiver->limits;
	uint16_t set_id = reader_u16(r);
	uint64_t defined_ms = reader_u64(r);
	struct restoring restoring = {domain, reader_u64(r)};
	uint16_t elements = reader_u16(r), length;
	const uint8_t *record;
	uint64_t age_ms = wall_ms > defined_ms ? wall_ms - defined_ms : 0;
	uint64_t life_ms = set_id == SET_TEMPLATE ? limits->template_ms
						  : limits->options_ms;

	while (elements-- && !r->failed)
		restore_element(domain, r);
	length = reader_u16(r);
	record = reader_take(r, length);
	if (!record || (life_ms && age_ms >= life_ms))
		return;
	template_store_read(
		domain->session->templates, domain->scope->domain, set_id,
		record, length, age_ms < c->now_ms ? c->now_ms - age_ms : 0,
		domain->session->counters.messages, restored, &restoring);
}

/* RFC 7011 section 3.1: the numbers of a session only go on. */
static bool
counts_anew(uint8_t rule, uint32_t next, uint32_t sequence)
{
	return rule != RULE_NONE && rule != RULE_CONSTANT &&
	       (int32_t)(sequence - next) < 0;
}

void
saved_restore(struct domain *domain, const struct message_header *header)
{
	struct session *session = domain->session;
	struct collecting *c = session->process;
	const struct net_session *net = session->net;
	const struct key key = {session->receiver, &net->remote,
				domain->protocol, domain->scope->domain};
	struct saved *s;
	struct reader r;
	uint8_t rule, started;
	uint32_t next, count;
	uint64_t init_ms, wall_ms;

	if (!c->saved || domain->messages || net->peer ||
	    net->transport != TRANSPORT_UDP)
		return;
	s = table_find(&c->saved->domains,
		       hash_of(c, key.protocol, key.remote, key.domain),
		       saved_equal, &key);
	if (!s || s->taken)
		return;
	s->taken = true;
	r = s->rest;
	rule = reader_u8(&r);
	started = reader_u8(&r);
	next = reader_u32(&r);
	if (domain->protocol == PROTOCOL_IPFIX && started &&
	    counts_anew(rule, next, header->sequence)) {
		c->not_restored++;
		return;
	}
	domain->uptime_ms = reader_u32(&r);
	domain->export_ms = reader_u64(&r);
	init_ms = reader_u64(&r);
	if (init_ms && domain->protocol == PROTOCOL_IPFIX) {
		domain->scope->system_init_ms = init_ms;
		domain->scope->has_init = true;
	}
	count = reader_u32(&r);
	wall_ms = clock_wall_ms();
	while (count-- && !r.failed)
		restore_template(domain, &r, wall_ms);
}

/* ---- writing ------------------------------------------------------------- */

/* A Template Record as RFC 7011 3.4 has it. False: it cannot be written so. */
static bool
write_record(struct writer *w, const struct template *t)
{
	const struct shape *shape = t->shape;
	const struct writer before = *w;

	writer_u16(w, t->id);
	writer_u16(w, shape->count);
	if (t->set_id == SET_OPTIONS_TEMPLATE)
		writer_u16(w, shape->scope_count);
	for (uint16_t i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;

		if (ie->id & 0x8000) {
			*w = before;
			return false;
		}
		writer_u16(w, ie->pen ? ie->id | 0x8000 : ie->id);
		writer_u16(w, shape->field[i].length);
		if (ie->pen)
			writer_u32(w, ie->pen);
	}
	return true;
}

/* What a restart would not know of the elements of a Template. */
static void
write_elements(struct writer *w, const struct shape *shape)
{
	uint8_t *count = writer_take(w, 2);
	uint16_t n = 0;

	for (uint16_t i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;
		size_t length = ie->unknown ? 0 : strlen(ie->name);

		if (!ie->pen || ie->pen == IE_PEN_REVERSE || ie->unknown ||
		    length > UINT8_MAX)
			continue;
		writer_u32(w, ie->pen);
		writer_u16(w, ie->id);
		writer_u8(w, ie->type);
		writer_u8(w, ie->semantics);
		writer_u8(w, ie->units);
		writer_u64(w, ie->range_min);
		writer_u64(w, ie->range_max);
		writer_u8(w, (uint8_t)length);
		writer_bytes(w, ie->name, length);
		n++;
	}
	if (count)
		wire_put16(count, n);
}

static uint32_t
write_templates(const struct domain *domain, struct writer *w)
{
	const struct session *session = domain->session;
	uint64_t wall_ms = clock_wall_ms(), now_ms = session->process->now_ms;
	struct template *t;
	uint32_t at = 0, count = 0;

	while ((t = template_store_next(session->templates, &at))) {
		const struct writer before = *w;
		uint8_t *length;

		if (t->domain != domain->scope->domain)
			continue;
		writer_u16(w, t->set_id);
		writer_u64(w, wall_ms - (now_ms - t->defined_ms));
		writer_u64(w, t->flow_keys);
		write_elements(w, t->shape);
		length = writer_take(w, 2);
		if (!write_record(w, t)) {
			*w = before;
			continue;
		}
		if (w->failed)
			return 0;
		wire_put16(length, (uint16_t)(w->p - length - 2));
		count++;
	}
	return count;
}

/* True if it was written: it has Templates. */
static bool
write_domain(const struct domain *domain, struct writer *w)
{
	const struct session *session = domain->session;
	const char *name = session->receiver->name;
	const struct sequence *sequence = &domain->first.sequence;
	const struct addr *remote = &session->net->remote;
	const struct writer before = *w;
	uint8_t *length = writer_take(w, 4), *count;
	uint32_t templates;

	writer_u64(w, clock_wall_ms());
	writer_u8(w, domain->protocol);
	writer_u8(w, remote->version);
	writer_u16(w, remote->port);
	writer_u32(w, remote->zone);
	writer_bytes(w, remote->bytes, sizeof(remote->bytes));
	writer_u32(w, domain->scope->domain);
	writer_u8(w, (uint8_t)strlen(name));
	writer_bytes(w, name, (uint8_t)strlen(name));
	writer_u8(w, sequence->rule);
	writer_u8(w, sequence->started);
	writer_u32(w, sequence->next);
	writer_u32(w, domain->uptime_ms);
	writer_u64(w, domain->export_ms);
	writer_u64(w,
		   domain->scope->has_init ? domain->scope->system_init_ms : 0);
	count = writer_take(w, 4);
	templates = write_templates(domain, w);
	if (w->failed)
		return false;
	if (!templates) {
		*w = before;
		return false;
	}
	wire_put32(count, templates);
	wire_put32(length, (uint32_t)(w->p - length - 4));
	return true;
}

/* Those that were not heard of since the start wait on, for their time. */
static uint32_t
write_waiting(const struct collecting *c, struct writer *w)
{
	uint64_t now = clock_wall_ms();
	struct saved *s;
	uint32_t at = 0, count = 0;

	while ((s = table_next(&c->saved->domains, &at))) {
		if (s->taken || !s->own || now > s->saved_ms + KEEP_MS)
			continue;
		writer_u32(w, s->length);
		writer_bytes(w, s->entry, s->length);
		count++;
	}
	return count;
}

/* Octets of the whole file; 0: it has no room. */
static size_t
write_all(const struct collecting *c, uint8_t *data, size_t size)
{
	struct collecting_receiver *receiver;
	struct session *session;
	struct writer w;
	uint64_t sum;
	uint32_t count;

	writer_init(&w, data, size);
	writer_u64(&w, MAGIC);
	writer_u32(&w, VERSION);
	writer_u32(&w, 0);
	count = write_waiting(c, &w);
	TAILQ_FOREACH(receiver, &c->receivers, link)
	TAILQ_FOREACH(session, &receiver->sessions, link)
	{
		struct domain *domain;
		uint32_t at = 0;

		if (receiver->transport != TRANSPORT_UDP || session->net->peer)
			continue;
		while ((domain = table_next(&session->domains, &at)))
			count += write_domain(domain, &w);
	}
	if (w.failed || writer_room(&w) < CHECKSUM)
		return 0;
	wire_put32(data + 12, count);
	sum = hash_bytes(data, (size_t)(w.p - data), MAGIC);
	writer_bytes(&w, &sum, sizeof(sum));
	return (size_t)(w.p - data);
}

void
saved_write(struct collecting *c, bool end)
{
	char *path;
	uint8_t *data = NULL;
	size_t size, length = 0;
	uint32_t held;
	int rc = -ENOMEM;

	if (!c->saved)
		return;
	c->written_ms = c->now_ms;
	path = file_name(c, c->conf.worker);
	for (size = FILE_MIN; path && !length && size <= FILE_MAX; size *= 2) {
		free(data);
		data = malloc(size);
		if (!data)
			break;
		length = write_all(c, data, size);
		if (!length)
			rc = -EFBIG;
	}
	if (length)
		rc = file_replace(path, data, length, 0666, end);
	if (rc && log_limit_pass(&c->file_limit, c->now_ms, &held))
		log_warning("collecting process %s: %s: %s: after a restart "
			    "records may wait for their Templates",
			    c->name, path ? path : c->conf.template_file,
			    strerror(-rc));
	free(data);
	free(path);
}
