/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Elements that exporters describe in Options Data Records (RFC 5610). */
#ifndef CONFLUX_TYPE_INFORMATION_H
#define CONFLUX_TYPE_INFORMATION_H

#include "conflux/shape.h"

/*
 * Adds the element that a record describes to the registry. 1: learnt, so
 * Templates that have it should be made anew (template_store_relearn). 0: the
 * record is no type information, or tells nothing new. Negative: it is not
 * taken, *reason says why (constant text): -EBADMSG if it makes no sense,
 * -ENOSPC if the registry is full, -ENOMEM. The record must be whole.
 */
int type_information_learn(struct ie_registry *registry,
			   const struct shape *shape, const uint8_t *record,
			   uint32_t length, const char **reason);

/* The same of an element that was learnt before; its length is ignored. */
int type_information_add(struct ie_registry *registry, const struct ie *ie,
			 const char **reason);

#endif
