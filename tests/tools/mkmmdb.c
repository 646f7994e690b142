/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a MaxMind database of lines "PREFIX NAME=VALUE ...", wider prefixes
 * before those in them:
 *
 *	mkmmdb out.mmdb TYPE <lines
 *	192.0.2.0/24 autonomous_system_number=64500 country.iso_code=DE
 */
#include "mmdb.h"

int
main(int argc, char **argv)
{
	struct mmdb_writer writer = {0};
	char line[4096];

	if (argc != 3) {
		fprintf(stderr, "usage: mkmmdb OUT TYPE <LINES\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line, *pair[MMDB_PAIRS_MAX];
		char *prefix = strsep(&rest, " \n"), *slash;
		unsigned count = 0;
		struct addr addr;

		slash = strchr(prefix, '/');
		if (!slash)
			continue;
		*slash = 0;
		if (addr_parse(&addr, prefix, 0) < 0) {
			fprintf(stderr, "mkmmdb: no prefix: %s\n", prefix);
			return 1;
		}
		for (char *p; (p = strsep(&rest, " \n"));)
			if (*p && count < MMDB_PAIRS_MAX)
				pair[count++] = p;
		mmdb_add(&writer, &addr, (unsigned)atoi(slash + 1), pair,
			 count);
	}
	if (mmdb_write(&writer, argv[1], argv[2]) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
