/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outbuf.h"
#include "unit.h"

enum { SIZE = 1000, TURNS = 20000, LONGEST = 300 };

/* What went in, and what came out of it; lent is memory that is ours. */
struct flow {
	struct outbuf b;
	uint8_t lent[OUTBUF_LENT][LONGEST];
	uint32_t in, out; /* octets */
	uint32_t messages, whole;
	uint32_t length[TURNS];
};

/* The octet at that place of the stream. */
static uint8_t
octet(uint32_t at)
{
	return (uint8_t)(at * 2654435761u >> 24);
}

static void
fill(const struct flow *f, uint8_t *message, size_t length)
{
	for (size_t i = 0; i < length; i++)
		message[i] = octet(f->in + (uint32_t)i);
}

static void
put(struct flow *f, size_t length, bool lend)
{
	uint8_t copy[LONGEST];
	uint8_t *message = copy;
	int rc;

	if (lend && f->b.lent_count < OUTBUF_LENT)
		message = f->lent[f->b.lent_count];
	if (!lend)
		outbuf_keep(&f->b);
	fill(f, message, length);
	rc = lend ? outbuf_lend(&f->b, message, length)
		  : outbuf_add(&f->b, message, length);
	if (rc == 0) {
		f->in += (uint32_t)length;
		f->length[f->messages++] = (uint32_t)length;
	} else {
		CU_ASSERT_EQUAL(rc, -EAGAIN);
	}
	memset(copy, 0, sizeof(copy)); /* a copy was made, if it is in */
}

/* Takes up to n octets out, as a write would. */
static void
take(struct flow *f, size_t n)
{
	struct iovec part[OUTBUF_PARTS];
	int count = outbuf_parts(&f->b, part);
	size_t taken = 0;
	uint32_t whole;

	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < part[i].iov_len && taken < n; k++)
			if (((uint8_t *)part[i].iov_base)[k] ==
			    octet(f->out + (uint32_t)taken))
				taken++;
			else
				CU_FAIL_FATAL("another octet");
	f->out += (uint32_t)taken;
	whole = outbuf_wrote(&f->b, taken);
	for (; whole; whole--)
		f->whole += f->length[f->whole] > 0;
}

static void
keep(struct flow *f)
{
	outbuf_keep(&f->b);
	memset(f->lent, 0, sizeof(f->lent));
}

/* All that went in comes out in order, however it was mixed. */
static void
test_mixed(void)
{
	struct flow *f = calloc(1, sizeof(*f));
	uint32_t end;

	CU_ASSERT_EQUAL_FATAL(outbuf_init(&f->b, SIZE), 0);
	srand(7);
	for (int i = 0; i < TURNS; i++) {
		size_t length = 1 + (size_t)rand() % LONGEST;

		switch (rand() % 5) {
		case 0:
			put(f, length, false);
			break;
		case 1:
		case 2:
			put(f, length, true);
			break;
		case 3:
			take(f, (size_t)rand() % SIZE);
			break;
		case 4:
			keep(f);
			break;
		}
		CU_ASSERT_EQUAL(outbuf_octets(&f->b), f->in - f->out);
		CU_ASSERT(outbuf_octets(&f->b) <= SIZE);
		CU_ASSERT_EQUAL(f->b.count, f->messages - f->whole);
	}
	take(f, SIZE);
	keep(f);
	CU_ASSERT_EQUAL(f->b.count, 0);
	end = 0;
	for (uint32_t i = 0; i < f->messages; i++)
		end += f->length[i];
	CU_ASSERT_EQUAL(f->out, end);
	CU_ASSERT(f->messages > TURNS / 10);
	outbuf_fini(&f->b);
	free(f);
}

/* A message that is partly written is taken back whole, lent or not. */
static void
test_unwrite(void)
{
	static const uint8_t message[] = "0123456789";
	struct outbuf b;
	struct iovec part[OUTBUF_PARTS];

	CU_ASSERT_EQUAL_FATAL(outbuf_init(&b, SIZE), 0);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, 10), 0);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, 10), 0);
	CU_ASSERT_EQUAL(outbuf_wrote(&b, 13), 1);
	outbuf_keep(&b);
	CU_ASSERT_EQUAL(b.lent_count, 0);
	CU_ASSERT_EQUAL(outbuf_octets(&b), 7);
	outbuf_unwrite(&b);
	CU_ASSERT_EQUAL(outbuf_parts(&b, part), 1);
	CU_ASSERT_EQUAL(part[0].iov_len, 10);
	CU_ASSERT_EQUAL(memcmp(part[0].iov_base, message, 10), 0);
	outbuf_fini(&b);
}

static void
test_bounds(void)
{
	static const uint8_t message[SIZE + 1];
	struct outbuf b;

	CU_ASSERT_EQUAL_FATAL(outbuf_init(&b, SIZE), 0);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, SIZE + 1), -EAGAIN);
	for (int i = 0; i < OUTBUF_LENT; i++)
		CU_ASSERT_EQUAL(outbuf_lend(&b, message, 1), 0);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, 1), -EAGAIN);
	outbuf_clear(&b);
	CU_ASSERT_EQUAL(outbuf_octets(&b), 0);
	CU_ASSERT_EQUAL(outbuf_add(&b, message, SIZE - 10), 0);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, 11), -EAGAIN);
	CU_ASSERT_EQUAL(outbuf_lend(&b, message, 10), 0);
	outbuf_keep(&b);
	CU_ASSERT_EQUAL(outbuf_add(&b, message, 1), -EAGAIN);
	CU_ASSERT_EQUAL(outbuf_wrote(&b, SIZE), 2);
	CU_ASSERT_EQUAL(outbuf_add(&b, message, SIZE), 0);
	outbuf_fini(&b);
}

static const struct unit_test tests[] = {
	{"lent and copied messages keep their order", test_mixed},
	{"a message that is partly written", test_unwrite},
	{"bounds", test_bounds},
};

int
main(void)
{
	return unit_run("net outbuf", tests, UNIT_COUNT(tests));
}
