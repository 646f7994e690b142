/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Folders for spools in tests: made, looked at, copied and removed. */
#ifndef CONFLUX_TESTS_EXPORTING_FOLDER_H
#define CONFLUX_TESTS_EXPORTING_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

enum { FOLDER_NAME = 200 };

static inline void
folder_make(char path[FOLDER_NAME])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, FOLDER_NAME, "%s/conflux-spool.XXXXXX",
		 tmp ? tmp : "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(path));
}

/* Calls back with the path of each file. */
static inline void
folder_each(const char *path, void (*each)(void *arg, const char *file),
	    void *arg)
{
	struct dirent **list;
	char file[2 * FOLDER_NAME];
	int n = scandir(path, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%.200s/%.100s", path,
			 list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			each(arg, file);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static inline void
folder_unlink(void *arg, const char *file)
{
	unlink(file);
}

static inline void
folder_empty(const char *path)
{
	folder_each(path, folder_unlink, NULL);
}

static inline void
folder_remove(const char *path)
{
	folder_empty(path);
	rmdir(path);
}

static inline void
folder_copy_file(void *arg, const char *file)
{
	static char buffer[1 << 20];
	char name[2 * FOLDER_NAME];
	int from = open(file, O_RDONLY), to;
	ssize_t n;

	snprintf(name, sizeof(name), "%.200s/%.100s", (const char *)arg,
		 strrchr(file, '/') + 1);
	to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		CU_ASSERT_EQUAL(write(to, buffer, (size_t)n), n);
	close(from);
	close(to);
}

static inline void
folder_copy(const char *from, char *to)
{
	folder_empty(to);
	folder_each(from, folder_copy_file, to);
}

struct folder_search {
	const char *end;
	unsigned nth, count;
	char *found;
};

static inline void
folder_match(void *arg, const char *file)
{
	struct folder_search *s = arg;
	size_t length = strlen(file), end = strlen(s->end);

	if (length < end || strcmp(file + length - end, s->end) != 0)
		return;
	if (s->count++ == s->nth && s->found)
		snprintf(s->found, 2 * FOLDER_NAME, "%s", file);
}

/* How many files have this end; file is the nth of them. */
static inline unsigned
folder_find(const char *path, const char *end, unsigned nth,
	    char file[2 * FOLDER_NAME])
{
	struct folder_search search = {.end = end, .nth = nth, .found = file};

	folder_each(path, folder_match, &search);
	return search.count;
}

#endif
