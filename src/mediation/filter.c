/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An expression and its programs: one for each shape and class of scopes that
 * was met. They are bounded; when there are too many, all are made anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void
free_program(struct shape_made *made)
{
	program_free((struct program *)made);
}

void
filter_free(struct filter *filter)
{
	if (!filter)
		return;
	shape_map_fini(&filter->programs);
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
	filter->programs.free = free_program;
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

/* NULL only without memory. */
static const struct program *
find_program(struct filter *filter, const struct batch *batch)
{
	unsigned class = scope_class(batch->scope);
	struct shape_made *made =
		shape_map_find(&filter->programs, batch->shape, class);
	struct program *program = (struct program *)made;

	if (made)
		return program;
	if (program_new(filter, batch, &program) < 0 ||
	    shape_map_add(&filter->programs, batch->shape, class,
			  &program->made) < 0)
		return NULL;
	return program;
}

int
filter_run(struct filter *filter, const struct batch *batch, uint32_t *index)
{
	const uint8_t *verdict = filter->reg[0];
	const struct program *program = find_program(filter, batch);
	uint32_t kept = 0;

	if (!program)
		return -ENOMEM;
	if (program->outcome == OUTCOME_FALSE)
		return 0;
	if (program->outcome == OUTCOME_OPEN)
		program_run(filter, program, batch);
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
