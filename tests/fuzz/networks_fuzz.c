/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A networks file, and a search for each prefix that it may begin with. */
#include <stdlib.h>

#include "lookup.h"
#include "prefixes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ie_registry *registry;
	struct lookup_conf conf = {.networks_path = "networks",
				   .value_count = 2};
	struct networks *networks;
	uint8_t address[16] = {0};
	char *error = NULL;

	if (!registry)
		registry = ie_registry_new(16);
	conf.value[0].ie = ie_find(registry, 0, IE_bgpSourceAsNumber);
	conf.value[0].key = "as";
	conf.value[1].ie = ie_find(registry, 0, IE_interfaceName);
	conf.value[1].key = "site";
	if (networks_parse(&conf, (const char *)data, size, &networks,
			   &error) < 0) {
		free(error);
		return 0;
	}
	for (unsigned i = 0; i < 256; i++) {
		address[i % 4] = (uint8_t)i;
		if (prefixes_find4(networks->prefixes, address) >
			    networks->results.count ||
		    prefixes_find6(networks->prefixes, address) >
			    networks->results.count)
			abort();
	}
	networks_free(networks);
	return 0;
}
