/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Files that are read or written as a whole. */
#ifndef CONFLUX_FILE_H
#define CONFLUX_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads a file (or what else can be opened, to its end), with max octets as
 * bound. *data is to be freed, NULL on an error; the errno of opening or
 * reading, -EFBIG, -ENOMEM.
 */
int file_read_all(const char *path, size_t max, char **data, size_t *length);

/*
 * Writes the whole file beside the old one (path.part, removed if that fails)
 * and puts it in its place: whoever reads it finds one or the other. mode: of
 * the file, less the umask. sync: it is on the disk before it takes the place,
 * which may take long. 0 or a negative errno.
 */
int file_replace(const char *path, const void *data, size_t length,
		 unsigned mode, bool sync);

/*
 * The same in parts: path.part, open for writing (or a negative errno), and its
 * end, which has it take the place of path, or removes it; it stays open.
 */
int file_part_open(const char *path, unsigned mode);
int file_part_done(const char *path, int fd, bool sync);
void file_part_drop(const char *path);

/* All of it, whatever interrupts. 0 or a negative errno. */
int file_write_all(int fd, const void *data, size_t length);

#endif
