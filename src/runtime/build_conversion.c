/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Conversion from its element of the configuration. */
#include <errno.h>
#include <stdlib.h>

#include "conflux/conversion.h"
#include "runtime.h"

/* The rules, with the lists that they refer to. */
struct rules {
	struct conversion_rule *rule;
	const struct conf_node **node;
	const char **text;
	uint32_t *number;
	unsigned count, text_count, number_count;
};

static const struct {
	const char *name;
	enum conversion_kind kind;
} kinds[CONVERSION_KINDS] = {
	{"keep", CONVERSION_KEEP},	 {"drop", CONVERSION_DROP},
	{"first", CONVERSION_FIRST},	 {"last", CONVERSION_LAST},
	{"rename", CONVERSION_RENAME},	 {"encodedLength", CONVERSION_LENGTH},
	{"timeFormat", CONVERSION_TIME}, {"constant", CONVERSION_CONSTANT},
};

/* What a rule does; the rows ask for one of them. */
static const struct conf_node *
what_of(const struct conf_node *rule, enum conversion_kind *kind)
{
	const struct conf_node *child = NULL;

	for (int i = 0; i < CONVERSION_KINDS && !child; i++) {
		child = conf_child(rule, kinds[i].name);
		*kind = kinds[i].kind;
	}
	return child;
}

static void
add_rule(struct rules *r, const struct conf_node *node)
{
	struct conversion_rule *rule = &r->rule[r->count];
	const struct conf_node *child = what_of(node, &rule->kind);

	r->node[r->count++] = node;
	rule->text = child && child->text ? child->text : "";
	rule->replace = conf_is(node, "existing", "replace");
	rule->element = r->text + r->text_count;
	conf_each (child, node, "ieName")
		r->text[r->text_count++] = child->text;
	rule->element_count = conf_count(node, "ieName");
	rule->enterprise = r->number + r->number_count;
	conf_each (child, node, "enterprise")
		r->number[r->number_count++] = (uint32_t)child->number;
	rule->enterprise_count = conf_count(node, "enterprise");
}

static int
read_rules(struct rules *r, const struct conf_node *kind)
{
	unsigned rules = conf_count(kind, "rule"), texts = 0, numbers = 0;
	const struct conf_node *node;

	conf_each (node, kind, "rule") {
		texts += conf_count(node, "ieName");
		numbers += conf_count(node, "enterprise");
	}
	r->rule = calloc(rules + 1, sizeof(*r->rule));
	r->node = calloc(rules + 1, sizeof(*r->node));
	r->text = calloc(texts + 1, sizeof(*r->text));
	r->number = calloc(numbers + 1, sizeof(*r->number));
	if (!r->rule || !r->node || !r->text || !r->number)
		return -ENOMEM;
	conf_each (node, kind, "rule")
		add_rule(r, node);
	return 0;
}

/* The element that is wrong, or what the rule does, or the rule. */
static const struct conf_node *
guilty_node(const struct conf_node *rule, const struct conversion_error *why)
{
	const struct conf_node *leaf;
	enum conversion_kind kind;
	int n = 0;

	conf_each (leaf, rule, "ieName")
		if (n++ == why->element)
			return leaf;
	leaf = what_of(rule, &kind);
	return leaf ? leaf : rule;
}

int
make_conversion(const struct mediation_place *place,
		const struct conf_node *kind, struct stage **out,
		struct mediation_error *error)
{
	struct rules r = {.count = 0};
	struct conversion_error why = {.text = NULL};
	struct conversion_conf conf;
	int rc = read_rules(&r, kind);

	conf = (struct conversion_conf){
		.name = conf_name(kind->parent),
		.rule = r.rule,
		.rule_count = r.count,
		.options = conf_bool(kind, "optionsData"),
		.saturate = conf_is(kind, "overflow", "saturate"),
		.registry = place->registry,
		.shapes = place->shapes,
	};
	if (rc == 0)
		rc = conversion_stage_new(&conf, out, &why);
	if (rc < 0 && why.text && why.rule < r.count)
		error->at = guilty_node(r.node[why.rule], &why);
	error->text = why.text;
	free(r.rule);
	free(r.node);
	free(r.text);
	free(r.number);
	return rc;
}
