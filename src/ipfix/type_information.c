/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 5610 section 3.9: an Options Data Record with privateEnterpriseNumber
 * and informationElementId as scope describes an element: its type, and
 * perhaps semantics, units, range, name and description.
 *
 * A peer can make up elements, as its section 6 warns. So known elements, those
 * of IANA and the reverse ones are not touched, a name is short, of plain
 * characters and not that of another element, and the registry is bounded.
 */
#include "conflux/type_information.h"

#include <errno.h>
#include <string.h>

enum { NAME_OCTETS = 128, DESCRIPTION_OCTETS = 512 };

static uint64_t
find_uint(const struct shape *shape, const uint8_t *record, uint32_t length,
	  uint16_t id)
{
	uint64_t value = 0;

	shape_uint(shape, shape_find(shape, 0, id, 0), record, length, &value);
	return value;
}

/* Control characters become spaces; zeros at the end fill a fixed field. */
static void
find_string(const struct shape *shape, const uint8_t *record, uint32_t length,
	    uint16_t id, char *text, uint32_t size)
{
	uint32_t octets, i;
	const uint8_t *p = shape_field(shape, shape_find(shape, 0, id, 0),
				       record, length, &octets);

	for (i = 0; p && i < octets && i < size - 1; i++) {
		if (p[i] == 0)
			break;
		text[i] = (char)p[i];
		if (p[i] < ' ' || p[i] == 127)
			text[i] = ' ';
	}
	text[i] = 0;
}

static bool
name_good(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789-_");

	return length && length <= NAME_OCTETS && !name[length];
}

/* Constant text if the element can't be, else NULL. */
static const char *
fault(const struct ie_registry *registry, const struct ie *ie)
{
	if (ie->id == 0 || ie->id > INT16_MAX)
		return "no such element number";
	if (ie->type > IE_UNSIGNED256)
		return "no such data type";
	if (!name_good(ie->name))
		return "no good name";
	if (ie_by_name(registry, ie->name))
		return "the name is that of another element";
	return NULL;
}

int
type_information_add(struct ie_registry *registry, const struct ie *described,
		     const char **reason)
{
	const struct ie *known =
		ie_find(registry, described->pen, described->id);
	struct ie ie = *described;
	int ret;

	if (ie.pen == 0 || ie.pen == IE_PEN_REVERSE ||
	    (known && !known->unknown))
		return 0;
	*reason = fault(registry, &ie);
	if (*reason)
		return -EBADMSG;
	ie.length = ie_type_length(ie.type);
	ret = ie_learn(registry, &ie);
	if (ret == 0)
		return 1;
	*reason = ret == -ENOSPC ? "there are as many elements as may be"
				 : "no memory";
	return ret;
}

int
type_information_learn(struct ie_registry *registry, const struct shape *shape,
		       const uint8_t *record, uint32_t length,
		       const char **reason)
{
	char name[NAME_OCTETS + 2], description[DESCRIPTION_OCTETS];
	uint64_t pen, id, type;
	const struct ie *known;
	struct ie ie = {.name = name};

	if (shape_find(shape, 0, IE_informationElementDataType, 0) < 0 ||
	    shape_find(shape, 0, IE_informationElementName, 0) < 0)
		return 0;
	pen = find_uint(shape, record, length, IE_privateEnterpriseNumber);
	/* The enterprise bit of a field specifier is no part of the number. */
	id = find_uint(shape, record, length, IE_informationElementId);
	id &= ~UINT64_C(0x8000);
	type = find_uint(shape, record, length, IE_informationElementDataType);
	if (pen == 0 || pen == IE_PEN_REVERSE || pen > UINT32_MAX)
		return 0;
	known = ie_find(registry, (uint32_t)pen, (uint16_t)id);
	if (known && !known->unknown)
		return 0;
	find_string(shape, record, length, IE_informationElementName, name,
		    sizeof(name));
	find_string(shape, record, length, IE_informationElementDescription,
		    description, sizeof(description));
	ie.pen = (uint32_t)pen;
	ie.id = id > UINT16_MAX ? 0 : (uint16_t)id;
	ie.type = type > UINT8_MAX ? UINT8_MAX : (uint8_t)type;
	ie.semantics = (uint8_t)find_uint(shape, record, length,
					  IE_informationElementSemantics);
	ie.units = (uint8_t)find_uint(shape, record, length,
				      IE_informationElementUnits);
	ie.range_min = find_uint(shape, record, length,
				 IE_informationElementRangeBegin);
	ie.range_max =
		find_uint(shape, record, length, IE_informationElementRangeEnd);
	ie.description = *description ? description : NULL;
	return type_information_add(registry, &ie, reason);
}
