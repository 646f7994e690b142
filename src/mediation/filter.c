/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An expression and its programs: one for each shape and class of scopes that
 * was met. They are bounded; when there are too many, all are made anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "internal.h"

void
filter_free(struct filter *filter)
{
	struct program *program;
	uint32_t at = 0;

	if (!filter)
		return;
	while ((program = table_next(&filter->programs, &at)))
		program_free(program);
	table_fini(&filter->programs);
	free(filter->nodes.item);
	free(filter->terms.item);
	free(filter->groups.item);
	free(filter->ranges.item);
	free(filter->patterns.item);
	free(filter->octets.item);
	free(filter->rows);
	free(filter);
}

int
filter_new(const char *text, struct ie_registry *registry, struct filter **out,
	   struct filter_error *error)
{
	struct filter *filter = calloc(1, sizeof(*filter));
	struct parser parser = {
		.filter = filter,
		.text = text,
		.end = text,
		.error = error,
	};
	int rc;

	*error = (struct filter_error){0};
	if (!filter)
		return -ENOMEM;
	filter->registry = registry;
	if (strlen(text) > FILTER_TEXT_MAX)
		rc = parse_error(&parser, text,
				 "the expression has more than "
				 "%d octets",
				 FILTER_TEXT_MAX);
	else
		rc = parse_filter(&parser);
	free(parser.values.item);
	if (rc < 0) {
		filter_free(filter);
		return rc;
	}
	*out = filter;
	return 0;
}

/* ---- programs ---------------------------------------------------------- */

struct wanted {
	const struct shape *shape;
	unsigned class;
};

static bool
program_equal(const void *item, const void *key)
{
	const struct program *program = item;
	const struct wanted *wanted = key;

	return program->shape == wanted->shape &&
	       program->class == wanted->class;
}

static void
forget_programs(struct filter *filter)
{
	struct program *program;
	uint32_t at = 0;

	while ((program = table_next(&filter->programs, &at)))
		program_free(program);
	table_fini(&filter->programs);
	filter->programs = (struct table){0};
	filter->last = NULL;
}

static int
make_program(struct filter *filter, const struct batch *batch, uint32_t hash)
{
	struct program *program;
	int rc;

	if (filter->programs.count >= PROGRAMS_MAX)
		forget_programs(filter);
	rc = program_new(filter, batch, &program);
	if (rc < 0)
		return rc;
	rc = table_add(&filter->programs, hash, program);
	if (rc < 0) {
		program_free(program);
		return rc;
	}
	filter->last = program;
	return 0;
}

static int
find_program(struct filter *filter, const struct batch *batch)
{
	struct wanted wanted = {batch->shape, scope_class(batch->scope)};
	struct program *program = filter->last;
	uint32_t hash;

	if (program && program_equal(program, &wanted))
		return 0;
	hash = (uint32_t)hash_u64(batch->shape->serial, wanted.class);
	program = table_find(&filter->programs, hash, program_equal, &wanted);
	if (!program)
		return make_program(filter, batch, hash);
	filter->last = program;
	return 0;
}

int
filter_run(struct filter *filter, const struct batch *batch, uint32_t *index)
{
	const uint8_t *verdict = filter->reg[0];
	uint32_t kept = 0;
	int rc = find_program(filter, batch);

	if (rc < 0)
		return rc;
	if (filter->last->outcome == OUTCOME_FALSE)
		return 0;
	if (filter->last->outcome == OUTCOME_OPEN)
		program_run(filter, filter->last, batch);
	else
		memset(filter->reg[0], 1, batch->count);
	for (uint32_t i = 0; i < batch->count; i++) {
		index[kept] = i;
		kept += verdict[i];
	}
	return (int)kept;
}

/* ---- what it looks at -------------------------------------------------- */

static int
want_ids(const struct filter *filter, const uint16_t *id,
	 int (*want)(void *arg, const struct ie *ie, uint16_t length),
	 void *arg)
{
	int rc = 0;

	for (; rc == 0 && *id; id++)
		rc = want(arg, ie_find(filter->registry, 0, *id), 0);
	return rc;
}

static int
want_operand(const struct filter *filter, const struct operand *operand,
	     int (*want)(void *arg, const struct ie *ie, uint16_t length),
	     void *arg)
{
	static const uint16_t time[] = {IE_flowStartNanoseconds,
					IE_flowEndNanoseconds, 0};
	static const uint16_t counts[] = {IE_octetDeltaCount,
					  IE_packetDeltaCount, 0};
	int rc = 0;

	if (operand->part <= PART_LOW)
		return want(arg, operand->ie, 0);
	if (operand->part != PART_PACKET_SIZE)
		rc = want_ids(filter, time, want, arg);
	if (rc == 0 && operand->part != PART_DURATION)
		rc = want_ids(filter, counts, want, arg);
	return rc;
}

int
filter_wants(const struct filter *filter,
	     int (*want)(void *arg, const struct ie *ie, uint16_t length),
	     void *arg)
{
	const struct group *group = LIST(group, filter->groups);
	int rc = 0;

	/* Of elements that stand for one another the first will do. */
	for (uint32_t i = 0; rc == 0 && i < filter->groups.count; i++)
		rc = want_operand(filter, &group[i].operand[0], want, arg);
	return rc;
}
