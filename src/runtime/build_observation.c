/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Observation Points of the configuration. Interfaces are captured by all
 * workers, each in one fanout group a point and interface, so both directions
 * of a flow come to the same one. Files are read by the first worker: their
 * packets are one row of time, which timeouts need.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/log.h"
#include "conflux/mediation.h"
#include "conflux/projection.h"
#include "conflux/selection.h"
#include "runtime.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
	const char *name;
	enum tunnel tunnel;
} tunnels[] = {
	{"ipInIp", TUNNEL_IPIP},   {"gre", TUNNEL_GRE},
	{"erspan", TUNNEL_ERSPAN}, {"vxlan", TUNNEL_VXLAN},
	{"geneve", TUNNEL_GENEVE}, {"gtpU", TUNNEL_GTPU},
	{"teredo", TUNNEL_TEREDO},
};

static unsigned
tunnel_set(const struct conf_node *point)
{
	const struct conf_node *node;
	unsigned set = 0;

	conf_each (node, point, "tunnel")
		for (size_t i = 0; i < COUNT(tunnels); i++)
			if (strcmp(node->text, tunnels[i].name) == 0)
				set |= tunnels[i].tunnel;
	return set;
}

int
build_observation(struct unit *unit, char **error)
{
	const struct conf_node *node = unit->node;
	const char *reason = NULL;
	struct observer_conf conf = {
		.name = conf_name(node),
		.domain = (uint32_t)conf_uint(node, "observationDomainId", 0),
		.point_id = point_number(node),
		.tunnels = tunnel_set(node),
		.tunnel_depth = (unsigned)conf_uint(node, "tunnelDepth", 1),
		.max_fragments = (uint32_t)conf_uint(node, "maxFragments", 0),
		.fragment_ms = (uint32_t)conf_uint(node, "fragmentTimeout", 0),
		.duplicate_us =
			(uint32_t)conf_uint(node, "duplicateWindow", 0),
		.max_duplicates = (uint32_t)conf_uint(node, "maxDuplicates", 0),
		.non_ip = conf_bool(node, "nonIp"),
		.scale = conf_bool(node, "scale"),
	};
	int rc = observer_new(&conf, unit->worker->registry,
			      unit->worker->shapes, &unit->stage, &reason);

	if (rc < 0 && rc != -ENOMEM)
		return build_error(error, rc, node, "%s",
				   reason ? reason : strerror(-rc));
	return rc;
}

/* ---- what is wanted of a packet ------------------------------------------- */

static int
want(void *arg, const struct ie *ie, uint16_t length)
{
	struct unit *point = arg;
	int rc = observer_want(point->stage, ie, length);

	/* The cache may know it by itself, or has it from the scope. */
	return rc == -ENOENT ? 0 : rc;
}

static int
want_time(struct unit *point)
{
	const struct ie *time = ie_find(point->worker->registry, 0,
					IE_observationTimeNanoseconds);

	return time ? want(point, time, 0) : 0;
}

static int
want_fields(struct unit *point, const struct cache_conf *conf)
{
	const struct ie *flags =
		ie_find(point->worker->registry, 0, IE_tcpControlBits);
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < conf->field_count; i++) {
		const struct cache_field *f = &conf->fields[i];
		const struct ie *ie = f->ie->forward ? f->ie->forward : f->ie;

		rc = ie_is_time(ie) ? want_time(point)
				    : want(point, ie, f->length);
	}
	if (rc == 0 && conf->type == CACHE_NATURAL && flags)
		rc = want(point, flags, 0);
	return rc;
}

static int
want_cache(struct unit *point, const struct conf_node *cache)
{
	struct cache_field *fields = NULL;
	struct cache_conf conf;
	int rc = cache_conf_of(cache, 0, point->worker->registry, &conf,
			       &fields);

	if (rc == 0)
		rc = want_fields(point, &conf);
	free(fields);
	return rc;
}

/* All times of a packet are the one at which it was observed. */
static int
want_value(void *arg, const struct ie *ie, uint16_t length)
{
	return ie_is_time(ie) ? want_time(arg) : want(arg, ie, length);
}

/* What is wanted behind a Selection or an Intermediate Process. */
static int
want_behind(struct unit *point, const struct conf_node *from)
{
	const struct conf_node *ref;
	struct unit *unit;
	int rc = 0;

	/* Of two lengths of one element the cache takes the first. */
	conf_each (ref, from, "cache")
		if (rc == 0)
			rc = want_cache(point, ref->target);
	conf_each (ref, from, "intermediateProcess") {
		unit = find_mediation(point->worker, ref->target, point->node);
		if (rc == 0 && unit && unit->stage->ops->wants)
			rc = unit->stage->ops->wants(unit->stage, want_value,
						     point);
		if (rc == 0)
			rc = want_behind(point, ref->target);
	}
	return rc;
}

int
build_wants(struct unit *point, struct unit *selection, char **error)
{
	const struct conf_node *ref = conf_child(selection->node, "meterAgent");
	int rc = want_behind(point, selection->node);

	if (rc == 0 && ref)
		rc = agent_wants(ref->target, point, want);
	if (rc == 0)
		rc = selection_wants(selection->stage, want, point);
	if (rc < 0 && rc != -ENOMEM)
		return build_error(error, rc, point->node, "%s",
				   strerror(-rc));
	return rc;
}

/* ---- captures ------------------------------------------------------------- */

static enum capture_direction
direction_of(const struct conf_node *point)
{
	if (conf_is(point, "direction", "ingress"))
		return CAPTURE_INGRESS;
	if (conf_is(point, "direction", "egress"))
		return CAPTURE_EGRESS;
	return CAPTURE_BOTH;
}

static int
add_capture(struct unit *unit, struct capture_conf *conf, char **error)
{
	const struct conf_node *node = unit->node;
	struct capture **list =
		realloc(unit->capture, (unit->capture_count + 1) *
					       sizeof(*unit->capture));
	char *reason = NULL;
	int rc;

	if (!list)
		return -ENOMEM;
	unit->capture = list;
	conf->name = conf_name(node);
	conf->observer = unit->stage;
	conf->filter = conf_text(node, "filter");
	conf->finished = worker_capture_finished;
	conf->arg = unit;
	rc = capture_open(unit->worker->base, conf,
			  &list[unit->capture_count], &reason);
	if (rc == 0)
		unit->capture_count++;
	else if (rc != -ENOMEM)
		build_error(error, rc, node, "%s",
			    reason ? reason : strerror(-rc));
	free(reason);
	return rc;
}

/* One group for each interface of each point, the same in all workers. */
static uint16_t
fanout_group(const struct unit *unit, unsigned nth)
{
	if (unit->worker->runtime->worker_count == 1)
		return 0;
	return (uint16_t)(((uint32_t)getpid() << 6) +
			  point_number(unit->node) * 8 + nth + 1);
}

static int
add_interface(struct unit *unit, const char *name, char **error)
{
	const struct conf_node *node = unit->node;
	struct capture_conf conf = {
		.interface = name,
		.direction = direction_of(node),
		.snap_length = (uint32_t)conf_uint(node, "snapLength", 0),
		.buffer_octets = (uint32_t)conf_uint(node, "bufferSize", 0),
		.immediate = conf_bool(node, "immediate"),
		.promiscuous = conf_bool(node, "promiscuous"),
		.fanout = fanout_group(unit, unit->capture_count),
		.follows = unit->worker->index > 0,
	};

	if (unit->worker->index == 0)
		log_notice("observing: %s: interface %s", conf_name(node),
			   name);
	return add_capture(unit, &conf, error);
}

static int
add_files(struct unit *unit, char **error)
{
	const struct conf_node *file;
	struct capture_conf conf = {.file_count = 0};
	const char **list;
	unsigned n = conf_count(unit->node, "captureFile");
	int rc;

	/* The files of one Observation Point follow one another. */
	if (n == 0 || unit->worker->index > 0)
		return 0;
	list = calloc(n, sizeof(*list));
	if (!list)
		return -ENOMEM;
	conf_each (file, unit->node, "captureFile") {
		list[conf.file_count++] =
			strcmp(file->path, "/dev/stdin") == 0 ? "-"
							      : file->path;
		log_notice("observing: %s: file %s", conf_name(unit->node),
			   file->path);
	}
	conf.files = list;
	rc = add_capture(unit, &conf, error);
	free(list);
	return rc;
}

int
build_captures(struct unit *unit, char **error)
{
	const struct conf_node *node;
	char name[IF_NAMESIZE];
	int rc = 0;

	conf_each (node, unit->node, "ifName") {
		rc = add_interface(unit, node->text, error);
		if (rc < 0)
			return rc;
	}
	conf_each (node, unit->node, "ifIndex") {
		if (!if_indextoname((unsigned)node->number, name))
			return build_error(error, -ENODEV, unit->node,
					   "there is no interface with "
					   "ifIndex %s",
					   node->text);
		rc = add_interface(unit, name, error);
		if (rc < 0)
			return rc;
	}
	return add_files(unit, error);
}
