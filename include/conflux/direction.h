/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The two directions of a conversation in the elements of IANA (RFC 5103): what
 * is the source of the one is the destination of the other.
 */
#ifndef CONFLUX_DIRECTION_H
#define CONFLUX_DIRECTION_H

#include <stdbool.h>

#include "conflux/ie.h"

/*
 * The element of IANA that has in the reverse direction what this one has in
 * the forward direction (source and destination, ingress and egress), or 0.
 */
uint16_t direction_counterpart(uint16_t id);

/* The element itself is of the reverse direction (PEN 29305). */
static inline bool
direction_is_reverse(const struct ie *ie)
{
	return ie->pen == IE_PEN_REVERSE;
}

/*
 * Does an element that is no key and has no reverse in its record tell of the
 * Flow as a whole? True of times, identifiers and names; false of what is
 * counted or measured of packets, and of what their headers have, which may
 * differ between the directions.
 */
bool direction_is_of_both(const struct ie *ie);

#endif
