/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of DTLS answers a ClientHello without cookie by a
 * HelloVerifyRequest, and keeps nothing of it (RFC 6347 section 4.2.1). Padding
 * (RFC 7685) makes a ClientHello as large as is wanted, and the answer is
 * small: it tells that so large a datagram comes through. Each question has a
 * socket of its own, since answers do not say what they answer, and a
 * ClientHello from the port of a session would be that of a restarted client.
 *
 * The answer proves nothing: whoever guesses the port in time can make us
 * believe in more than the path takes, though never in more than the interface
 * does. A server without cookies would begin a handshake each time; it does not
 * answer the first, smallest question as it should, and is asked no other.
 */
#include "hello_probe.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/dtls.h"
#include "conflux/hash.h"
#include "conflux/wire.h"
#include "out.h"
#include "path_mtu.h"
#include "socket.h"
#include "timer.h"

enum {
	MESSAGE_HEADER = 12,
	CLIENT_HELLO = 1,
	VERIFY_REQUEST = 3,
	PADDING = 21, /* extension */
	LARGEST = 16384,
	TRIES = 3,
	FIRST_MS = 500, /* until it is known how long an answer takes */
	WAIT_MIN_MS = 100,
};

struct hello_probe {
	struct net_out *out;
	hello_probe_told told;
	void *arg;
	struct path_mtu path;
	bool answers; /* to the first question */
	int fd;	      /* of the present question; -1: none */
	unsigned tries;
	uint64_t sent_ms;
	uint32_t base_ms, wait_ms; /* of a question, of a transmission */
	struct event *readable, *timer;
	size_t length;
	uint8_t hello[LARGEST];
};

/* Writes a ClientHello that makes a datagram of that length. */
static void
make_hello(struct hello_probe *p, size_t length)
{
	static const uint8_t offer[] = {
		0,			      /* no session */
		0,			      /* no cookie */
		0, 4, 0xc0, 0x2c, 0xcc, 0xa9, /* two cipher suites */
		1, 0,			      /* no compression */
	};
	struct writer w;
	size_t body = length - DTLS_HEADER - MESSAGE_HEADER;
	size_t extensions = body - 2 - 32 - sizeof(offer) - 2;

	memset(p->hello, 0, length);
	writer_init(&w, p->hello, length);
	writer_u8(&w, DTLS_HANDSHAKE);
	writer_u16(&w, 0xfeff); /* RFC 6347 section 4.1 */
	writer_u64(&w, 0);	/* epoch and number, see send_hello */
	writer_u16(&w, (uint16_t)(length - DTLS_HEADER));
	writer_u8(&w, CLIENT_HELLO);
	writer_u8(&w, 0);
	writer_u16(&w, (uint16_t)body);
	writer_u16(&w, 0); /* the first message, one fragment */
	writer_u8(&w, 0);
	writer_u16(&w, 0);
	writer_u8(&w, 0);
	writer_u16(&w, (uint16_t)body);
	writer_u16(&w, 0xfefd);
	for (int i = 0; i < 4; i++)
		writer_u64(&w, hash_seed());
	writer_bytes(&w, offer, sizeof(offer));
	writer_u16(&w, (uint16_t)extensions);
	writer_u16(&w, PADDING);
	writer_u16(&w, (uint16_t)(extensions - 4));
	p->length = length;
}

static void
close_socket(struct hello_probe *p)
{
	if (p->readable)
		event_free(p->readable);
	p->readable = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void
send_hello(struct hello_probe *p)
{
	p->tries++;
	p->sent_ms = clock_mono_ms();
	wire_put64(p->hello + 3, p->tries);
	/* What can't be sent does not come through. */
	send(p->fd, p->hello, p->length, MSG_DONTWAIT | MSG_NOSIGNAL);
	timer_start(p->timer, p->wait_ms);
	p->wait_ms *= 2;
}

static void next_question(struct hello_probe *p);

static void
answered(struct hello_probe *p, bool came_through)
{
	uint64_t took = (clock_mono_ms() - p->sent_ms) * 3;

	close_socket(p);
	evtimer_del(p->timer);
	if (p->answers) {
		path_mtu_answer(&p->path, came_through);
	} else if (came_through) {
		p->answers = true;
		p->base_ms = took < WAIT_MIN_MS ? WAIT_MIN_MS
			     : took > FIRST_MS	? FIRST_MS
						: (uint32_t)took;
	} else {
		p->told(p->arg, 0);
		return;
	}
	next_question(p);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hello_probe *p = arg;
	uint8_t datagram[512];
	ssize_t n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);

	if (n > DTLS_HEADER && datagram[0] == DTLS_HANDSHAKE &&
	    datagram[DTLS_HEADER] == VERIFY_REQUEST)
		answered(p, true);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hello_probe *p = arg;

	if (p->fd < 0)
		next_question(p);
	else if (p->tries < TRIES)
		send_hello(p);
	else
		answered(p, false);
}

static int
open_socket(struct hello_probe *p)
{
	const struct net_out_conf *conf = &p->out->conf;
	struct addr local = conf->local;
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&conf->remote, &ss);
	int rc = socket_new(&conf->remote, SOCK_DGRAM);

	p->fd = rc;
	if (rc < 0)
		return rc;
	local.port = 0;
	socket_whole(p->fd, conf->remote.version);
	rc = socket_from(p->fd, &local, conf->interface);
	if (rc == 0 && connect(p->fd, (struct sockaddr *)&ss, length) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	p->readable = event_new(p->out->base, p->fd, EV_READ | EV_PERSIST,
				on_readable, p);
	return p->readable && event_add(p->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static void
next_question(struct hello_probe *p)
{
	uint32_t size = p->answers ? path_mtu_ask(&p->path) : p->path.good;

	if (!size || open_socket(p) < 0) {
		close_socket(p);
		p->told(p->arg, p->path.good);
		return;
	}
	p->tries = 0;
	p->wait_ms = p->base_ms;
	make_hello(p, size);
	send_hello(p);
}

int
hello_probe_new(struct net_out *out, uint32_t least, uint32_t most,
		hello_probe_told told, void *arg, struct hello_probe **probe)
{
	struct hello_probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->out = out;
	p->told = told;
	p->arg = arg;
	p->fd = -1;
	p->base_ms = FIRST_MS;
	path_mtu_begin(&p->path,
		       least < HELLO_PROBE_MIN ? HELLO_PROBE_MIN : least,
		       most > LARGEST ? LARGEST : most);
	p->timer = evtimer_new(out->base, on_timer, p);
	if (!p->timer) {
		free(p);
		return -ENOMEM;
	}
	event_active(p->timer, EV_TIMEOUT, 0);
	*probe = p;
	return 0;
}

void
hello_probe_free(struct hello_probe *p)
{
	if (!p)
		return;
	close_socket(p);
	event_free(p->timer);
	free(p);
}
