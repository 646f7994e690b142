/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Longest prefix match: see prefixes.h. */
#include "prefixes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/wire.h"

enum {
	DEPTH_MAX = 129, /* prefixes of 0 to 128 bits within each other */
	INDEX_BITS_MAX = 20,
};

__extension__ typedef unsigned __int128 wide;

/*
 * Where to search: the addresses from the second range's start to the last
 * one's are cut into equal pieces, about as many as there are ranges.
 */
struct index {
	wide low, high;
	unsigned shift;	 /* addresses of a piece: 1 << shift */
	uint32_t *first; /* the range that the piece's first address is in */
	uint32_t last;	 /* range */
};

struct ranges4 {
	struct index index;
	uint32_t *start; /* [0] is 0; host byte order */
	uint32_t *value;
};

struct ranges6 {
	struct index index;
	wide *start;
	uint32_t *value;
};

struct prefixes {
	struct ranges4 v4;
	struct ranges6 v6;
};

static wide
start_of(const struct prefix *prefix)
{
	if (prefix->version == 4)
		return wire_get32(prefix->bytes);
	return (wide)wire_get64(prefix->bytes) << 64 |
	       wire_get64(prefix->bytes + 8);
}

/* The last address. */
static wide
end_of(const struct prefix *prefix)
{
	unsigned host = (prefix->version == 4 ? 32u : 128u) - prefix->length;

	return start_of(prefix) |
	       (host == 128 ? ~(wide)0 : ((wide)1 << host) - 1);
}

/* By version and start; of those with one start the widest comes first. */
static int
compare(const void *x, const void *y)
{
	const struct prefix *a = x, *b = y;
	int order = a->version - b->version;

	if (order == 0)
		order = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
	if (order == 0)
		order = a->length - b->length;
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

/* ---- laying flat ------------------------------------------------------- */

struct flat {
	wide *start;
	uint32_t *value;
	uint32_t count;
	const struct prefix *open[DEPTH_MAX];
	unsigned depth;
};

/* From here on it is this value. */
static void
begin(struct flat *flat, wide start, uint32_t value)
{
	if (flat->count && flat->start[flat->count - 1] == start)
		flat->count--;
	if (flat->count && flat->value[flat->count - 1] == value)
		return;
	flat->start[flat->count] = start;
	flat->value[flat->count++] = value;
}

/* Ends the innermost prefix; no more of its addresses may follow at all. */
static void
end_one(struct flat *flat, wide last)
{
	wide end = end_of(flat->open[--flat->depth]);

	if (end != last)
		begin(flat, end + 1,
		      flat->depth ? flat->open[flat->depth - 1]->value
				  : PREFIXES_NONE);
}

/* count prefixes of one version; last is the last address that there is. */
static int
lay_flat(struct flat *flat, const struct prefix *list, uint32_t count,
	 wide last)
{
	/* Each begins one range, and another behind its end. */
	size_t size = 2 * (size_t)count + 1;

	flat->start = malloc(size * sizeof(*flat->start));
	flat->value = malloc(size * sizeof(*flat->value));
	if (!flat->start || !flat->value)
		return -ENOMEM;
	begin(flat, 0, PREFIXES_NONE);
	for (; count; count--, list++) {
		while (flat->depth &&
		       end_of(flat->open[flat->depth - 1]) < start_of(list))
			end_one(flat, last);
		begin(flat, start_of(list), list->value);
		flat->open[flat->depth++] = list;
	}
	while (flat->depth)
		end_one(flat, last);
	return 0;
}

static void
flat_fini(struct flat *flat)
{
	free(flat->start);
	free(flat->value);
}

static int
make_index(struct index *index, const struct flat *flat)
{
	uint32_t at = 0, pieces;
	wide span;

	index->last = flat->count - 1;
	index->low = flat->start[flat->count > 1];
	index->high = flat->start[index->last];
	span = index->high - index->low;
	while (span >> index->shift >> INDEX_BITS_MAX ||
	       span >> index->shift > 2 * (wide)flat->count)
		index->shift++;
	pieces = (uint32_t)(span >> index->shift) + 1;
	index->first = malloc((pieces + 1) * sizeof(*index->first));
	if (!index->first)
		return -ENOMEM;
	for (uint32_t n = 0; n < pieces; n++) {
		wide start = index->low + ((wide)n << index->shift);

		while (at < index->last && flat->start[at + 1] <= start)
			at++;
		index->first[n] = at;
	}
	index->first[pieces] = index->last;
	return 0;
}

static int
make4(struct ranges4 *ranges, const struct prefix *list, uint32_t count)
{
	struct flat flat = {0};
	int rc = lay_flat(&flat, list, count, UINT32_MAX);

	if (rc == 0)
		ranges->start = malloc(flat.count * sizeof(*ranges->start));
	if (!ranges->start) {
		flat_fini(&flat);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < flat.count; i++)
		ranges->start[i] = (uint32_t)flat.start[i];
	rc = make_index(&ranges->index, &flat);
	ranges->value = flat.value;
	free(flat.start);
	return rc;
}

static int
make6(struct ranges6 *ranges, const struct prefix *list, uint32_t count)
{
	struct flat flat = {0};
	int rc = lay_flat(&flat, list, count, ~(wide)0);

	if (rc < 0) {
		flat_fini(&flat);
		return rc;
	}
	ranges->start = flat.start;
	ranges->value = flat.value;
	return make_index(&ranges->index, &flat);
}

int
prefixes_new(struct prefix *list, uint32_t count, struct prefixes **out,
	     uint32_t *twice)
{
	struct prefixes *prefixes;
	uint32_t four = 0;
	int rc;

	if (count)
		qsort(list, count, sizeof(*list), compare);
	while (four < count && list[four].version == 4)
		four++;
	for (uint32_t i = 1; i < count; i++)
		if (list[i].version == list[i - 1].version &&
		    list[i].length == list[i - 1].length &&
		    memcmp(list[i].bytes, list[i - 1].bytes,
			   sizeof(list->bytes)) == 0) {
			*twice = i;
			return -EEXIST;
		}
	prefixes = calloc(1, sizeof(*prefixes));
	if (!prefixes)
		return -ENOMEM;
	rc = make4(&prefixes->v4, list, four);
	/* There is no place behind a list that is not there. */
	if (rc == 0)
		rc = make6(&prefixes->v6, four ? list + four : list,
			   count - four);
	if (rc < 0) {
		prefixes_free(prefixes);
		return rc;
	}
	*out = prefixes;
	return 0;
}

void
prefixes_free(struct prefixes *prefixes)
{
	if (!prefixes)
		return;
	free(prefixes->v4.index.first);
	free(prefixes->v6.index.first);
	free(prefixes->v4.start);
	free(prefixes->v4.value);
	free(prefixes->v6.start);
	free(prefixes->v6.value);
	free(prefixes);
}

/* ---- finding ----------------------------------------------------------- */

/*
 * The last range that begins at or before the address. No branch depends on
 * what is found within a piece, so that searches for several addresses overlap.
 */
#define SEARCH(ranges, address)                                              \
	do {                                                                 \
		const struct index *index = &(ranges)->index;                \
		uint32_t at = 0, left = 1;                                   \
                                                                             \
		if ((address) >= index->high) {                              \
			at = index->last;                                    \
		} else if ((address) >= index->low) {                        \
			const uint32_t *first =                              \
				index->first +                               \
				(size_t)(((address)-index->low) >>           \
					 index->shift);                      \
                                                                             \
			at = first[0];                                       \
			left = first[1] - at + 1;                            \
		}                                                            \
		while (left > 1) {                                           \
			uint32_t half = left / 2;                            \
                                                                             \
			at += (ranges)->start[at + half] <= (address) ? half \
								      : 0;   \
			left -= half;                                        \
		}                                                            \
		return (ranges)->value[at];                                  \
	} while (0)

uint32_t
prefixes_find4(const struct prefixes *prefixes, const uint8_t *bytes)
{
	uint32_t address = wire_get32(bytes);

	SEARCH(&prefixes->v4, address);
}

uint32_t
prefixes_find6(const struct prefixes *prefixes, const uint8_t *bytes)
{
	wide address = (wide)wire_get64(bytes) << 64 | wire_get64(bytes + 8);

	SEARCH(&prefixes->v6, address);
}
