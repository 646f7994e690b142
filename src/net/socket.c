/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "conflux/net.h"

enum { BIND_TRIES = 8 }; /* for one free port in both families */

char *
net_error(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return text;
}

void
net_log_rejected(struct log_limit *limit, const char *transport,
		 const struct addr *remote, const char *peer,
		 const char *reason)
{
	const char *quote = peer[0] ? "\"" : "";
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(limit, clock_mono_ms(), &held))
		log_warning("%s %s: %s%s%s%srefused: %s (%u lines held back)",
			    transport, addr_format(text, remote), quote, peer,
			    quote, peer[0] ? " " : "", reason, held);
}

int
net_addrs_copy(const struct addr **to, const struct addr *from, unsigned count)
{
	struct addr *list = NULL;

	if (count) {
		list = malloc(count * sizeof(*list));
		if (!list)
			return -ENOMEM;
		memcpy(list, from, count * sizeof(*list));
	}
	*to = list;
	return 0;
}

int
socket_new(const struct addr *addr, int type)
{
	int fd = socket(addr->version == 4 ? AF_INET : AF_INET6,
			type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

void
socket_buffer(int fd, int option, uint32_t octets)
{
	int force = option == SO_RCVBUF ? SO_RCVBUFFORCE : SO_SNDBUFFORCE;
	/* The kernel doubles what it is given. */
	int value = octets > INT32_MAX / 2 ? INT32_MAX / 2 : (int)octets;

	if (setsockopt(fd, SOL_SOCKET, force, &value, sizeof(value)) < 0)
		setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

int
socket_from(int fd, const struct addr *local, const char *interface)
{
	struct sockaddr_storage ss;
	socklen_t length;

	if (interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
		       (socklen_t)strlen(interface) + 1) < 0)
		return -errno;
	if (local->version == 0)
		return 0;
	length = addr_to_sockaddr(local, &ss);
	return bind(fd, (struct sockaddr *)&ss, length) < 0 ? -errno : 0;
}

int
socket_connect(int fd, const struct addr *remote)
{
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(remote, &ss);

	if (connect(fd, (struct sockaddr *)&ss, length) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

int
socket_error(int fd)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	return error;
}

void
socket_keepalive(int fd, int idle)
{
	static const int on = 1, count = 4;
	int interval = idle / count;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
		   sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void
socket_whole(int fd, uint8_t version)
{
	static const int v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;

	if (version == 4)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6,
			   sizeof(v6));
}

void
socket_names(int fd, struct addr *local, struct addr *remote)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	if (local && getsockname(fd, (struct sockaddr *)&ss, &length) == 0)
		addr_from_sockaddr(local, (struct sockaddr *)&ss);
	length = sizeof(ss);
	if (remote && getpeername(fd, (struct sockaddr *)&ss, &length) == 0)
		addr_from_sockaddr(remote, (struct sockaddr *)&ss);
}

static int
bind_one(const struct addr *addr, int type, bool shared, int *fd_out)
{
	static const int on = 1;
	struct sockaddr_storage ss;
	socklen_t length;
	int fd = socket_new(addr, type);
	int rc;

	if (fd < 0)
		return fd;
	/* Both families get a socket of their own. */
	if (addr->version == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* A port in TIME-WAIT may be taken; a UDP port never is shared so. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	length = addr_to_sockaddr(addr, &ss);
	if (bind(fd, (struct sockaddr *)&ss, length) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*fd_out = fd;
	return 0;
}

static bool
family_missing(int rc)
{
	return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

/* Tries to bind them all, with one port. */
static int
bind_list(const struct net_in_conf *conf, const struct addr *list,
	  unsigned list_count, int type, struct socket_bound *out,
	  unsigned *count, char **error)
{
	bool any = conf->local_count == 0;
	char text[ADDR_TEXT_SIZE];
	uint16_t port = 0;
	int rc = 0;

	*count = 0;
	for (unsigned i = 0; i < list_count; i++) {
		struct socket_bound *s = &out[*count];

		s->local = list[i];
		if (s->local.port == 0)
			s->local.port = port;
		rc = bind_one(&s->local, type, conf->workers > 1, &s->fd);
		if (rc < 0 && any && family_missing(rc))
			continue;
		if (rc < 0)
			break;
		(*count)++;
		socket_names(s->fd, &s->local, NULL);
		port = s->local.port;
	}
	if (*count && (rc == 0 || (any && family_missing(rc))))
		return 0;
	*error = net_error("cannot listen at %s: %s",
			   addr_format(text, &out[*count].local),
			   strerror(-rc));
	while (*count)
		close(out[--*count].fd);
	return rc;
}

int
socket_bind_all(const struct net_in_conf *conf, int type,
		struct socket_bound **out, unsigned *count, char **error)
{
	const struct addr any[2] = {
		{.version = 6, .port = conf->port},
		{.version = 4, .port = conf->port},
	};
	const struct addr *list = conf->local_count ? conf->local : any;
	unsigned list_count = conf->local_count ? conf->local_count : 2;
	int rc;

	*out = calloc(list_count, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (int i = 0; i < BIND_TRIES; i++) {
		free(*error);
		*error = NULL;
		rc = bind_list(conf, list, list_count, type, *out, count,
			       error);
		if (rc != -EADDRINUSE || list[0].port != 0)
			break;
	}
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}

enum {
	STEER_MIX = 4, /* instructions */
	STEER_CASE = 2 + STEER_MIX,
	STEER_MAX = 2 + 5 * STEER_MIX + NET_STEERS * STEER_CASE + 4,
};

/* h = (h + word) * odd: X holds h, the word is loaded into A. */
static unsigned
steer_mix(struct sock_filter *code, uint32_t offset)
{
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offset);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K,
						 0x9e3779b1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	return n;
}

/*
 * One of the cases by the first two octets, which are in A: mixes in what is at
 * its offset, and goes on behind all that is left of them.
 */
static unsigned
steer_case(struct sock_filter *code, const struct net_steer *steer,
	   unsigned left)
{
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JEQ | BPF_K, steer->first, 0, STEER_MIX + 1);
	n += steer_mix(code + n, steer->offset);
	code[n++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JA, left * STEER_CASE + STEER_MIX, 0, 0);
	return n;
}

static unsigned
steer_payload(struct sock_filter *code, const struct net_in_conf *conf)
{
	unsigned cases = conf->steer_count, n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0);
	for (unsigned i = 0; i < cases; i++)
		n += steer_case(code + n, &conf->steer[i], cases - i - 1);
	return n + steer_mix(code + n, conf->steer_offset);
}

/*
 * A datagram too short for the load at offset ends the program with 0: it goes
 * to the first socket, which refuses it like any other would.
 */
int
socket_steer(int fd, uint8_t version, const struct net_in_conf *conf)
{
	struct sock_filter code[STEER_MAX];
	struct sock_fprog program = {.filter = code};
	unsigned n = 0;
	uint32_t net = (uint32_t)SKF_NET_OFF;

	if (conf->steer_count > NET_STEERS)
		return -EINVAL;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM,
						 0);
	if (version == 4) {
		n += steer_mix(code + n, net + 12);
	} else {
		for (unsigned i = 0; i < 16; i += 4)
			n += steer_mix(code + n, net + 8 + i);
	}
	if (conf->steer_offset) /* the program sees the payload */
		n += steer_payload(code + n, conf);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_RSH | BPF_K,
						 16);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K,
						 conf->workers);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	program.len = (unsigned short)n;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
		       sizeof(program)) < 0)
		return -errno;
	return 0;
}
