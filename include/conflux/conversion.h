/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion and selection of Information Elements (RFC 6183 section 5.3.1 and
 * 5.3.2): fields are left out, get other elements, other lengths (RFC 7011
 * section 6.2), other formats of time, other places, and fields with constants
 * are added.
 */
#ifndef CONFLUX_CONVERSION_H
#define CONFLUX_CONVERSION_H

#include "conflux/stage.h"

enum conversion_kind {
	CONVERSION_KEEP, /* nothing but these */
	CONVERSION_DROP,
	CONVERSION_FIRST, /* in this order before all others */
	CONVERSION_LAST,
	CONVERSION_RENAME, /* another element, of a type that can hold it */
	CONVERSION_LENGTH,
	CONVERSION_TIME,
	CONVERSION_CONSTANT, /* a new field */
	CONVERSION_KINDS,
};

enum {
	CONVERSION_RULES_MAX = 256,
	CONVERSION_VALUE_MAX = 255, /* octets of a constant */
};

struct conversion_rule {
	enum conversion_kind kind;
	/*
	 * Elements that the rule is for: by name, by a pattern of names with *
	 * and ?, or as e12345id678; and all of these enterprises. RENAME and
	 * CONSTANT: one name. TIME: none are all.
	 */
	const char *const *element;
	unsigned element_count;
	const uint32_t *enterprise;
	unsigned enterprise_count;
	/*
	 * RENAME: an element. LENGTH: octets, "natural" or "variable". TIME: a
	 * format. CONSTANT: the value.
	 */
	const char *text;
	/* If a record has what it would get by the rule: that is left out, not
	 * the rule. */
	bool replace;
};

struct conversion_conf {
	const char *name; /* kept by the caller */
	const struct conversion_rule *rule;
	unsigned rule_count;
	bool options;  /* of Options Data Records, too, but for their scope */
	bool saturate; /* a value that does not fit becomes the nearest one */
	struct ie_registry *registry;
	struct shape_table *shapes;
};

struct conversion_error {
	unsigned rule; /* whose mistake it is; rule_count: of none */
	int element;   /* which of its elements; -1: what it does with them */
	char *text;    /* to be freed; NULL without memory */
};

/*
 * The rules are applied in their order; what becomes of a value is one step,
 * from what came in to what goes out. -EINVAL: *error tells why; -ENOMEM. But
 * for what is said, conf need not be kept.
 *
 * What has a value that does not fit is lost (LOSS_UNFIT), as is what would
 * have no field (LOSS_NO_FIELD).
 */
int conversion_stage_new(const struct conversion_conf *conf, struct stage **out,
			 struct conversion_error *error);

#endif
