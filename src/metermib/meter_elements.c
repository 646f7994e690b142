/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Name, type, semantics and description of each of our elements, as RFC 5610
 * options will tell them to a collector.
 */
#include "meter_elements.h"

#include <errno.h>
#include <stdio.h>

#include "attribute.h"

static uint8_t
element_type(const struct attribute *attribute)
{
	if (attribute->syntax == ATTRIBUTE_SYNTAX_OCTETS)
		return IE_OCTET_ARRAY;
	if (attribute->max > 4)
		return IE_UNSIGNED64;
	return attribute->max > 1 ? IE_UNSIGNED32 : IE_UNSIGNED8;
}

static const char *
element_text(const struct attribute *attribute)
{
	switch (attribute->role) {
	case ATTRIBUTE_ROLE_ID:
		return "of the flow table it was read from";
	case ATTRIBUTE_ROLE_TYPE:
		return "the kind of the address of the same end point";
	case ATTRIBUTE_ROLE_ADDRESS:
		return "an address that has no IANA element, or is masked by "
		       "what is no prefix";
	case ATTRIBUTE_ROLE_MASK:
		return "the bits that count of the address of the same name";
	case ATTRIBUTE_ROLE_COMPUTED:
		return "a number that the rule set computed";
	case ATTRIBUTE_ROLE_SUBSCRIBER:
		return "an identification that the rule set or the meter gave";
	case ATTRIBUTE_ROLE_DISTRIBUTION:
		return "parameters, buckets and overflow of a distribution, "
		       "as RFC 2724 encodes them";
	default:
		return "as the meter has it";
	}
}

static int
element_add(struct ie_registry *registry, uint32_t pen,
	    const struct attribute *attribute)
{
	char name[64], description[256];
	struct ie ie = {
		.pen = pen,
		.id = attribute->number,
		.type = element_type(attribute),
		.semantics = attribute->role == ATTRIBUTE_ROLE_OTHER ?
			IE_DEFAULT : IE_IDENTIFIER,
		.name = name,
		.description = description,
	};
	int err;

	if (attribute->role == ATTRIBUTE_ROLE_DISTRIBUTION)
		ie.semantics = IE_DEFAULT;
	ie.length = ie.type == IE_OCTET_ARRAY ? IE_VARIABLE :
						ie_type_length(ie.type);
	snprintf(name, sizeof(name), "rtfm%s", attribute->name);
	snprintf(description, sizeof(description),
		 "RTFM attribute %u, %s (RFC 2722, RFC 2724): %s.",
		 attribute->number, attribute->name, element_text(attribute));
	err = ie_add(registry, &ie);
	/* The user may describe them in a file of his own. */
	return err == -EEXIST ? 0 : err;
}

static int
name_add(struct ie_registry *registry, uint32_t pen)
{
	const struct ie ie = {
		.pen = pen,
		.id = METER_IE_RULE_SET_NAME,
		.type = IE_STRING,
		.length = IE_VARIABLE,
		.semantics = IE_DEFAULT,
		.name = "rtfmRuleSetName",
		.description = "The name of the rule set in rtfmFlowRuleSet "
			       "(RFC 2720, flowRuleInfoName).",
	};
	int err = ie_add(registry, &ie);

	return err == -EEXIST ? 0 : err;
}

int
meter_elements_add(struct ie_registry *registry, uint32_t pen)
{
	int err = 0;

	for (unsigned n = 1; n < 256 && !err; n++) {
		const struct attribute *attribute = attribute_find(n);

		if (!attribute || attribute->role == ATTRIBUTE_ROLE_COUNTER ||
		    attribute->role == ATTRIBUTE_ROLE_SCALE ||
		    attribute->role == ATTRIBUTE_ROLE_TIME ||
		    (n > ATTRIBUTE_FLOW_LAST && n < 65))
			continue;
		err = element_add(registry, pen, attribute);
	}
	return err ? err : name_add(registry, pen);
}
