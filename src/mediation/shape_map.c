/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "shape_map.h"

#include "conflux/hash.h"

static bool
made_equal(const void *item, const void *key)
{
	const struct shape_made *a = item, *b = key;

	return a->shape == b->shape && a->more == b->more;
}

static uint32_t
made_hash(const struct shape_made *made)
{
	return (uint32_t)hash_u64(made->shape->serial, made->more);
}

struct shape_made *
shape_map_find(struct shape_map *map, const struct shape *shape, uint64_t more)
{
	struct shape_made key = {.shape = shape, .more = more}, *made;

	if (map->last && made_equal(map->last, &key))
		return map->last;
	made = table_find(&map->table, made_hash(&key), made_equal, &key);
	if (made)
		map->last = made;
	return made;
}

struct shape_made *
shape_map_next(const struct shape_map *map, const struct shape *shape,
	       uint32_t *at)
{
	struct shape_made *made;

	while ((made = table_next(&map->table, at)))
		if (made->shape == shape)
			return made;
	return NULL;
}

int
shape_map_add(struct shape_map *map, const struct shape *shape, uint64_t more,
	      struct shape_made *made)
{
	int rc;

	if (map->table.count >= SHAPE_MAP_MAX)
		shape_map_fini(map);
	made->shape = shape;
	made->more = more;
	rc = table_add(&map->table, made_hash(made), made);
	if (rc < 0) {
		map->free(made);
		return rc;
	}
	shape_hold(shape);
	map->last = made;
	return 0;
}

void
shape_map_fini(struct shape_map *map)
{
	struct shape_made *made;
	const struct shape *shape;
	uint32_t at = 0;

	while ((made = table_next(&map->table, &at))) {
		shape = made->shape;
		map->free(made);
		shape_release(shape);
	}
	table_fini(&map->table);
	map->last = NULL;
}
