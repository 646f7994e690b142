/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Intermediate Anonymisation Process (RFC 6235): what is in the elements
 * that its rules name is replaced, made coarser or left out, and the shapes of
 * the records that it passes on say so (struct field_mark).
 *
 * The first rule that has an element counts. Elements that no rule has pass as
 * they are, but for those that can hold what rules are about without being
 * values: packet sections, structured data (RFC 6313), elements that nobody
 * knows, and, where a rule has ANONYMIZE_TIMESTAMPS, times relative to another.
 * They are left out unless a rule has them by name.
 */
#ifndef CONFLUX_ANONYMIZE_H
#define CONFLUX_ANONYMIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/ie.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

enum anonymize_method {
	ANONYMIZE_NONE,	  /* the values are real, and declared to be */
	ANONYMIZE_REMOVE, /* black-marker: the field is left out */
	ANONYMIZE_TRUNCATION,
	ANONYMIZE_REVERSE_TRUNCATION,
	ANONYMIZE_PERMUTATION,	     /* with the key */
	ANONYMIZE_PREFIX_PRESERVING, /* with the key: Crypto-PAn */
	ANONYMIZE_STRUCTURED,	     /* with the key: OUI and rest of a MAC */
	ANONYMIZE_PRECISION,
	ANONYMIZE_BINNING,
	ANONYMIZE_VALUE,       /* the same one for all */
	ANONYMIZE_ENUMERATION, /* of times */
	ANONYMIZE_SHIFT,       /* with the key: of times */
	ANONYMIZE_NOISE,
	ANONYMIZE_METHODS,
};

/* Elements that are meant together, their reverse ones (RFC 5103) as well. */
enum {
	ANONYMIZE_IPV4 = 1,	   /* of type ipv4Address */
	ANONYMIZE_IPV6 = 2,	   /* of type ipv6Address */
	ANONYMIZE_MAC = 4,	   /* of type macAddress */
	ANONYMIZE_PORTS = 8,	   /* of transport, as sourceTransportPort */
	ANONYMIZE_TIMESTAMPS = 16, /* of a dateTime type */
	ANONYMIZE_COUNTERS = 32,   /* unsigned delta and total counters */
};

enum {
	ANONYMIZE_KEY = 32, /* octets */
	ANONYMIZE_RULES_MAX = 256,
	ANONYMIZE_BINS_MAX = 256, /* of a rule */
};

struct anonymize_rule {
	enum anonymize_method method;
	unsigned groups;
	const char *const *element; /* names */
	unsigned element_count;
	/* TRUNCATION, REVERSE_TRUNCATION: bits that become 0. */
	unsigned bits;
	/* PREFIX_PRESERVING: low-order bits that stay. */
	unsigned unchanged;
	/* PRECISION: the unit, of times in milliseconds. ENUMERATION:
	 * milliseconds from one to the next. SHIFT: seconds at most. NOISE:
	 * percent of the value at most. */
	uint64_t amount;
	/* BINNING: "FROM", "FROM-TO", "FROM=BIN" or "FROM-TO=BIN"; the first
	 * that has a value counts, what none has becomes 0. */
	const char *const *bin;
	unsigned bin_count;
	const char *value; /* VALUE: as text */
};

struct anonymize_conf {
	const struct anonymize_rule *rule;
	unsigned rule_count;
	const uint8_t *key; /* ANONYMIZE_KEY octets, or NULL */
	bool keep_unknown;  /* nameless elements are not left out */
};

/* Do these rules need a key? */
bool anonymize_needs_key(const struct anonymize_conf *conf);

struct anonymize_error {
	unsigned rule; /* whose mistake it is; rule_count: of none */
	char *text;    /* to be freed; NULL without memory */
};

/*
 * -EINVAL: *error tells why; -ENOMEM. The name and the values of rules are kept
 * by the caller; the rest of conf, and the key, need not be.
 *
 * Records whose fields are all left out count as filtered. Options Data Records
 * are worked on like others (RFC 6235 section 7.2.4).
 */
int anonymize_stage_new(const char *name, const struct anonymize_conf *conf,
			struct ie_registry *registry,
			struct shape_table *shapes, struct stage **out,
			struct anonymize_error *error);

#endif
