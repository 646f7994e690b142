/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"

static int
zone_parse(const char *name, uint32_t *zone)
{
	char *end;
	unsigned long n = if_nametoindex(name);

	if (n == 0) {
		n = strtoul(name, &end, 10);
		if (*name == 0 || *end != 0 || n == 0 || n > UINT32_MAX)
			return -EINVAL;
	}
	*zone = (uint32_t)n;
	return 0;
}

int
addr_parse(struct addr *addr, const char *text, uint16_t port)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *zone = strchr(text, '%');
	size_t length = zone ? (size_t)(zone - text) : strlen(text);

	memset(addr, 0, sizeof(*addr));
	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = 0;
	addr->port = port;
	if (!zone && inet_pton(AF_INET, host, addr->bytes) == 1) {
		addr->version = 4;
		return 0;
	}
	if (inet_pton(AF_INET6, host, addr->bytes) != 1)
		return -EINVAL;
	addr->version = 6;
	return zone ? zone_parse(zone + 1, &addr->zone) : 0;
}

int
addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa)
{
	memset(addr, 0, sizeof(*addr));
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		addr->version = 4;
		addr->port = ntohs(in.sin_port);
		memcpy(addr->bytes, &in.sin_addr, 4);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		addr->port = ntohs(in6.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			addr->version = 4;
			memcpy(addr->bytes, in6.sin6_addr.s6_addr + 12, 4);
			return 0;
		}
		addr->version = 6;
		addr->zone = in6.sin6_scope_id;
		memcpy(addr->bytes, &in6.sin6_addr, 16);
		return 0;
	}
	return -EAFNOSUPPORT;
}

socklen_t
addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (addr->version == 4) {
		struct sockaddr_in in = {
			.sin_family = AF_INET,
			.sin_port = htons(addr->port),
		};

		memcpy(&in.sin_addr, addr->bytes, 4);
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(addr->port),
		.sin6_scope_id = addr->zone,
	};

	memcpy(&in6.sin6_addr, addr->bytes, 16);
	memcpy(ss, &in6, sizeof(in6));
	return sizeof(in6);
}

char *
addr_format_host(char text[ADDR_TEXT_SIZE], const struct addr *addr)
{
	char zone[IF_NAMESIZE];
	size_t n;

	if (addr->version != 4 && addr->version != 6) {
		strcpy(text, "-");
		return text;
	}
	inet_ntop(addr->version == 4 ? AF_INET : AF_INET6, addr->bytes, text,
		  ADDR_TEXT_SIZE);
	if (addr->zone) {
		n = strlen(text);
		if (!if_indextoname(addr->zone, zone))
			snprintf(zone, sizeof(zone), "%u", addr->zone);
		snprintf(text + n, ADDR_TEXT_SIZE - n, "%%%s", zone);
	}
	return text;
}

char *
addr_format(char text[ADDR_TEXT_SIZE], const struct addr *addr)
{
	char host[ADDR_TEXT_SIZE];

	addr_format_host(host, addr);
	snprintf(text, ADDR_TEXT_SIZE,
		 addr->version == 6 ? "[%.60s]:%u" : "%.60s:%u", host,
		 addr->port);
	return text;
}

bool
addr_equal_host(const struct addr *a, const struct addr *b)
{
	return a->version == b->version && a->zone == b->zone &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_equal_host(a, b);
}

uint32_t
addr_hash(const struct addr *addr, uint64_t seed)
{
	return (uint32_t)hash_bytes(addr, sizeof(*addr), seed);
}
