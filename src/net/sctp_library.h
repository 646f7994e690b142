/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Start and end of usrsctp, see struct sctp_stack. */
#ifndef CONFLUX_NET_SCTP_LIBRARY_H
#define CONFLUX_NET_SCTP_LIBRARY_H

#include <stdint.h>

struct socket;

int userland_start(uint16_t local_udp, uint16_t remote_udp, char **error);
void userland_stop(void);
/*
 * Closes the socket of an association that is over a little later: the thread
 * of the library that has told so may still be using it, without a reference of
 * its own (seen in 0.9.5).
 */
void userland_bury(struct socket *so);
/* Closes those whose time has come; to be called now and then. */
void userland_reap(void);

#endif
