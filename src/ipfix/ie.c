/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of Information Elements.
 *
 * RFC 5103 section 6.1 gives each reversible element of IANA a twin under PEN
 * 29305 with the same id; they are made when a registry is, so that looking up
 * never changes a registry. IANA's elements and their twins are found by index,
 * all others in one hash table.
 *
 * A peer can name any (PEN, id), so what it can add is bounded, and the hashes
 * are seeded. Nameless elements count who holds them; when the registry is
 * full, those that nobody holds make room, so that a peer which made up
 * thousands does no harm to others once it is gone. Elements with a name stay,
 * and those who hold the nameless predecessor of one keep that.
 */
#include "conflux/ie.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/nearest.h"
#include "conflux/table.h"
#include "names.h"

enum {
	REVERSE_NAME = 72, /* "reverse" and the longest name of IANA's */
	LEARNT_MAX = 4096,
};

struct reverse {
	struct ie ie;
	char name[REVERSE_NAME];
};

struct added {
	struct added *next;
	struct ie_registry *registry;
	uint32_t holds; /* of a nameless one */
	bool pinned;	/* one hold is that of ie_get */
	struct ie ie;
	char text[]; /* name, description */
};

struct ie_registry {
	struct table by_id;    /* added ones that have a name */
	struct table nameless; /* unknown ones, and for wrong lengths */
	struct table by_name;
	struct reverse *reverse; /* by id; a hole has no name */
	struct added *added;
	uint32_t added_count;
	uint32_t max_added;
	uint32_t learnt, learnt_max;
	uint32_t idle; /* nameless ones that nobody holds */
	uint64_t seed;
};

struct key {
	uint32_t pen;
	uint16_t id;
};

static uint32_t
hash_id(const struct ie_registry *registry, uint32_t pen, uint16_t id)
{
	return (uint32_t)hash_u64((uint64_t)pen << 16 | id, registry->seed);
}

static uint32_t
hash_name(const struct ie_registry *registry, const char *name)
{
	return (uint32_t)hash_bytes(name, strlen(name), registry->seed);
}

static bool
equal_id(const void *item, const void *key)
{
	const struct ie *ie = item;
	const struct key *k = key;

	return ie->pen == k->pen && ie->id == k->id;
}

static bool
equal_name(const void *item, const void *key)
{
	return strcmp(((const struct ie *)item)->name, key) == 0;
}

/* Takes the name for an element, unless another had it first. */
static int
name_add(struct ie_registry *registry, const struct ie *ie)
{
	uint32_t hash = hash_name(registry, ie->name);

	if (table_find(&registry->by_name, hash, equal_name, ie->name))
		return 0;
	return table_add(&registry->by_name, hash, (void *)(uintptr_t)ie);
}

/* "octetDeltaCount" gives "reverseOctetDeltaCount". */
static void
reverse_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "reverse%s", name);
	if (size > 8)
		out[7] = (char)toupper((unsigned char)out[7]);
}

static int
add_iana(struct ie_registry *registry)
{
	for (uint32_t id = 0; id < iana_elements_end; id++) {
		const struct ie *ie = &iana_elements[id];
		struct reverse *twin = &registry->reverse[id];
		int err;

		if (!ie->name)
			continue;
		err = name_add(registry, ie);
		if (err)
			return err;
		if (!ie->reversible)
			continue;
		reverse_name(twin->name, sizeof(twin->name), ie->name);
		twin->ie = *ie;
		twin->ie.pen = IE_PEN_REVERSE;
		twin->ie.name = twin->name;
		twin->ie.forward = ie;
		err = name_add(registry, &twin->ie);
		if (err)
			return err;
	}
	return 0;
}

struct ie_registry *
ie_registry_new(uint32_t max_added)
{
	struct ie_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->max_added = max_added;
	registry->learnt_max = LEARNT_MAX;
	registry->seed = hash_seed();
	registry->reverse =
		calloc(iana_elements_end, sizeof(*registry->reverse));
	if (!registry->reverse || add_iana(registry) != 0) {
		ie_registry_free(registry);
		return NULL;
	}
	return registry;
}

void
ie_registry_free(struct ie_registry *registry)
{
	if (!registry)
		return;
	while (registry->added) {
		struct added *added = registry->added;

		registry->added = added->next;
		free(added);
	}
	table_fini(&registry->by_id);
	table_fini(&registry->nameless);
	table_fini(&registry->by_name);
	free(registry->reverse);
	free(registry);
}

const struct ie *
ie_find(const struct ie_registry *registry, uint32_t pen, uint16_t id)
{
	struct key key = {pen, id};

	if (id < iana_elements_end) {
		if (pen == 0 && iana_elements[id].name)
			return &iana_elements[id];
		if (pen == IE_PEN_REVERSE && registry->reverse[id].ie.name)
			return &registry->reverse[id].ie;
	}
	return table_find(&registry->by_id, hash_id(registry, pen, id),
			  equal_id, &key);
}

static struct added *
added_of(const struct ie *ie)
{
	uintptr_t at = (uintptr_t)ie - offsetof(struct added, ie);

	return (struct added *)at;
}

/* Frees the nameless elements that nobody holds. */
static void
reclaim(struct ie_registry *registry)
{
	struct added **link = &registry->added;

	while (*link) {
		struct added *added = *link;
		uint32_t hash = hash_id(registry, added->ie.pen, added->ie.id);

		if (!added->ie.unknown || added->holds) {
			link = &added->next;
			continue;
		}
		*link = added->next;
		table_remove(&registry->nameless, hash, &added->ie);
		registry->added_count--;
		free(added);
	}
	registry->idle = 0;
}

/* Makes room for one more element, strings copied. -ENOSPC or -ENOMEM. */
static int
added_new(struct ie_registry *registry, const struct ie *ie, struct added **out)
{
	size_t name = strlen(ie->name) + 1;
	size_t description = ie->description ? strlen(ie->description) + 1 : 0;
	struct added *added;

	/* Not for a few: a walk through all has to be worth it. */
	if (registry->added_count >= registry->max_added &&
	    registry->idle > registry->max_added / 16)
		reclaim(registry);
	if (registry->added_count >= registry->max_added)
		return -ENOSPC;
	added = calloc(1, sizeof(*added) + name + description);
	if (!added)
		return -ENOMEM;
	added->registry = registry;
	added->ie = *ie;
	added->ie.name = memcpy(added->text, ie->name, name);
	if (description)
		added->ie.description = memcpy(added->text + name,
					       ie->description, description);
	*out = added;
	return 0;
}

static void
added_keep(struct ie_registry *registry, struct added *added)
{
	added->next = registry->added;
	registry->added = added;
	registry->added_count++;
	registry->idle += added->ie.unknown;
}

const struct ie *
ie_hold(const struct ie *ie)
{
	if (ie->unknown && added_of(ie)->holds++ == 0)
		added_of(ie)->registry->idle--;
	return ie;
}

void
ie_release(const struct ie *ie)
{
	if (ie->unknown && --added_of(ie)->holds == 0)
		added_of(ie)->registry->idle++;
}

/* The nameless element for (PEN, id), held. */
static const struct ie *
get_nameless(struct ie_registry *registry, uint32_t pen, uint16_t id)
{
	uint32_t hash = hash_id(registry, pen, id);
	struct key key = {pen, id};
	char name[32];
	struct ie ie = {
		.pen = pen,
		.id = id,
		.length = IE_VARIABLE,
		.type = IE_OCTET_ARRAY,
		.unknown = true,
		.name = name,
	};
	const struct ie *known =
		table_find(&registry->nameless, hash, equal_id, &key);
	struct added *added;

	if (known)
		return ie_hold(known);
	snprintf(name, sizeof(name), "e%uid%u", pen, id);
	if (added_new(registry, &ie, &added) != 0)
		return NULL;
	if (table_add(&registry->nameless, hash, &added->ie) != 0) {
		free(added);
		return NULL;
	}
	added_keep(registry, added);
	return ie_hold(&added->ie);
}

const struct ie *
ie_get(struct ie_registry *registry, uint32_t pen, uint16_t id)
{
	const struct ie *ie = ie_find(registry, pen, id);

	if (ie)
		return ie;
	ie = get_nameless(registry, pen, id);
	if (ie && added_of(ie)->pinned)
		ie_release(ie);
	else if (ie)
		added_of(ie)->pinned = true;
	return ie;
}

const struct ie *
ie_meet(struct ie_registry *registry, uint32_t pen, uint16_t id,
	uint16_t length)
{
	const struct ie *ie = ie_find(registry, pen, id);

	if (ie && ie_length_ok(ie, length))
		return ie;
	return get_nameless(registry, pen, id);
}

const struct ie *
ie_by_name(const struct ie_registry *registry, const char *name)
{
	return table_find(&registry->by_name, hash_name(registry, name),
			  equal_name, name);
}

/* In an order that does not depend on the seed, as the first of equals wins. */
const char *
ie_nearest_name(const struct ie_registry *registry, const char *name)
{
	unsigned distance = nearest_start(name);
	const char *best = NULL, *right;

	for (uint32_t i = 0; i < 2 * iana_elements_end; i++) {
		right = i < iana_elements_end
				? iana_elements[i].name
				: registry->reverse[i - iana_elements_end]
					  .ie.name;
		if (right && nearest_closer(name, right, &distance))
			best = right;
	}
	for (const struct added *a = registry->added; a; a = a->next)
		if (!a->ie.unknown &&
		    nearest_closer(name, a->ie.name, &distance))
			best = a->ie.name;
	return best;
}

static int
publish(struct ie_registry *registry, const struct ie *ie)
{
	uint32_t hash = hash_id(registry, ie->pen, ie->id);
	struct added *added;
	int err = added_new(registry, ie, &added);

	if (err)
		return err;
	err = table_add(&registry->by_id, hash, &added->ie);
	if (err)
		goto fail;
	err = name_add(registry, &added->ie);
	if (err)
		goto fail_added;
	added_keep(registry, added);
	return 0;
fail_added:
	table_remove(&registry->by_id, hash, &added->ie);
fail:
	free(added);
	return err;
}

int
ie_add(struct ie_registry *registry, const struct ie *ie)
{
	const struct ie *known = ie_find(registry, ie->pen, ie->id);
	struct ie copy = *ie;
	char name[REVERSE_NAME * 2];
	int err;

	if (known)
		return known->type == ie->type ? 0 : -EEXIST;
	if (!ie->name || !*ie->name || ie->type > IE_UNSIGNED256)
		return -EINVAL;
	copy.length = ie_type_length(ie->type);
	copy.unknown = false;
	copy.forward = NULL;
	copy.reversible = ie->reversible && ie->pen == 0;
	err = publish(registry, &copy);
	if (err || !copy.reversible ||
	    ie_find(registry, IE_PEN_REVERSE, ie->id))
		return err;
	copy.forward = ie_find(registry, ie->pen, ie->id);
	copy.pen = IE_PEN_REVERSE;
	reverse_name(name, sizeof(name), ie->name);
	copy.name = name;
	return publish(registry, &copy);
}

int
ie_learn(struct ie_registry *registry, const struct ie *ie)
{
	bool known = ie_find(registry, ie->pen, ie->id);
	int err;

	if (!known && registry->learnt >= registry->learnt_max)
		return -ENOSPC;
	err = ie_add(registry, ie);
	if (!err && !known)
		registry->learnt++;
	return err;
}

void
ie_registry_set_learnt_max(struct ie_registry *registry, uint32_t max)
{
	registry->learnt_max = max;
}

/*
 * RFC 7011 section 6.2: integers may be shorter than their type says, float64
 * may be sent as float32; everything else has its one length. Section 7: only
 * octetArray, string and the lists (RFC 6313) can be variable. A field of 0
 * octets is of use to nobody, but an octetArray or string can be empty.
 */
bool
ie_length_ok(const struct ie *ie, uint16_t length)
{
	switch (ie->type) {
	case IE_OCTET_ARRAY:
	case IE_STRING:
		return true;
	case IE_BASIC_LIST:
	case IE_SUB_TEMPLATE_LIST:
	case IE_SUB_TEMPLATE_MULTI_LIST:
		return length > 0;
	case IE_UNSIGNED8:
	case IE_UNSIGNED16:
	case IE_UNSIGNED32:
	case IE_UNSIGNED64:
	case IE_UNSIGNED256:
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
		return length > 0 && length <= ie->length;
	case IE_FLOAT64:
		return length == 4 || length == 8;
	default:
		return length == ie->length;
	}
}

/* *at counts through IANA's, then their twins, then the added ones. */
const struct ie *
ie_next(const struct ie_registry *registry, uint32_t *at)
{
	uint32_t end = iana_elements_end;
	const struct ie *ie;
	uint32_t slot;

	for (; *at < 2 * end; ++*at) {
		ie = *at < end ? &iana_elements[*at]
			       : &registry->reverse[*at - end].ie;
		if (ie->name) {
			++*at;
			return ie;
		}
	}
	slot = *at - 2 * end;
	ie = table_next(&registry->by_id, &slot);
	*at = slot + 2 * end;
	return ie;
}
