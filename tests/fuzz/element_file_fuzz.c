/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A file of elements: whatever is taken must be taken a second time. */
#include <assert.h>
#include <string.h>

#include "conflux/element_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ie_registry *registry = ie_registry_new(1000);
	struct text errors = {0};
	int err = element_file_parse(registry, (const char *)data, size, "f",
				     &errors);

	assert((err != 0) == (errors.length > 0));
	if (!err)
		assert(element_file_parse(registry, (const char *)data, size,
					  "f", &errors) == 0);
	text_fini(&errors);
	ie_registry_free(registry);
	return 0;
}
