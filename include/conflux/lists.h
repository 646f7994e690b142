/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured data (RFC 6313) within records, as far as who passes records on
 * must know it: the lists in them name Templates by ids that hold only in the
 * scope they come from.
 */
#ifndef CONFLUX_LISTS_H
#define CONFLUX_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/ie.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

/* Do records of this shape have fields that are lists? */
bool lists_in(const struct shape *shape);

/*
 * Options Data Records may be about a Template (templateId, RFC 7011 section
 * 4.4, RFC 6235 section 6.2): the n-th such field, or -1.
 */
int lists_template_id(const struct shape *shape, unsigned n);

/*
 * Called for each Template id in the lists of a record, which is at that octet
 * of it (network byte order). Returns the shape that the records behind the id
 * have, or NULL: they are stepped over.
 */
typedef const struct shape *(*lists_id_cb)(void *arg, size_t at);

/* length: of the record. registry tells what the elements of basicLists are. */
void lists_walk(const struct shape *shape, const struct ie_registry *registry,
		const uint8_t *record, uint32_t length, lists_id_cb cb,
		void *arg);

/*
 * Lists that are made here, of packets, name these instead of Templates of a
 * peer, whose ids begin at 256.
 */
enum list_template {
	LIST_CHAIN = 1,	       /* ipv6ExtensionHeaderType, -Count */
	LIST_CHAIN_LENGTH = 2, /* ipv6ExtensionHeadersFull, -ChainLength */
	LIST_TEMPLATES,
};

struct list_shapes {
	const struct shape *shape[LIST_TEMPLATES]; /* held */
};

int list_shapes_init(struct list_shapes *lists,
		     const struct ie_registry *registry,
		     struct shape_table *shapes);
void list_shapes_fini(struct list_shapes *lists);

/* template_shape of a scope that has list_shapes set. */
const struct shape *list_shapes_find(const struct scope *scope, uint16_t id);

#endif
