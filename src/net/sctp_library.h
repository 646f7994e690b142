/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Start and end of usrsctp, see struct sctp_stack. */
#ifndef CONFLUX_NET_SCTP_LIBRARY_H
#define CONFLUX_NET_SCTP_LIBRARY_H

#include <stdint.h>

int userland_start(uint16_t local_udp, uint16_t remote_udp, char **error);
void userland_stop(void);

#endif
