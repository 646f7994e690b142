/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole messages in and out over UDP, TCP, TLS, DTLS, SCTP and files behind
 * two types (net_in, net_out). Knows nothing of the content:
 * framing is a function that the user gives. Runs on a libevent base; all
 * callbacks come from its loop, in its thread.
 */
#ifndef CONFLUX_NET_H
#define CONFLUX_NET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/addr.h"
#include "conflux/secure.h"
#include "conflux/transport.h"

struct event_base;

/* Length of the message at p: > 0, 0: more octets needed, < 0: no message. */
typedef int (*net_frame)(const uint8_t *p, size_t have);

/* Who does SCTP: the system, or a library in this process. */
enum net_sctp_stack {
	NET_SCTP_AUTO, /* the system if it can, else the library */
	NET_SCTP_KERNEL,
	NET_SCTP_USERLAND,
};

/* Messages of an association that may be on their way at a time. */
enum { NET_SCTP_FLIGHT = 16384 };

/* What only SCTP has. Addresses have the port that remote or local has. */
struct net_sctp_conf {
	enum net_sctp_stack stack;
	/* UDP ports of encapsulation (RFC 6951), 0: none. */
	uint16_t local_udp, remote_udp;
	uint16_t streams; /* out: to ask for; in: to accept at most */
	/* Out, instead of remote and local if count is not 0: a host with
	 * several addresses. */
	const struct addr *remote, *local;
	unsigned remote_count, local_count;
};

/* Octets of a message that a record of DTLS takes, whatever the cipher. */
enum { NET_DTLS_MESSAGE_MAX = 16300 };

/*
 * Out, TCP and TLS the other way round: the collector makes the connection, and
 * messages go back on it. There is one session: who comes while it lasts takes
 * it over if it is the same peer, by its authenticated name (plain: by its
 * address), as whoever is started anew may come before we know that its old
 * connection is dead; others are turned away.
 */
struct net_listen_conf {
	bool on;
	const struct addr *local; /* addresses to listen at, port included */
	unsigned local_count;	  /* 0: all IPv6 and IPv4 addresses */
	uint16_t port;		  /* used when local_count is 0 */
	/* Hosts that may connect; none: any. Beside what secure says. */
	const struct addr *allowed;
	unsigned allowed_count;
	unsigned max_handshakes; /* under way at a time */
};

/*
 * DTLS, in both directions; over SCTP only heartbeats, lifetimes and
 * max_handshakes are looked at. What concerns one direction only says so.
 * Sizes are those of IP packets, in octets.
 */
struct net_dtls_conf {
	bool heartbeat; /* requests are answered, and sent if the peer agrees */
	/* Out: each so often a request (0: none); when so many in a row have
	 * no answer, the peer is dead. */
	uint32_t heartbeat_ms;
	unsigned heartbeat_tries;
	/* Out: messages are as large as the path takes, path_max at most; what
	 * it takes is found out again each path_ms (0: once). Without probing
	 * the path takes path_max. */
	bool path_probing;
	uint32_t path_min, path_max;
	uint32_t path_ms;
	/* Out: a session is replaced when it is that old (0: never): each, or
	 * only those in which nothing else tells that the peer is dead. */
	uint32_t lifetime_ms;
	bool lifetime_always;
	/* Out, over UDP: each so often a handshake within the session, where
	 * there are no heartbeats (0: none). */
	uint32_t renegotiate_ms;
	/* In: handshakes under way, and begun in a second; over UDP: may
	 * clients begin one within a session? */
	unsigned max_handshakes, handshake_rate;
	bool renegotiation;
};

/* ---- in ---------------------------------------------------------------- */

/*
 * One Transport Session: a TCP connection, an SCTP association, a file, or the
 * datagrams of one (remote, local) address and port pair over UDP.
 */
struct net_session {
	enum transport transport;
	struct addr remote, local;
	const char *file;  /* TRANSPORT_FILE: its name */
	uint64_t start_ms; /* wall clock */
	uint64_t last_ms;  /* wall clock, last message */
	uint64_t messages, octets;
	uint64_t shed;	      /* UDP: datagrams beyond its share, see share.h */
	const char *peer;     /* its authenticated name; NULL: not secured */
	const char *suite;    /* version and cipher suite, or NULL */
	uint32_t association; /* SCTP: its id */
	uint16_t stream;      /* SCTP: of the message that is handed out */
	bool unordered;	      /* likewise: others may overtake it */
	void *user;	      /* of the receiver of the callbacks */
	/* Of the transport, see net_in_reply; NULL: it has no way back. */
	int (*reply)(struct net_session *session, const uint8_t *octets,
		     size_t length);
};

enum { NET_REPLY_MAX = 512 };

/* Why somebody was turned away. */
enum net_refusal {
	NET_REFUSED_FULL,      /* max_sessions is reached */
	NET_REFUSED_HANDSHAKE, /* TLS did not come about, or took too long */
	NET_REFUSED_PEER,      /* who it is may not talk to us */
	NET_NOT_REACHED,       /* we have dialled, and nobody was there */
	NET_REFUSALS
};

struct net_in_ops {
	/* A new session. != 0: refuse it (it is closed or its data dropped). */
	int (*opened)(void *arg, struct net_session *session);
	/*
	 * A whole message (a whole datagram over UDP, however it looks).
	 * Return != 0 to close a stream session that can't be understood.
	 */
	int (*message)(void *arg, struct net_session *session,
		       const uint8_t *message, size_t length);
	/*
	 * The session is over. reason: NULL for a regular end, else text that
	 * is valid during the call. lost_octets: of a message that was cut off.
	 */
	void (*closed)(void *arg, struct net_session *session,
		       const char *reason, size_t lost_octets);
	/*
	 * May more be read from sources that can wait (all but UDP)? NULL: yes.
	 * Asked before each read; after "no" again within 2 ms. UDP drops what
	 * is more than the share of one sender (net_session.shed).
	 */
	bool (*ready)(void *arg);
	/* Datagrams that the kernel dropped since last time. May be NULL. */
	void (*dropped)(void *arg, uint64_t datagrams);
	/*
	 * A connection (TCP, SCTP) or a datagram (UDP) of this sender was
	 * turned away, or one to it did not come about; the log has the
	 * details. May be NULL.
	 */
	void (*refused)(void *arg, const struct addr *remote,
			enum net_refusal why);
	/* All files have been read to their end (net_in of files only). */
	void (*finished)(void *arg);
};

/*
 * Datagrams of another form: where the 4 octets are that steer (see below), if
 * the first 2 octets are this number.
 */
struct net_steer {
	uint16_t first;
	uint16_t offset;
};

enum { NET_STEERS = 4 };

struct net_in_conf {
	const char *name; /* for messages about secure; or NULL */
	enum transport transport;
	const struct addr *local; /* addresses to listen at, port included */
	unsigned local_count;	  /* 0: all IPv6 and IPv4 addresses */
	uint16_t port;		  /* used when local_count is 0 */
	const char *const *files; /* TRANSPORT_FILE, "-" is standard input */
	unsigned file_count;
	uint32_t max_sessions;
	uint32_t session_idle_ms; /* UDP: a session ends after that silence */
	uint32_t idle_ms;	  /* TCP, SCTP: close after that silence, 0:
				   * never */
	uint32_t receive_buffer;  /* SO_RCVBUF, 0: the largest we may have */
	struct net_sctp_conf sctp;
	/*
	 * Several workers listen at the same port when workers > 1
	 * (SO_REUSEPORT); they open theirs in the order of worker, the last
	 * one sets the steering. Datagrams of one source address with the same
	 * 4 octets at steer_offset of the payload come to one worker;
	 * steer_offset 0: of one address and port, or with steer_host of one
	 * address.
	 */
	unsigned worker, workers;
	uint16_t steer_offset;
	bool steer_host;
	const struct net_steer *steer; /* NET_STEERS at most, used at open */
	unsigned steer_count;
	/* UDP: a session is one address, whatever ports it sends from; that of
	 * session.remote is 0. Not with DTLS. */
	bool any_port;
	net_frame frame; /* streams and files */
	/* TLS over TCP, DTLS over UDP; NULL: plain. It is copied, its files
	 * are read. */
	const struct secure_conf *secure;
	uint32_t handshake_ms; /* the longest that one may take */
	struct net_dtls_conf dtls;
	/*
	 * TCP, TLS the other way round: we make the connection, and again when
	 * it is over, to the addresses of one peer in turn; with TLS we are the
	 * client. local has at most one address, to connect from. dial_count 0:
	 * we listen.
	 */
	const struct addr *dial; /* ports included */
	unsigned dial_count;
	uint32_t reconnect_min_ms, reconnect_max_ms;
};

struct net_in;

/*
 * Sends a few octets (NET_REPLY_MAX at most) back on the session. 0: they will
 * go out as long as the session lasts. -EAGAIN: those before have not all gone
 * yet; the peer does not read. -EOPNOTSUPP: there is no way back. A session that
 * turns out to be broken ends with its next read. Not within "closed".
 */
static inline int
net_in_reply(struct net_session *session, const uint8_t *octets, size_t length)
{
	return session->reply ? session->reply(session, octets, length)
			      : -EOPNOTSUPP;
}

/* On error *error is a message for the user (to be freed). conf is copied. */
int net_in_open(struct event_base *base, const struct net_in_conf *conf,
		const struct net_in_ops *ops, void *arg, struct net_in **out,
		char **error);
/* Ends all sessions (closed is called for each). NULL is legal. */
void net_in_close(struct net_in *in);
/*
 * Reads the files of secure again, for sessions to come; those that exist go
 * on, unless the peer was revoked. 1: done. 0: there are none. Or an
 * error: *error says why (to be freed), and nothing has changed.
 */
int net_in_reload(struct net_in *in, char **error);
/* See secure_warn_expiry. */
void net_in_warn_expiry(const struct net_in *in, int64_t now);
/* The first port it listens at (for port 0 in tests); 0: none. */
uint16_t net_in_port(const struct net_in *in);
/* Iterates over the sessions; *at starts at 0. */
struct net_session *net_in_next(const struct net_in *in, uint32_t *at);

/* ---- out --------------------------------------------------------------- */

/*
 * One Transport Session to a destination. The exporter keeps its own queue and
 * pushes while net_out_send takes messages; "writable" tells when to go on.
 */
struct net_out_ops {
	/*
	 * A session is up: send Templates and Options Data first, then say so
	 * (net_out_settle). Called again after each reconnect (TCP, SCTP,
	 * DTLS), and without "down" before it when a session has replaced
	 * another (DTLS); UDP and files: once.
	 */
	void (*up)(void *arg);
	/*
	 * It is down; reason is text for people. unsent: messages that were
	 * taken by net_out_send but not yet given to the kernel whole, over
	 * SCTP those of which "undelivered" told.
	 */
	void (*down)(void *arg, const char *reason, size_t unsent_messages);
	void (*writable)(void *arg);
	/*
	 * UDP: the oldest of the messages taken that are not yet in
	 * stats.messages was given up, for this errno (a positive number).
	 * May be called within net_out_send. May be NULL.
	 */
	void (*discarded)(void *arg, int error);
	/*
	 * SCTP: the number-th message of this session, from 0, is in
	 * stats.messages and was not delivered after all; it is one of the
	 * last NET_SCTP_FLIGHT. error: ETIME when its lifetime was over, else
	 * the session broke ("down" follows). May be NULL.
	 */
	void (*undelivered)(void *arg, uint64_t number, int error);
	/*
	 * A message that was lent (net_delivery) is no longer needed: at the end
	 * of the loop's round at the latest, perhaps within net_out_send_as. May
	 * be NULL if none is.
	 */
	void (*returned)(void *arg, const uint8_t *message);
	/* DTLS: path_octets has changed. May be NULL. */
	void (*path)(void *arg);
	/*
	 * DTLS over UDP: the peer is asked whether it is there and has the
	 * session, or (answered) has said so. What was sent since it was asked
	 * for its last answer is in doubt when the session goes down. Not called
	 * where nothing tells. May be NULL.
	 */
	void (*asked)(void *arg, bool answered);
	/*
	 * TCP: these octets came back, not always whole messages. May be NULL:
	 * then they are read and thrown away.
	 */
	void (*answered)(void *arg, const uint8_t *octets, size_t length);
};

struct net_out_conf {
	enum transport transport;
	struct addr remote;    /* address and port */
	struct addr local;     /* version 0: any */
	const char *interface; /* bind to this interface, or NULL */
	const char *file;      /* TRANSPORT_FILE: "/path" or "-": stdout */
	/* TRANSPORT_FILE: what the file has stays, up to the end of the last
	 * whole message, and messages go behind it; NULL: it is replaced. */
	net_frame append;
	uint32_t send_buffer;  /* SO_SNDBUF, 0: system default */
	uint32_t reconnect_min_ms, reconnect_max_ms;
	uint64_t rate_octets; /* per second, 0: no limit */
	/* TCP: when the peer's system has acknowledged nothing for so long,
	 * while something was on its way, it is dead; 0: as the system says. */
	uint32_t silent_ms;
	/* TLS over TCP, DTLS over UDP; NULL: plain. It is copied, its files
	 * are read. */
	const struct secure_conf *secure;
	struct net_sctp_conf sctp;
	/* DTLS, and TLS where we listen: the longest that one may take. */
	uint32_t handshake_ms;
	struct net_dtls_conf dtls;
	struct net_listen_conf listen; /* remote says nothing then */
};

struct net_out;

int net_out_open(struct event_base *base, const struct net_out_conf *conf,
		 const struct net_out_ops *ops, void *arg, struct net_out **out,
		 char **error);

/* As net_in_port. */
uint16_t net_out_port(const struct net_out *out);

/* As net_in_reload and net_in_warn_expiry. */
int net_out_reload(struct net_out *out, char **error);
void net_out_warn_expiry(const struct net_out *out, int64_t now);

/*
 * 0: taken. -EAGAIN: not now, wait for writable. -ENOTCONN: no session.
 * -EMSGSIZE: larger than the path takes (UDP). Other errors: not sent, for
 * example -ENOSPC of a file. Over UDP an ICMP error that an earlier datagram
 * caused is no error of this one: it is logged, and the message is sent.
 */
int net_out_send(struct net_out *out, const uint8_t *message, size_t length);

/*
 * How a message goes. All zero: as net_out_send does it, over SCTP in order on
 * stream 0 until it is delivered, where other transports have one way only.
 */
struct net_delivery {
	uint16_t stream; /* < stats.streams */
	/*
	 * Need not wait for what was sent before, except for messages that are
	 * not unordered: it is never delivered before those on its stream.
	 */
	bool unordered;
	uint32_t lifetime_ms; /* then it is given up (RFC 3758), 0: never */
	/* Any transport may use the octets of the message where they are, until
	 * "returned", instead of a copy. */
	bool lent;
};
/* As net_out_send; 1: it was taken, and "returned" is or was called. */
int net_out_send_as(struct net_out *out, const uint8_t *message, size_t length,
		    const struct net_delivery *delivery);

/*
 * What was sent until now should arrive before what comes next: Templates
 * before data, where the transport does not keep the order and can do something
 * for it (DTLS over UDP, SCTP: net_out_send says -EAGAIN, for a moment, or
 * until all has been acknowledged).
 */
void net_out_settle(struct net_out *out);

/*
 * A file that is appended to: how long it is, what waits to be written not
 * counted. False: it is none. net_out_cut makes it no longer than that, before
 * anything is sent; 0 or a negative errno.
 */
bool net_out_length(const struct net_out *out, uint64_t *length);
int net_out_cut(struct net_out *out, uint64_t length);

/*
 * TCP: the session ends in the next turn of the loop, with this reason (constant
 * text), and "down" is called; a new one is tried as after any other end.
 */
void net_out_break(struct net_out *out, const char *reason);

/* Messages and octets given to the kernel, session start, peer addresses. */
struct net_out_stats {
	bool up;
	/* discarded: taken, but not given to the kernel whole. Over UDP, where
	 * sessions don't go down, only this tells of them. */
	uint64_t messages, octets, discarded;
	/* UDP: how often the kernel told that a message could not be had by the
	 * peer (ICMP): that one is in messages all the same. */
	uint64_t refused;
	/* DTLS: messages sent to peers that turned out to be dead, since the
	 * last sign of life. */
	uint64_t doubtful;
	/* SCTP: so many messages of this session, the first ones, have been
	 * acknowledged, or told of as undelivered. */
	uint64_t delivered;
	uint64_t start_ms; /* wall clock of the present session, 0: never up */
	struct addr local, remote; /* as of the last session */
	const char *peer, *suite;  /* as of a net_session */
	/* Octets of a message that the path takes in one packet: over UDP as
	 * far as the kernel knows now, over DTLS as was found out; 0: unknown,
	 * or no datagrams. */
	uint32_t path_octets;
	/* SCTP: streams we have in this session, else 1; its id. */
	uint16_t streams;
	uint32_t association;
	/* Of a destination that listens: who was turned away. */
	uint64_t turned_away[NET_REFUSALS];
};
void net_out_stats(const struct net_out *out, struct net_out_stats *stats);
/* The same without path_octets, at no cost; valid as long as out is. */
const struct net_out_stats *net_out_counts(const struct net_out *out);
/*
 * TCP: of octets, those that the system of the peer has not acknowledged yet;
 * under TLS perhaps some more. What it has, the peer itself may still not have
 * read. A system call.
 */
uint64_t net_out_unacknowledged(const struct net_out *out);

/*
 * path_octets of a destination over UDP before a session to it is opened; 0:
 * unknown. Sends nothing.
 */
uint32_t net_path_octets(const struct net_out_conf *conf);

/* Is everything that was taken with the kernel, over SCTP with the peer?
 * (Before an orderly end.) */
bool net_out_drained(const struct net_out *out);
/*
 * Closes in order (TCP: what was taken is sent within linger_ms, for which it
 * may block). If messages remain that could not be sent, "down" tells of them.
 */
void net_out_close(struct net_out *out, unsigned linger_ms);

#endif
