/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with one key. Neither the key nor its line is ever part of a message.
 */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "conflux/text.h"

static int
expected(char **error, const char *file, const char *what, size_t octets)
{
	return text_error(error, -EINVAL,
			  "%s: %s, expected one of %zu octets, as %zu "
			  "hexadecimal digits in one line",
			  file, what, octets, 2 * octets);
}

/* The next line that is no comment, without white space at its ends. */
static const char *
next_line(const char **at, size_t *length)
{
	while (**at) {
		const char *line = *at;
		size_t whole = strcspn(line, "\n");

		*at += whole + (line[whole] == '\n');
		while (whole && isspace((unsigned char)*line)) {
			line++;
			whole--;
		}
		while (whole && isspace((unsigned char)line[whole - 1]))
			whole--;
		*length = whole;
		if (whole && *line != '#')
			return line;
	}
	return NULL;
}

int
secure_key_read(const char *file, uint8_t *key, size_t octets, char **error)
{
	struct file_data data;
	const char *at, *line;
	size_t length;
	bool shared;
	int rc = file_read_secret(&data, file, &shared, error);

	if (rc < 0)
		return rc;
	at = data.data;
	line = next_line(&at, &length);
	if (!line)
		rc = expected(error, file, "no key in it", octets);
	else if (length != 2 * octets ||
		 hex_decode(line, length, key, octets) < 0)
		rc = expected(error, file, "its key is another", octets);
	else if (next_line(&at, &length))
		rc = expected(error, file, "more than one key in it", octets);
	file_free(&data);
	if (rc < 0)
		OPENSSL_cleanse(key, octets);
	return rc;
}
