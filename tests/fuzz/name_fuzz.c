/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of peers and of the configuration: the first line is compared as a
 * domain with the second, and both are read as distinguished names. What was
 * read and shown is read again as the same.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/text.h"
#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_dn(const char *string)
{
	const char *wrong = NULL, *reason = NULL;
	struct text text = {0};
	X509_NAME *name, *again;

	if (dn_parse(string, &name, &wrong, &reason) < 0) {
		assert(wrong >= string && wrong <= string + strlen(string));
		return;
	}
	text_add_dn(&text, name);
	for (size_t i = 0; i < text.length; i++)
		assert(text.data[i] >= ' ' && text.data[i] <= '~');
	text.data[text.length - 1] = '\0';
	if (dn_parse(text.data + 1, &again, &wrong, &reason) == 0) {
		assert(X509_NAME_cmp(name, again) == 0);
		X509_NAME_free(again);
	}
	text_fini(&text);
	X509_NAME_free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	char *name = malloc(length + 1), *wanted = malloc(size + 1);
	struct text text = {0};

	if (!name || !wanted)
		abort();
	memcpy(name, data, length);
	name[length] = '\0';
	memcpy(wanted, data + length, size - length);
	wanted[size - length] = '\0';
	if (end)
		memmove(wanted, wanted + 1, size - length);
	if (secure_name_match(name, length, wanted)) {
		assert(!name_wrong(wanted));
		assert(!memchr(name, '\0', length));
	}
	text_add_peer(&text, name, length);
	check_dn(name);
	check_dn(wanted);
	text_fini(&text);
	free(name);
	free(wanted);
	return 0;
}
