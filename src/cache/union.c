/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that are sets: the basicList (RFC 6313 section 4.5.1) of a flow gets
 * the elements that those of its records have and it has not, in the order in
 * which they came. They are in the store of strings, as any value of variable
 * length, so equal lists are equal handles and mostly there is nothing to do.
 *
 * A list of other elements than those that the flow has is left out, and so are
 * elements that the flow has no room for.
 */
#include <string.h>

#include "conflux/wire.h"
#include "internal.h"

enum {
	HEADER = 5, /* semantic, element, length */
	HEADER_PEN = 9,
	OCTETS_MAX = 2048, /* of the list of a flow */
};

struct list {
	const uint8_t *data;
	uint32_t length, header;
	uint16_t width; /* of an element, 0: not a list that can be merged */
};

static struct list
list_of(const struct var_store *strings, uint32_t handle)
{
	struct list l;

	l.data = var_data(strings, handle, &l.length);
	l.width = 0;
	l.header = l.length >= HEADER && l.data[1] & 0x80 ? HEADER_PEN : HEADER;
	if (l.length < l.header)
		return l;
	l.width = wire_get16(l.data + 3);
	if (l.width == IE_VARIABLE ||
	    (l.width && (l.length - l.header) % l.width))
		l.width = 0;
	return l;
}

static bool
has_element(const uint8_t *list, uint32_t length, const struct list *like,
	    const uint8_t *element)
{
	for (uint32_t at = like->header; at < length; at += like->width)
		if (memcmp(list + at, element, like->width) == 0)
			return true;
	return false;
}

uint32_t
list_union(struct cache *cache, uint32_t kept, uint32_t more)
{
	struct list a, b;
	uint8_t both[OCTETS_MAX];
	uint32_t length, handle;

	if (kept == more) {
		var_release(cache->strings, more);
		return kept;
	}
	a = list_of(cache->strings, kept);
	b = list_of(cache->strings, more);
	if (!a.width || !b.width || a.length > OCTETS_MAX ||
	    memcmp(a.data, b.data, a.header) != 0) {
		cache->lists_cut++;
		var_release(cache->strings, more);
		return kept;
	}
	length = a.length;
	memcpy(both, a.data, length);
	for (uint32_t at = b.header; at < b.length; at += b.width) {
		if (has_element(both, length, &a, b.data + at))
			continue;
		if (length + b.width > OCTETS_MAX) {
			cache->lists_cut++;
			break;
		}
		memcpy(both + length, b.data + at, b.width);
		length += b.width;
	}
	var_release(cache->strings, more);
	if (length == a.length)
		return kept;
	if (var_get(cache->strings, both, length, &handle) != 0) {
		cache->lists_cut++;
		return kept;
	}
	var_release(cache->strings, kept);
	return handle;
}
