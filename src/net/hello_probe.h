/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the path to a server of DTLS takes that has no heartbeats. */
#ifndef CONFLUX_NET_HELLO_PROBE_H
#define CONFLUX_NET_HELLO_PROBE_H

#include <stdint.h>

struct net_out;
struct hello_probe;

enum { HELLO_PROBE_MIN = 128 }; /* octets of a datagram at least */

/* Octets of a datagram; 0: the server does not answer such questions. */
typedef void (*hello_probe_told)(void *arg, uint32_t octets);

/*
 * Searches between least and most; told is called once, from the loop, and may
 * free the probe. -ENOMEM, or what keeps a socket from being made.
 */
int hello_probe_new(struct net_out *out, uint32_t least, uint32_t most,
		    hello_probe_told told, void *arg,
		    struct hello_probe **probe);
void hello_probe_free(struct hello_probe *probe);

#endif
