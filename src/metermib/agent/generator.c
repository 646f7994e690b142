/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow n of a seed is always the same: its key is made from n alone, so that
 * keys differ, and of every twenty some have IPv6, prefixes instead of hosts,
 * no ports, MAC addresses only, subscribers, scaled counters. A flow lives for
 * some counts, then another takes its place and the old one falls idle.
 *
 * A script is a text file, one count in a line, in order of time; # begins a
 * comment:
 *
 *	ms,source,dest,protocol,source port,dest port,octets,packets,to|from
 *
 * Addresses may have a prefix length, ports may be empty (not part of the
 *flow), and so may the protocol.
 */
#include "generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/log.h"
#include "conflux/wire.h"

#include "../attribute.h"

enum {
	KINDS = 20,
	KIND_SCALED = 19,
	SCALE = 4,
	INTERFACES = 4,
	RUN_AT_ONCE = 20000,
	LINE_SIZE = 512,
	FIELDS = 9,
	SCRIPT_MAX = 1000000,
	MAC_SIZE = 6,
};

struct slot {
	struct flow_key key;
	uint32_t left; /* counts until the next flow takes the place */
	uint8_t kind;
};

struct step {
	uint64_t at_ms; /* after the start */
	struct flow_key key;
	uint64_t octets;
	uint64_t pdus;
	enum flow_direction direction;
};

struct generator {
	struct generator_config config;
	struct meter *meter;
	uint64_t start_ms;
	uint64_t random;
	uint64_t serial;
	struct slot *slot;
	uint32_t begun; /* slots that had their first count */
	bool finished;
	struct step *step;
	size_t steps;
	size_t next_step;
	struct generator_counters counters;
};

/* splitmix64 */
static uint64_t
draw(struct generator *g)
{
	uint64_t z = (g->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
mask_bits(uint8_t *address, uint8_t *mask, unsigned size, unsigned bits)
{
	for (unsigned i = 0; i < size; i++) {
		unsigned left = bits > 8 * i ? bits - 8 * i : 0;

		mask[i] = left >= 8 ? 0xff : (uint8_t)(0xff00u >> left);
		address[i] &= mask[i];
	}
}

static void
set_peer(struct flow_end *end, const void *address, unsigned size,
	 unsigned bits)
{
	end->peer_type = size == 4 ? PEER_TYPE_IPV4 : PEER_TYPE_IPV6;
	end->peer_length = (uint8_t)size;
	memcpy(end->peer, address, size);
	mask_bits(end->peer, end->peer_mask, size, bits);
}

static void
set_port(struct flow_end *end, unsigned port)
{
	end->port[0] = (uint8_t)(port >> 8);
	end->port[1] = (uint8_t)port;
	end->port_mask[0] = end->port_mask[1] = 0xff;
}

static void
set_mac(struct flow_end *end, uint8_t vendor, uint64_t n)
{
	end->adjacent_type = ADJACENT_TYPE_ETHERNET;
	end->adjacent_length = MAC_SIZE;
	end->adjacent[0] = 2;
	end->adjacent[1] = vendor;
	for (unsigned i = 0; i < 4; i++)
		end->adjacent[2 + i] = (uint8_t)(n >> (24 - 8 * i));
	memset(end->adjacent_mask, 0xff, MAC_SIZE);
}

/* Both ends of flow n; dest moves slower than source. */
static void
make_ipv4(struct flow_key *key, uint64_t n, unsigned source_bits,
	  unsigned dest_bits)
{
	uint8_t source[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			     (uint8_t)n};
	uint8_t dest[4] = {192, 0, (uint8_t)(2 + n % 7), (uint8_t)(n * 5)};

	if (source_bits < 32) {
		source[0] = (uint8_t)(20 + (n >> 16) % 80);
		source[1] = (uint8_t)(n >> 8);
		source[2] = (uint8_t)n;
	}
	set_peer(&key->end[FLOW_SOURCE], source, 4, source_bits);
	set_peer(&key->end[FLOW_DEST], dest, 4, dest_bits);
}

static void
make_ipv6(struct flow_key *key, uint64_t n, unsigned source_bits,
	  unsigned dest_bits)
{
	uint8_t source[16] = {0x20,
			      0x01,
			      0x0d,
			      0xb8,
			      (uint8_t)(n >> 16),
			      (uint8_t)(n >> 8),
			      (uint8_t)n};
	uint8_t dest[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff, (uint8_t)(n % 11)};

	source[15] = (uint8_t)(1 + n % 250);
	dest[15] = (uint8_t)(1 + n % 13);
	set_peer(&key->end[FLOW_SOURCE], source, 16, source_bits);
	set_peer(&key->end[FLOW_DEST], dest, 16, dest_bits);
}

static void
make_ports(struct flow_key *key, uint64_t n)
{
	static const uint16_t service[] = {80, 443, 53, 22, 25};
	uint8_t protocol = n % 3 ? 6 : 17;

	key->end[FLOW_SOURCE].trans_type = protocol;
	key->end[FLOW_DEST].trans_type = protocol;
	set_port(&key->end[FLOW_SOURCE], (unsigned)(1024 + n % 60000));
	set_port(&key->end[FLOW_DEST], service[n % 5]);
}

static void
make_subscribers(struct flow_key *key, uint64_t n)
{
	for (unsigned i = 0; i < 2; i++) {
		int length = snprintf((char *)key->subscriber[i],
				      sizeof(key->subscriber[i]), "user%u-%u",
				      (unsigned)(n % 1000), i);

		/* The NUL is no part of it, and is zero like the rest. */
		key->subscriber_length[i] = (uint8_t)length;
	}
	key->session_length = 8;
	for (unsigned i = 0; i < 8; i++)
		key->session[i] = (uint8_t)(n >> (56 - 8 * i));
	for (unsigned i = 0; i < 3; i++) {
		key->class[i] = (uint8_t)(1 + (n + i) % 255);
		key->kind[i] = (uint8_t)((n + 2 * i) % 4);
	}
}

static void
make_flow(struct generator *g, struct slot *slot)
{
	uint64_t n = g->serial++;
	struct flow_key *key = &slot->key;

	memset(key, 0, sizeof(*key));
	slot->kind = (uint8_t)(n % KINDS);
	slot->left = (uint32_t)(20 + draw(g) % 200);
	for (unsigned i = 0; i < 2; i++)
		key->end[i].interface = (uint32_t)(1 + (n + i) % INTERFACES);
	if (slot->kind < 10 || slot->kind >= 17) {
		make_ipv4(key, n, 32, 32);
		make_ports(key, n);
	} else if (slot->kind < 13) {
		make_ipv6(key, n, 128, 128);
		make_ports(key, n);
	} else if (slot->kind < 15) {
		make_ipv4(key, n, 24, 16);
	} else if (slot->kind < 16) {
		make_ipv6(key, n, 64, 48);
	}
	if (slot->kind % 2 || slot->kind == 16) {
		set_mac(&key->end[FLOW_SOURCE], 1, n);
		set_mac(&key->end[FLOW_DEST], 2, n % 50);
	}
	if (slot->kind == 18)
		make_subscribers(key, n);
}

/* Counts in each rule set that runs what sampling leaves. */
static void
count(struct generator *g, struct flow_key *key, enum flow_direction direction,
      uint64_t octets, uint64_t pdus, unsigned octet_scale, uint64_t now_ms)
{
	struct meter_table *flows = meter_flows(g->meter);
	uint32_t rate =
		meter_interface_rate(g->meter, key->end[direction].interface);
	uint8_t running[256];
	unsigned sets = meter_running(g->meter, running);

	g->counters.updates++;
	if (rate != 1 && (rate == 0 || draw(g) % rate))
		return;
	for (unsigned i = 0; i < sets; i++) {
		key->rule_set = running[i];
		if (meter_count(g->meter, key, direction, octets, pdus,
				now_ms)) {
			meter_interface_lost(g->meter,
					     key->end[direction].interface,
					     (uint32_t)pdus);
			g->counters.refused++;
			continue;
		}
		g->counters.octets += octets;
		g->counters.pdus += pdus;
		if (octet_scale)
			meter_table_find(flows, key)->octet_scale =
				(uint8_t)octet_scale;
	}
	key->rule_set = 0;
}

static void
count_slot(struct generator *g, struct slot *slot, uint64_t now_ms)
{
	uint64_t random = draw(g);
	enum flow_direction direction = random % 5 < 3 ? FLOW_TO : FLOW_FROM;
	uint64_t pdus = 1 + (random >> 8) % 16;
	uint64_t octets = draw(g) % g->config.max_octets + 1;
	unsigned scale = slot->kind == KIND_SCALED ? SCALE : 0;

	/* What a scaled counter cannot show is not there to be lost. */
	octets = ((octets >> scale) + (scale != 0)) << scale;
	count(g, &slot->key, direction, octets, pdus, scale, now_ms);
	if (--slot->left == 0)
		make_flow(g, slot);
}

static int
parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || end == text || *end || *number > max ? -EINVAL : 0;
}

static int
parse_address(char *text, struct flow_end *end)
{
	char *slash = strchr(text, '/');
	uint8_t address[16];
	unsigned size = 0;
	uint64_t bits;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, address) == 1)
		size = 4;
	else if (inet_pton(AF_INET6, text, address) == 1)
		size = 16;
	bits = 8 * size;
	if (!size || (slash && parse_number(slash + 1, 8 * size, &bits)))
		return -EINVAL;
	set_peer(end, address, size, (unsigned)bits);
	return 0;
}

static int
parse_step(char *line, struct step *step)
{
	char *field[FIELDS];
	uint64_t port, protocol = 0;

	for (unsigned i = 0; i < FIELDS; i++)
		if (!(field[i] = strsep(&line, ",")))
			return -EINVAL;
	if (line || parse_number(field[0], UINT64_MAX, &step->at_ms) ||
	    parse_address(field[1], &step->key.end[FLOW_SOURCE]) ||
	    parse_address(field[2], &step->key.end[FLOW_DEST]) ||
	    (*field[3] && parse_number(field[3], 255, &protocol)) ||
	    parse_number(field[6], UINT64_MAX, &step->octets) ||
	    parse_number(field[7], UINT32_MAX, &step->pdus))
		return -EINVAL;
	for (unsigned i = 0; i < 2; i++) {
		step->key.end[i].trans_type = (uint8_t)protocol;
		step->key.end[i].interface = 1 + i;
		if (!*field[4 + i])
			continue;
		if (parse_number(field[4 + i], UINT16_MAX, &port))
			return -EINVAL;
		set_port(&step->key.end[i], (unsigned)port);
	}
	if (strcmp(field[8], "to") == 0)
		step->direction = FLOW_TO;
	else if (strcmp(field[8], "from") == 0)
		step->direction = FLOW_FROM;
	else
		return -EINVAL;
	return 0;
}

static int
add_step(struct generator *g, char *line, size_t *room)
{
	struct step step;

	memset(&step, 0, sizeof(step));
	if (parse_step(line, &step) ||
	    (g->steps && step.at_ms < g->step[g->steps - 1].at_ms))
		return -EINVAL;
	if (g->steps == SCRIPT_MAX)
		return -ENOSPC;
	if (g->steps == *room) {
		size_t want = *room ? *room * 2 : 64;
		struct step *more = realloc(g->step, want * sizeof(*more));

		if (!more)
			return -ENOMEM;
		g->step = more;
		*room = want;
	}
	g->step[g->steps++] = step;
	return 0;
}

static int
read_script(struct generator *g)
{
	FILE *file = fopen(g->config.script, "r");
	char line[LINE_SIZE];
	unsigned number = 0;
	size_t room = 0;
	int err = 0;

	if (!file) {
		err = -errno;
		log_error("%s: %s", g->config.script, strerror(-err));
		return err;
	}
	while (!err && fgets(line, sizeof(line), file)) {
		number++;
		line[strcspn(line, "#\r\n")] = '\0';
		if (*line)
			err = add_step(g, line, &room);
	}
	fclose(file);
	if (err)
		log_error("%s:%u: not a count of a flow, out of order, or too "
			  "many",
			  g->config.script, number);
	return err;
}

int
generator_new(const struct generator_config *config, struct meter *meter,
	      uint64_t now_ms, struct generator **result)
{
	struct generator *g = calloc(1, sizeof(*g));
	int err = 0;

	if (!g)
		return -ENOMEM;
	g->config = *config;
	g->meter = meter;
	g->start_ms = now_ms;
	g->random = config->seed;
	g->slot = calloc(config->flows + 1u, sizeof(*g->slot));
	if (!g->slot)
		err = -ENOMEM;
	if (!err && config->script)
		err = read_script(g);
	if (err) {
		generator_free(g);
		return err;
	}
	for (uint32_t i = 1; i <= INTERFACES; i++)
		meter_interface_add(meter, i);
	for (uint32_t i = 0; i < config->flows; i++)
		make_flow(g, &g->slot[i]);
	*result = g;
	return 0;
}

void
generator_free(struct generator *g)
{
	if (!g)
		return;
	free(g->slot);
	free(g->step);
	free(g);
}

static bool
all_counted(const struct generator *g)
{
	bool made = g->config.flows == 0 ||
		    (g->config.updates
			     ? g->counters.updates >= g->config.updates
			     : g->begun == g->config.flows && !g->config.rate);

	return made && g->next_step == g->steps;
}

bool
generator_run(struct generator *g, uint64_t now_ms)
{
	uint64_t elapsed = now_ms - g->start_ms;
	uint64_t due = g->config.flows + elapsed * g->config.rate / 1000;
	unsigned done = 0;

	for (;
	     g->next_step < g->steps && g->step[g->next_step].at_ms <= elapsed;
	     g->next_step++) {
		struct step *step = &g->step[g->next_step];

		count(g, &step->key, step->direction, step->octets, step->pdus,
		      0, now_ms);
	}
	due += g->next_step;
	if (g->config.updates && due > g->config.updates)
		due = g->config.updates;
	while (g->config.flows && g->counters.updates < due &&
	       done++ < RUN_AT_ONCE) {
		/* Each flow once, then any. */
		uint32_t i = g->begun < g->config.flows
				     ? g->begun++
				     : (uint32_t)(draw(g) % g->config.flows);

		count_slot(g, &g->slot[i], now_ms);
	}
	if (g->finished || !all_counted(g))
		return false;
	g->finished = true;
	return true;
}

const struct generator_counters *
generator_counters(const struct generator *g)
{
	return &g->counters;
}

void
truth_header(FILE *file)
{
	fputs("rule_set,index,first_time,last_time,source,source_mask,dest,"
	      "dest_mask,protocol,source_port,dest_port,source_mac,dest_mac,"
	      "to_octets,to_pdus,from_octets,from_pdus,end\n",
	      file);
}

static void
print_address(FILE *file, const struct flow_end *end, const uint8_t *octets)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (end->peer_length)
		inet_ntop(end->peer_length == 4 ? AF_INET : AF_INET6, octets,
			  text, sizeof(text));
	fprintf(file, ",%s", text);
}

static void
print_port(FILE *file, const struct flow_end *end)
{
	if (end->port_mask[0] || end->port_mask[1])
		fprintf(file, ",%u", (unsigned)wire_get16(end->port));
	else
		fputc(',', file);
}

static void
print_mac(FILE *file, const struct flow_end *end)
{
	fputc(',', file);
	for (unsigned i = 0; i < end->adjacent_length; i++)
		fprintf(file, "%s%02x", i ? ":" : "", end->adjacent[i]);
}

void
truth_flow(FILE *file, const struct meter_flow *flow, const char *end)
{
	const struct flow_end *source = &flow->key.end[FLOW_SOURCE];
	const struct flow_end *dest = &flow->key.end[FLOW_DEST];

	fprintf(file, "%u,%" PRIu32 ",%" PRIu32 ",%" PRIu32, flow->key.rule_set,
		flow->index, flow->first_time, flow->last_time);
	print_address(file, source, source->peer);
	print_address(file, source, source->peer_mask);
	print_address(file, dest, dest->peer);
	print_address(file, dest, dest->peer_mask);
	fprintf(file, ",%u", source->trans_type);
	print_port(file, source);
	print_port(file, dest);
	print_mac(file, source);
	print_mac(file, dest);
	fprintf(file, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n",
		flow->octets[FLOW_TO], flow->pdus[FLOW_TO],
		flow->octets[FLOW_FROM], flow->pdus[FLOW_FROM], end);
}
