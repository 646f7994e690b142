/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An IPv4 or IPv6 address with a port: compact, comparable, hashable. */
#ifndef CONFLUX_ADDR_H
#define CONFLUX_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	uint8_t version;   /* 4, 6, or 0: none */
	uint8_t pad[1];    /* zero */
	uint16_t port;     /* host byte order */
	uint32_t zone;     /* IPv6 scope id (interface index), or 0 */
	uint8_t bytes[16]; /* network byte order; IPv4 in the first four */
};

/* "192.0.2.1:4739" and "[2001:db8::1%eth0]:4739" fit. */
#define ADDR_TEXT_SIZE 72

/* Parses a numeric address; port is set to the one given. 0 or -EINVAL. */
int addr_parse(struct addr *addr, const char *text, uint16_t port);

/* From a socket address; an IPv4-mapped IPv6 address becomes IPv4. */
int addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa);

/* Returns the length of the socket address written to *ss. */
socklen_t addr_to_sockaddr(const struct addr *addr,
			   struct sockaddr_storage *ss);

/* With port ("192.0.2.1:4739"), and the address alone. Both return text. */
char *addr_format(char text[ADDR_TEXT_SIZE], const struct addr *addr);
char *addr_format_host(char text[ADDR_TEXT_SIZE], const struct addr *addr);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_equal_host(const struct addr *a, const struct addr *b);
uint32_t addr_hash(const struct addr *addr, uint64_t seed);

#endif
