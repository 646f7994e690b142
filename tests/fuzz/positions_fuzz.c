/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of what is had of streams. What is read and written again is read as
 * the same.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/positions.h"
#include "conflux/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct positions *ps = positions_new(8), *again = positions_new(8);
	struct text text = {0}, second = {0};
	int rc = positions_read(ps, (const char *)data, size);

	if (rc < 0 && positions_count(ps))
		abort();
	positions_write(ps, &text);
	if (positions_read(again, text.data, text.length) < 0)
		abort();
	positions_write(again, &second);
	if (strcmp(text.data, second.data) != 0)
		abort();
	text_fini(&text);
	text_fini(&second);
	positions_free(ps);
	positions_free(again);
	return 0;
}
