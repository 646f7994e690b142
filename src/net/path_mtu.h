/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the largest datagram that a path takes (RFC 4821, RFC 8899),
 * as questions and answers: which size to try now, and whether it came through.
 * Sends nothing and knows no time.
 */
#ifndef CONFLUX_NET_PATH_MTU_H
#define CONFLUX_NET_PATH_MTU_H

#include <stdbool.h>
#include <stdint.h>

enum { PATH_MTU_STEP = 16 }; /* octets that are not worth another question */

/* Sizes are octets of a datagram. */
struct path_mtu {
	uint32_t good;	  /* came through, or is taken for granted */
	uint32_t bad;	  /* the smallest that did not, or above all */
	uint32_t asked;	  /* the size in question, 0: none */
	uint32_t ceiling; /* the largest of interest */
};

/* Begins a search: least is taken for granted, most is asked first. */
void path_mtu_begin(struct path_mtu *p, uint32_t least, uint32_t most);
/* The size to try now, or 0: p->good is the result. */
uint32_t path_mtu_ask(struct path_mtu *p);
void path_mtu_answer(struct path_mtu *p, bool came_through);
/*
 * Somebody unknown (ICMP) says that larger ones won't pass: may lower what is
 * asked for, but never below what is taken for granted.
 */
void path_mtu_hint(struct path_mtu *p, uint32_t most);

#endif
