/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Information Elements (RFC 7012) and their registry. The IANA elements are a
 * constant table made from xml/ipfix-elements.xml at build time; a registry
 * adds the elements of the user's files, those learnt from RFC 5610 options,
 * and a nameless element (octets) for each unknown (PEN, id) that is met.
 * An element is immutable and lives as long as its registry, but for nameless
 * ones that came by ie_meet: these live as long as a shape has them. Shapes are
 * to be released before their registry is freed. One registry per worker, so
 * there is no locking.
 */
#ifndef CONFLUX_IE_H
#define CONFLUX_IE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Abstract data types with the numbers of RFC 5610 section 3.1. */
enum ie_type {
	IE_OCTET_ARRAY = 0,
	IE_UNSIGNED8 = 1,
	IE_UNSIGNED16 = 2,
	IE_UNSIGNED32 = 3,
	IE_UNSIGNED64 = 4,
	IE_SIGNED8 = 5,
	IE_SIGNED16 = 6,
	IE_SIGNED32 = 7,
	IE_SIGNED64 = 8,
	IE_FLOAT32 = 9,
	IE_FLOAT64 = 10,
	IE_BOOLEAN = 11,
	IE_MAC_ADDRESS = 12,
	IE_STRING = 13,
	IE_DATE_TIME_SECONDS = 14,
	IE_DATE_TIME_MILLISECONDS = 15,
	IE_DATE_TIME_MICROSECONDS = 16,
	IE_DATE_TIME_NANOSECONDS = 17,
	IE_IPV4_ADDRESS = 18,
	IE_IPV6_ADDRESS = 19,
	IE_BASIC_LIST = 20,
	IE_SUB_TEMPLATE_LIST = 21,
	IE_SUB_TEMPLATE_MULTI_LIST = 22,
	IE_UNSIGNED256 = 23,
};

/* Semantics with the numbers of RFC 5610 section 3.2. */
enum ie_semantics {
	IE_DEFAULT = 0,
	IE_QUANTITY = 1,
	IE_TOTAL_COUNTER = 2,
	IE_DELTA_COUNTER = 3,
	IE_IDENTIFIER = 4,
	IE_FLAGS = 5,
	IE_LIST = 6,
	IE_SNMP_COUNTER = 7,
	IE_SNMP_GAUGE = 8,
};

enum {
	IE_PEN_REVERSE = 29305, /* RFC 5103 section 6.1 */
	IE_VARIABLE = 65535,    /* length of a variable-length field */
};

struct ie {
	uint32_t pen; /* 0: IANA */
	uint16_t id;
	uint16_t length; /* natural length in octets, or IE_VARIABLE */
	uint8_t type;    /* enum ie_type */
	uint8_t semantics;
	uint8_t units; /* IANA "IPFIX Information Element Units" number */
	bool reversible;
	bool deprecated;
	bool unknown;      /* nothing but (PEN, id) is known */
	const char *name;  /* "octetDeltaCount"; unknown: "e12345id678" */
	const char *description; /* of learnt and user elements, or NULL */
	uint64_t range_min, range_max; /* both 0: no range */
	const struct ie *forward; /* of a reverse element, else NULL */
};

/* IE_octetDeltaCount and so on: the ids of IANA's elements, from xml/. */
#define ELEMENT(number, name, ...) IE_##name = number,
enum ie_id {
#include "src/ipfix/elements.inc"
};
#undef ELEMENT

struct ie_registry;

/* max_added bounds user, learnt and unknown elements together. */
struct ie_registry *ie_registry_new(uint32_t max_added);
void ie_registry_free(struct ie_registry *registry);

/* The element, or NULL if it is not known. PEN 29305 gives reverse elements. */
const struct ie *ie_find(const struct ie_registry *registry, uint32_t pen,
			 uint16_t id);

/*
 * The element; an unknown one is added as a nameless octetArray. NULL only if
 * the registry is full or there is no memory.
 */
const struct ie *ie_get(struct ie_registry *registry, uint32_t pen,
			uint16_t id);

/*
 * The element for a field that a peer sends with this length: if it is not
 * known, or if its type cannot have the length (ie_length_ok), a nameless
 * octetArray, so that the octets are carried and nobody takes them for a value
 * of the type. It is held for the caller (ie_release). NULL as ie_get.
 */
const struct ie *ie_meet(struct ie_registry *registry, uint32_t pen,
			 uint16_t id, uint16_t length);

/* Keeps a nameless element; shapes do it for theirs. Others need no hold. */
const struct ie *ie_hold(const struct ie *ie);
void ie_release(const struct ie *ie);

/* By name, exactly ("reverseOctetDeltaCount" included), or NULL. */
const struct ie *ie_by_name(const struct ie_registry *registry,
			    const char *name);

/* The name nearest to one that is not known, for messages; may be NULL. */
const char *ie_nearest_name(const struct ie_registry *registry,
			    const char *name);

/*
 * Adds (or makes known an unknown) element; strings are copied. A known one
 * stays as it is: 0 if it agrees in type, else -EEXIST. -ENOSPC: full. -EINVAL:
 * no name, or a type that does not exist. The length is that of the type,
 * whatever ie says. If the name is taken, ie_by_name keeps to the first. With
 * pen 0 and reversible the reverse element is added too.
 * An unknown element that was handed out before stays valid: shapes made with
 * it keep it, new ones get the known one.
 */
int ie_add(struct ie_registry *registry, const struct ie *ie);

/*
 * ie_add for what a peer describes (RFC 5610): -ENOSPC too when as many have
 * been learnt as may be, 4096 if not set. Learnt elements stay.
 */
int ie_learn(struct ie_registry *registry, const struct ie *ie);
void ie_registry_set_learnt_max(struct ie_registry *registry, uint32_t max);

/*
 * Names of a type or of semantics as in the IANA registry ("unsigned64"), and
 * back (-EINVAL). ie_type_length gives the natural length of a type.
 */
const char *ie_type_name(uint8_t type);
const char *ie_semantics_name(uint8_t semantics);
int ie_type_parse(const char *name);
int ie_semantics_parse(const char *name);
uint16_t ie_type_length(uint8_t type);

/* Name of a unit number ("octets"), "" for 0; and back (-EINVAL). */
const char *ie_units_name(uint8_t units);
int ie_units_parse(const char *name);

/* May a field of this element have this length (RFC 7011 6.2, 7)? */
bool ie_length_ok(const struct ie *ie, uint16_t length);

/* Iterates over all known elements in no particular order; *at starts at 0. */
const struct ie *ie_next(const struct ie_registry *registry, uint32_t *at);

#endif
