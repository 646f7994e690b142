/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The reader of files of rules: two passes, labels first. */
#include "meter_rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attribute.h"
#include "conflux/log.h"
#include "conflux/meter_reader.h"

enum {
	LINE_MAX_OCTETS = 512,
	WORDS = 6,
	LABELS_MAX = 4096,
};

struct label {
	char name[32];
	unsigned rule; /* from 1 */
};

struct parse {
	const char *path;
	unsigned line;
	unsigned rule; /* the one being read, from 1 */
	unsigned mistakes;
	unsigned label_count;
	struct label *label;
	struct meter_rules *out;
};

static const char *const action_name[] = {
	[RULE_IGNORE] = "Ignore",
	[RULE_NO_MATCH] = "NoMatch",
	[RULE_COUNT] = "Count",
	[RULE_COUNT_PKT] = "CountPkt",
	[RULE_RETURN] = "Return",
	[RULE_GOSUB] = "Gosub",
	[RULE_GOSUB_ACT] = "GosubAct",
	[RULE_ASSIGN] = "Assign",
	[RULE_ASSIGN_ACT] = "AssignAct",
	[RULE_GOTO] = "Goto",
	[RULE_GOTO_ACT] = "GotoAct",
	[RULE_PUSH_RULE_TO] = "PushRuleTo",
	[RULE_PUSH_RULE_TO_ACT] = "PushRuleToAct",
	[RULE_PUSH_PKT_TO] = "PushPktTo",
	[RULE_PUSH_PKT_TO_ACT] = "PushPktToAct",
	[RULE_POP_TO] = "PopTo",
	[RULE_POP_TO_ACT] = "PopToAct",
};

static void
mistake(struct parse *parse, const char *what, const char *word)
{
	parse->mistakes++;
	log_error("%s:%u: %s: %s", parse->path, parse->line, word, what);
}

static bool
parse_number(const char *word, unsigned long most, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)*word))
		return false;
	*number = strtoul(word, &end, 0);
	return *end == '\0' && *number <= most;
}

static int
parse_attribute(const char *word)
{
	const struct attribute *attribute = attribute_find_name(word);
	unsigned long number;

	if (!attribute && parse_number(word, 255, &number))
		attribute = attribute_find((unsigned)number);
	return attribute ? attribute->number : -EINVAL;
}

static int
parse_action(const char *word)
{
	unsigned long number;

	for (int i = RULE_IGNORE; i <= RULE_POP_TO_ACT; i++)
		if (strcasecmp(word, action_name[i]) == 0)
			return i;
	if (parse_number(word, RULE_POP_TO_ACT, &number) && number)
		return (int)number;
	return -EINVAL;
}

/* Pairs of hexadecimal digits, apart by a character or not. */
static int
parse_hex(const char *word, char between, uint8_t *octets)
{
	int n = 0;

	while (*word) {
		unsigned octet;

		if (n == RULE_ADDRESS_MAX ||
		    !isxdigit((unsigned char)word[0]) ||
		    !isxdigit((unsigned char)word[1]) ||
		    sscanf(word, "%2x", &octet) != 1)
			return -EINVAL;
		octets[n++] = (uint8_t)octet;
		word += 2;
		if (between && *word && *word++ != between)
			return -EINVAL;
	}
	return n;
}

/*
 * An integer stands in as many octets as the attribute has in SRL: one, or two
 * for ports and interfaces.
 */
static int
put_number(const struct attribute *attribute, unsigned long number,
	   uint8_t *octets)
{
	bool two = attribute->role == ATTRIBUTE_ROLE_INTERFACE ||
		   (attribute->min == 2 && attribute->max == 2);

	if (number > (two ? 65535 : 255)) {
		if (attribute->syntax != ATTRIBUTE_SYNTAX_OCTETS)
			return -EINVAL;
		for (int i = 0; i < 4; i++)
			octets[i] = (uint8_t)(number >> (24 - 8 * i));
		return 4;
	}
	if (!two) {
		octets[0] = (uint8_t)number;
		return 1;
	}
	octets[0] = (uint8_t)(number >> 8);
	octets[1] = (uint8_t)number;
	return 2;
}

/* Octets of a mask or value; the rest is zero. Returns how many, or -EINVAL. */
static int
parse_octets(const char *word, const struct attribute *attribute,
	     uint8_t octets[RULE_ADDRESS_MAX])
{
	unsigned long number;

	memset(octets, 0, RULE_ADDRESS_MAX);
	if (parse_number(word, UINT32_MAX, &number))
		return put_number(attribute, number, octets);
	if (strncmp(word, "x:", 2) == 0)
		return parse_hex(word + 2, '\0', octets);
	if (inet_pton(AF_INET, word, octets) == 1)
		return 4;
	if (inet_pton(AF_INET6, word, octets) == 1)
		return 16;
	return parse_hex(word, '-', octets);
}

static int
parse_parameter(const struct parse *parse, const char *word)
{
	unsigned long number;

	if (parse_number(word, 65535, &number))
		return (int)number;
	for (unsigned i = 0; i < parse->label_count; i++)
		if (strcasecmp(parse->label[i].name, word) == 0)
			return (int)parse->label[i].rule;
	return -EINVAL;
}

static void
parse_rule(struct parse *parse, char *word[], unsigned count)
{
	struct meter_rule *rule = &parse->out->rule[parse->rule - 1];
	const struct attribute *attribute;
	int selector, action, mask, value, parameter = 0;

	if (count < 4 || count > 5) {
		mistake(parse, "expected attribute, mask, value, action and "
			"perhaps a parameter", word[0]);
		return;
	}
	selector = parse_attribute(word[0]);
	attribute = selector < 0 ? NULL : attribute_find((unsigned)selector);
	if (!attribute || !attribute->testable) {
		mistake(parse, "is no attribute that a rule can test",
			word[0]);
		return;
	}
	mask = parse_octets(word[1], attribute, rule->mask);
	if (mask < 0)
		mistake(parse, "is no mask of this attribute", word[1]);
	action = parse_action(word[3]);
	if (action < 0)
		mistake(parse, "is no action", word[3]);
	value = parse_octets(word[2], attribute, rule->value);
	if (action == RULE_ASSIGN || action == RULE_ASSIGN_ACT) {
		value = parse_attribute(word[2]);
		memset(rule->value, 0, sizeof(rule->value));
		if (value >= 0)
			rule->value[0] = (uint8_t)value;
		value = value < 0 ? value : 1;
	}
	if (value < 0)
		mistake(parse, "is no value of this attribute", word[2]);
	if (count == 5)
		parameter = parse_parameter(parse, word[4]);
	if (parameter < 0)
		mistake(parse, "is neither a number nor a label", word[4]);
	if (mask < value)
		mask = value;
	rule->selector = (uint8_t)selector;
	rule->action = (uint8_t)action;
	rule->parameter = (uint16_t)parameter;
	rule->length = (uint8_t)(mask < 2 ? 2 : mask);
}

static void
parse_label(struct parse *parse, char *word)
{
	struct label *label = &parse->label[parse->label_count];

	word[strlen(word) - 1] = '\0';
	if (!*word || strlen(word) >= sizeof(label->name) ||
	    parse->label_count == LABELS_MAX) {
		mistake(parse, "too many labels, or not 1 to 31 characters",
			word);
		return;
	}
	for (unsigned i = 0; i < parse->label_count; i++)
		if (strcasecmp(parse->label[i].name, word) == 0)
			mistake(parse, "label is there twice", word);
	memcpy(label->name, word, strlen(word) + 1);
	label->rule = parse->rule + 1;
	parse->label_count++;
}

/* One line: in the first pass labels are taken, in the second rules. */
static void
parse_line(struct parse *parse, char *line, bool labels)
{
	char *word[WORDS], *save, *next;
	unsigned count = 0;

	line[strcspn(line, "#\r\n")] = '\0';
	next = strtok_r(line, " \t", &save);
	while (next && count < WORDS) {
		word[count++] = next;
		next = strtok_r(NULL, " \t", &save);
	}
	if (count && word[0][strlen(word[0]) - 1] == ':') {
		if (labels)
			parse_label(parse, word[0]);
		memmove(word, word + 1, --count * sizeof(*word));
	}
	if (!count)
		return;
	parse->rule++;
	if (!labels)
		parse_rule(parse, word, count);
}

static void
parse_file(struct parse *parse, FILE *file, bool labels)
{
	char line[LINE_MAX_OCTETS];

	parse->line = parse->rule = 0;
	rewind(file);
	while (fgets(line, sizeof(line), file) &&
	       parse->rule < METER_RULES_MAX) {
		parse->line++;
		if (!strchr(line, '\n') && !feof(file)) {
			mistake(parse, "line is too long", "rules");
			return;
		}
		parse_line(parse, line, labels);
	}
}

int
meter_rules_read(const char *path, struct meter_rules *out)
{
	struct parse parse = {.path = path, .out = out};
	FILE *file = fopen(path, "re");
	int err = 0;

	*out = (struct meter_rules){0};
	if (!file) {
		err = -errno;
		log_error("rule set file %s: %s", path, strerror(errno));
		return err;
	}
	parse.label = calloc(LABELS_MAX, sizeof(*parse.label));
	if (parse.label)
		parse_file(&parse, file, true);
	out->count = parse.rule;
	out->rule = calloc(out->count + 1, sizeof(*out->rule));
	if (!parse.label || !out->rule) {
		err = -ENOMEM;
	} else if (!out->count) {
		log_error("rule set file %s: has no rule", path);
		err = -EINVAL;
	} else {
		parse_file(&parse, file, false);
		err = parse.mistakes ? -EINVAL : 0;
	}
	fclose(file);
	free(parse.label);
	if (err)
		meter_rules_fini(out);
	return err;
}

void
meter_rules_fini(struct meter_rules *rules)
{
	free(rules->rule);
	*rules = (struct meter_rules){0};
}

int
meter_rules_check(const char *path)
{
	struct meter_rules rules = {0};
	int err = meter_rules_read(path, &rules);

	meter_rules_fini(&rules);
	return err;
}
