/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Files that are read as a whole. */
#ifndef CONFLUX_FILE_H
#define CONFLUX_FILE_H

#include <stddef.h>

/*
 * Reads a file (or what else can be opened, to its end), with max octets as
 * bound. *data is to be freed, NULL on an error; the errno of opening or
 * reading, -EFBIG, -ENOMEM.
 */
int file_read_all(const char *path, size_t max, char **data, size_t *length);

#endif
