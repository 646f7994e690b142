/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A sender of numbered messages, and a receiver for it (see peer.h). */
#ifndef CONFLUX_TESTS_SENDER_H
#define CONFLUX_TESTS_SENDER_H

#include <stdio.h>

#include "peer.h"

struct sender {
	struct net_out *out;
	unsigned up, down, writable;
	size_t unsent;
	uint32_t next; /* message to send */
	uint32_t stop; /* send until then when writable */
	size_t length;
	int error; /* the last one */
	/* Every third message is lent, in turn of these; those that are out. */
	uint8_t (*lend)[65535];
	unsigned lent;
	uint64_t up_ms;
	uint64_t answered; /* octets */
};

enum { SENDER_LENT = 20 };

static void
sender_push(struct sender *s)
{
	const struct net_delivery lend = {.lent = true};
	uint8_t copy[65535];
	int rc;

	while (s->next < s->stop) {
		bool lent = s->lend && s->next % 3;
		uint8_t *message = lent ? s->lend[s->next % SENDER_LENT] : copy;

		test_message(message, s->length, s->next);
		rc = lent ? net_out_send_as(s->out, message, s->length, &lend)
			  : net_out_send(s->out, message, s->length);
		if (rc < 0) {
			s->error = rc;
			return;
		}
		CU_ASSERT(lent || rc == 0);
		s->lent += (unsigned)rc;
		s->next++;
	}
}

static void
sender_returned(void *arg, const uint8_t *message)
{
	struct sender *s = arg;

	s->lent--;
	/* It is no longer looked at. */
	memset(s->lend[(message - s->lend[0]) / 65535], 0, s->length);
}

static void
sender_up(void *arg)
{
	struct sender *s = arg;

	s->up++;
	s->up_ms = clock_mono_ms();
	sender_push(s);
}

static void
sender_down(void *arg, const char *reason, size_t unsent)
{
	struct sender *s = arg;

	CU_ASSERT_PTR_NOT_NULL(reason);
	s->down++;
	s->unsent += unsent;
}

static void
sender_writable(void *arg)
{
	struct sender *s = arg;

	s->writable++;
	sender_push(s);
}

static void
sender_answered(void *arg, const uint8_t *octets, size_t length)
{
	((struct sender *)arg)->answered += length;
}

static const struct net_out_ops sender_ops = {
	.up = sender_up,
	.down = sender_down,
	.writable = sender_writable,
	.returned = sender_returned,
	.answered = sender_answered,
};

/* Answers come back, as many as there are messages; then the owner ends it. */
static inline void
check_answers(struct event_base *base, struct sender *s, struct receiver *r)
{
	unsigned down = s->down, up = s->up;

	r->answers = true;
	s->answered = 0;
	for (unsigned i = 1; i <= 20; i++) {
		s->stop = s->next + 1;
		sender_push(s);
		RUN_UNTIL(base, s->answered == (uint64_t)i * 7);
	}
	CU_ASSERT_EQUAL(r->not_answered, 0);
	net_out_break(s->out, "nobody wants it");
	CU_ASSERT_EQUAL(s->down, down);
	s->stop = s->next;
	RUN_UNTIL(base, s->down == down + 1);
	RUN_UNTIL(base, s->up == up + 1);
	r->answers = false;
}


static inline void
open_out(struct event_base *base, struct net_out_conf *conf, struct sender *s)
{
	char *error = NULL;
	int rc = net_out_open(base, conf, &sender_ops, s, &s->out, &error);

	if (rc < 0)
		fprintf(stderr, "%s\n", error ? error : "no text");
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	free(error);
}

static inline struct net_in *
open_secured(struct event_base *base, enum transport transport,
	     struct addr *local, struct receiver *r,
	     const struct secure_conf *secure)
{
	struct net_in_conf conf = {.transport = transport,
				   .local = local,
				   .local_count = 1,
				   .max_sessions = 10,
				   .frame = test_frame,
				   .secure = secure,
				   .handshake_ms = 500};
	struct net_in *in = NULL;
	char *error = NULL;

	CU_ASSERT_EQUAL_FATAL(
		net_in_open(base, &conf, &receiver_ops, r, &in, &error), 0);
	local->port = net_in_port(in);
	return in;
}

static inline struct net_in *
open_receiver(struct event_base *base, enum transport transport,
	      struct addr *local, struct receiver *r)
{
	return open_secured(base, transport, local, r, NULL);
}

#endif
