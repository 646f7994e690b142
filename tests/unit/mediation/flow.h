/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One Flow Record to try expressions on: from 192.0.2.1 port 40000 to
 * 198.51.100.80 port 443, TCP, 1500 octets in 10 packets in 2 seconds.
 */
#ifndef CONFLUX_TESTS_FLOW_H
#define CONFLUX_TESTS_FLOW_H

#include <string.h>

#include "conflux/filter.h"
#include "conflux/wire.h"

struct flow_value {
	uint32_t pen;
	uint16_t id;
	uint16_t length; /* IE_VARIABLE: of text */
	uint64_t number; /* the last octets of the field */
	const char *text;
};

static const struct flow_value flow_v4[] = {
	{0, IE_sourceIPv4Address, 4, 0xc0000201, NULL},
	{0, IE_destinationIPv4Address, 4, 0xc6336450, NULL},
	{0, IE_sourceTransportPort, 2, 40000, NULL},
	{0, IE_destinationTransportPort, 2, 443, NULL},
	{0, IE_protocolIdentifier, 1, 6, NULL},
	{0, IE_tcpControlBits, 2, 0x1b, NULL},
	{0, IE_interfaceName, IE_VARIABLE, 0, "eth0"},
	{0, IE_octetDeltaCount, 3, 1500, NULL}, /* of reduced size */
	{IE_PEN_REVERSE, IE_octetDeltaCount, 8, 70, NULL},
	{0, IE_packetDeltaCount, 8, 10, NULL},
	{0, IE_flowStartMilliseconds, 8, 1700000000500, NULL},
	{0, IE_flowEndMilliseconds, 8, 1700000002500, NULL},
	{0, IE_ingressInterface, 4, 3, NULL},
	{0, IE_egressInterface, 4, 5, NULL},
	{0, IE_bgpSourceAsNumber, 4, 64500, NULL},
	{0, IE_bgpDestinationAsNumber, 4, 64501, NULL},
	{0, IE_ipNextHopIPv4Address, 4, 0xcb007101, NULL},
	{0, IE_sourceMacAddress, 6, 0x001b210a0b0c, NULL},
	{0, IE_vlanId, 2, 7, NULL},
	{0, IE_ipClassOfService, 1, 0xb8, NULL},
	{0, IE_interfaceDescription, 8, 0, "up"}, /* filled up with zeros */
	{0, IE_mibObjectValueInteger, 2, 0xfffb, NULL},	  /* -5 */
	{0, IE_samplingProbability, 4, 0x3e800000, NULL}, /* 0.25 */
	{0, IE_dataRecordsReliability, 1, 1, NULL},
	{0, IE_basicList, IE_VARIABLE, 0, "xx"},
};

/* Fills fields and the record; its length. */
static inline uint32_t
flow_write(struct ie_registry *registry, const struct flow_value *value,
	   unsigned count, struct field *field, uint8_t *record)
{
	uint8_t *p = record;

	for (unsigned i = 0; i < count; i++, value++) {
		uint16_t length = value->length;

		field[i].ie = ie_get(registry, value->pen, value->id);
		field[i].length = length;
		if (length == IE_VARIABLE)
			*p++ = (uint8_t)(length =
						 (uint16_t)strlen(value->text));
		memset(p, 0, length);
		if (value->text)
			memcpy(p, value->text, strlen(value->text));
		else if (length > 8)
			wire_put64(p + length - 8, value->number);
		else
			wire_put_uint(p, value->number, length);
		p += length;
	}
	return (uint32_t)(p - record);
}

#endif
