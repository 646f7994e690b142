/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that IANA's IPFIX registry gives to abstract data types, semantics
 * and units, in the one place that has them: names.c makes the text of it, and
 * iana.c the numbers in the table of elements. Lengths are in octets.
 */
#ifndef CONFLUX_IPFIX_NAMES_H
#define CONFLUX_IPFIX_NAMES_H

#include "conflux/ie.h"

/* X(name, number, natural length) */
#define IE_TYPES(X)                                                      \
	X(octetArray, IE_OCTET_ARRAY, IE_VARIABLE)                       \
	X(unsigned8, IE_UNSIGNED8, 1)                                    \
	X(unsigned16, IE_UNSIGNED16, 2)                                  \
	X(unsigned32, IE_UNSIGNED32, 4)                                  \
	X(unsigned64, IE_UNSIGNED64, 8)                                  \
	X(signed8, IE_SIGNED8, 1)                                        \
	X(signed16, IE_SIGNED16, 2)                                      \
	X(signed32, IE_SIGNED32, 4)                                      \
	X(signed64, IE_SIGNED64, 8)                                      \
	X(float32, IE_FLOAT32, 4)                                        \
	X(float64, IE_FLOAT64, 8)                                        \
	X(boolean, IE_BOOLEAN, 1)                                        \
	X(macAddress, IE_MAC_ADDRESS, 6)                                 \
	X(string, IE_STRING, IE_VARIABLE)                                \
	X(dateTimeSeconds, IE_DATE_TIME_SECONDS, 4)                      \
	X(dateTimeMilliseconds, IE_DATE_TIME_MILLISECONDS, 8)            \
	X(dateTimeMicroseconds, IE_DATE_TIME_MICROSECONDS, 8)            \
	X(dateTimeNanoseconds, IE_DATE_TIME_NANOSECONDS, 8)              \
	X(ipv4Address, IE_IPV4_ADDRESS, 4)                               \
	X(ipv6Address, IE_IPV6_ADDRESS, 16)                              \
	X(basicList, IE_BASIC_LIST, IE_VARIABLE)                         \
	X(subTemplateList, IE_SUB_TEMPLATE_LIST, IE_VARIABLE)            \
	X(subTemplateMultiList, IE_SUB_TEMPLATE_MULTI_LIST, IE_VARIABLE) \
	X(unsigned256, IE_UNSIGNED256, 32)

/* X(name, number) */
#define IE_SEMANTICS(X)                   \
	X(default, IE_DEFAULT)            \
	X(quantity, IE_QUANTITY)          \
	X(totalCounter, IE_TOTAL_COUNTER) \
	X(deltaCounter, IE_DELTA_COUNTER) \
	X(identifier, IE_IDENTIFIER)      \
	X(flags, IE_FLAGS)                \
	X(list, IE_LIST)                  \
	X(snmpCounter, IE_SNMP_COUNTER)   \
	X(snmpGauge, IE_SNMP_GAUGE)

/* X(name as part of an identifier, number, name) */
#define IE_UNITS(X)                          \
	X(none, 0, "none")                   \
	X(bits, 1, "bits")                   \
	X(octets, 2, "octets")               \
	X(packets, 3, "packets")             \
	X(flows, 4, "flows")                 \
	X(seconds, 5, "seconds")             \
	X(milliseconds, 6, "milliseconds")   \
	X(microseconds, 7, "microseconds")   \
	X(nanoseconds, 8, "nanoseconds")     \
	X(4_octet_words, 9, "4-octet words") \
	X(messages, 10, "messages")          \
	X(hops, 11, "hops")                  \
	X(entries, 12, "entries")            \
	X(frames, 13, "frames")              \
	X(ports, 14, "ports")                \
	X(inferred, 15, "inferred")

enum { IE_UNITS_END = 16 };

/* IANA's elements by id; a hole has name NULL. */
extern const struct ie iana_elements[];
extern const uint32_t iana_elements_end;

#endif
