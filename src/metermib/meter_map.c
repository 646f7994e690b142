/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * From RTFM attributes to Information Elements.
 *
 * RFC 2722: an attribute that no rule pushed is zero, and its mask too; the
 * mask tells "does not matter" from a real zero. Hence no mask, or a mask of
 * zeros, and a value of zeros: no field. All ones: the address. Leading ones:
 * prefix and prefix length. Other masks: our own elements, as both. A type, a
 * class, a kind or an interface of 0 is not set.
 *
 * RFC 2720 gives PeerType 2 to IPv6, NeTraMet 3 gave it to IPv4: the length of
 * the address decides.
 *
 * RFC 5103 section 6: a record with reverse elements must have a directional
 * key. Flows without one become two records. Times are those of both
 * directions and are not reversed. RTFM's source is what the rule set takes for
 * it, so biflowDirection is arbitrary (0), never initiator.
 *
 * A record is gathered as a list of items. The list of their elements and
 * lengths is looked up among the layouts, each of which fills one batch.
 */
#include "meter_map.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "conflux/hash.h"
#include "conflux/wire.h"
#include "meter_elements.h"

enum {
	ITEMS_MAX = 64,
	LATE_MAX = 24,
	LAYOUTS_MAX = 128, /* a meter can make as many as it likes */
	BUFFER = 16384,
	RECORD_MAX = 4096,
	OUR_END = 10, /* attributes of the destination: so many further */
};

struct layout {
	uint64_t hash;
	const struct shape *shape;
	uint64_t flow_keys;
	uint32_t count;
	uint32_t used;
	uint32_t offset[BATCH_MAX + 1];
	uint8_t buffer[BUFFER];
};

struct item {
	const struct ie *ie;
	uint16_t length; /* of the field: IE_VARIABLE is possible */
	uint16_t size;	 /* of the value */
	bool key;
	const uint8_t *data; /* NULL: number */
	uint8_t number[16]; /* or a prefix */
};

struct record {
	const struct meter_map *map;
	const struct meter_row *row;
	const struct flow_reading *reading;
	unsigned count;
	unsigned late_count;
	bool directional; /* has a source or destination key of IANA's */
	struct item item[ITEMS_MAX];
	struct item late[LATE_MAX]; /* of variable length: go to the end */
};

struct meter_map {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct stage *stage;
	const struct scope *scope;
	uint32_t pen;
	bool biflow;
	bool total;
	uint16_t octets, packets; /* ids of the counters */
	const struct ie *ours[ROW_ATTRIBUTES];
	uint64_t export_ms;
	unsigned layout_count;
	struct layout *layout[LAYOUTS_MAX];
};

int
meter_map_new(const struct meter_reader_conf *conf,
	      struct ie_registry *registry, struct shape_table *shapes,
	      struct stage *stage, const struct scope *scope,
	      struct meter_map **out)
{
	struct meter_map *map = calloc(1, sizeof(*map));
	bool layer2 = conf->octet_layer == METER_OCTETS_LAYER2;
	int err;

	if (!map)
		return -ENOMEM;
	err = meter_elements_add(registry, conf->enterprise_number);
	if (err) {
		free(map);
		return err;
	}
	map->registry = registry;
	map->shapes = shapes;
	map->stage = stage;
	map->scope = scope;
	map->pen = conf->enterprise_number;
	map->biflow = conf->direction == METER_BIFLOW;
	map->total = conf->counters == METER_TOTAL;
	if (map->total) {
		map->octets = layer2 ? IE_layer2OctetTotalCount :
				       IE_octetTotalCount;
		map->packets = IE_packetTotalCount;
	} else {
		map->octets = layer2 ? IE_layer2OctetDeltaCount :
				       IE_octetDeltaCount;
		map->packets = IE_packetDeltaCount;
	}
	for (unsigned i = 0; i < ROW_ATTRIBUTES; i++)
		map->ours[i] = ie_find(registry, map->pen, (uint16_t)i);
	*out = map;
	return 0;
}

void
meter_map_free(struct meter_map *map)
{
	if (!map)
		return;
	for (unsigned i = 0; i < map->layout_count; i++) {
		shape_release(map->layout[i]->shape);
		free(map->layout[i]);
	}
	free(map);
}

unsigned
meter_map_layouts(const struct meter_map *map)
{
	return map->layout_count;
}

static struct item *
add_item(struct record *r, const struct ie *ie)
{
	struct item *item;

	if (!ie || r->count == ITEMS_MAX)
		return NULL;
	item = &r->item[r->count++];
	*item = (struct item){.ie = ie};
	return item;
}

static void
add_number(struct record *r, uint32_t pen, uint16_t id, uint64_t number,
	   bool key)
{
	const struct ie *ie = ie_get(r->map->registry, pen, id);
	struct item *item = add_item(r, ie);

	if (!item)
		return;
	item->length = item->size =
		ie->length && ie->length <= 8 ? ie->length : 8;
	item->key = key;
	wire_put_uint(item->number, number, item->size);
}

static void
add_octets(struct record *r, uint16_t id, const uint8_t *data, unsigned size,
	   bool key)
{
	struct item *item = add_item(r, ie_get(r->map->registry, 0, id));

	if (!item)
		return;
	item->length = item->size = (uint16_t)size;
	item->data = data;
	item->key = key;
}

/* An attribute as our own element, if the meter has a value for it. */
static void
add_ours(struct record *r, uint8_t attribute, uint8_t as)
{
	const struct ber_value *v = row_get(r->row, attribute);
	const struct ie *ie = r->map->ours[as];
	struct item *item;

	if (!v || !ie || (v->kind == BER_KIND_NUMBER && !v->number))
		return;
	if ((v->kind == BER_KIND_OCTETS) != (ie->length == IE_VARIABLE))
		return;
	if (v->kind == BER_KIND_OCTETS) {
		if (r->late_count < LATE_MAX)
			r->late[r->late_count++] = (struct item){
				.ie = ie,
				.length = IE_VARIABLE,
				.size = v->length,
				.key = true,
				.data = v->octets,
			};
		return;
	}
	item = add_item(r, ie);
	if (!item)
		return;
	item->key = true;
	item->length = item->size = ie->length;
	wire_put_uint(item->number, v->number, item->size);
}

/* What has the same place in all records of the shape stands before. */
static void
add_late(struct record *r)
{
	for (unsigned i = 0; i < r->late_count && r->count < ITEMS_MAX; i++)
		r->item[r->count++] = r->late[i];
}

enum mask { MASK_NONE, MASK_ALL, MASK_PREFIX, MASK_OTHER };

/* What a mask leaves of an address; *bits for a prefix. */
static enum mask
mask_kind(const struct meter_row *row, uint8_t address, unsigned *bits)
{
	unsigned size, mask_size, n = 0;
	const uint8_t *value = row_octets(row, address, &size);
	const uint8_t *mask = row_octets(row, (uint8_t)(address + 1),
					 &mask_size);
	bool zero = true;

	if (!value)
		return MASK_NONE;
	for (unsigned i = 0; i < size; i++)
		zero &= value[i] == 0;
	if (!mask)
		return zero ? MASK_NONE : MASK_ALL;
	if (mask_size > size)
		mask_size = size;
	while (n < mask_size * 8 && mask[n / 8] >> (7 - n % 8) & 1)
		n++;
	*bits = n;
	if (n == size * 8)
		return MASK_ALL;
	for (unsigned i = n; i < mask_size * 8; i++)
		if (mask[i / 8] >> (7 - i % 8) & 1)
			return MASK_OTHER;
	if (n == 0)
		return zero ? MASK_NONE : MASK_OTHER;
	return MASK_PREFIX;
}

/* Both the address and its mask, as our own elements. */
static void
add_odd_address(struct record *r, uint8_t from, uint8_t as)
{
	add_ours(r, from, as);
	add_ours(r, (uint8_t)(from + 1), (uint8_t)(as + 1));
}

struct peer_ids {
	uint16_t address, prefix, prefix_length;
};

/* RFC 2722 has bits outside of the mask zero; not every meter does. */
static void
add_prefix(struct record *r, uint16_t id, const uint8_t *value, unsigned size,
	   unsigned bits)
{
	struct item *item = add_item(r, ie_get(r->map->registry, 0, id));

	if (!item)
		return;
	item->length = item->size = (uint16_t)size;
	item->key = true;
	memcpy(item->number, value, bits / 8);
	if (bits % 8)
		item->number[bits / 8] =
			(uint8_t)(value[bits / 8] & 0xff00 >> bits % 8);
}

static void
add_peer(struct record *r, uint8_t from, uint8_t as)
{
	static const struct peer_ids ids[2][2] = {
		{{IE_sourceIPv4Address, IE_sourceIPv4Prefix,
		  IE_sourceIPv4PrefixLength},
		 {IE_sourceIPv6Address, IE_sourceIPv6Prefix,
		  IE_sourceIPv6PrefixLength}},
		{{IE_destinationIPv4Address, IE_destinationIPv4Prefix,
		  IE_destinationIPv4PrefixLength},
		 {IE_destinationIPv6Address, IE_destinationIPv6Prefix,
		  IE_destinationIPv6PrefixLength}},
	};
	uint8_t address = (uint8_t)(from + ATTRIBUTE_SOURCE_PEER_ADDRESS);
	uint8_t as_address = (uint8_t)(as + ATTRIBUTE_SOURCE_PEER_ADDRESS);
	const struct peer_ids *id;
	const uint8_t *value;
	unsigned size, bits = 0;
	enum mask mask = mask_kind(r->row, address, &bits);

	if (mask == MASK_NONE)
		return;
	value = row_octets(r->row, address, &size);
	if (mask == MASK_OTHER || (size != 4 && size != 16)) {
		add_odd_address(r, address, as_address);
		return;
	}
	id = &ids[as != 0][size == 16];
	r->directional = true;
	if (mask == MASK_ALL) {
		add_octets(r, id->address, value, size, true);
		return;
	}
	add_prefix(r, id->prefix, value, size, bits);
	add_number(r, 0, id->prefix_length, bits, true);
}

static bool
has_ports(uint64_t protocol)
{
	switch (protocol) {
	case 0: /* not pushed: the rule set knows what it does */
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return true;
	default:
		return false;
	}
}

static void
add_port(struct record *r, uint8_t from, uint8_t as)
{
	uint8_t address = (uint8_t)(from + ATTRIBUTE_SOURCE_TRANS_ADDRESS);
	uint64_t protocol = row_number(
		r->row, (uint8_t)(from + ATTRIBUTE_SOURCE_TRANS_TYPE));
	const uint8_t *value;
	unsigned size, bits = 0;
	enum mask mask = mask_kind(r->row, address, &bits);

	if (mask == MASK_NONE)
		return;
	value = row_octets(r->row, address, &size);
	if (mask != MASK_ALL || size != 2 || !has_ports(protocol)) {
		add_odd_address(r, address, (uint8_t)(
			as + ATTRIBUTE_SOURCE_TRANS_ADDRESS));
		return;
	}
	add_octets(r, as ? IE_destinationTransportPort :
			   IE_sourceTransportPort, value, 2, true);
	r->directional = true;
}

static bool
has_mac(uint64_t type)
{
	return type == 0 || type == ADJACENT_TYPE_ETHERNET_CSMACD ||
	       type == ADJACENT_TYPE_ETHERNET ||
	       type == ADJACENT_TYPE_TOKEN_RING || type == ADJACENT_TYPE_FDDI;
}

static void
add_adjacent(struct record *r, uint8_t from, uint8_t as)
{
	uint8_t address = (uint8_t)(from + ATTRIBUTE_SOURCE_ADJACENT_ADDRESS);
	uint8_t type = (uint8_t)(from + ATTRIBUTE_SOURCE_ADJACENT_TYPE);
	const uint8_t *value;
	unsigned size, bits = 0;
	enum mask mask = mask_kind(r->row, address, &bits);

	add_ours(r, type, (uint8_t)(as + ATTRIBUTE_SOURCE_ADJACENT_TYPE));
	if (mask == MASK_NONE)
		return;
	value = row_octets(r->row, address, &size);
	if (mask != MASK_ALL || size != 6 ||
	    !has_mac(row_number(r->row, type))) {
		add_odd_address(r, address, (uint8_t)(
			as + ATTRIBUTE_SOURCE_ADJACENT_ADDRESS));
		return;
	}
	add_octets(r, as ? IE_destinationMacAddress : IE_sourceMacAddress,
		   value, 6, true);
	r->directional = true;
}

/* One end of the flow, source as 0 or destination as OUR_END. */
static void
add_end(struct record *r, uint8_t from, uint8_t as)
{
	uint64_t interface = row_number(
		r->row, (uint8_t)(from + ATTRIBUTE_SOURCE_INTERFACE));

	add_peer(r, from, as);
	add_port(r, from, as);
	add_adjacent(r, from, as);
	if (interface)
		add_number(r, 0, as ? IE_egressInterface :
				      IE_ingressInterface, interface, true);
}

/* ipVersion, or the ethernetType of other network layers. */
static void
add_network(struct record *r)
{
	uint64_t type = row_number(r->row, ATTRIBUTE_SOURCE_PEER_TYPE);
	unsigned size;

	if (!type)
		type = row_number(r->row, ATTRIBUTE_DEST_PEER_TYPE);
	if (!row_octets(r->row, ATTRIBUTE_SOURCE_PEER_ADDRESS, &size))
		row_octets(r->row, ATTRIBUTE_DEST_PEER_ADDRESS, &size);
	switch (type) {
	case 0:
		break;
	case PEER_TYPE_IPV4:
	case PEER_TYPE_IPV6:
		if (size == 4)
			type = PEER_TYPE_IPV4;
		add_number(r, 0, IE_ipVersion,
			   type == PEER_TYPE_IPV4 ? 4 : 6, true);
		break;
	case PEER_TYPE_IPX:
		add_number(r, 0, IE_ethernetType, 0x8137, true);
		break;
	case PEER_TYPE_APPLETALK:
		add_number(r, 0, IE_ethernetType, 0x809b, true);
		break;
	case PEER_TYPE_DECNET:
		add_number(r, 0, IE_ethernetType, 0x6003, true);
		break;
	default:
		add_ours(r, ATTRIBUTE_SOURCE_PEER_TYPE,
			 ATTRIBUTE_SOURCE_PEER_TYPE);
	}
}

/* The other way round, what belongs to one end goes to the other. */
static uint8_t
turned(uint8_t attribute, bool turn)
{
	static const uint8_t pair[][2] = {
		{ATTRIBUTE_SOURCE_SUBSCRIBER_ID, ATTRIBUTE_DEST_SUBSCRIBER_ID},
		{ATTRIBUTE_SOURCE_CLASS, ATTRIBUTE_DEST_CLASS},
		{ATTRIBUTE_SOURCE_KIND, ATTRIBUTE_DEST_KIND},
		{113, 115},
		{114, 116},
	};

	for (unsigned i = 0; turn && i < sizeof(pair) / sizeof(*pair); i++)
		for (unsigned j = 0; j < 2; j++)
			if (pair[i][j] == attribute)
				return pair[i][!j];
	return attribute;
}

/* Attributes of RFC 2724 and NetFlowMet that were asked for beside the rest. */
static void
add_extended(struct record *r, bool turn)
{
	for (unsigned a = 64; a < ROW_ATTRIBUTES; a++) {
		uint8_t as = turned((uint8_t)a, turn);
		uint64_t number = row_number(r->row, (uint8_t)a);

		if (!row_get(r->row, (uint8_t)a))
			continue;
		if (as == 113 || as == 115)
			add_number(r, 0, as == 113 ? IE_bgpSourceAsNumber :
						     IE_bgpDestinationAsNumber,
				   number, true);
		else if (as == 118)
			add_number(r, 0, IE_ipDiffServCodePoint, number,
				   true);
		else
			add_ours(r, (uint8_t)a, as);
	}
}

/* An identification of zeros is one that was not given. */
static bool
is_zero(const struct meter_row *row, uint8_t attribute)
{
	unsigned length;
	const uint8_t *octets = row_octets(row, attribute, &length);

	for (unsigned i = 0; i < length; i++)
		if (octets[i])
			return false;
	return true;
}

static void
add_keys(struct record *r, bool turn)
{
	uint64_t protocol =
		row_number(r->row, ATTRIBUTE_SOURCE_TRANS_TYPE);

	if (!protocol)
		protocol = row_number(r->row, ATTRIBUTE_DEST_TRANS_TYPE);
	add_network(r);
	add_end(r, turn ? OUR_END : 0, 0);
	add_end(r, turn ? 0 : OUR_END, OUR_END);
	if (protocol)
		add_number(r, 0, IE_protocolIdentifier, protocol, true);
	for (uint8_t a = ATTRIBUTE_SOURCE_SUBSCRIBER_ID;
	     a <= ATTRIBUTE_FLOW_KIND; a++)
		if (a > ATTRIBUTE_SESSION_ID || !is_zero(r->row, a))
			add_ours(r, a, turned(a, turn));
	add_extended(r, turn);
}

static void
add_rest(struct record *r, uint64_t now_ms)
{
	const struct meter_map *map = r->map;
	const struct addr *meter = &map->scope->exporter;

	add_number(r, map->pen, METER_IE_RULE_SET, r->row->rule_set, true);
	add_number(r, map->pen, METER_IE_FLOW_INDEX, r->row->index, false);
	add_number(r, 0, IE_flowStartMilliseconds, r->reading->start_ms,
		   false);
	add_number(r, 0, IE_flowEndMilliseconds, r->reading->end_ms, false);
	add_number(r, 0, IE_collectionTimeMilliseconds, now_ms, false);
	add_octets(r, meter->version == 6 ? IE_originalExporterIPv6Address :
					    IE_originalExporterIPv4Address,
		   meter->bytes, meter->version == 6 ? 16 : 4, false);
}

static bool
layout_fits(const struct layout *layout, const struct record *r)
{
	const struct shape *shape = layout->shape;

	if (shape->count != r->count)
		return false;
	for (unsigned i = 0; i < r->count; i++)
		if (shape->field[i].ie != r->item[i].ie ||
		    shape->field[i].length != r->item[i].length)
			return false;
	return true;
}

static void
layout_flush(struct meter_map *map, struct layout *layout, uint64_t now_ms)
{
	struct batch batch = {
		.shape = layout->shape,
		.scope = map->scope,
		.base = layout->buffer,
		.count = layout->count,
		.stride = layout->shape->variable ?
			0 : layout->shape->min_length,
		.offset = layout->shape->variable ? layout->offset : NULL,
		.export_ms = now_ms,
		.received_ms = now_ms,
		.flow_keys = layout->flow_keys,
	};

	if (!layout->count)
		return;
	map->stage->ledger.held -= layout->count;
	map->stage->ledger.exported += layout->count;
	layout->count = 0;
	layout->used = 0;
	stage_forward(map->stage, &batch);
}

void
meter_map_flush(struct meter_map *map, uint64_t now_ms)
{
	for (unsigned i = 0; i < map->layout_count; i++)
		layout_flush(map, map->layout[i], now_ms);
}

static int
layout_new(struct meter_map *map, const struct record *r, uint64_t hash,
	   struct layout **out)
{
	struct field field[ITEMS_MAX];
	struct layout *layout = calloc(1, sizeof(*layout));
	int err;

	if (!layout)
		return -ENOMEM;
	for (unsigned i = 0; i < r->count; i++) {
		field[i] = (struct field){r->item[i].ie, r->item[i].length, 0};
		if (r->item[i].key)
			layout->flow_keys |= (uint64_t)1 << i;
	}
	err = shape_get(map->shapes, field, (uint16_t)r->count, 0,
			&layout->shape);
	if (err) {
		free(layout);
		return err;
	}
	layout->hash = hash;
	map->layout[map->layout_count++] = layout;
	*out = layout;
	return 0;
}

static int
layout_get(struct meter_map *map, const struct record *r, uint64_t now_ms,
	   struct layout **out)
{
	uint64_t hash = r->count;

	for (unsigned i = 0; i < r->count; i++)
		hash = hash_fold(hash ^ (uintptr_t)r->item[i].ie,
				 0xa0761d6478bd642fu ^ r->item[i].length);
	for (unsigned i = 0; i < map->layout_count; i++) {
		*out = map->layout[i];
		if ((*out)->hash == hash && layout_fits(*out, r))
			return 0;
	}
	if (map->layout_count == LAYOUTS_MAX) {
		meter_map_flush(map, now_ms);
		while (map->layout_count) {
			struct layout *old = map->layout[--map->layout_count];

			shape_release(old->shape);
			free(old);
		}
	}
	return layout_new(map, r, hash, out);
}

static int
record_write(const struct record *r, uint8_t *p, size_t room, uint32_t *size)
{
	struct writer w;

	writer_init(&w, p, room);
	for (unsigned i = 0; i < r->count; i++) {
		const struct item *item = &r->item[i];
		const uint8_t *data = item->data ? item->data : item->number;

		if (item->length == IE_VARIABLE)
			writer_varlen(&w, data, item->size);
		else
			writer_bytes(&w, data, item->size);
	}
	*size = (uint32_t)(w.p - p);
	return w.failed ? -ENOSPC : 0;
}

static void
record_add(struct meter_map *map, struct record *r, uint64_t now_ms)
{
	struct ledger *ledger = &map->stage->ledger;
	struct layout *layout;
	uint32_t size;
	int err;

	add_late(r);
	err = layout_get(map, r, now_ms, &layout);
	if (err) {
		ledger->lost[err == -ENOMEM ? LOSS_NO_MEMORY : LOSS_LIMIT]++;
		return;
	}
	if (layout->count == BATCH_MAX || BUFFER - layout->used < RECORD_MAX)
		layout_flush(map, layout, now_ms);
	if (record_write(r, layout->buffer + layout->used, RECORD_MAX,
			 &size)) {
		ledger->lost[LOSS_TOO_LONG]++;
		return;
	}
	layout->offset[layout->count++] = layout->used;
	layout->used += size;
	layout->offset[layout->count] = layout->used;
	ledger->held++;
}

static void
add_counters(struct record *r, bool turn, bool reverse)
{
	const struct meter_map *map = r->map;
	const uint64_t *value = map->total ? r->reading->total :
					     r->reading->delta;
	unsigned i = turn ? FLOW_FROM_OCTETS : FLOW_TO_OCTETS;

	add_number(r, 0, map->octets, value[i], false);
	add_number(r, 0, map->packets, value[i + 1], false);
	if (!reverse)
		return;
	add_number(r, IE_PEN_REVERSE, map->octets, value[FLOW_FROM_OCTETS],
		   false);
	add_number(r, IE_PEN_REVERSE, map->packets, value[FLOW_FROM_PDUS],
		   false);
	add_number(r, 0, IE_biflowDirection, 0, false);
}

void
meter_map_add(struct meter_map *map, const struct meter_row *row,
	      const struct flow_reading *reading, uint64_t now_ms)
{
	const uint64_t *value = map->total ? reading->total : reading->delta;
	bool to = value[FLOW_TO_OCTETS] || value[FLOW_TO_PDUS];
	bool from = value[FLOW_FROM_OCTETS] || value[FLOW_FROM_PDUS];
	struct record r = {.map = map, .row = row, .reading = reading};

	map->stage->ledger.in++;
	add_keys(&r, false);
	add_rest(&r, now_ms);
	if (from && map->biflow && r.directional) {
		add_counters(&r, false, true);
		record_add(map, &r, now_ms);
		return;
	}
	if (to || !from) {
		add_counters(&r, false, false);
		record_add(map, &r, now_ms);
	}
	if (!from)
		return;
	if (to)
		map->stage->ledger.split++;
	r.count = r.late_count = 0;
	add_keys(&r, true);
	add_rest(&r, now_ms);
	add_counters(&r, true, false);
	record_add(map, &r, now_ms);
}
