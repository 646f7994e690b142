/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An Options Data Record that is remembered. */
#ifndef CONFLUX_COLLECTING_OPTIONS_H
#define CONFLUX_COLLECTING_OPTIONS_H

#include "process.h"

struct option {
	const struct domain *domain;
	const struct shape *shape; /* held */
	uint64_t names;            /* hash of the (PEN, id) list */
	uint64_t export_ms;
	uint32_t hash;
	uint32_t scope_length; /* octets of the scope fields */
	uint32_t length;
	uint32_t room;
	uint8_t record[];
};

#endif
