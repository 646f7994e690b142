/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The BER of data packages (RFC 2720 flowPackageData): one SEQUENCE of simple
 * values in the order of the package selector. Neither direction allocates;
 * decoded octets point into the caller's buffer.
 */
#ifndef CONFLUX_METERMIB_BER_H
#define CONFLUX_METERMIB_BER_H

#include <stddef.h>
#include <stdint.h>

#include "conflux/wire.h"

enum ber_tag {
	BER_INTEGER = 0x02,
	BER_OCTET_STRING = 0x04,
	BER_NULL = 0x05,
	BER_SEQUENCE = 0x30,
	BER_IP_ADDRESS = 0x40,
	BER_COUNTER32 = 0x41,
	BER_GAUGE32 = 0x42, /* and Unsigned32 */
	BER_TIME_TICKS = 0x43,
	BER_OPAQUE = 0x44,
	BER_COUNTER64 = 0x46,
	BER_UINTEGER32 = 0x47, /* of the old SNMPv2p SMI */
};

enum ber_kind {
	BER_KIND_ABSENT, /* NULL or an empty string: the meter has no value */
	BER_KIND_NUMBER,
	BER_KIND_OCTETS,
};

struct ber_value {
	uint8_t kind;	       /* enum ber_kind */
	uint8_t tag;	       /* as received, of the inner one if wrapped */
	uint16_t length;       /* of octets */
	uint64_t number;       /* unsigned, whatever the tag */
	const uint8_t *octets; /* into the package; NULL if not octets */
};

/* A selector octet string, and so a package, has at most so many values. */
#define BER_PACKAGE_MAX 128

/*
 * Decodes a package that must hold exactly count values and nothing behind
 * them. RFC 2720 does not say which tags a meter uses, hence every tag that can
 * carry an unsigned number is taken as one. 0, or -EBADMSG, or -EINVAL if count
 * is 0 or above BER_PACKAGE_MAX; values are then undefined.
 */
int ber_read_package(const void *data, size_t length, struct ber_value *value,
		     unsigned count);

/*
 * Encodes a package into a buffer of the caller:
 *
 *	ber_package_begin(&w, buffer, sizeof(buffer));
 *	ber_put_number(&w, BER_COUNTER64, octets); ...
 *	err = ber_package_end(&w, buffer, &package, &length);
 *
 * The writer is sticky, ber_package_end returns -ENOSPC if anything did not
 * fit. package points into buffer, up to BER_HEADER_MAX octets behind its
 *start.
 */
#define BER_HEADER_MAX 4

void ber_package_begin(struct writer *w, void *buffer, size_t size);
void ber_put_number(struct writer *w, uint8_t tag, uint64_t number);
void ber_put_octets(struct writer *w, const void *octets, size_t length);
int ber_package_end(struct writer *w, void *buffer, const uint8_t **package,
		    size_t *length);

#endif
