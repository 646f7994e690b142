/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is had of streams: its bound, and the text of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/positions.h"
#include "conflux/text.h"
#include "unit.h"

static struct position *
get(struct positions *ps, const char *peer, uint32_t run, bool made,
    uint32_t forgotten)
{
	struct position gone, *p;
	bool is_made;

	p = positions_get(ps, peer, run, &is_made, &gone);
	CU_ASSERT_EQUAL(is_made, made);
	CU_ASSERT_EQUAL(gone.run, forgotten);
	return p;
}

static void
test_bound(void)
{
	struct positions *ps = positions_new(3);
	char name[POSITIONS_PEER_MAX + 2];
	struct position *a = get(ps, "a", 1, true, 0);

	a->sessions = 1;
	get(ps, "b", 1, true, 0);
	get(ps, "b", 2, true, 0);
	CU_ASSERT_PTR_EQUAL(get(ps, "a", 1, false, 0), a);
	get(ps, "b", 1, false, 0);
	/* The one that was unused for longest goes, and none that is in use. */
	get(ps, "c", 1, true, 2);
	get(ps, "d", 1, true, 1);
	CU_ASSERT_EQUAL(positions_count(ps), 3);
	CU_ASSERT_PTR_EQUAL(positions_next(ps, NULL), a);
	get(ps, "c", 1, false, 0)->sessions = 1;
	get(ps, "d", 1, false, 0)->sessions = 1;
	CU_ASSERT_PTR_NULL(get(ps, "e", 1, true, 0));
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	a->sessions = 0;
	CU_ASSERT_PTR_NULL(get(ps, name, 1, true, 0));
	name[POSITIONS_PEER_MAX] = '\0';
	CU_ASSERT_PTR_NOT_NULL(get(ps, name, 1, true, 1));
	a = positions_previous(ps, NULL);
	CU_ASSERT_STRING_EQUAL(a->peer, name);
	a->taken = 5;
	CU_ASSERT_FALSE(positions_settled(ps));
	positions_settle(ps);
	CU_ASSERT_TRUE(positions_settled(ps));
	CU_ASSERT_EQUAL(a->safe, 5);
	positions_free(ps);
}

static int
read_text(struct positions *ps, const char *text, size_t length)
{
	/* Of the exact size, so that reading behind it is noticed. */
	char *copy = malloc(length + !length);
	int rc;

	memcpy(copy, text, length);
	rc = positions_read(ps, copy, length);
	free(copy);
	return rc;
}

static void
test_text(void)
{
	static const char *const bad[] = {
		"conflux acknowledged streams 2\nend\n",
		"conflux acknowledged streams 1\n1 2 61\n",
		"conflux acknowledged streams 1\n0 2 61\nend\n",
		"conflux acknowledged streams 1\n4294967296 2 61\nend\n",
		("conflux acknowledged streams 1\n1 18446744073709551616 61\n"
		 "end\n"),
		"conflux acknowledged streams 1\n1 2 6\nend\n",
		"conflux acknowledged streams 1\n1 2 00\nend\n",
		"conflux acknowledged streams 1\n1 2 6g\nend\n",
		"conflux acknowledged streams 1\n1 2 \nend\n",
		"conflux acknowledged streams 1\n1 2\nend\n",
		"conflux acknowledged streams 1\nfile 2\nend\n",
		"conflux acknowledged streams 1\nfile x 61\nend\n",
		"conflux acknowledged streams 1\nfile 2 6\nend\n",
		"conflux acknowledged streams 1\nend\nend\n",
		"end\n",
		"",
	};
	struct positions *ps = positions_new(0), *again = positions_new(0);
	const struct position *p;
	struct text text = {0};

	get(ps, "192.0.2.1", UINT32_MAX, true, 0)->taken = UINT64_MAX;
	get(ps, "\"a b\nc\"", 7, true, 0)->taken = 0;
	positions_write(ps, &text);
	CU_ASSERT_FALSE(text.failed);
	for (size_t i = 0; i < text.length; i++)
		CU_ASSERT_EQUAL(read_text(again, text.data, i), -EBADMSG);
	CU_ASSERT_EQUAL(positions_count(again), 0);
	CU_ASSERT_EQUAL(read_text(again, text.data, text.length), 0);
	CU_ASSERT_EQUAL(positions_count(again), 2);
	p = positions_next(again, NULL);
	CU_ASSERT_STRING_EQUAL(p->peer, "192.0.2.1");
	CU_ASSERT_EQUAL(p->run, UINT32_MAX);
	CU_ASSERT_EQUAL(p->taken, UINT64_MAX);
	p = positions_next(again, p);
	CU_ASSERT_STRING_EQUAL(p->peer, "\"a b\nc\"");
	CU_ASSERT_TRUE(positions_settled(again));
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		CU_ASSERT_EQUAL(read_text(again, bad[i], strlen(bad[i])),
				-EBADMSG);
	text_fini(&text);
	positions_free(ps);
	positions_free(again);
}

static void
test_files(void)
{
	struct positions *ps = positions_new(0), *again = positions_new(0);
	struct text text = {0};
	uint64_t length = 0;

	CU_ASSERT_TRUE(positions_note_file(ps, "/a b", 5));
	CU_ASSERT_FALSE(positions_note_file(ps, "/a b", 5));
	CU_ASSERT_TRUE(positions_note_file(ps, "/a b", UINT64_MAX));
	CU_ASSERT_TRUE(positions_note_file(ps, "/c", 7));
	CU_ASSERT_FALSE(positions_found_file(ps, "/c", &length));
	positions_write(ps, &text);
	CU_ASSERT_EQUAL(read_text(again, text.data, text.length), 0);
	CU_ASSERT_TRUE(positions_found_file(again, "/a b", &length));
	CU_ASSERT_EQUAL(length, UINT64_MAX);
	CU_ASSERT_TRUE(positions_found_file(again, "/c", &length));
	CU_ASSERT_EQUAL(length, 7);
	CU_ASSERT_FALSE(positions_found_file(again, "/d", &length));
	text_fini(&text);
	/* What this run does not write is forgotten. */
	CU_ASSERT_TRUE(positions_note_file(again, "/c", 7));
	CU_ASSERT_FALSE(positions_found_file(again, "/c", &length));
	text = (struct text){0};
	positions_write(again, &text);
	text_add_char(&text, '\0');
	CU_ASSERT_STRING_EQUAL(text.data, "conflux acknowledged streams 1\n"
					  "file 7 2f63\nend\n");
	text_fini(&text);
	positions_free(ps);
	positions_free(again);
}

static const struct unit_test tests[] = {
	{"the bound", test_bound},
	{"as a text", test_text},
	{"files", test_files},
};

int
main(void)
{
	return unit_run("positions", tests, UNIT_COUNT(tests));
}
