/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate Processes (RFC 6183 section 5): stages between sources, caches
 * and Exporting Processes, to be chained as one likes. Each leaves scopes and
 * shapes as they are unless it says otherwise.
 */
#ifndef CONFLUX_MEDIATION_H
#define CONFLUX_MEDIATION_H

#include "conflux/filter.h"
#include "conflux/stage.h"

/*
 * Intermediate Selection Process (RFC 6183 section 5.3.2): passes on the Data
 * Records that the expression takes; the others are counted as filtered.
 * Options Data Records all pass. -EINVAL: *error tells why; -ENOMEM. The name
 * and the expression are kept by the caller.
 */
int filter_stage_new(const char *name, const char *expression,
		     struct ie_registry *registry, struct stage **out,
		     struct filter_error *error);

/*
 * Biflows (RFC 5103) become uniflows, one of each direction that has packets;
 * what is no biflow passes as it came. A record more counts as split. The name,
 * the registry and the table are kept by the caller. -ENOMEM.
 */
int split_stage_new(const char *name, struct ie_registry *registry,
		    struct shape_table *shapes, struct stage **out);

#endif
