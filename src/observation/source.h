/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The octets of a capture file: a regular file is mapped; a pipe, standard
 * input and what gzip has packed are read into a buffer, which moves on.
 */
#ifndef CONFLUX_OBSERVATION_SOURCE_H
#define CONFLUX_OBSERVATION_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source_file;

/* "-" is standard input. A negative errno. */
int source_file_open(const char *path, struct source_file **out);
void source_file_close(struct source_file *source);

/* What is there, from the cursor on. Valid until the next fill. */
const uint8_t *source_file_at(const struct source_file *source, size_t *length);
/* The cursor moves on. */
void source_file_skip(struct source_file *source, size_t length);
/*
 * Tries to have more, up to want octets from the cursor on (at most
 * SOURCE_WINDOW). 1: there is more than before; 0: the file has ended; -EAGAIN:
 * nothing now, wait for source_file_fd; or a negative errno.
 */
int source_file_fill(struct source_file *source, size_t want);
enum { SOURCE_WINDOW = 1 << 20 };

/* To wait for, or -1: there is always something. */
int source_file_fd(const struct source_file *source);
/* Octets of the file that were read, and its size or 0. */
uint64_t source_file_done(const struct source_file *source);
uint64_t source_file_size(const struct source_file *source);

#endif
