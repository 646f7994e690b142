/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of sampling by an operator or by overload, while packets are measured
 * (draft-ietf-ipfix-reqs 5.2, 5.3: no Flow is merged of what came before and
 * after).
 *
 * Each worker changes its own Selection Sequences between two batches and puts
 * a barrier behind what it has handed over. What comes behind the barrier waits
 * in the ring until all workers have put theirs; then the first one changes its
 * own, and all go on. So in the caches that all share, too, nothing of the new
 * sampling meets anything of the old. A worker that has ended counts as done.
 *
 * The document stays as it is: a selector that was changed has a copy of its
 * node, the next change starts from that. It is gone when the daemon ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/log.h"
#include "conflux/nearest.h"
#include "conflux/selection.h"
#include "handover.h"
#include "runtime.h"

struct edit {
	struct edit *next;
	const struct conf_node *selector; /* of the document */
	struct conf_node *copy;		  /* as it is now, or NULL */
};

struct change {
	const struct conf_node *process;
	unsigned n;		/* which of its selectors */
	struct edit *edit;	/* NULL: overload, not a selector */
	struct conf_node *copy; /* as it shall be */
	struct overload_state overload;
	unsigned awaited; /* workers that have not applied it */
};

/* ---- names -------------------------------------------------------------- */

static const struct conf_node *
find_named(const struct conf_node *parent, const char *list, const char *name,
	   struct text *answer)
{
	const struct conf_node *node, *near = NULL;
	unsigned distance = nearest_start(name);

	conf_each (node, parent, list) {
		if (strcmp(conf_name(node), name) == 0)
			return node;
		if (nearest_closer(name, conf_name(node), &distance))
			near = node;
	}
	text_printf(answer, "there is no %s \"%.80s\"", list, name);
	if (near)
		text_printf(answer, ", nearest is \"%s\"", conf_name(near));
	return NULL;
}

static const struct conf_node *
find_process(const struct runtime *runtime, const char *name,
	     struct text *answer)
{
	return find_named(conf_root(runtime->conf), "selectionProcess", name,
			  answer);
}

static const struct conf_node *
find_selector(const struct conf_node *process, const char *name,
	      struct text *answer)
{
	return find_named(process, "selector", name, answer);
}

static struct edit *
find_edit(const struct runtime *runtime, const struct conf_node *selector)
{
	struct edit *edit = runtime->edits;

	while (edit && edit->selector != selector)
		edit = edit->next;
	return edit;
}

/* One for each selector of the document at most. */
static struct edit *
get_edit(struct runtime *runtime, const struct conf_node *selector)
{
	struct edit *edit = find_edit(runtime, selector);

	if (edit)
		return edit;
	edit = calloc(1, sizeof(*edit));
	if (!edit)
		return NULL;
	edit->selector = selector;
	edit->next = runtime->edits;
	return runtime->edits = edit;
}

/* The selector as it is, or is about to be. */
static const struct conf_node *
current(const struct runtime *runtime, const struct conf_node *selector)
{
	const struct edit *edit = find_edit(runtime, selector);

	if (edit && runtime->change && runtime->change->edit == edit)
		return runtime->change->copy;
	return edit && edit->copy ? edit->copy : selector;
}

/* ---- the list ----------------------------------------------------------- */

/* As a word of a shell, if it has nothing worse than spaces. */
static void
add_word(struct text *out, const char *word)
{
	text_printf(out,
		    strpbrk(word, " \t\"'$&|;<>*?()\\#") ? "\"%s\" " : "%s ",
		    word);
}

static const char *
method_of(const struct conf_node *selector)
{
	const struct conf_node *n = selector->first;

	while (n && strcmp(n->name, "name") == 0)
		n = n->next;
	return n ? n->name : "";
}

static void
add_selector(struct text *out, const struct runtime *runtime,
	     const struct conf_node *process, const struct conf_node *selector)
{
	struct text values = {0};

	conf_edit_print(current(runtime, selector), &values);
	add_word(out, conf_name(process));
	add_word(out, conf_name(selector));
	text_add(out, method_of(selector));
	if (values.length)
		text_printf(out, " %s", values.data);
	text_add_char(out, '\n');
	out->failed |= values.failed;
	text_fini(&values);
}

static void
add_process(struct text *out, const struct runtime *runtime,
	    const struct conf_node *process)
{
	const struct conf_node *selector;

	conf_each (selector, process, "selector")
		add_selector(out, runtime, process, selector);
}

int
runtime_selection(void *arg, char *const *word, unsigned count,
		  struct text *answer)
{
	const struct runtime *runtime = arg;
	const struct conf_node *process, *selector;

	if (count == 0) {
		conf_each (process, conf_root(runtime->conf),
			   "selectionProcess")
			add_process(answer, runtime, process);
		return 0;
	}
	process = find_process(runtime, word[0], answer);
	if (!process)
		return -ENOENT;
	if (count == 1) {
		add_process(answer, runtime, process);
		return 0;
	}
	selector = find_selector(process, word[1], answer);
	if (!selector)
		return -ENOENT;
	add_selector(answer, runtime, process, selector);
	return 0;
}

/* ---- applying ----------------------------------------------------------- */

static void
apply_overload(struct worker *worker, const struct change *change)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->kind == UNIT_SELECTION &&
		    unit->node == change->process)
			selection_overload(unit->stage, &change->overload);
	}
}

static void
apply_selector(struct worker *worker, const struct change *change)
{
	struct selector_range *range = NULL;
	struct selector_conf conf;
	int rc =
		selector_conf_of(change->copy, worker->registry, &conf, &range);

	for (unsigned i = 0; rc == 0 && i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->kind == UNIT_SELECTION &&
		    unit->node == change->process)
			rc = selection_change(unit->stage, change->n, &conf);
	}
	if (rc < 0)
		log_error("selection: %s: worker %u goes on with the sampling "
			  "it had: %s",
			  conf_name(change->process), worker->index,
			  strerror(-rc));
	free(range);
}

void
change_apply(struct worker *worker)
{
	const struct change *change = worker->runtime->change;

	if (change->edit)
		apply_selector(worker, change);
	else
		apply_overload(worker, change);
}

/* All others have: now the first worker, and all go on. */
static void
complete(struct runtime *runtime)
{
	struct change *change = runtime->change;

	change_apply(&runtime->worker[0]);
	if (change->edit) {
		conf_edit_free(change->edit->copy);
		change->edit->copy = change->copy;
	}
	runtime->change = NULL;
	free(change);
	for (unsigned i = 1; i < runtime->worker_count; i++)
		intake_go_on(runtime->worker[i].intake);
}

void
change_met(void *arg)
{
	struct worker *worker = arg;
	struct runtime *runtime = worker->runtime;

	if (!worker->awaited)
		return;
	worker->awaited = false;
	if (--runtime->change->awaited == 0)
		complete(runtime);
}

static void
begin(struct runtime *runtime, struct change *change)
{
	runtime->change = change;
	for (unsigned i = 1; i < runtime->worker_count; i++) {
		struct worker *worker = &runtime->worker[i];

		if (!worker->started || worker->finished)
			continue;
		worker->awaited = true;
		change->awaited++;
	}
	for (unsigned i = 1; i < runtime->worker_count; i++)
		if (runtime->worker[i].awaited)
			worker_change(&runtime->worker[i]);
	if (change->awaited == 0)
		complete(runtime);
}

/* ---- orders ------------------------------------------------------------- */

/* As the document would be checked; 0, or what is wrong goes to the answer. */
static int
check_copy(const struct runtime *runtime, const struct conf_node *copy,
	   struct text *answer)
{
	struct selector_range *range = NULL;
	struct selector_conf conf;
	char *error = NULL;
	int rc = selector_conf_of(copy, runtime->worker[0].registry, &conf,
				  &range);

	if (rc == 0)
		rc = selector_check(&conf, &error);
	if (error)
		text_add(answer, error);
	free(error);
	free(range);
	return rc;
}

static int
edit_copy(const struct conf_node *from, char *const *word, unsigned count,
	  struct conf_node **out, struct text *answer)
{
	struct conf_errors errors = {0};
	int rc =
		conf_edit(from, (const char *const *)word, count, out, &errors);

	for (size_t i = 0; i < errors.count; i++)
		text_printf(answer, "%s%s", i ? "\n" : "", errors.list[i].text);
	conf_errors_fini(&errors);
	return rc;
}

static unsigned
number_of(const struct conf_node *process, const struct conf_node *selector)
{
	const struct conf_node *node;
	unsigned n = 0;

	conf_each (node, process, "selector") {
		if (node == selector)
			break;
		n++;
	}
	return n;
}

static void
say(const struct change *change, const struct conf_node *was, uint32_t user)
{
	struct text before = {0}, after = {0};

	conf_edit_print(was, &before);
	conf_edit_print(change->copy, &after);
	if (!before.failed && !after.failed)
		log_notice(
			"selection: %s, selector %s: %s (was %s) by order of "
			"user %u; all Flows of before end",
			conf_name(change->process), conf_name(was), after.data,
			before.data, user);
	text_fini(&before);
	text_fini(&after);
}

static int
may_begin(const struct runtime *runtime, struct text *answer)
{
	if (runtime->phase != PHASE_RUN) {
		text_add(answer, "the daemon is ending");
		return -ESHUTDOWN;
	}
	if (runtime->change) {
		text_add(answer, "another change is not yet applied by all "
				 "workers, try again");
		return -EBUSY;
	}
	return 0;
}

int
runtime_change(void *arg, uint32_t user, char *const *word, unsigned count,
	       struct text *answer)
{
	struct runtime *runtime = arg;
	const struct conf_node *process, *selector;
	struct conf_node *copy = NULL;
	struct change *change = NULL;
	struct edit *edit = NULL;
	int rc = may_begin(runtime, answer);

	if (rc < 0)
		return rc;
	process = find_process(runtime, word[0], answer);
	selector = process ? find_selector(process, word[1], answer) : NULL;
	if (!selector)
		return -ENOENT;
	rc = edit_copy(current(runtime, selector), word + 2, count - 2, &copy,
		       answer);
	if (rc == 0)
		rc = check_copy(runtime, copy, answer);
	if (rc == 0)
		edit = get_edit(runtime, selector);
	change = edit ? calloc(1, sizeof(*change)) : NULL;
	if (!change) {
		conf_edit_free(copy);
		return rc < 0 ? rc : -ENOMEM;
	}
	*change = (struct change){
		.process = process,
		.n = number_of(process, selector),
		.edit = edit,
		.copy = copy,
	};
	say(change, current(runtime, selector), user);
	begin(runtime, change);
	add_selector(answer, runtime, process, selector);
	return 0;
}

/* ---- overload ----------------------------------------------------------- */

/*
 * What the sequences of a process say together: high if one of them is, low if
 * all are. *worker: one of the high ones.
 */
static enum overload_sign
joint_sign(const struct runtime *runtime, const struct conf_node *process,
	   unsigned *worker)
{
	enum overload_sign joint = OVERLOAD_LOW;

	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *one = &runtime->worker[w];

		for (unsigned i = 0; i < one->unit_count && !one->finished;
		     i++) {
			const struct unit *unit = &one->unit[i];
			int sign = unit->kind == UNIT_SELECTION &&
						   unit->node == process
					   ? atomic_load(&unit->sign)
					   : OVERLOAD_LOW;

			if (sign <= (int)joint)
				continue;
			joint = (enum overload_sign)sign;
			*worker = w;
		}
	}
	return joint;
}

static void
say_overload(const struct unit *unit, const struct overload_conf *conf,
	     unsigned worker)
{
	char consequence[64], where[32] = "";

	overload_consequence(conf, &unit->overload, consequence,
			     sizeof(consequence));
	if (unit->overload.on)
		snprintf(where, sizeof(where), " in worker %u", worker);
	log_notice("selection: %s: overload%s%s; in all workers %s",
		   conf_name(unit->node), unit->overload.on ? "" : " is over",
		   where, consequence);
}

static void
watch_process(struct runtime *runtime, struct unit *unit, uint64_t now_ms)
{
	const struct overload_conf *conf = selection_overload_conf(unit->stage);
	struct overload_state next;
	struct change *change;
	enum overload_sign sign;
	unsigned worker = 0;

	if (!conf || !conf->sign)
		return;
	sign = joint_sign(runtime, unit->node, &worker);
	if (!overload_decide(conf, &unit->overload, sign, now_ms, &next))
		return;
	change = calloc(1, sizeof(*change));
	if (!change)
		return; /* at the next tick */
	change->process = unit->node;
	change->overload = unit->overload = next;
	say_overload(unit, conf, worker);
	begin(runtime, change);
}

/* Has the process no unit before this one? */
static bool
is_first(const struct worker *worker, const struct unit *unit)
{
	for (const struct unit *other = worker->unit; other < unit; other++)
		if (other->kind == UNIT_SELECTION && other->node == unit->node)
			return false;
	return true;
}

void
overload_watch(struct runtime *runtime, uint64_t now_ms)
{
	struct worker *first = &runtime->worker[0];

	for (unsigned i = 0; i < first->unit_count; i++) {
		struct unit *unit = &first->unit[i];

		/* One change after the other. */
		if (runtime->phase != PHASE_RUN || runtime->change)
			return;
		if (unit->kind == UNIT_SELECTION && is_first(first, unit))
			watch_process(runtime, unit, now_ms);
	}
}

void
changes_free(struct runtime *runtime)
{
	struct edit *edit;

	if (runtime->change)
		conf_edit_free(runtime->change->copy);
	free(runtime->change);
	while ((edit = runtime->edits)) {
		runtime->edits = edit->next;
		conf_edit_free(edit->copy);
		free(edit);
	}
}
