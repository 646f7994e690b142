/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the records of a domain were before they came to us.
 *
 * RFC 7119 has originalExporterIPv4Address, originalExporterIPv6Address and
 * originalObservationDomainId for a Mediator to tell who made the records that
 * it passes on. An Options Data Record whose one scope is the
 * observationDomainId says it of a whole domain. Ours (exporting/identity.c)
 * also has an ordered basicList (RFC 6313) of exportingProcessIds: all that the
 * records went through. If one of ours is among them, what it exported has come
 * back, and would go round for ever, more each time: it is lost here.
 *
 * What cannot be seen: a loop through a Mediator that does not pass such
 * options on, or through a cache of another kind than ours; and what comes
 * before the option does, which over UDP may get lost until it is sent again.
 */
#include <string.h>

#include "process.h"

enum { LIST_HEADER = 5, ID_OCTETS = 4 };

bool
path_told_by(const struct shape *shape)
{
	if (shape->scope_count != 1 ||
	    shape_find(shape, 0, IE_observationDomainId, 0) != 0)
		return false;
	return shape_find(shape, 0, IE_originalExporterIPv4Address, 0) > 0 ||
	       shape_find(shape, 0, IE_originalExporterIPv6Address, 0) > 0 ||
	       (shape->count == 2 &&
		shape_find(shape, 0, IE_basicList, 0) == 1);
}

static void
read_address(struct scope_origin *origin, const struct shape *shape,
	     const uint8_t *record, uint32_t length)
{
	static const struct {
		uint16_t id;
		uint8_t version, octets;
	} kind[] = {
		{IE_originalExporterIPv4Address, 4, 4},
		{IE_originalExporterIPv6Address, 6, 16},
	};
	static const uint8_t none[16];

	for (int i = 0; i < 2; i++) {
		int field = shape_find(shape, 0, kind[i].id, 0);
		uint32_t n;
		const uint8_t *p =
			shape_field(shape, field, record, length, &n);

		/* Who has elements for both leaves one of them 0. */
		if (!p || n != kind[i].octets || memcmp(p, none, n) == 0)
			continue;
		origin->exporter.version = kind[i].version;
		memcpy(origin->exporter.bytes, p, n);
	}
}

/* False: it is longer than any way should be. */
static bool
read_path(struct scope_origin *origin, const struct shape *shape,
	  const uint8_t *record, uint32_t length)
{
	int field = shape_find(shape, 0, IE_basicList, 0);
	uint32_t n;
	const uint8_t *p = shape_field(shape, field, record, length, &n);

	if (!p || n < LIST_HEADER ||
	    wire_get16(p + 1) != IE_exportingProcessId ||
	    wire_get16(p + 3) != ID_OCTETS)
		return true;
	p += LIST_HEADER;
	n = (n - LIST_HEADER) / ID_OCTETS;
	if (n > SCOPE_PATH_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++)
		origin->path[i] = wire_get32(p + (size_t)i * ID_OCTETS);
	origin->path_count = n;
	return true;
}

static bool
passed_here(const struct collecting *c, const struct scope_origin *origin)
{
	for (uint32_t i = 0; i < origin->path_count; i++)
		for (unsigned k = 0; k < c->conf.exporting_ids; k++)
			if (origin->path[i] == c->exporting_id[k])
				return true;
	return false;
}

static bool
same_origin(const struct scope_origin *a, const struct scope_origin *b)
{
	return addr_equal_host(&a->exporter, &b->exporter) &&
	       a->domain == b->domain && a->path_count == b->path_count &&
	       memcmp(a->path, b->path, a->path_count * sizeof(*a->path)) == 0;
}

void
path_learn(struct domain *domain, const struct shape *shape,
	   const uint8_t *record, uint32_t length)
{
	struct session *session = domain->session;
	struct scope_origin origin = {0}, *known;
	uint64_t number = 0, original = 0;
	bool fits;

	/* It may be told in another domain than that which it is of. */
	if (!shape_uint(shape, 0, record, length, &number))
		return;
	if (number != domain->scope->domain)
		domain = number > UINT32_MAX
				 ? NULL
				 : session_find_domain(session, PROTOCOL_IPFIX,
						       (uint32_t)number);
	if (!domain)
		return;
	origin.domain = domain->scope->domain;
	if (shape_uint(shape,
		       shape_find(shape, 0, IE_originalObservationDomainId, 0),
		       record, length, &original))
		origin.domain = (uint32_t)original;
	read_address(&origin, shape, record, length);
	fits = read_path(&origin, shape, record, length);
	domain->loop = !fits || passed_here(session->process, &origin);
	if (domain->loop)
		complain(session, COMPLAINT_LOOP,
			 "domain %u: its records %s: they are lost, or they "
			 "would go round for ever",
			 domain->scope->domain,
			 fits ? "were exported from here and have come back"
			      : "went through too many mediators, as in a "
				"loop");
	known = &domain->scope->origin;
	if (known->serial && same_origin(known, &origin))
		return;
	origin.serial = known->serial + 1;
	*known = origin;
}
