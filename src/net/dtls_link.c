/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * draft-mentz-ipfix-dtls-recommendations:
 *
 * 3.1.2  A collector that was restarted has lost its sessions, drops all that
 *        comes in them, and nothing on the wire tells. So requests are sent
 *        (RFC 6520): one in each period. If that has no answer, some more by
 *        the timers of DTLS; if none has, the peer is dead.
 * 3.1.3  Where there are no heartbeats a handshake within the session tells the
 *        same, if the configuration wants it: the peer does it, or says that it
 *        doesn't want to. No message is sent meanwhile, and from QUIET_MS before
 *        it on, as what would come late could not be read any more.
 * 3.2.2  Requests of the size of a datagram tell what the path takes: before
 *        the first message, and again after a time. The request of each period
 *        has the size of the largest message, so a path that takes less than
 *        before is found within a period, too.
 *
 * In a handshake that resumes a session the last word is ours (RFC 5246 section
 * 7.3), and may be lost: until it has come once more, the peer drops what is
 * sealed. So where it can be asked, no message is sent before it has answered.
 *
 * Nothing that is not authenticated ends a session, or makes messages larger in
 * one that has heartbeats. ICMP may make them smaller, and is a reason to ask
 * the peer at once.
 */
#include "dtls_link.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "hello_probe.h"
#include "path_mtu.h"
#include "sendq.h"
#include "socket.h"
#include "timer.h"

enum {
	READS = 32,	/* datagrams at a time */
	PATH_TRIES = 3, /* of each size */
	PATH_WAIT_MIN_MS = 100,
	PATH_WAIT_MAX_MS = 1000,
	QUIET_MS = 50, /* data is so far ahead of a handshake */
};

/* What the request under way is for. */
enum question { ASKS_NOTHING, ASKS_PATH, ASKS_LARGE, ASKS_LIFE };

struct dtls_link {
	struct net_out *out;
	dtls_link_told told;
	int fd;
	struct dtls *dtls;
	struct event *readable, *writable, *timer;
	struct hello_probe *hello; /* before it is up, or NULL */
	bool shaken;		   /* the handshake is over */
	bool up;		   /* and the path is known */
	uint32_t sealing; /* octets of the message that is being sealed */
	/* Questions to the peer. */
	enum question question;
	uint64_t next_ms;      /* when the next is due, whether it is alive */
	uint64_t search_ms;    /* when the path is searched again */
	uint64_t asked_at;     /* messages that were sent before it */
	uint64_t confirmed_at; /* messages sent before one that was answered */
	bool confirms;	       /* there are answers at all */
	/* Handshakes within the session. */
	bool renewing;	   /* messages wait */
	uint64_t renew_ms; /* when the next is due, or when this one begins */
	/* Octets of a datagram. */
	bool searching;
	struct path_mtu path;
	uint32_t octets;
	struct sendq queue;
};

/* ---- sending --------------------------------------------------------------
 */

static uint64_t
sent_messages(const struct dtls_link *l)
{
	return l->out->stats.messages + l->out->stats.discarded +
	       sendq_messages(&l->queue);
}

/* Of the session: what has no room is lost, as on the way. */
static void
push(void *arg, const uint8_t *datagram, size_t length)
{
	struct dtls_link *l = arg;

	if (!sendq_room(&l->queue, length) && sendq_flush(&l->queue) < 0)
		return;
	sendq_add(&l->queue, datagram, length, l->sealing);
}

static bool
flush(struct dtls_link *l)
{
	if (sendq_flush(&l->queue) == 0)
		return true;
	event_add(l->writable, NULL);
	return false;
}

bool
dtls_link_flush(struct dtls_link *l)
{
	return flush(l);
}

int
dtls_link_send(struct dtls_link *l, const uint8_t *message, size_t length)
{
	size_t sealed = length + dtls_overhead(l->dtls);
	int rc;

	if (sealed > l->octets)
		return -EMSGSIZE;
	if (l->renewing || (!sendq_room(&l->queue, sealed) && !flush(l)))
		return -EAGAIN;
	if (l->queue.count == 0)
		event_active(l->timer, EV_TIMEOUT, 0);
	l->sealing = (uint32_t)length;
	rc = dtls_write(l->dtls, message, length, clock_mono_ms());
	l->sealing = 0;
	if (rc == -ENOTCONN) {
		/* It is told with the next round of the loop. */
		event_active(l->timer, EV_TIMEOUT, 0);
		return -EAGAIN;
	}
	return rc;
}

void
dtls_link_end(struct dtls_link *l)
{
	dtls_end(l->dtls, clock_mono_ms());
	flush(l);
}

/* ---- the path -------------------------------------------------------------
 */

static uint32_t
headers(const struct dtls_link *l)
{
	return l->out->conf.remote.version == 4 ? 28 : 48;
}

/* Octets of a datagram in an IP packet of that size. */
static uint32_t
payload(const struct dtls_link *l, uint32_t packet)
{
	return packet > headers(l) ? packet - headers(l) : 0;
}

/* As the kernel has it: that of the interface, or what ICMP has said. */
static uint32_t
kernel_octets(const struct dtls_link *l)
{
	bool v4 = l->out->conf.remote.version == 4;
	int mtu = 0;
	socklen_t length = sizeof(mtu);

	if (getsockopt(l->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_MTU : IPV6_MTU, &mtu, &length) < 0 ||
	    mtu <= 0)
		return 0;
	return payload(l, (uint32_t)mtu);
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t
path_least(const struct dtls_link *l)
{
	return payload(l, l->out->conf.dtls.path_min);
}

static uint32_t
path_most(const struct dtls_link *l)
{
	uint32_t most = payload(l, l->out->conf.dtls.path_max);
	uint32_t kernel = kernel_octets(l);

	if (kernel)
		most = least(most, kernel);
	return least(most, DTLS_DATAGRAM_MAX);
}

static bool
searches(const struct dtls_link *l)
{
	return l->out->conf.dtls.path_probing && dtls_has_heartbeat(l->dtls);
}

static void
search_begin(struct dtls_link *l, uint32_t most)
{
	l->searching = true;
	path_mtu_begin(&l->path, path_least(l), most);
}

static void
set_octets(struct dtls_link *l, uint32_t octets)
{
	if (octets == l->octets)
		return;
	log_info("%s: the path takes packets of %u octets", l->out->name,
		 octets + headers(l));
	l->octets = octets;
	if (l->up)
		l->told(l->out, l, DTLS_LINK_PATH, NULL);
}

static void
come_up(struct dtls_link *l)
{
	if (l->up)
		return;
	l->up = true;
	l->told(l->out, l, DTLS_LINK_UP, NULL);
}

static void
search_end(struct dtls_link *l, uint64_t now)
{
	l->searching = false;
	l->search_ms = now + l->out->conf.dtls.path_ms;
	set_octets(l, l->path.good);
	come_up(l);
}

/* A datagram was larger than the kernel allows here. */
static void
take_hint(struct dtls_link *l)
{
	uint32_t kernel = kernel_octets(l);

	if (!kernel || kernel < path_least(l))
		return;
	if (l->searching)
		path_mtu_hint(&l->path, kernel);
	if (kernel < l->octets)
		set_octets(l, kernel);
}

/* ---- questions ------------------------------------------------------------
 */

/* Three times what the last answer took is late for the next one. */
static uint32_t
path_wait(const struct dtls_link *l)
{
	struct dtls_stats stats;
	uint32_t wait;

	dtls_stats(l->dtls, &stats);
	wait = stats.answer_ms * 3;
	return wait < PATH_WAIT_MIN_MS ? PATH_WAIT_MIN_MS
				       : least(wait, PATH_WAIT_MAX_MS);
}

static bool
knows_wait(const struct dtls_link *l)
{
	struct dtls_stats stats;

	dtls_stats(l->dtls, &stats);
	return stats.answers > 0;
}

static void
ask(struct dtls_link *l, enum question question, uint32_t octets,
    unsigned tries, uint32_t wait_ms, uint64_t now)
{
	l->question = question;
	if (question != ASKS_LIFE) {
		l->asked_at = sent_messages(l);
		l->told(l->out, l, DTLS_LINK_ASKED, NULL);
	}
	if (dtls_probe(l->dtls, octets, tries, wait_ms, now) < 0)
		l->question = ASKS_NOTHING;
}

/* The next question, if one is due. */
static void
ask_next(struct dtls_link *l, uint64_t now)
{
	const struct net_dtls_conf *conf = &l->out->conf.dtls;
	uint32_t size;

	if (l->searching && !knows_wait(l)) {
		ask(l, ASKS_LIFE, 0, conf->heartbeat_tries, 0, now);
		return;
	}
	if (l->searching) {
		size = path_mtu_ask(&l->path);
		if (size) {
			ask(l, ASKS_PATH, size, PATH_TRIES, path_wait(l), now);
			return;
		}
		search_end(l, now);
	}
	if (searches(l) && conf->path_ms && now >= l->search_ms) {
		search_begin(l, path_most(l));
		ask_next(l, now);
		return;
	}
	if (conf->heartbeat_ms && now >= l->next_ms &&
	    dtls_has_heartbeat(l->dtls))
		ask(l, ASKS_LARGE, searches(l) ? l->octets : 0, 1, 0, now);
}

static void
answered(struct dtls_link *l, uint64_t now)
{
	l->confirmed_at = l->asked_at;
	l->told(l->out, l, DTLS_LINK_ANSWERED, NULL);
	l->next_ms = now + l->out->conf.dtls.heartbeat_ms;
	if (l->question == ASKS_PATH) {
		path_mtu_answer(&l->path, true);
	} else if (!l->up && !l->searching) {
		come_up(l);
	} else if (l->question == ASKS_LIFE && searches(l) && !l->searching) {
		/* The large one had no answer, the small one has: until it
		 * is known what comes through, small ones do. */
		search_begin(l, l->octets);
		set_octets(l, path_least(l));
	}
	l->question = ASKS_NOTHING;
}

/* False: the peer is dead. */
static bool
unanswered(struct dtls_link *l, uint64_t now)
{
	unsigned tries = l->out->conf.dtls.heartbeat_tries;
	enum question question = l->question;

	l->question = ASKS_NOTHING;
	if (question == ASKS_PATH) {
		path_mtu_answer(&l->path, false);
		return true;
	}
	if (question == ASKS_LIFE || tries < 2)
		return false;
	ask(l, ASKS_LIFE, 0, tries - 1, 0, now);
	return true;
}

static bool
hear(struct dtls_link *l, uint64_t now)
{
	switch (dtls_probe_result(l->dtls)) {
	case DTLS_PROBE_PENDING:
		return true;
	case DTLS_PROBE_ANSWERED:
		answered(l, now);
		break;
	case DTLS_PROBE_FAILED:
		if (!unanswered(l, now))
			return false;
		break;
	case DTLS_PROBE_NONE:
		break;
	}
	if (l->question == ASKS_NOTHING)
		ask_next(l, now);
	return true;
}

/* ---- handshakes within the session -----------------------------------------
 */

static bool
renews(const struct dtls_link *l)
{
	return l->out->conf.dtls.renegotiate_ms && !dtls_has_heartbeat(l->dtls);
}

static void
renew_end(struct dtls_link *l, uint64_t now)
{
	l->renewing = false;
	l->renew_ms = now + l->out->conf.dtls.renegotiate_ms;
}

static void
renew_begin(struct dtls_link *l, uint64_t now)
{
	if (!l->renewing) {
		l->renewing = true;
		l->renew_ms = now + QUIET_MS;
		l->asked_at = sent_messages(l);
		l->told(l->out, l, DTLS_LINK_ASKED, NULL);
	} else if (dtls_renegotiate(l->dtls, now) == -ENOTSUP) {
		log_warning("%s: the collector has no secure renegotiation "
			    "(RFC 5746): it is not asked so whether it is "
			    "alive",
			    l->out->name);
		renew_end(l, now);
	}
}

/* One that gets no answer ends the session. */
static void
renew(struct dtls_link *l, uint64_t now)
{
	switch (dtls_renegotiated(l->dtls)) {
	case DTLS_PROBE_ANSWERED:
		l->confirmed_at = l->asked_at;
		l->told(l->out, l, DTLS_LINK_ANSWERED, NULL);
		log_debug("%s: a handshake within the session was answered",
			  l->out->name);
		renew_end(l, now);
		break;
	case DTLS_PROBE_NONE:
		if (renews(l) && now >= l->renew_ms)
			renew_begin(l, now);
		break;
	case DTLS_PROBE_PENDING:
	case DTLS_PROBE_FAILED:
		break;
	}
}

/* ---- the course of events -------------------------------------------------
 */

static void
schedule(struct dtls_link *l, uint64_t now)
{
	int64_t wait = dtls_wait(l->dtls, now);
	uint64_t due = 0;

	if (wait < 0 && l->shaken && renews(l))
		due = l->renew_ms;
	else if (wait < 0 && l->shaken && l->confirms)
		due = l->next_ms;
	if (due)
		wait = due > now ? (int64_t)(due - now) : 0;
	if (wait < 0)
		return;
	timer_start(l->timer, wait > 0 ? (uint64_t)wait : 1);
}

/* Without heartbeats: see hello_probe.c. If nothing can be had, what all take.
 */
static void
told_hello(void *arg, uint32_t octets)
{
	struct dtls_link *l = arg;

	hello_probe_free(l->hello);
	l->hello = NULL;
	if (octets)
		set_octets(l, octets);
	come_up(l);
}

static void
shaken(struct dtls_link *l, uint64_t now)
{
	const struct net_dtls_conf *conf = &l->out->conf.dtls;

	l->shaken = true;
	l->confirms = renews(l) ||
		      (conf->heartbeat_ms && dtls_has_heartbeat(l->dtls));
	l->renew_ms = now + conf->renegotiate_ms;
	l->asked_at = l->confirmed_at = sent_messages(l);
	l->next_ms = now + conf->heartbeat_ms;
	l->search_ms = now + conf->path_ms;
	if (searches(l)) {
		l->octets = path_least(l);
		search_begin(l, path_most(l));
		return;
	}
	l->octets = conf->path_probing ? path_least(l) : path_most(l);
	if (dtls_has_heartbeat(l->dtls))
		ask(l, ASKS_LIFE, 0, conf->heartbeat_tries, 0, now);
	if (l->question == ASKS_LIFE)
		return;
	if (conf->path_probing &&
	    hello_probe_new(l->out, path_least(l), path_most(l), told_hello, l,
			    &l->hello) == 0)
		return;
	come_up(l);
}

static void
look_at_queue(struct dtls_link *l, uint64_t now)
{
	int error = l->queue.error;

	l->queue.error = 0;
	if (error == EMSGSIZE)
		take_hint(l);
	else if (error == ECONNREFUSED && l->up && l->confirms)
		l->next_ms = now;
	else if (error == ECONNREFUSED)
		l->told(l->out, l, DTLS_LINK_REFUSED, strerror(error));
}

/* After everything that happened. May free the link: call it last. */
static void
step(struct dtls_link *l)
{
	enum dtls_state state = dtls_state(l->dtls);
	uint64_t now = clock_mono_ms();

	if (state == DTLS_UP && !l->shaken)
		shaken(l, now);
	if (state == DTLS_UP && !hear(l, now)) {
		l->told(l->out, l, DTLS_LINK_DOWN,
			"the peer does not answer heartbeats: it is dead, or "
			"has lost the session");
		return;
	}
	if (state == DTLS_UP && l->up)
		renew(l, now);
	state = dtls_state(l->dtls);
	if (state == DTLS_ENDED || state == DTLS_FAILED) {
		flush(l); /* an alert */
		l->told(l->out, l, DTLS_LINK_DOWN, dtls_reason(l->dtls));
		return;
	}
	if (flush(l) && l->up && !l->renewing)
		l->told(l->out, l, DTLS_LINK_WRITABLE, NULL);
	look_at_queue(l, now);
	schedule(l, now);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_link *l = arg;
	uint64_t now = clock_mono_ms();

	if (dtls_wait(l->dtls, now) == 0)
		dtls_tick(l->dtls, now);
	step(l);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	step(arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_link *l = arg;
	uint8_t datagram[DTLS_DATAGRAM_MAX], nothing[DTLS_DATAGRAM_MAX];
	ssize_t n;

	for (int i = 0; i < READS; i++) {
		n = recv(l->fd, datagram, sizeof(datagram), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			l->queue.error = errno;
		if (n <= 0)
			break;
		dtls_input(l->dtls, datagram, (size_t)n, clock_mono_ms());
		/* A Collecting Process sends no data. */
		while (dtls_read(l->dtls, nothing, sizeof(nothing)) > 0)
			;
	}
	step(l);
}

/* ---- open and close -------------------------------------------------------
 */

static int
open_socket(struct dtls_link *l)
{
	const struct net_out_conf *conf = &l->out->conf;
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&conf->remote, &ss);
	int rc = socket_new(&conf->remote, SOCK_DGRAM);

	l->fd = rc;
	if (rc < 0)
		return rc;
	rc = socket_from(l->fd, &conf->local, conf->interface);
	if (rc == 0 && connect(l->fd, (struct sockaddr *)&ss, length) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	if (conf->dtls.path_probing)
		socket_whole(l->fd, conf->remote.version);
	if (conf->send_buffer)
		socket_buffer(l->fd, SO_SNDBUF, conf->send_buffer);
	sendq_init(&l->queue, l->out, l->fd);
	return 0;
}

static int
open_events(struct dtls_link *l)
{
	struct event_base *base = l->out->base;

	l->readable =
		event_new(base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(base, l->fd, EV_WRITE, on_writable, l);
	l->timer = evtimer_new(base, on_timer, l);
	if (!l->readable || !l->writable || !l->timer ||
	    event_add(l->readable, NULL) < 0)
		return -ENOMEM;
	event_active(l->timer, EV_TIMEOUT, 0);
	return 0;
}

int
dtls_link_new(struct net_out *out, struct dtls_context *context,
	      const struct dtls_resume *resume, dtls_link_told told,
	      struct dtls_link **link, char **error)
{
	struct dtls_conf conf = {
		.remote = &out->conf.remote,
		.send = push,
		.heartbeat = out->conf.dtls.heartbeat,
		.handshake_ms = out->conf.handshake_ms,
		.resume = resume,
	};
	struct dtls_link *l = calloc(1, sizeof(*l));
	int rc;

	*error = NULL;
	if (!l)
		return -ENOMEM;
	l->out = out;
	l->told = told;
	rc = open_socket(l);
	if (rc < 0)
		*error = net_error("%s", strerror(-rc));
	if (rc == 0)
		rc = open_events(l);
	if (rc == 0) {
		conf.arg = l;
		l->dtls = dtls_new(context, &conf, clock_mono_ms(), error);
		if (!l->dtls)
			rc = *error ? -EINVAL : -ENOMEM;
	}
	if (rc < 0) {
		dtls_link_free(l);
		return rc;
	}
	*link = l;
	return 0;
}

void
dtls_link_free(struct dtls_link *l)
{
	if (!l)
		return;
	if (l->readable)
		event_free(l->readable);
	if (l->writable)
		event_free(l->writable);
	if (l->timer)
		event_free(l->timer);
	hello_probe_free(l->hello);
	dtls_free(l->dtls);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

/* ---- what it is -----------------------------------------------------------
 */

bool
dtls_link_is_up(const struct dtls_link *l)
{
	return l->up && dtls_state(l->dtls) == DTLS_UP;
}

const struct dtls *
dtls_link_session(const struct dtls_link *l)
{
	return l->dtls;
}

int
dtls_link_fd(const struct dtls_link *l)
{
	return l->fd;
}

unsigned
dtls_link_waiting(const struct dtls_link *l)
{
	return sendq_messages(&l->queue);
}

uint32_t
dtls_link_octets(const struct dtls_link *l)
{
	uint32_t overhead = dtls_overhead(l->dtls);

	return l->octets > overhead ? l->octets - overhead : 0;
}

uint64_t
dtls_link_doubtful(const struct dtls_link *l)
{
	return l->confirms ? sent_messages(l) - l->confirmed_at : 0;
}

bool
dtls_link_confirms(const struct dtls_link *l)
{
	return l->confirms;
}
