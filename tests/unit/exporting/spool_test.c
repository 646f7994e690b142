/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The spool alone: what is written is read, whatever happens in between. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "conflux/wire.h"
#include "folder.h"
#include "spool.h"

struct account {
	uint64_t lost[LOSS_COUNT];
};

static void
on_lost(void *arg, uint64_t records, enum loss loss)
{
	((struct account *)arg)->lost[loss] += records;
}

static struct spool *
open_spool(const struct exporting_spool *conf, struct account *account)
{
	struct spool *sp = NULL;
	char *error = NULL;
	int rc = spool_open(conf, "test", on_lost, account, &sp, &error);

	CU_ASSERT_EQUAL(rc, 0);
	if (rc)
		printf("%s\n", error ? error : strerror(-rc));
	free(error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sp);
	return sp;
}

static struct exporting_spool
conf_in(const char *path)
{
	return (struct exporting_spool){
		.directory = path,
		.max_octets = 64 << 20,
		.segment_octets = 1 << 20,
	};
}

/* A message of that length with a number in it, that tells its records, too. */
static int
put(struct spool *sp, uint32_t number, uint32_t length, enum loss *loss)
{
	static uint8_t message[65535];
	uint64_t segment;
	int rc = spool_prepare(sp, length, &segment, loss);

	memset(message, (int)number, length);
	wire_put16(message, 10);
	wire_put16(message + 2, (uint16_t)length);
	wire_put32(message + 12, number);
	return rc ? rc
		  : spool_append(sp, message, length, number, number, loss);
}

static void
put_all(struct spool *sp, uint32_t first, uint32_t last, uint32_t length)
{
	enum loss loss;

	for (uint32_t i = first; i <= last; i++)
		CU_ASSERT_EQUAL(put(sp, i, length, &loss), 0);
}

/* The number of the next message, or 0. */
static uint32_t
get(struct spool *sp)
{
	struct spool_message m;

	if (!spool_next(sp, &m))
		return 0;
	CU_ASSERT_EQUAL(wire_get16(m.octets + 2), m.length);
	CU_ASSERT_EQUAL(wire_get32(m.octets + 12), m.records);
	CU_ASSERT_EQUAL(m.octets[m.length - 1], (uint8_t)m.records);
	return m.records;
}

static uint64_t
held(struct spool *sp)
{
	struct spool_stats stats;

	spool_stats(sp, &stats);
	return stats.records;
}

static uint64_t
found(struct spool *sp)
{
	struct spool_stats stats;

	spool_stats(sp, &stats);
	return stats.found;
}

static void
test_order(void)
{
	struct account account = {0};
	struct exporting_spool conf;
	char path[FOLDER_NAME];
	struct spool *sp;
	uint32_t next = 1;

	folder_make(path);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	CU_ASSERT_EQUAL(get(sp), 0);
	/* 5 MB: several segments. Read while it is written, and behind it. */
	for (uint32_t i = 1; i <= 5000; i++) {
		put_all(sp, i, i, 1000);
		if (i % 3)
			continue;
		CU_ASSERT_EQUAL(get(sp), next);
		CU_ASSERT_EQUAL(spool_done(sp), next);
		next++;
	}
	for (uint32_t i = next; i <= 5000; i++) {
		CU_ASSERT_EQUAL(get(sp), i);
		CU_ASSERT_EQUAL(spool_done(sp), i);
	}
	CU_ASSERT_EQUAL(get(sp), 0);
	CU_ASSERT_EQUAL(held(sp), 0);
	CU_ASSERT_EQUAL(folder_find(path, ".ipfix", 0, NULL), 0);
	CU_ASSERT_EQUAL(folder_find(path, ".index", 0, NULL), 0);
	put_all(sp, 7, 7, 100);
	CU_ASSERT_EQUAL(get(sp), 7);
	spool_close(sp);
	folder_remove(path);
}

static void
test_restart(void)
{
	struct account account = {0};
	struct exporting_spool conf;
	char path[FOLDER_NAME], copy[FOLDER_NAME];
	struct spool *sp;
	char *error = NULL;

	folder_make(path);
	folder_make(copy);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	CU_ASSERT_EQUAL(
		spool_open(&conf, "other", on_lost, &account, &sp, &error),
		-EBUSY);
	CU_ASSERT_PTR_NOT_NULL(error);
	free(error);
	put_all(sp, 1, 100, 15000);
	for (uint32_t i = 1; i <= 60; i++) {
		CU_ASSERT_EQUAL(get(sp), i);
		if (i <= 30)
			spool_done(sp);
		if (i == 20)
			spool_commit(sp);
	}
	/* As if it were killed now: the last position is that of 20, or of a
	 * segment that went later. */
	folder_copy(path, copy);
	spool_close(sp);
	sp = open_spool(&conf, &account);
	CU_ASSERT_EQUAL(found(sp), 5050 - 465);
	put_all(sp, 101, 110, 15000);
	for (uint32_t i = 31; i <= 110; i++) {
		CU_ASSERT_EQUAL(get(sp), i);
		spool_done(sp);
	}
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_close(sp);
	conf.directory = copy;
	sp = open_spool(&conf, &account);
	CU_ASSERT_TRUE(found(sp) >= 5050 - 465 && found(sp) <= 5050 - 210);
	spool_close(sp);
	CU_ASSERT_EQUAL(account.lost[LOSS_SPOOL_TORN], 0);
	folder_remove(path);
	folder_remove(copy);
}

static void
test_rewind(void)
{
	struct account account = {0};
	struct exporting_spool conf;
	char path[FOLDER_NAME];
	struct spool *sp;

	folder_make(path);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	put_all(sp, 1, 50, 20000);
	for (uint32_t i = 1; i <= 40; i++)
		CU_ASSERT_EQUAL(get(sp), i);
	for (uint32_t i = 1; i <= 10; i++)
		spool_done(sp);
	/* All of one, and some of the next. */
	CU_ASSERT_EQUAL(get(sp), 41);
	CU_ASSERT_TRUE(spool_lose(sp, 41, LOSS_TOO_LONG));
	CU_ASSERT_EQUAL(get(sp), 42);
	CU_ASSERT_FALSE(spool_lose(sp, 2, LOSS_TOO_LONG));
	CU_ASSERT_EQUAL(held(sp), 50 * 51 / 2 - 55 - 43);
	CU_ASSERT_EQUAL(spool_rewind(sp), 43);
	CU_ASSERT_EQUAL(held(sp), 50 * 51 / 2 - 55);
	for (uint32_t i = 11; i <= 50; i++) {
		CU_ASSERT_EQUAL(get(sp), i);
		spool_done(sp);
	}
	CU_ASSERT_EQUAL(account.lost[LOSS_TOO_LONG], 43);
	CU_ASSERT_EQUAL(held(sp), 0);
	spool_close(sp);
	folder_remove(path);
}

static void
cut(const char *folder, const char *end, off_t size)
{
	char file[2 * FOLDER_NAME];

	CU_ASSERT_EQUAL(folder_find(folder, end, 0, file), 1);
	CU_ASSERT_EQUAL(truncate(file, size), 0);
}

/* Opens what is left of three messages of 5, 6 and 7 records. */
static void
check_torn(const struct exporting_spool *conf, uint32_t want_found,
	   uint32_t want_torn, unsigned left)
{
	struct account account = {0};
	struct spool *sp = open_spool(conf, &account);

	CU_ASSERT_EQUAL(found(sp), want_found);
	CU_ASSERT_EQUAL(held(sp), want_found);
	spool_tick(sp, 1);
	CU_ASSERT_EQUAL(account.lost[LOSS_SPOOL_TORN], want_torn);
	CU_ASSERT_EQUAL(held(sp), want_found - want_torn);
	for (uint32_t i = 5; i < 5 + left; i++) {
		CU_ASSERT_EQUAL(get(sp), i);
		spool_done(sp);
	}
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_close(sp);
}

static void
test_torn(void)
{
	struct account account = {0};
	char path[FOLDER_NAME], copy[FOLDER_NAME];
	struct exporting_spool conf;
	struct spool *sp;

	folder_make(path);
	folder_make(copy);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	put_all(sp, 5, 7, 70);
	spool_close(sp);
	conf.directory = copy;
	for (off_t size = 0; size <= 210; size++) {
		unsigned whole = (unsigned)size / 70;

		folder_copy(path, copy);
		cut(copy, ".ipfix", size);
		check_torn(&conf, 18,
			   whole == 3	? 0
			   : whole == 2 ? 7
			   : whole == 1 ? 13
					: 18,
			   whole);
	}
	/* What is not in the index was not stored. */
	for (off_t size = 112; size < 168; size++) {
		folder_copy(path, copy);
		cut(copy, ".index", size);
		check_torn(&conf, 11, 0, 2);
	}
	folder_remove(path);
	folder_remove(copy);
}

/* One octet after the other is changed: only its message is lost. */
static void
test_damage(void)
{
	struct account none = {0};
	char path[FOLDER_NAME], copy[FOLDER_NAME], file[2 * FOLDER_NAME];
	struct exporting_spool conf;
	struct spool *sp;

	folder_make(path);
	folder_make(copy);
	conf = conf_in(path);
	sp = open_spool(&conf, &none);
	put_all(sp, 5, 7, 70);
	spool_close(sp);
	conf.directory = copy;
	for (off_t at = 70; at < 140; at++) {
		struct account account = {0};
		uint8_t octet;
		int fd;

		folder_copy(path, copy);
		folder_find(copy, ".ipfix", 0, file);
		fd = open(file, O_RDWR);
		CU_ASSERT_EQUAL(pread(fd, &octet, 1, at), 1);
		octet ^= 0x10;
		CU_ASSERT_EQUAL(pwrite(fd, &octet, 1, at), 1);
		close(fd);
		sp = open_spool(&conf, &account);
		CU_ASSERT_EQUAL(get(sp), 5);
		CU_ASSERT_EQUAL(get(sp), 7);
		CU_ASSERT_EQUAL(account.lost[LOSS_SPOOL_TORN], 6);
		CU_ASSERT_EQUAL(held(sp), 12);
		CU_ASSERT_EQUAL(spool_done(sp), 5);
		CU_ASSERT_EQUAL(spool_done(sp), 7);
		CU_ASSERT_EQUAL(held(sp), 0);
		spool_close(sp);
	}
	folder_remove(path);
	folder_remove(copy);
}

static void
test_bounds(void)
{
	char path[FOLDER_NAME];
	struct exporting_spool conf;

	folder_make(path);
	conf = conf_in(path);
	conf.max_octets = 1 << 20;
	for (int oldest = 0; oldest <= 1; oldest++) {
		struct account account = {0};
		struct spool_stats stats;
		struct spool *sp;
		uint64_t taken = 0, all = 0;
		uint32_t first;
		enum loss loss = LOSS_COUNT;

		conf.drop_oldest = oldest;
		sp = open_spool(&conf, &account);
		for (uint32_t i = 1; i <= 1000; i++) {
			all += i;
			if (put(sp, i, 5000, &loss) == 0)
				taken += i;
		}
		spool_stats(sp, &stats);
		CU_ASSERT_TRUE(stats.octets <= conf.max_octets);
		CU_ASSERT_TRUE(stats.octets > conf.max_octets / 2);
		CU_ASSERT_EQUAL(held(sp),
				taken - account.lost[LOSS_SPOOL_FULL]);
		first = get(sp);
		if (oldest) {
			CU_ASSERT_EQUAL(taken, all);
			CU_ASSERT_TRUE(account.lost[LOSS_SPOOL_FULL] > 0);
			CU_ASSERT_TRUE(first > 700);
			CU_ASSERT_TRUE(spool_takes(sp, 5000));
			/* What is being read stays. */
			for (uint32_t i = 1; i <= 500; i++)
				CU_ASSERT_EQUAL(put(sp, i, 5000, &loss), 0);
			CU_ASSERT_EQUAL(get(sp), first + 1);
		} else {
			CU_ASSERT_TRUE(taken < all);
			CU_ASSERT_EQUAL(loss, LOSS_SPOOL_FULL);
			CU_ASSERT_EQUAL(first, 1);
			CU_ASSERT_FALSE(spool_takes(sp, 5000));
			CU_ASSERT_TRUE(spool_tight(sp));
		}
		spool_close(sp);
		folder_empty(path);
	}
	folder_remove(path);
}

static void
test_age(void)
{
	struct account account = {0};
	char path[FOLDER_NAME];
	struct exporting_spool conf;
	struct spool *sp;
	uint64_t until = clock_mono_ms() + unit_wait(20000);

	folder_make(path);
	conf = conf_in(path);
	conf.max_age_s = 1;
	sp = open_spool(&conf, &account);
	put_all(sp, 1, 10, 100);
	while (held(sp) && clock_mono_ms() < until) {
		spool_tick(sp, clock_mono_ms());
		usleep(10000);
	}
	CU_ASSERT_EQUAL(held(sp), 0);
	CU_ASSERT_EQUAL(account.lost[LOSS_SPOOL_AGE], 55);
	put_all(sp, 1, 1, 100);
	CU_ASSERT_EQUAL(get(sp), 1);
	spool_close(sp);
	folder_remove(path);
}

/* No file may be larger than a limit: as far as it goes. Then it may. */
static void
test_limit(void)
{
	struct rlimit before, small;
	struct account account = {0};
	char path[FOLDER_NAME];
	struct exporting_spool conf;
	struct spool *sp;
	uint64_t taken = 0;
	enum loss loss = LOSS_COUNT;

	folder_make(path);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 100000;
	setrlimit(RLIMIT_FSIZE, &small);
	for (uint32_t i = 1; i <= 100; i++) {
		int rc = put(sp, i, 3000, &loss);

		if (rc == 0)
			taken += i;
		else
			CU_ASSERT_EQUAL(rc, -EFBIG);
	}
	CU_ASSERT_EQUAL(loss, LOSS_DISK_FULL);
	small.rlim_cur = 10; /* not even an entry of the index */
	setrlimit(RLIMIT_FSIZE, &small);
	CU_ASSERT_EQUAL(put(sp, 7, 3000, &loss), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	put_all(sp, 200, 210, 3000);
	CU_ASSERT_EQUAL(held(sp), taken + 11 * 205);
	for (uint64_t left = held(sp); left;) {
		uint32_t n = get(sp);

		CU_ASSERT_TRUE_FATAL(n > 0);
		left -= n;
		spool_done(sp);
	}
	CU_ASSERT_EQUAL(get(sp), 0);
	spool_close(sp);
	folder_remove(path);
}

/* A part of its files is gone: it is told, and the rest is there. */
static void
test_missing(void)
{
	struct account account = {0};
	char path[FOLDER_NAME], file[2 * FOLDER_NAME];
	struct exporting_spool conf;
	struct spool *sp;
	uint64_t sum = 0;
	uint32_t n;
	int fd;

	folder_make(path);
	conf = conf_in(path);
	sp = open_spool(&conf, &account);
	put_all(sp, 1, 100, 50000);
	CU_ASSERT_TRUE(folder_find(path, ".ipfix", 1, file) > 3);
	unlink(file);
	while ((n = get(sp))) {
		sum += n;
		spool_done(sp);
	}
	CU_ASSERT_TRUE(account.lost[LOSS_SPOOL_TORN] > 0);
	CU_ASSERT_EQUAL(sum + account.lost[LOSS_SPOOL_TORN], 5050);
	CU_ASSERT_EQUAL(held(sp), 0);
	/* The index is cut while it is read. */
	put_all(sp, 1, 3, 100);
	CU_ASSERT_EQUAL(folder_find(path, ".index", 0, file), 1);
	CU_ASSERT_EQUAL(truncate(file, 60), 0);
	memset(&account, 0, sizeof(account));
	CU_ASSERT_EQUAL(get(sp), 1);
	CU_ASSERT_EQUAL(get(sp), 0);
	CU_ASSERT_EQUAL(account.lost[LOSS_SPOOL_TORN], 5);
	CU_ASSERT_EQUAL(held(sp), 1);
	spool_done(sp);
	CU_ASSERT_EQUAL(held(sp), 0);
	spool_close(sp);
	/* The position means nothing: all is there again. */
	sp = open_spool(&conf, &account);
	put_all(sp, 1, 3, 100);
	get(sp);
	spool_done(sp);
	spool_close(sp);
	snprintf(file, sizeof(file), "%s/position", path);
	fd = open(file, O_WRONLY);
	CU_ASSERT_EQUAL(pwrite(fd, "x", 1, 12), 1);
	close(fd);
	sp = open_spool(&conf, &account);
	CU_ASSERT_EQUAL(found(sp), 6);
	CU_ASSERT_EQUAL(get(sp), 1);
	spool_close(sp);
	folder_remove(path);
}

static const struct unit_test tests[] = {
	{"in order, and gone when it is done", test_order},
	{"after a restart", test_restart},
	{"again after a broken session", test_rewind},
	{"torn at each octet", test_torn},
	{"damaged at each octet", test_damage},
	{"bounds: the newest, the oldest", test_bounds},
	{"too old", test_age},
	{"no larger file", test_limit},
	{"missing files", test_missing},
};

int
main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("exporting: spool", tests, UNIT_COUNT(tests));
}
