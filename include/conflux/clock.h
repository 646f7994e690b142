/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. Modules ipfix and record get times as arguments instead. */
#ifndef CONFLUX_CLOCK_H
#define CONFLUX_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC: for timeouts and rates. */
uint64_t clock_mono_ms(void);

/* Milliseconds since 1970 (UTC): for what is put into records and shown. */
uint64_t clock_wall_ms(void);

/*
 * Writes wall time ms as yang:date-and-time ("2026-11-22T17:01:02.345Z") into
 * text, which has CLOCK_TEXT_SIZE octets. Returns text.
 */
#define CLOCK_TEXT_SIZE 32
char *clock_format(char *text, uint64_t wall_ms);

#endif
