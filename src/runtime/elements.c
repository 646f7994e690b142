/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader of the configuration asks about Information Elements, and
 * the registry of a worker: both are made from the same files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/element_file.h"
#include "conflux/file.h"
#include "conflux/meter_reader.h"
#include "conflux/observation.h"
#include "conflux/runtime.h"
#include "runtime.h"

enum {
	ADDED_MAX = 65536,
	FILE_MAX = 64 << 20,
};

int
elements_load(struct ie_registry *registry, const char *path, char *why,
	      size_t size)
{
	struct text errors = {0};
	size_t length;
	char *data;
	int rc = file_read_all(path, FILE_MAX, &data, &length);

	snprintf(why, size, "%s", strerror(-rc));
	if (rc == 0)
		rc = element_file_parse(registry, data, length, path,
					&errors);
	/* The first error says most. */
	if (rc < 0 && errors.length)
		snprintf(why, size, "%.*s", (int)strcspn(errors.data, "\n"),
			 errors.data);
	text_fini(&errors);
	free(data);
	return rc;
}

static int
on_load(void *ctx, const char *path, char *why, size_t size)
{
	return elements_load(ctx, path, why, size);
}

static uint8_t
prefix_max(const struct ie *ie)
{
	if (ie->type == IE_IPV4_ADDRESS)
		return 32;
	return ie->type == IE_IPV6_ADDRESS ? 128 : 0;
}

/*
 * RFC 6728 section 4.3.2: with the enterprise number 29305 a name is that of
 * the element in forward direction, and its reverse one is meant.
 */
const struct ie *
elements_by_name(const struct ie_registry *registry, const char *name,
		 uint32_t pen)
{
	const struct ie *ie = ie_by_name(registry, name);

	if (ie && pen == IE_PEN_REVERSE && ie->pen == 0)
		return ie_find(registry, IE_PEN_REVERSE, ie->id);
	return ie;
}

static int
on_find(void *ctx, struct conf_element *element)
{
	const struct ie_registry *registry = ctx;
	const struct ie *ie;

	if (element->name)
		ie = elements_by_name(registry, element->name, element->pen);
	else
		ie = ie_find(registry,
			     element->pen == CONF_PEN_ANY ? 0 : element->pen,
			     element->id);
	if (!ie || (element->pen != CONF_PEN_ANY && ie->pen != element->pen))
		return -ENOENT;
	element->name = ie->name;
	element->pen = ie->pen;
	element->id = ie->id;
	element->length = ie->length;
	element->reducible = ie->length != IE_VARIABLE &&
			     ie_length_ok(ie, (uint16_t)(ie->length - 1));
	element->prefix_max = prefix_max(ie);
	return 0;
}

static const char *
on_nearest(void *ctx, const char *name)
{
	return ie_nearest_name(ctx, name);
}

/* Elements of meters, with the default number: caches may name them. */
static int
add_meter_elements(struct ie_registry *registry)
{
	struct meter_reader_conf preset;

	meter_reader_conf_init(&preset);
	return meter_elements_add(registry, preset.enterprise_number);
}

/*
 * They have no number of their own unless the user has one to give, and the
 * default one is free for all to use in examples (RFC 5612): they must not
 * get into the way where nobody asks for them. Elements of packets, likewise.
 */
static bool
names_element(const struct conf_node *root, const char *prefix)
{
	const struct conf_node *node, *type, *layout, *field;

	conf_each (node, root, "cache")
		for (type = node->first; type; type = type->next) {
			layout = conf_child(type, "cacheLayout");
			if (!layout)
				continue;
			conf_each (field, layout, "cacheField") {
				const char *name = conf_text(field, "ieName");

				if (name && strncmp(name, prefix,
						    strlen(prefix)) == 0)
					return true;
			}
		}
	return false;
}

static bool
uses_meter_elements(const struct conf_node *root)
{
	const struct conf_node *node;

	conf_each (node, root, "collectingProcess")
		if (conf_has(node, "meterReader"))
			return true;
	return names_element(root, "rtfm");
}

static bool
uses_packet_elements(const struct conf_node *root)
{
	return names_element(root, "fragmentPacketDeltaCount");
}

/* path, or data if it is NULL. */
static int
load(const char *path, const void *data, size_t length, struct conf **out,
     struct conf_errors *errors)
{
	struct conf_elements elements = {
		.ctx = ie_registry_new(ADDED_MAX),
		.load = on_load,
		.find = on_find,
		.nearest = on_nearest,
	};
	struct conf_options options = {.elements = &elements};
	int rc = elements.ctx ? add_meter_elements(elements.ctx) : -ENOMEM;

	*out = NULL;
	if (rc == 0)
		rc = observer_elements_add(elements.ctx);
	if (rc == 0)
		rc = path ? conf_load_file(out, path, &options, errors)
			  : conf_load_memory(out, data, length, &options,
					     errors);
	if (rc == 0)
		rc = check_conf(*out, errors);
	if (rc < 0) {
		conf_free(*out);
		*out = NULL;
	}
	ie_registry_free(elements.ctx);
	return rc;
}

int
runtime_load(const char *path, struct conf **out, struct conf_errors *errors)
{
	return load(path, NULL, 0, out, errors);
}

int
runtime_load_memory(const void *data, size_t length, struct conf **out,
		    struct conf_errors *errors)
{
	return load(NULL, data, length, out, errors);
}

int
elements_registry(const struct conf *conf, struct ie_registry **out)
{
	const struct conf_node *root = conf_root(conf), *file, *process, *meter;
	uint32_t learnt = (uint32_t)conf_uint(conf_child(root, "limits"),
					      "maxLearntElements", 4096);
	struct ie_registry *registry = ie_registry_new(learnt + ADDED_MAX);
	char why[256];

	if (registry)
		ie_registry_set_learnt_max(registry, learnt);
	if (!registry ||
	    (uses_meter_elements(root) && add_meter_elements(registry) < 0) ||
	    (uses_packet_elements(root) &&
	     observer_elements_add(registry) < 0)) {
		ie_registry_free(registry);
		return -ENOMEM;
	}
	conf_each (process, root, "collectingProcess")
		conf_each (meter, process, "meterReader")
			meter_elements_add(
				registry,
				(uint32_t)conf_uint(meter, "enterpriseNumber",
						    0));
	/* The loader has checked them: only memory can fail now. */
	conf_each (file, root, "elementFile") {
		if (elements_load(registry, file->path, why, sizeof(why)) == 0)
			continue;
		ie_registry_free(registry);
		return -EINVAL;
	}
	*out = registry;
	return 0;
}
