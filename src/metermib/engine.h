/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What all meter readers of the process share: the start of Net-SNMP, the keys
 * made from passphrases, the share of the event loop that replies may take,
 * and the thread that writes state files.
 */
#ifndef CONFLUX_METERMIB_ENGINE_H
#define CONFLUX_METERMIB_ENGINE_H

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
/* Net-SNMP makes these macros for other members of its PDUs. */
#undef max_repetitions
#undef non_repeaters
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/meter_reader.h"

struct event_base *meter_engine_base(struct meter_engine *engine);

/*
 * May a reply be read now? False when the replies read in this turn of the
 * event loop took their time already: the caller leaves the datagram in its
 * socket, and the loop comes back to it after everybody else.
 */
bool meter_engine_turn(struct meter_engine *engine);

/*
 * The key Ku of a passphrase (RFC 3414 A.2), which takes a millisecond or two
 * to make and is therefore kept. key has USM_AUTH_KU_LEN octets; *length is
 * set. -EINVAL: shorter than 8 octets or an unknown protocol.
 */
int meter_engine_key(struct meter_engine *engine, const oid *protocol,
		     size_t protocol_length, const char *passphrase,
		     uint8_t *key, size_t *length);

/*
 * Writes a file as a whole or not at all (temporary file, fsync, rename) in a
 * thread of its own. Takes over data, which was malloc'ed; path is copied.
 * pending counts up now and down when done. A later job for the same path is
 * done later. -ENOMEM: data is freed.
 */
int meter_engine_write(struct meter_engine *engine, const char *path,
		       void *data, size_t length, atomic_uint *pending);

/* Waits a moment for the writer: for who must not go before it is done. */
void meter_engine_wait(struct meter_engine *engine);

#endif
