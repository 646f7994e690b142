/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals: what is behind the last one does not count, wherever a crash comes,
 * and what is known of incoming streams comes back with what counts.
 */
#include <signal.h>
#include <sys/resource.h>

#include "conflux/positions.h"
#include "conflux/wire.h"
#include "folder.h"
#include "peer.h"
#include "forward.h"

struct account {
	uint64_t lost;
};

static void
on_lost(void *arg, uint64_t records, enum loss loss)
{
	((struct account *)arg)->lost += records;
}

static struct spool *
open_spool(const char *path, bool sealed, struct account *account)
{
	const struct exporting_spool conf = {
		.directory = path,
		.max_octets = 64 << 20,
		.segment_octets = 1 << 20,
		.sealed = sealed,
	};
	struct spool *sp = NULL;
	char *error = NULL;

	CU_ASSERT_EQUAL_FATAL(
		spool_open(&conf, "test", on_lost, account, &sp, &error), 0);
	return sp;
}

static void
make(uint8_t message[70], uint32_t number)
{
	memset(message, (int)number, 70);
	wire_put16(message, 10);
	wire_put16(message + 2, 70);
	wire_put32(message + 12, number);
}

/* A message with that many records. */
static void
put(struct spool *sp, uint32_t number)
{
	uint8_t message[70];
	uint64_t segment;
	enum loss loss;

	make(message, number);
	CU_ASSERT_EQUAL(spool_prepare(sp, 70, &segment, &loss), 0);
	CU_ASSERT_EQUAL(spool_append(sp, message, 70, number, number, &loss),
			0);
}

static void
seal(struct spool *sp, uint64_t number)
{
	uint8_t message[70];
	uint64_t segment;
	enum loss loss;

	make(message, (uint32_t)number + 1000);
	CU_ASSERT_EQUAL(spool_prepare(sp, 70, &segment, &loss), 0);
	CU_ASSERT_EQUAL(spool_seal(sp, number, message, 70, &loss), 0);
}

static uint32_t
get(struct spool *sp)
{
	struct spool_message m;

	while (spool_next(sp, &m))
		if (m.records)
			return m.records;
	return 0;
}

static uint64_t
found(const struct spool *sp)
{
	struct spool_stats stats;

	spool_stats(sp, &stats);
	return stats.found;
}

/* The number in the seal that is read, less what make adds. */
static uint32_t
sealed_by(struct spool *sp)
{
	uint32_t length = 0;
	const uint8_t *p = spool_seal_read(sp, &length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(length, 70);
	return wire_get32(p + 12) - 1000;
}

static void
test_counts(void)
{
	struct account account = {0};
	char path[FOLDER_NAME];
	uint64_t records;
	struct spool *sp;

	folder_make(path);
	sp = open_spool(path, true, &account);
	CU_ASSERT_EQUAL(spool_sealed(sp), 0);
	CU_ASSERT_FALSE(spool_unsealed(sp));
	put(sp, 1);
	put(sp, 2);
	CU_ASSERT_TRUE(spool_unsealed(sp));
	CU_ASSERT_EQUAL(get(sp), 0);
	CU_ASSERT_EQUAL(spool_position(sp), 0);
	seal(sp, 1);
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_release(sp);
	CU_ASSERT_FALSE(spool_unsealed(sp));
	CU_ASSERT_EQUAL(spool_position(sp), 3);
	CU_ASSERT_EQUAL(get(sp), 1);
	CU_ASSERT_EQUAL(get(sp), 2);
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_done(sp);
	put(sp, 3);
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_close(sp);
	/* What was not sealed is not there, and not lost. */
	sp = open_spool(path, true, &account);
	CU_ASSERT_EQUAL(found(sp), 2);
	CU_ASSERT_EQUAL(spool_sealed(sp), 1);
	CU_ASSERT_EQUAL(sealed_by(sp), 1);
	put(sp, 9);
	seal(sp, 2);
	put(sp, 10);
	seal(sp, 3);
	spool_close(sp);
	sp = open_spool(path, true, &account);
	CU_ASSERT_EQUAL(found(sp), 21);
	CU_ASSERT_EQUAL(sealed_by(sp), 3);
	/* Others had not come to that. */
	CU_ASSERT_EQUAL(spool_seal_back(sp, 2, &records), 0);
	CU_ASSERT_EQUAL(records, 10);
	CU_ASSERT_EQUAL(sealed_by(sp), 2);
	CU_ASSERT_EQUAL(spool_seal_back(sp, 2, &records), 0);
	CU_ASSERT_EQUAL(records, 0);
	CU_ASSERT_EQUAL(get(sp), 2);
	CU_ASSERT_EQUAL(get(sp), 9);
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_close(sp);
	sp = open_spool(path, true, &account);
	CU_ASSERT_EQUAL(found(sp), 11);
	CU_ASSERT_EQUAL(spool_sealed(sp), 2);
	spool_close(sp);
	CU_ASSERT_EQUAL(account.lost, 0);
	folder_remove(path);
}

/* When all is done the last seal stays, in one segment. */
static void
test_stays(void)
{
	struct account account = {0};
	char path[FOLDER_NAME];
	struct spool *sp;

	folder_make(path);
	sp = open_spool(path, true, &account);
	for (uint32_t i = 1; i <= 20; i++) {
		put(sp, i);
		if (i % 5 == 0) {
			spool_cut(sp);
			put(sp, 100);
			seal(sp, i);
			/* One that could not be had by all. */
			put(sp, 50);
			seal(sp, i + 1);
			spool_unseal(sp, i + 1);
			CU_ASSERT_EQUAL(spool_sealed(sp), i);
			spool_release(sp);
		}
	}
	while (get(sp))
		spool_done(sp);
	CU_ASSERT_EQUAL(spool_records(sp), 0);
	spool_commit(sp);
	CU_ASSERT_EQUAL(folder_find(path, ".ipfix", 0, NULL), 1);
	spool_close(sp);
	sp = open_spool(path, true, &account);
	CU_ASSERT_EQUAL(sealed_by(sp), 20);
	CU_ASSERT_EQUAL(found(sp), 0);
	/* Nobody asks for seals any more: all goes. */
	spool_close(sp);
	sp = open_spool(path, false, &account);
	CU_ASSERT_EQUAL(folder_find(path, ".ipfix", 0, NULL), 0);
	put(sp, 1);
	CU_ASSERT_EQUAL(get(sp), 1);
	spool_close(sp);
	CU_ASSERT_EQUAL(account.lost, 0);
	folder_remove(path);
}

/* Files that end anywhere: it is as at one of the seals. */
static void
test_torn(void)
{
	struct account account = {0};
	char path[FOLDER_NAME], copy[FOLDER_NAME], file[2 * FOLDER_NAME];
	struct spool *sp;

	folder_make(path);
	folder_make(copy);
	sp = open_spool(path, true, &account);
	put(sp, 1);
	put(sp, 2);
	seal(sp, 1);
	put(sp, 4);
	seal(sp, 2);
	put(sp, 8);
	spool_close(sp);
	for (int index = 0; index < 2; index++) {
		off_t each = index ? 56 : 70;

		for (off_t size = 0; size <= 6 * each; size++) {
			off_t whole = size / each;
			uint64_t want = whole >= 5 ? 2 : whole >= 3 ? 1 : 0;

			folder_copy(path, copy);
			folder_find(copy, index ? ".index" : ".ipfix", 0, file);
			CU_ASSERT_EQUAL(truncate(file, size), 0);
			sp = open_spool(copy, true, &account);
			CU_ASSERT_EQUAL(spool_sealed(sp), want);
			CU_ASSERT_EQUAL(found(sp), want == 2   ? 7
						   : want == 1 ? 3
							       : 0);
			if (want)
				CU_ASSERT_EQUAL(sealed_by(sp), want);
			spool_tick(sp, 1);
			spool_close(sp);
		}
	}
	CU_ASSERT_EQUAL(account.lost, 0);
	folder_remove(path);
	folder_remove(copy);
}

/* One that was full takes messages again when there is room. */
static void
test_room(void)
{
	char path[FOLDER_NAME];
	const struct exporting_spool conf = {
		.directory = path,
		.max_octets = 4 << 20,
		.segment_octets = 1 << 20,
		.sealed = true,
	};
	uint8_t message[10000];
	struct account account = {0};
	struct spool *sp = NULL;
	uint64_t segment;
	enum loss loss;
	char *error = NULL;

	make(message, 1);
	memset(message + 70, 0, sizeof(message) - 70);
	folder_make(path);
	CU_ASSERT_EQUAL_FATAL(
		spool_open(&conf, "test", on_lost, &account, &sp, &error), 0);
	CU_ASSERT_FALSE(spool_tight(sp));
	while (spool_prepare(sp, sizeof(message), &segment, &loss) == 0)
		CU_ASSERT_EQUAL(spool_append(sp, message, sizeof(message), 1, 1,
					     &loss),
				0);
	CU_ASSERT_TRUE(spool_tight(sp));
	CU_ASSERT_EQUAL(spool_prepare_seal(sp, &segment, &loss), 0);
	CU_ASSERT_EQUAL(spool_seal(sp, 1, message, 70, &loss), 0);
	spool_release(sp);
	while (get(sp))
		spool_done(sp);
	spool_tick(sp, 1);
	CU_ASSERT_EQUAL(spool_records(sp), 0);
	CU_ASSERT_FALSE(spool_tight(sp));
	spool_close(sp);
	folder_remove(path);
}

/* No file may be so large: the next segment gets the seal. */
static void
test_too_large(void)
{
	struct rlimit before, small;
	struct account account = {0};
	char path[FOLDER_NAME];
	uint8_t message[70];
	struct spool *sp;
	uint64_t segment;
	enum loss loss;

	folder_make(path);
	sp = open_spool(path, true, &account);
	put(sp, 1);
	make(message, 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 100; /* one of them */
	setrlimit(RLIMIT_FSIZE, &small);
	CU_ASSERT_EQUAL(spool_prepare_seal(sp, &segment, &loss), 0);
	CU_ASSERT_EQUAL(spool_seal(sp, 1, message, 70, &loss), -EFBIG);
	CU_ASSERT_EQUAL(loss, LOSS_DISK_FULL);
	CU_ASSERT_EQUAL(spool_prepare_seal(sp, &segment, &loss), 0);
	CU_ASSERT_EQUAL(spool_seal(sp, 1, message, 70, &loss), 0);
	setrlimit(RLIMIT_FSIZE, &before);
	spool_release(sp);
	CU_ASSERT_EQUAL(get(sp), 1);
	spool_close(sp);
	folder_remove(path);
}

/* ---- the whole process -----------------------------------------------------
 */

struct relay {
	struct feeder f;
	struct exporting_destination d[2];
	struct exporting_conf conf;
	const struct shape *shape;
};

static void
relay_open(struct relay *r, const char *one, const char *two)
{
	const char *path[] = {one, two};

	feeder_init(&r->f);
	for (int i = 0; i < 2; i++) {
		r->d[i] = to_port(EXPORTING_TCP, 1);
		r->d[i].acknowledged = true;
		r->d[i].spool = (struct exporting_spool){
			.directory = path[i],
			.max_octets = 1 << 20,
			.segment_octets = 65536,
			.sealed = true,
		};
	}
	r->conf = conf_of(r->d, 2);
	feeder_open(&r->f, &r->conf);
	r->shape = flow_shape(&r->f);
}

static void
relay_close(struct relay *r)
{
	shape_release(r->shape);
	feeder_fini(&r->f);
}

/* In the first of its spools. */
static uint64_t
spool_records_in(struct relay *r)
{
	struct exporting *e = (struct exporting *)r->f.stage;

	return spool_records(e->sink[0].forward->spool);
}

static void
know(struct positions *positions, const char *peer, uint32_t run,
     uint64_t taken)
{
	struct position forgotten;
	bool made;

	positions_get(positions, peer, run, &made, &forgotten)->taken = taken;
}

static uint64_t
known(struct positions *positions, const char *peer, uint32_t run)
{
	const struct position *p = NULL;

	while ((p = positions_next(positions, p)))
		if (p->run == run && strcmp(p->peer, peer) == 0)
			return p->taken;
	return UINT64_MAX;
}

static void
relay_feed(struct relay *r, uint32_t count)
{
	feed_flows(&r->f, r->shape, &r->f.scope, count, 0);
	CU_ASSERT_TRUE(exporting_secure(r->f.stage));
}

/* Two spools, of which one has come further when the process is killed. */
static void
test_two(void)
{
	char one[FOLDER_NAME], two[FOLDER_NAME], old[FOLDER_NAME];
	struct positions *positions = positions_new(0);
	const struct ledger *l;
	struct relay r;
	uint64_t newest = 0;
	bool behind = false;

	folder_make(one);
	folder_make(two);
	folder_make(old);
	relay_open(&r, one, two);
	exporting_sealed(r.f.stage, &newest, &behind);
	CU_ASSERT_EQUAL(newest, 0);
	relay_feed(&r, 10);
	know(positions, "192.0.2.1", 7, 10);
	know(positions, "\"peer.test\"", 8, 99);
	CU_ASSERT_EQUAL(exporting_seal(r.f.stage, 1, positions), 0);
	exporting_release(r.f.stage);
	CU_ASSERT_FALSE(exporting_unsealed(r.f.stage));
	folder_copy(two, old);
	relay_feed(&r, 5);
	CU_ASSERT_TRUE(exporting_unsealed(r.f.stage));
	know(positions, "192.0.2.1", 7, 15);
	CU_ASSERT_EQUAL(exporting_seal(r.f.stage, 2, positions), 0);
	relay_close(&r);
	positions_free(positions);

	positions = positions_new(0);
	relay_open(&r, one, old);
	exporting_sealed(r.f.stage, &newest, &behind);
	CU_ASSERT_EQUAL(newest, 2);
	CU_ASSERT_TRUE(behind);
	CU_ASSERT_EQUAL(exporting_seal_back(r.f.stage, 1), 0);
	CU_ASSERT_EQUAL(exporting_seal_read(r.f.stage, 1, positions), 0);
	CU_ASSERT_EQUAL(positions_count(positions), 2);
	CU_ASSERT_EQUAL(known(positions, "192.0.2.1", 7), 10);
	CU_ASSERT_EQUAL(known(positions, "\"peer.test\"", 8), 99);
	for (unsigned i = 0; i < 2; i++) {
		l = exporting_ledger(r.f.stage, i);
		CU_ASSERT_EQUAL(l->held, 10);
		CU_ASSERT_TRUE(ledger_balanced(l));
	}
	CU_ASSERT_TRUE(ledger_balanced(&r.f.stage->ledger));
	/* It goes on, and a later one is the same for both. */
	relay_feed(&r, 5);
	CU_ASSERT_EQUAL(exporting_seal(r.f.stage, 2, positions), 0);
	exporting_unseal(r.f.stage, 2);
	CU_ASSERT_TRUE(exporting_unsealed(r.f.stage));
	CU_ASSERT_EQUAL(exporting_seal(r.f.stage, 2, positions), 0);
	exporting_release(r.f.stage);
	relay_close(&r);
	newest = 0;
	relay_open(&r, one, old);
	exporting_sealed(r.f.stage, &newest, &behind);
	CU_ASSERT_EQUAL(newest, 2);
	CU_ASSERT_FALSE(behind);
	CU_ASSERT_EQUAL(exporting_ledger(r.f.stage, 0)->held, 15);
	CU_ASSERT_EQUAL(exporting_ledger(r.f.stage, 1)->held, 15);
	relay_close(&r);
	positions_free(positions);
	folder_remove(one);
	folder_remove(two);
	folder_remove(old);
}

/* A spool that takes no more messages can still be sealed. */
static void
test_full(void)
{
	char one[FOLDER_NAME], two[FOLDER_NAME];
	struct positions *positions = positions_new(0);
	struct relay r;
	uint64_t held;

	folder_make(one);
	folder_make(two);
	relay_open(&r, one, two);
	do {
		held = spool_records_in(&r);
		feed_flows(&r.f, r.shape, &r.f.scope, 5000, 0);
		exporting_secure(r.f.stage);
	} while (spool_records_in(&r) > held);
	know(positions, "a", 1, held);
	CU_ASSERT_TRUE(exporting_unsealed(r.f.stage));
	CU_ASSERT_EQUAL(exporting_seal(r.f.stage, 1, positions), 0);
	exporting_release(r.f.stage);
	CU_ASSERT_FALSE(exporting_unsealed(r.f.stage));
	relay_close(&r);
	positions_free(positions);
	folder_remove(one);
	folder_remove(two);
}

/* Each segment can be read by itself, and begins with the last seal. */
static void
test_segments(void)
{
	char one[FOLDER_NAME], two[FOLDER_NAME];
	struct positions *positions = positions_new(3);
	struct collector c;
	struct relay r;

	folder_make(one);
	folder_make(two);
	relay_open(&r, one, two);
	for (uint32_t i = 1; i <= 40; i++) {
		relay_feed(&r, 500);
		know(positions, "a", i, i);
		CU_ASSERT_EQUAL(exporting_seal(r.f.stage, i, positions), 0);
		exporting_release(r.f.stage);
	}
	CU_ASSERT(folder_find(one, ".ipfix", 0, NULL) > 3);
	collector_init(&c, false);
	folder_each(one, collector_segment, &c);
	CU_ASSERT_EQUAL(c.records, 20000);
	CU_ASSERT_EQUAL(c.bad_message + c.bad_sequence + c.no_template, 0);
	CU_ASSERT(c.options > 40);
	collector_fini(&c);
	relay_close(&r);
	positions_free(positions);
	folder_remove(one);
	folder_remove(two);
}

static const struct unit_test tests[] = {
	{"what counts", test_counts},
	{"the last one stays", test_stays},
	{"torn at each octet", test_torn},
	{"room again", test_room},
	{"files that are too large", test_too_large},
	{"two spools", test_two},
	{"full", test_full},
	{"segments", test_segments},
};

int
main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("exporting: seals", tests, UNIT_COUNT(tests));
}
