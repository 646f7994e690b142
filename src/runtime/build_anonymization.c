/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymisation of the configuration. Its key is read here, and wiped once the
 * stage has been made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/anonymize.h"
#include "conflux/secure.h"
#include "runtime.h"

/* The rules, with the lists that they refer to. */
struct rules {
	struct anonymize_rule *rule;
	const struct conf_node **node;
	const char **text;
	unsigned count, text_count;
};

static const struct {
	const char *name;
	enum anonymize_method method;
} methods[] = {
	{"real", ANONYMIZE_NONE},
	{"remove", ANONYMIZE_REMOVE},
	{"truncation", ANONYMIZE_TRUNCATION},
	{"reverseTruncation", ANONYMIZE_REVERSE_TRUNCATION},
	{"permutation", ANONYMIZE_PERMUTATION},
	{"prefixPreserving", ANONYMIZE_PREFIX_PRESERVING},
	{"structuredPermutation", ANONYMIZE_STRUCTURED},
	{"precision", ANONYMIZE_PRECISION},
	{"binning", ANONYMIZE_BINNING},
	{"knownValue", ANONYMIZE_VALUE},
	{"enumeration", ANONYMIZE_ENUMERATION},
	{"randomShift", ANONYMIZE_SHIFT},
	{"noise", ANONYMIZE_NOISE},
};

static const struct {
	const char *name;
	unsigned group;
} groups[] = {
	{"ipv4Address", ANONYMIZE_IPV4},     {"ipv6Address", ANONYMIZE_IPV6},
	{"macAddress", ANONYMIZE_MAC},	     {"port", ANONYMIZE_PORTS},
	{"timestamp", ANONYMIZE_TIMESTAMPS}, {"counter", ANONYMIZE_COUNTERS},
};

/* The texts of all children of that name, in the list of texts. */
static const char *const *
texts_of(struct rules *r, const struct conf_node *node, const char *name,
	 unsigned *count)
{
	const char **first = r->text + r->text_count;
	const struct conf_node *child;

	conf_each (child, node, name)
		r->text[r->text_count++] = child->text;
	*count = (unsigned)(r->text + r->text_count - first);
	return first;
}

static void
add_rule(struct rules *r, const struct conf_node *node)
{
	struct anonymize_rule *rule = &r->rule[r->count];
	const struct conf_node *child = NULL;
	size_t m = 0;

	r->node[r->count++] = node;
	/* The rows ask for one of them. */
	for (; m < sizeof(methods) / sizeof(methods[0]) && !child; m++)
		child = conf_child(node, methods[m].name);
	rule->method = methods[m - 1].method;
	rule->bits = child ? (unsigned)child->number : 0;
	rule->amount = child ? child->number : 0;
	rule->value = child ? child->text : NULL;
	rule->unchanged =
		child ? (unsigned)conf_uint(child, "unchangedBits", 0) : 0;
	rule->bin = texts_of(r, conf_child(node, "binning"), "bin",
			     &rule->bin_count);
	rule->element = texts_of(r, node, "ieName", &rule->element_count);
	conf_each (child, node, "group")
		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			if (strcmp(child->text, groups[i].name) == 0)
				rule->groups |= groups[i].group;
}

static int
read_rules(struct rules *r, const struct conf_node *kind)
{
	unsigned rules = conf_count(kind, "rule"), texts = 0;
	const struct conf_node *node;

	conf_each (node, kind, "rule")
		texts += conf_count(conf_child(node, "binning"), "bin") +
			 conf_count(node, "ieName");
	r->rule = calloc(rules + 1, sizeof(*r->rule));
	r->node = calloc(rules + 1, sizeof(*r->node));
	r->text = calloc(texts + 1, sizeof(*r->text));
	if (!r->rule || !r->node || !r->text)
		return -ENOMEM;
	conf_each (node, kind, "rule")
		add_rule(r, node);
	return 0;
}

/*
 * Where it is only tried, the file may be missing: it will be there where the
 * daemon runs.
 */
static int
read_key(const struct mediation_place *place, const struct conf_node *kind,
	 uint8_t key[ANONYMIZE_KEY], bool *have, char **error)
{
	const char *path = conf_path(kind, "keyFile");

	*have = path != NULL;
	if (!path || (!place->worker && access(path, R_OK) < 0))
		return 0;
	return secure_key_read(path, key, ANONYMIZE_KEY, error);
}

static int
make_stage(const struct mediation_place *place, const struct conf_node *kind,
	   const struct rules *r, struct stage **out,
	   struct mediation_error *error)
{
	uint8_t key[ANONYMIZE_KEY] = {0};
	struct anonymize_conf conf = {
		.rule = r->rule,
		.rule_count = r->count,
		.keep_unknown = conf_bool(kind, "keepUnknown"),
	};
	struct anonymize_error why = {.text = NULL};
	bool have;
	int rc = read_key(place, kind, key, &have, &error->text);

	if (rc < 0) {
		error->at = conf_child(kind, "keyFile");
		return rc;
	}
	conf.key = have ? key : NULL;
	rc = anonymize_stage_new(conf_name(kind->parent), &conf,
				 place->registry, place->shapes, out, &why);
	explicit_bzero(key, sizeof(key));
	if (rc < 0 && why.rule < r->count)
		error->at = r->node[why.rule];
	error->text = why.text;
	return rc;
}

int
make_anonymization(const struct mediation_place *place,
		   const struct conf_node *kind, struct stage **out,
		   struct mediation_error *error)
{
	struct rules r = {.count = 0};
	int rc = read_rules(&r, kind);

	if (rc == 0)
		rc = make_stage(place, kind, &r, out, error);
	free(r.rule);
	free(r.node);
	free(r.text);
	return rc;
}
