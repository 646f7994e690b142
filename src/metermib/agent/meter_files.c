/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule sets that a meter runs from its start, without a manager: from files of
 * the same form as those that a manager downloads.
 */
#include <errno.h>
#include <string.h>

#include "../meter_rules.h"
#include "conflux/log.h"
#include "control.h"

static void
set_text(struct owner *to, const char *text)
{
	size_t length = strlen(text);

	to->length = (uint8_t)(length < OWNER_SIZE ? length : OWNER_SIZE);
	memcpy(to->octets, text, to->length);
}

static void
copy_rule(struct rule *to, const struct meter_rule *from)
{
	*to = (struct rule){.selector = from->selector,
			    .action = from->action,
			    .parameter = from->parameter,
			    .mask_length = from->length,
			    .value_length = from->length};
	memcpy(to->mask, from->mask, sizeof(to->mask));
	memcpy(to->value, from->value, sizeof(to->value));
}

static int
put_rules(struct meter *meter, uint32_t number, const char *file,
	  const char *name, const struct meter_rules *rules)
{
	struct rule_set row = {.status = ROW_ACTIVE,
			       .owner_set = true,
			       .rules_ready = true,
			       .size = rules->count,
			       .time_stamp = (uint32_t)meter->uptime};
	uint32_t wrong;
	int err;

	set_text(&row.owner, "meter");
	set_text(&row.name, name);
	err = rule_store_put(meter->rules, number, &row);
	if (err == -ENOSPC)
		log_error("rule set file %s: more rules than the meter takes",
			  file);
	if (err)
		return err;
	for (uint32_t i = 0; i < rules->count; i++)
		copy_rule(rule_store_rule(meter->rules, number, i + 1),
			  &rules->rule[i]);
	wrong = rule_store_check(meter->rules, number);
	if (!wrong)
		return 0;
	log_error("rule set file %s: rule %u can not be executed", file, wrong);
	rule_store_remove(meter->rules, number);
	return -EINVAL;
}

static int
load(struct meter *meter, uint32_t number, const char *file, const char *name)
{
	struct meter_rules rules;
	int err = meter_rules_read(file, &rules);

	if (err)
		return err;
	err = put_rules(meter, number, file, name, &rules);
	meter_rules_fini(&rules);
	return err;
}

int
meter_run_files(struct meter *meter, const struct meter_rule_files *files)
{
	enum { CURRENT = RULE_SET_DEFAULT + 1, STANDBY };
	struct manager_row *task = &meter->manager[0];
	int err = load(meter, CURRENT, files->file, files->name);

	if (!err && files->standby_file)
		err = load(meter, STANDBY, files->standby_file, "standby");
	if (err)
		return err;
	task->current = CURRENT;
	task->standby = files->standby_file ? STANDBY : 0;
	task->high_water_mark = files->high_water_mark;
	meter_update(meter);
	return 0;
}
