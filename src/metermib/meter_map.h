/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a meter as IPFIX records: one or two for each reading, in batches of
 * the shape that fits the attributes this flow has.
 */
#ifndef CONFLUX_METERMIB_METER_MAP_H
#define CONFLUX_METERMIB_METER_MAP_H

#include "conflux/meter_reader.h"
#include "meter_flow.h"

struct meter_map;

/* The stage and the scope stay the caller's. -ENOMEM, -ENOSPC (registry). */
int meter_map_new(const struct meter_reader_conf *conf,
		  struct ie_registry *registry, struct shape_table *shapes,
		  struct stage *stage, const struct scope *scope,
		  struct meter_map **out);
/* Batches that were not flushed are lost: flush first. NULL is legal. */
void meter_map_free(struct meter_map *map);

/*
 * Adds the record or records of a reading; full batches are handed on. The
 * ledger of the stage is kept: in, split, exported, lost.
 */
void meter_map_add(struct meter_map *map, const struct meter_row *row,
		   const struct flow_reading *reading, uint64_t now_ms);

/* Hands on what was added. */
void meter_map_flush(struct meter_map *map, uint64_t now_ms);

/* Layouts in use, for reports. */
unsigned meter_map_layouts(const struct meter_map *map);

#endif
