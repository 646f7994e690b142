/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded store of shared, counted octet strings, so that rows of fixed size
 * can refer to variable-length values by a 32 bit handle and equal values are
 * equal handles. Handle 0 is the empty string and is not counted.
 */
#ifndef CONFLUX_VAR_H
#define CONFLUX_VAR_H

#include <stdint.h>

struct var_store;

/* max_octets bounds the contents with their overhead. */
struct var_store *var_store_new(uint64_t max_octets);
void var_store_free(struct var_store *store);

/* Finds or adds and holds it. -ENOSPC: the bound; -ENOMEM. */
int var_get(struct var_store *store, const uint8_t *data, uint32_t length,
	    uint32_t *handle);
void var_hold(struct var_store *store, uint32_t handle);
void var_release(struct var_store *store, uint32_t handle);

/* Valid until the last release. */
const uint8_t *var_data(const struct var_store *store, uint32_t handle,
			uint32_t *length);

uint64_t var_store_octets(const struct var_store *store);

#endif
