/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay whose exporters wait for acknowledgements keeps in the spools of its
 * destinations what it has of their streams (positions). It is written behind
 * the records that it is about, as a seal (spool.h): records count only when a
 * seal is behind them. So after a crash spools and positions say the same: what
 * is behind the last seal is gone, and comes again from the exporters, since it
 * was neither acknowledged to them nor sent on.
 *
 * All spools are sealed with the same number before any of it is acknowledged.
 * If a crash comes in between, some have one more than others: it is taken back
 * (see runtime/commit.c).
 *
 * A seal is an Options Data Record for each stream: scopes userName (371),
 * which is the peer, and exportingProcessId (144), value
 * exportedFlowRecordTotalCount (42). What does not fit one message are streams
 * that were not used for longest; they are forgotten.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "forward.h"

enum {
	RECORD_OCTETS = 12, /* behind the name */
	NAME_OCTETS = 1,    /* before it */
};

bool
forward_sealed(const struct forward *f)
{
	return f && f->conf->sealed;
}

/* ---- written ------------------------------------------------------------- */

static bool
add_position(struct message_writer *w, uint16_t id, const struct position *p)
{
	uint32_t name = (uint32_t)strlen(p->peer);
	uint32_t length = NAME_OCTETS + name + RECORD_OCTETS;
	uint8_t *record;

	if (message_room(w, id) < length)
		return false;
	record = message_add_data(w, id, length, 1);
	*record++ = (uint8_t)name;
	memcpy(record, p->peer, name);
	wire_put32(record + name, p->run);
	wire_put64(record + name + 4, p->taken);
	return true;
}

/* Those that were used last come first. */
static int
make_seal(struct forward *f, struct seal *seal,
	  const struct positions *positions)
{
	const struct exporting *e = f->sink->exporting;
	const struct out_template *t;
	const struct position *p = NULL;
	struct message_writer w;

	f->seal_channel = channel_numbered(f->sink, 0);
	t = f->seal_channel
		    ? channel_template_own(f->seal_channel,
					   e->option_shape[OPTION_SHAPE_SEAL])
		    : NULL;
	if (!t)
		return -ENOMEM;
	message_begin(&w, seal->message, MESSAGE_MAX, 0);
	message_add_template(&w, t->id, t->shape);
	while ((p = positions_previous(positions, p)))
		if (!add_position(&w, t->id, p))
			break;
	seal->records = w.records;
	seal->length = message_end(&w, (uint32_t)(clock_wall_ms() / 1000));
	return 0;
}

static int
write_seal(struct forward *f, struct seal *seal, uint64_t segment,
	   enum loss *loss)
{
	int rc;

	message_set_sequence(seal->message, forward_count_on(f, f->seal_channel,
							     seal->records));
	rc = spool_seal(f->spool, seal->number, seal->message, seal->length,
			loss);
	if (rc == 0)
		f->sealed_in = segment;
	return rc;
}

int
forward_prepare(struct forward *f, uint32_t length, uint64_t *segment,
		enum loss *loss)
{
	struct seal *seal = f->seal[f->seal_now];
	uint32_t more = seal ? seal->length : 0;
	int rc = spool_prepare(f->spool, length + more, segment, loss);

	if (rc == 0 && more && f->sealed_in != *segment)
		rc = write_seal(f, seal, *segment, loss);
	return rc;
}

static int
forward_seal(struct forward *f, uint64_t number,
	     const struct positions *positions)
{
	struct seal *next = f->seal[!f->seal_now];
	uint64_t segment;
	enum loss loss;
	int rc = make_seal(f, next, positions);

	next->number = number;
	if (rc == 0)
		rc = spool_prepare_seal(f->spool, &segment, &loss);
	if (rc == 0)
		rc = write_seal(f, next, segment, &loss);
	if (rc == 0)
		f->seal_now = !f->seal_now;
	return rc;
}

static void
forward_unseal(struct forward *f, uint64_t number)
{
	if (spool_sealed(f->spool) != number)
		return;
	spool_unseal(f->spool, number);
	f->seal_channel->spool_sequence -= f->seal[f->seal_now]->records;
	f->seal_now = !f->seal_now;
}

int
forward_seal_open(struct forward *f)
{
	if (!forward_sealed(f))
		return 0;
	for (int i = 0; i < 2; i++) {
		f->seal[i] = calloc(1, sizeof(*f->seal[i]));
		if (!f->seal[i])
			return -ENOMEM;
	}
	return 0;
}

/* ---- of all destinations ---------------------------------------------------
 */

/* The next one that is sealed, from *i on, which is counted on; NULL: the end.
 */
static struct forward *
next_sealed(const struct stage *stage, unsigned *i)
{
	const struct exporting *e = (const struct exporting *)stage;

	while (*i < e->conf.destination_count) {
		struct forward *f = e->sink[(*i)++].forward;

		if (forward_sealed(f))
			return f;
	}
	return NULL;
}

int
exporting_seal(struct stage *stage, uint64_t number,
	       const struct positions *positions)
{
	struct forward *f;
	unsigned i = 0;
	int rc = 0;

	while (rc == 0 && (f = next_sealed(stage, &i)))
		rc = forward_seal(f, number, positions);
	return rc;
}

void
exporting_unseal(struct stage *stage, uint64_t number)
{
	struct forward *f;
	unsigned i = 0;

	while ((f = next_sealed(stage, &i)))
		forward_unseal(f, number);
}

void
exporting_release(struct stage *stage)
{
	struct forward *f;
	unsigned i = 0;

	while ((f = next_sealed(stage, &i))) {
		spool_release(f->spool);
		forward_wake(f);
	}
}

bool
exporting_seals(const struct stage *stage)
{
	unsigned i = 0;

	return next_sealed(stage, &i);
}

bool
exporting_unsealed(const struct stage *stage)
{
	const struct forward *f;
	unsigned i = 0;

	while ((f = next_sealed(stage, &i)))
		if (spool_unsealed(f->spool))
			return true;
	return false;
}

void
exporting_sealed(const struct stage *stage, uint64_t *newest, bool *behind)
{
	const struct forward *f;
	unsigned i = 0;

	while ((f = next_sealed(stage, &i))) {
		uint64_t number = spool_sealed(f->spool);

		if (number > *newest) {
			*behind = number == *newest + 1 && *newest;
			*newest = number;
		} else if (number && number + 1 == *newest) {
			*behind = true;
		}
	}
}

/* ---- found -----------------------------------------------------------------
 */

/* What was found comes in by forward_open; what is taken back was not there. */
int
exporting_seal_back(struct stage *stage, uint64_t number)
{
	struct forward *f;
	uint64_t records;
	unsigned i = 0;
	int rc = 0;

	while (rc == 0 && (f = next_sealed(stage, &i))) {
		rc = spool_seal_back(f->spool, number, &records);
		f->sink->ledger.in -= records;
		f->sink->ledger.held -= records;
		stage->ledger.split -= records;
		stage->ledger.exported -= records;
	}
	return rc;
}

/* Our own octets, whose sum was right. */
static bool
read_position(const uint8_t **at, const uint8_t *end,
	      struct positions *positions)
{
	char peer[POSITIONS_PEER_MAX + 1];
	const uint8_t *p = *at;
	struct position forgotten, *position;
	uint32_t name;
	bool made;

	if (end - p < NAME_OCTETS + RECORD_OCTETS)
		return false;
	name = *p++;
	if (name > POSITIONS_PEER_MAX || end - p < name + RECORD_OCTETS)
		return false;
	memcpy(peer, p, name);
	peer[name] = '\0';
	p += name;
	position = positions_get(positions, peer, wire_get32(p), &made,
				 &forgotten);
	if (position && made)
		position->taken = position->safe = wire_get64(p + 4);
	*at = p + RECORD_OCTETS;
	return true;
}

static bool
read_seal(const uint8_t *message, uint32_t length, struct positions *positions)
{
	struct message_reader reader;
	struct set set;

	if (message_open(&reader, message, length))
		return false;
	while (message_next_set(&reader, &set)) {
		const uint8_t *p = set.content, *end = p + set.length;

		if (set.id < SET_DATA_MIN)
			continue;
		while (p < end)
			if (!read_position(&p, end, positions))
				return false;
	}
	return !reader.reason;
}

int
exporting_seal_read(struct stage *stage, uint64_t number,
		    struct positions *positions)
{
	struct forward *f;
	unsigned i = 0;

	while ((f = next_sealed(stage, &i))) {
		const uint8_t *message;
		uint32_t length;

		if (spool_sealed(f->spool) != number)
			continue;
		message = spool_seal_read(f->spool, &length);
		if (message && read_seal(message, length, positions))
			return 0;
	}
	return -ENOENT;
}
