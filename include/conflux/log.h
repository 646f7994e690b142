/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines to stderr: "program: level: message". The level is set once at start; it is
 * the only process-wide state of the library part. Modules ipfix and record
 * never log. What a peer can cause to be logged goes through a log_limit.
 */
#ifndef CONFLUX_LOG_H
#define CONFLUX_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Returns the level of a name ("error" ... "debug"), or -EINVAL. */
int log_level_parse(const char *name);

void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A limit for one kind of line of one subject: up to LOG_LIMIT_BURST lines in
 * LOG_LIMIT_WINDOW milliseconds. Zero initialised is ready for use.
 * log_limit_pass returns true if the line may be written; *held then tells how
 * many lines were held back since the last one that passed.
 */
#define LOG_LIMIT_BURST 5
#define LOG_LIMIT_WINDOW 10000

struct log_limit {
	uint64_t window_start; /* ms, any monotonic clock */
	uint32_t passed;
	uint32_t held;
};

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint32_t *held);

#endif
