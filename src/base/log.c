/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Log lines to stderr, one write each, so that lines of threads do not mix. */
#include "conflux/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_name[] = {
	[LOG_LEVEL_ERROR] = "error",   [LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level threshold = LOG_LEVEL_NOTICE;

void
log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level
log_get_level(void)
{
	return threshold;
}

int
log_level_parse(const char *name)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(name, level_name[i]) == 0)
			return i;
	return -EINVAL;
}

void
log_write(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;
	int start, n;

	if (level > threshold)
		return;
	start = snprintf(line, sizeof(line),
			 "%s: %s: ", program_invocation_short_name,
			 level_name[level]);
	va_start(args, format);
	n = vsnprintf(line + start, sizeof(line) - (size_t)start - 1, format,
		      args);
	va_end(args);
	if (n < 0)
		return;
	n += start;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	/* What a peer sent may be in the line: nothing that moves a cursor. */
	for (int i = start; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere to report it to */
}

bool
log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint32_t *held)
{
	if (now_ms - limit->window_start >= LOG_LIMIT_WINDOW ||
	    limit->window_start == 0) {
		limit->window_start = now_ms;
		limit->passed = 0;
	}
	if (limit->passed >= LOG_LIMIT_BURST) {
		limit->held++;
		return false;
	}
	limit->passed++;
	*held = limit->held;
	limit->held = 0;
	return true;
}
