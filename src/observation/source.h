/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The octets of a capture file, a pipe or standard input, also of what gzip has
 * packed: read into a buffer, which moves on.
 *
 * Read, not mapped: a file that shrinks must not kill us, and where the page
 * cache has small pages mapping them takes longer than copying them.
 */
#ifndef CONFLUX_OBSERVATION_SOURCE_H
#define CONFLUX_OBSERVATION_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct source_file;

/* "-" is standard input. A negative errno; see source_file_reason. */
int source_file_open(const char *path, struct source_file **out);
void source_file_close(struct source_file *source);

/* What is there, from the cursor on. Valid until the next fill. */
const uint8_t *source_file_at(const struct source_file *source, size_t *length);
/* The cursor moves on. */
void source_file_skip(struct source_file *source, size_t length);
/*
 * Tries to have more, up to want octets from the cursor on (at most
 * SOURCE_WINDOW). 1: there is more than before; 0: the file has ended; -EAGAIN:
 * nothing now, wait for source_file_fd; or a negative errno: -EBADMSG if what
 * gzip has packed is wrong.
 */
int source_file_fill(struct source_file *source, size_t want);
enum { SOURCE_WINDOW = 1 << 20 };
/* What a negative errno of these functions means, for messages. */
const char *source_file_reason(int rc);

/* To wait for, or -1: there is always something. */
int source_file_fd(const struct source_file *source);
/* Where the cursor is: octets of the capture, unpacked. */
uint64_t source_file_offset(const struct source_file *source);
/* Octets of the file, packed or not, that were read, and its size or 0. */
uint64_t source_file_done(const struct source_file *source);
uint64_t source_file_size(const struct source_file *source);

#endif
