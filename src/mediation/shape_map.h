/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What an Intermediate Process has made for each shape that came in. Bounded:
 * when there are too many, all are made anew.
 */
#ifndef CONFLUX_MEDIATION_SHAPE_MAP_H
#define CONFLUX_MEDIATION_SHAPE_MAP_H

#include "conflux/shape.h"
#include "conflux/table.h"

enum { SHAPE_MAP_MAX = 1024 };

/* First member of what is made. */
struct shape_made {
	const struct shape *shape; /* held, released by the map */
	uint64_t more; /* what else it depends on: of equal shapes, which */
};

struct shape_map {
	struct table table;
	struct shape_made *last;
	/* Frees what was made, but not its shape. */
	void (*free)(struct shape_made *made);
};

/* NULL: there is none yet. */
struct shape_made *shape_map_find(struct shape_map *map,
				  const struct shape *shape, uint64_t more);
/* Each that was made for the shape, whatever more is; *at begins with 0. */
struct shape_made *shape_map_next(const struct shape_map *map,
				  const struct shape *shape, uint32_t *at);
/*
 * Adds what was made for a shape and something more, which it holds from now
 * on; it is the last one found then. -ENOMEM: made is freed.
 */
int shape_map_add(struct shape_map *map, const struct shape *shape,
		  uint64_t more, struct shape_made *made);
void shape_map_fini(struct shape_map *map);

#endif
