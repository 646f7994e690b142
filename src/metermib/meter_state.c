/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: what a reader must know to go on after its process ended, so
 * that no flow is lost and none counted twice. One file for each meter, in
 * network byte order:
 *
 *	magic (8), version (4), octets of the rest (8), hash of the rest (8)
 *	meter address (1 + 16), port (2)
 *	clock: Uptime (4), wall clock in ms (8); has start (1), start (4)
 *	rule sets (2), of each: index (1), has good (1), good (4)
 *	flows (4), of each: index (4), first time (4), rule set (1),
 *	  scales (2), start in ms (8), four counters (8 each)
 *
 * It is written as a whole after each pass. If the process is killed within a
 * pass, what was exported in that pass is exported once more. A file that is
 * cut short, changed, of another version or of another meter is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "reader.h"

enum {
	STATE_VERSION = 1,
	HEADER = 8 + 4 + 8 + 8,
	FIXED = 17 + 2 + 12 + 5 + 2 + 4,
	PER_SET = 6,
	PER_FLOW = 51,
};

static const char magic[8] = "CFXmeter";
static const uint64_t hash_key = 0x6d657465725f7374u;

static void
put_flow(struct writer *w, const struct meter_flow *flow)
{
	writer_u32(w, flow->index);
	writer_u32(w, flow->first_time);
	writer_u8(w, flow->rule_set);
	writer_u8(w, flow->pdu_scale);
	writer_u8(w, flow->octet_scale);
	writer_u64(w, flow->start_ms);
	for (unsigned i = 0; i < FLOW_COUNTERS; i++)
		writer_u64(w, flow->counter[i]);
}

static void
put_body(const struct meter_reader *reader, struct writer *w, unsigned sets)
{
	const struct meter_flows *flows = &reader->flows;

	writer_u8(w, reader->scope.exporter.version);
	writer_bytes(w, reader->scope.exporter.bytes, 16);
	writer_u16(w, reader->scope.exporter.port);
	writer_u32(w, reader->clock.uptime);
	writer_u64(w, reader->clock.wall_ms);
	writer_u8(w, reader->has_start);
	writer_u32(w, reader->start);
	writer_u16(w, (uint16_t)sets);
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		const struct meter_rule_set *set = reader->set[i];

		if (!set)
			continue;
		writer_u8(w, set->index);
		writer_u8(w, set->has_good);
		writer_u32(w, set->good);
	}
	writer_u32(w, flows->count);
	for (uint32_t i = 0; flows->slot && i <= flows->mask; i++)
		if (flows->slot[i].index)
			put_flow(w, &flows->slot[i]);
}

void
meter_state_save(struct meter_reader *reader)
{
	size_t size;
	unsigned sets = 0;
	struct writer w;
	uint8_t *data = NULL;

	/* A slow disk gets the next pass with the one after it. */
	if (!reader->conf.state_file || !reader->clock.known)
		return;
	reader->state_due = atomic_load(&reader->writes) > 1 &&
			    !reader->stopping;
	if (reader->state_due)
		return;
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++)
		sets += reader->set[i] != NULL;
	size = HEADER + FIXED + (size_t)sets * PER_SET +
	       (size_t)reader->flows.count * PER_FLOW;
	data = malloc(size);
	if (!data)
		return;
	writer_init(&w, data, size);
	writer_bytes(&w, magic, sizeof(magic));
	writer_u32(&w, STATE_VERSION);
	writer_u64(&w, size - HEADER);
	writer_take(&w, 8);
	put_body(reader, &w, sets);
	wire_put64(data + HEADER - 8,
		   hash_bytes(data + HEADER, size - HEADER, hash_key));
	meter_engine_write(reader->engine, reader->conf.state_file, data, size,
			   &reader->writes);
}

static int
read_file(const char *path, size_t max, uint8_t **data, size_t *length)
{
	struct stat st;
	size_t done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < HEADER ||
	    (size_t)st.st_size > max)
		err = -EBADMSG;
	*length = err ? 0 : (size_t)st.st_size;
	*data = err ? NULL : malloc(*length);
	if (!err && !*data)
		err = -ENOMEM;
	while (!err && done < *length) {
		ssize_t n = read(fd, *data + done, *length - done);

		if (n <= 0)
			err = -EBADMSG;
		else
			done += (size_t)n;
	}
	close(fd);
	if (err)
		free(*data);
	return err;
}

static int
get_flow(struct meter_reader *reader, struct reader *r)
{
	uint32_t index = reader_u32(r), first = reader_u32(r);
	uint8_t rule_set = reader_u8(r);
	struct meter_flow *flow;
	int err;

	if (r->failed || !index ||
	    meter_flows_find(&reader->flows, rule_set, index))
		return -EBADMSG;
	err = meter_flows_add(&reader->flows, rule_set, index, &flow);
	if (err)
		return err;
	flow->first_time = first;
	flow->pdu_scale = reader_u8(r);
	flow->octet_scale = reader_u8(r);
	flow->start_ms = reader_u64(r);
	for (unsigned i = 0; i < FLOW_COUNTERS; i++)
		flow->counter[i] = reader_u64(r);
	return r->failed ? -EBADMSG : 0;
}

static int
get_sets(struct meter_reader *reader, struct reader *r)
{
	unsigned count = reader_u16(r);

	for (; count && !r->failed; count--) {
		struct meter_rule_set *set =
			meter_reader_set(reader, reader_u8(r), true);

		if (!set)
			return -ENOMEM;
		set->has_good = reader_u8(r) != 0;
		set->good = reader_u32(r);
	}
	return r->failed ? -EBADMSG : 0;
}

static int
get_body(struct meter_reader *reader, struct reader *r)
{
	const struct addr *meter = &reader->scope.exporter;
	uint8_t version = reader_u8(r);
	const uint8_t *bytes = reader_take(r, 16);
	uint32_t flows;
	int err;

	if (!bytes || version != meter->version ||
	    memcmp(bytes, meter->bytes, 16) != 0 ||
	    reader_u16(r) != meter->port)
		return -ENODEV;
	reader->clock.uptime = reader_u32(r);
	reader->clock.wall_ms = reader_u64(r);
	reader->has_start = reader_u8(r) != 0;
	reader->start = reader_u32(r);
	err = get_sets(reader, r);
	flows = reader_u32(r);
	for (; flows && !err; flows--)
		err = get_flow(reader, r);
	if (!err && reader_left(r))
		err = -EBADMSG;
	reader->clock.known = !err;
	return err;
}

static int
get_file(struct meter_reader *reader, const uint8_t *data, size_t length)
{
	const uint8_t *start;
	struct reader r;

	reader_init(&r, data, length);
	start = reader_take(&r, sizeof(magic));
	if (!start || memcmp(start, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (reader_u32(&r) != STATE_VERSION)
		return -EPROTO;
	if (reader_u64(&r) != length - HEADER ||
	    reader_u64(&r) != hash_bytes(data + HEADER, length - HEADER,
					 hash_key))
		return -EBADMSG;
	return get_body(reader, &r);
}

static const char *
refusal(int err)
{
	switch (err) {
	case -EBADMSG:
		return "it is no state file, or was cut short or changed";
	case -EPROTO:
		return "it is of another version";
	case -ENODEV:
		return "it is of another meter";
	default:
		return strerror(-err);
	}
}

int
meter_state_load(struct meter_reader *reader)
{
	const char *path = reader->conf.state_file;
	size_t length = 0, max;
	uint8_t *data = NULL;
	int err;

	if (!path)
		return 0;
	max = HEADER + FIXED + (RULE_SETS_MAX + 1) * PER_SET +
	      (size_t)reader->flows.max * PER_FLOW;
	err = read_file(path, max, &data, &length);
	if (err == -ENOENT)
		return 0;
	if (!err) {
		err = get_file(reader, data, length);
		free(data);
	}
	if (!err)
		return 0;
	meter_flows_clear(&reader->flows);
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		free(reader->set[i]);
		reader->set[i] = NULL;
	}
	reader->clock = (struct meter_clock){.known = false};
	reader->has_start = false;
	log_warning("meter %s: state file %s is not used: %s", reader->name,
		    path, refusal(err));
	return err == -ENOMEM ? err : 0;
}
