/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/positions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"
#include "conflux/text.h"

struct position_file {
	SLIST_ENTRY(position_file) next;
	uint64_t length;
	bool noted; /* in this run; else it is of an earlier one */
	char path[];
};

struct positions {
	TAILQ_HEAD(position_list, position) list; /* unused for longest first */
	SLIST_HEAD(position_files, position_file) files;
	unsigned file_count;
	struct table by_key;
	uint64_t seed;
	uint32_t max;
};

struct key {
	const char *peer;
	uint32_t run;
};

static bool
equal(const void *item, const void *arg)
{
	const struct position *p = item;
	const struct key *key = arg;

	return p->run == key->run && strcmp(p->peer, key->peer) == 0;
}

static uint32_t
hash_of(const struct positions *ps, const char *peer, uint32_t run)
{
	return (uint32_t)hash_bytes(peer, strlen(peer),
				    hash_u64(run, ps->seed));
}

struct positions *
positions_new(uint32_t max)
{
	struct positions *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return NULL;
	TAILQ_INIT(&ps->list);
	ps->seed = hash_seed();
	ps->max = max ? max : POSITIONS_MAX;
	return ps;
}

static void
forget(struct positions *ps, struct position *p)
{
	table_remove(&ps->by_key, hash_of(ps, p->peer, p->run), p);
	TAILQ_REMOVE(&ps->list, p, next);
	free(p);
}

void
positions_free(struct positions *ps)
{
	struct position_file *file;
	struct position *p;

	if (!ps)
		return;
	while ((p = TAILQ_FIRST(&ps->list)))
		forget(ps, p);
	while ((file = SLIST_FIRST(&ps->files))) {
		SLIST_REMOVE_HEAD(&ps->files, next);
		free(file);
	}
	table_fini(&ps->by_key);
	free(ps);
}

static bool
make_room(struct positions *ps, struct position *forgotten)
{
	struct position *p;

	if (ps->by_key.count < ps->max)
		return true;
	TAILQ_FOREACH(p, &ps->list, next)
	{
		if (p->sessions)
			continue;
		*forgotten = *p;
		forget(ps, p);
		return true;
	}
	return false;
}

struct position *
positions_get(struct positions *ps, const char *peer, uint32_t run, bool *made,
	      struct position *forgotten)
{
	const struct key key = {peer, run};
	uint32_t hash = hash_of(ps, peer, run);
	struct position *p = table_find(&ps->by_key, hash, equal, &key);

	forgotten->run = 0;
	*made = !p;
	if (p) {
		TAILQ_REMOVE(&ps->list, p, next);
		TAILQ_INSERT_TAIL(&ps->list, p, next);
		return p;
	}
	if (strlen(peer) > POSITIONS_PEER_MAX || !make_room(ps, forgotten))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->run = run;
	strcpy(p->peer, peer);
	if (table_add(&ps->by_key, hash, p)) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&ps->list, p, next);
	return p;
}

struct position *
positions_next(const struct positions *ps, const struct position *p)
{
	return p ? TAILQ_NEXT(p, next) : TAILQ_FIRST(&ps->list);
}

struct position *
positions_previous(const struct positions *ps, const struct position *p)
{
	return p ? TAILQ_PREV(p, position_list, next)
		 : TAILQ_LAST(&ps->list, position_list);
}

uint32_t
positions_count(const struct positions *ps)
{
	return ps->by_key.count;
}

void
positions_settle(struct positions *ps)
{
	struct position *p;

	TAILQ_FOREACH(p, &ps->list, next)
	p->safe = p->taken;
}

bool
positions_settled(const struct positions *ps)
{
	const struct position *p;

	TAILQ_FOREACH(p, &ps->list, next)
	if (p->safe != p->taken)
		return false;
	return true;
}

/* ---- files --------------------------------------------------------------- */

static struct position_file *
find_file(const struct positions *ps, const char *path)
{
	struct position_file *file;

	SLIST_FOREACH(file, &ps->files, next)
	if (strcmp(file->path, path) == 0)
		return file;
	return NULL;
}

static struct position_file *
add_file(struct positions *ps, const char *path, uint64_t length)
{
	size_t size = strlen(path) + 1;
	struct position_file *file;

	if (ps->file_count == POSITIONS_FILES_MAX ||
	    size > POSITIONS_PATH_MAX + 1)
		return NULL;
	file = calloc(1, sizeof(*file) + size);
	if (!file)
		return NULL;
	memcpy(file->path, path, size);
	file->length = length;
	SLIST_INSERT_HEAD(&ps->files, file, next);
	ps->file_count++;
	return file;
}

bool
positions_note_file(struct positions *ps, const char *path, uint64_t length)
{
	struct position_file *file = find_file(ps, path);

	if (file && file->noted && file->length == length)
		return false;
	if (!file)
		file = add_file(ps, path, length);
	if (file) {
		file->noted = true;
		file->length = length;
	}
	return true;
}

bool
positions_found_file(const struct positions *ps, const char *path,
		     uint64_t *length)
{
	const struct position_file *file = find_file(ps, path);

	if (!file || file->noted)
		return false;
	*length = file->length;
	return true;
}

/* ---- as a text ----------------------------------------------------------- */

#define FIRST "conflux acknowledged streams 1"
#define LAST "end"
#define FILE_LINE "file "

/* Names are those of certificates: they may have anything but a zero. */
void
positions_write(const struct positions *ps, struct text *text)
{
	const struct position_file *file;
	const struct position *p;

	text_add(text, FIRST "\n");
	TAILQ_FOREACH(p, &ps->list, next)
	{
		text_printf(text, "%" PRIu32 " %" PRIu64 " ", p->run, p->taken);
		text_add_hex(text, (const uint8_t *)p->peer, strlen(p->peer));
		text_add_char(text, '\n');
	}
	SLIST_FOREACH(file, &ps->files, next)
	{
		if (!file->noted)
			continue;
		text_printf(text, FILE_LINE "%" PRIu64 " ", file->length);
		text_add_hex(text, (const uint8_t *)file->path,
			     strlen(file->path));
		text_add_char(text, '\n');
	}
	text_add(text, LAST "\n");
}

static int
digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* The octets up to the end of the line, max at most; false: these are none. */
static bool
read_name(const char *p, const char *end, char *name, size_t max)
{
	size_t n = (size_t)(end - p) / 2;

	if ((end - p) % 2 || n > max || n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = digit(p[2 * i]), low = digit(p[2 * i + 1]);

		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return false;
		name[i] = (char)(high << 4 | low);
	}
	name[n] = '\0';
	return true;
}

/* A number and the blank behind it. */
static bool
read_number(const char **at, const char *end, uint64_t max, uint64_t *number)
{
	const char *p = *at;

	*number = 0;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		unsigned next = (unsigned)(*p - '0');

		if (*number > (max - next) / 10)
			return false;
		*number = *number * 10 + next;
	}
	if (p == *at || p == end || *p != ' ')
		return false;
	*at = p + 1;
	return true;
}

static bool
is_line(const char *p, const char *end, const char *text)
{
	return (size_t)(end - p) == strlen(text) &&
	       memcmp(p, text, strlen(text)) == 0;
}

static bool
read_file(struct positions *ps, const char *p, const char *end)
{
	char path[POSITIONS_PATH_MAX + 1];
	uint64_t length;

	if (!read_number(&p, end, UINT64_MAX, &length) ||
	    !read_name(p, end, path, POSITIONS_PATH_MAX))
		return false;
	if (ps && !find_file(ps, path))
		add_file(ps, path, length);
	return true;
}

/* ps NULL: it is only looked at. */
static bool
read_line(struct positions *ps, const char *p, const char *end)
{
	char name[POSITIONS_PEER_MAX + 1];
	struct position forgotten, *position;
	uint64_t run, taken;
	size_t word = strlen(FILE_LINE);
	bool made;

	if ((size_t)(end - p) >= word && memcmp(p, FILE_LINE, word) == 0)
		return read_file(ps, p + word, end);
	if (!read_number(&p, end, UINT32_MAX, &run) || run == 0 ||
	    !read_number(&p, end, UINT64_MAX, &taken) ||
	    !read_name(p, end, name, POSITIONS_PEER_MAX))
		return false;
	if (!ps)
		return true;
	position = positions_get(ps, name, (uint32_t)run, &made, &forgotten);
	if (position && made)
		position->taken = position->safe = taken;
	return true;
}

static bool
read_lines(struct positions *ps, const char *p, const char *end)
{
	bool first = true;

	while (p < end) {
		const char *line = p;

		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return false;
		if (first && !is_line(line, p, FIRST))
			return false;
		if (!first && is_line(line, p, LAST))
			return p + 1 == end;
		if (!first && !read_line(ps, line, p))
			return false;
		first = false;
		p++;
	}
	return false;
}

int
positions_read(struct positions *ps, const char *data, size_t length)
{
	if (!read_lines(NULL, data, data + length))
		return -EBADMSG;
	read_lines(ps, data, data + length);
	return 0;
}
