/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers and numbers of NetFlow.
 *
 * RFC 3954 section 8 numbers Field Types up to 127; the numbers are those of
 * the IPFIX Information Elements, whose registry keeps them free for it (RFC
 * 7012 section 4). Newer exporters use IPFIX's numbers above that as well. The
 * others are told by the bit that is the enterprise bit in IPFIX:
 *
 *   57472 up to 58495  of nProbe: element type - 57472 of ntop (35632)
 *   56701, 56702       of Palo Alto Networks (25461)
 *   other from 32768   of Cisco (9), as its own exporters have them in IPFIX:
 *                      element type - 32768
 *
 * Scope Field Types (section 6.1) are numbers of their own: 1 to 5. Others
 * are not defined, and are taken as Field Types, which exporters mean by them.
 */
#include "conflux/netflow.h"

#include <errno.h>

#include "conflux/ie.h"

enum {
	PEN_CISCO = 9,
	PEN_NTOP = 35632,
	PEN_PALO_ALTO = 25461,
	NTOP_FIRST = 57472,
	NTOP_LAST = NTOP_FIRST + 1023,
	PALO_ALTO_FIRST = 56701,
	PALO_ALTO_LAST = 56702,
};

static void
open5(struct netflow_header *h, struct reader *r)
{
	uint32_t seconds, nanoseconds;
	uint16_t sampling;

	h->uptime_ms = reader_u32(r);
	seconds = reader_u32(r);
	nanoseconds = reader_u32(r);
	h->export_ms = seconds * UINT64_C(1000) + nanoseconds / 1000000;
	h->sequence = reader_u32(r);
	h->domain = reader_u16(r);
	sampling = reader_u16(r);
	h->sampling = (uint8_t)(sampling >> 14);
	h->interval = sampling & 0x3fff;
}

static void
open9(struct netflow_header *h, struct reader *r)
{
	h->uptime_ms = reader_u32(r);
	h->export_ms = reader_u32(r) * UINT64_C(1000);
	h->sequence = reader_u32(r);
	h->domain = reader_u32(r);
}

int
netflow_open(struct netflow_header *h, const uint8_t *p, size_t length)
{
	struct reader r;

	*h = (struct netflow_header){0};
	reader_init(&r, p, length);
	h->version = reader_u16(&r);
	h->count = reader_u16(&r);
	if (h->version == NETFLOW5_VERSION && length >= NETFLOW5_HEADER)
		open5(h, &r);
	else if (h->version == NETFLOW5_VERSION)
		return -EBADMSG;
	else
		open9(h, &r);
	return r.failed ? -EBADMSG : 0;
}

static uint16_t
scope_element(uint16_t type)
{
	switch (type) {
	case 1: /* System: the exporter */
		return IE_exportingProcessId;
	case 2: /* Interface */
		return IE_ingressInterface;
	case 3: /* Line Card */
		return IE_lineCardId;
	case 4: /* NetFlow Cache */
		return IE_meteringProcessId;
	case 5: /* Template */
		return IE_templateId;
	default:
		return type;
	}
}

void
netflow9_element(uint16_t type, bool scope, uint32_t *pen, uint16_t *id)
{
	*pen = 0;
	*id = scope ? scope_element(type) : type;
	if (!(type & FIELD_ENTERPRISE))
		return;
	if (type >= NTOP_FIRST && type <= NTOP_LAST) {
		*pen = PEN_NTOP;
		*id = type - NTOP_FIRST;
		return;
	}
	*pen = type >= PALO_ALTO_FIRST && type <= PALO_ALTO_LAST ? PEN_PALO_ALTO
								 : PEN_CISCO;
	*id = type & (uint16_t)~FIELD_ENTERPRISE;
}
