/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An sFlow datagram; each octet of the packets in it is touched. */
#include <assert.h>

#include "conflux/sflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So that reading them is not left out. */
volatile uint8_t sflow_octets;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sflow_reader reader;
	struct sflow_packet packet;
	enum sflow_item item;
	uint8_t octets = 0;

	if (!sflow_is(data, size) || sflow_open(&reader, data, size) < 0)
		return 0;
	while ((item = sflow_next(&reader, &packet))) {
		if (item != SFLOW_PACKET)
			continue;
		assert(packet.header >= data &&
		       packet.header + packet.header_length <= data + size);
		for (uint32_t i = 0; i < packet.header_length; i++)
			octets ^= packet.header[i];
	}
	sflow_octets = octets;
	return 0;
}
