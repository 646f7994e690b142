/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of DTLS 1.2. GnuTLS does the handshake and the data; around it are
 * heartbeats (dtls_record.c, heartbeat.c), the question who the peer is, and
 * the reasons of a failure in words.
 *
 * GnuTLS is given whole records, one by one: the rest of one that is cut off it
 * would look for in the next datagram, which then is lost, too.
 *
 * With a wrong pre-shared key neither end gets an error: what the other has
 * sealed can't be opened, and such records are dropped without a word (RFC 6347
 * section 4.1.2.7), until the handshake times out. So it is told from what
 * does come: a server that has found the identity and gets sealed records again
 * and again, without the handshake getting on, says so, and sends an alert; a
 * client that gets no answer to its Finished says so, too.
 *
 * A handshake within a session (RFC 5246 section 7.4.1.1) is secured by RFC
 * 5746, which the priorities ask for. While it is under way we send no data,
 * and data of the peer from before it is read up to its last messages; what is
 * delayed until the keys have changed is lost, as a datagram may be.
 */
#include <errno.h>
#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/dtls.h"
#include "conflux/wire.h"
#include "dtls_context.h"
#include "dtls_record.h"
#include "heartbeat.h"

enum {
	RETRANSMIT_MS = 1000,
	NEVER_MS = 600000,
	SCTP_KEY = 64, /* octets */
	/* A wrong key: so many sealed records, over so long; or no answer. */
	WRONG_KEY_RECORDS = 3,
	WRONG_KEY_MS = 1500,
	NO_ANSWER_MS = 4500,
};

#define WRONG_KEY "its pre-shared key is not ours: check both PSK files"

struct dtls {
	struct secure *secure; /* first: dtls_credentials_use wants it there */
	struct dtls_context *context;
	struct dtls_credentials *credentials;
	gnutls_session_t session;
	struct addr remote;
	dtls_send send;
	void (*key)(void *arg, const uint8_t *key, size_t length);
	void *arg;
	bool server;
	enum dtls_state state;
	bool half;	 /* ended by us: what the peer sends is still read */
	uint64_t now_ms; /* of the call that we are in */
	uint64_t alive_ms;
	/* What is left of the datagram that came, and what of it GnuTLS may
	 * take now. */
	const uint8_t *datagram;
	size_t datagram_length;
	const uint8_t *in;
	size_t in_length;
	bool drain; /* GnuTLS may have something itself */
	/* Of the handshake. */
	uint32_t octets; /* of a datagram of it */
	bool allowed;	 /* server: another one within the session */
	bool again;	 /* that one is under way */
	enum dtls_probe renewed;
	bool checked;	      /* the peer was verified within it */
	bool rejected;	      /* it was turned away, or its key was not ours */
	uint64_t finished_ms; /* our Finished went out first; 0: not yet */
	uint64_t sealed_ms;   /* the first sealed record came */
	uint64_t secret_ms;   /* the secret was known; over SCTP only */
	unsigned sealed;
	char peer[256];
	char reason[600];
	/* Heartbeats. */
	bool heartbeat_wanted;	/* by us */
	bool heartbeat_builtin; /* GnuTLS has the extension itself */
	bool heartbeat_allowed; /* the peer answers requests */
	uint16_t epoch;
	struct heartbeat heartbeat;
	struct record_window window;
	uint64_t genuine, discarded; /* records */
};

/* ---- the context ----------------------------------------------------------
 */

int
dtls_context_new(struct secure *secure, struct dtls_context **out, char **error)
{
	struct dtls_context *context = calloc(1, sizeof(*context));

	*error = NULL;
	if (!context)
		return -ENOMEM;
	context->secure = secure;
	context->credentials = dtls_credentials_new(secure, error);
	if (!context->credentials) {
		free(context);
		return *error ? -EINVAL : -ENOMEM;
	}
	*out = context;
	return 0;
}

void
dtls_context_free(struct dtls_context *context)
{
	if (!context)
		return;
	dtls_credentials_release(context->credentials);
	cookie_keys_fini(&context->cookies);
	free(context);
}

/* Those of the files as they are now; if these can't be used, those before. */
static struct dtls_credentials *
present_credentials(struct dtls_context *context)
{
	struct dtls_credentials *fresh;
	char *error;

	if (context->credentials->generation !=
	    secure_generation(context->secure)) {
		fresh = dtls_credentials_new(context->secure, &error);
		free(error);
		if (fresh) {
			dtls_credentials_release(context->credentials);
			context->credentials = fresh;
		}
	}
	return dtls_credentials_hold(context->credentials);
}

/* ---- the end --------------------------------------------------------------
 */

static void
finish(struct dtls *d, enum dtls_state state, const char *reason)
{
	if (d->state == DTLS_ENDED || d->state == DTLS_FAILED)
		return;
	d->state = state;
	if (reason != d->reason)
		snprintf(d->reason, sizeof(d->reason), "%s", reason);
}

/* Because of who the peer is, or is not. */
static void
reject(struct dtls *d, gnutls_alert_description_t alert, const char *reason)
{
	d->rejected = true;
	gnutls_alert_send(d->session, GNUTLS_AL_FATAL, alert);
	finish(d, DTLS_FAILED, reason);
}

/* What the peer's alert means to us. */
static const char *
alert_text(const struct dtls *d)
{
	gnutls_alert_description_t alert = gnutls_alert_get(d->session);
	const char *name = gnutls_alert_get_name(alert);

	if (dtls_uses_psk(d->session) && alert == GNUTLS_A_DECRYPT_ERROR)
		return WRONG_KEY;
	if (alert == GNUTLS_A_UNKNOWN_PSK_IDENTITY)
		return "it has no pre-shared key of our identity";
	return name ? name : "it does not say why";
}

/* An error of GnuTLS that ends the session, in words. */
static void
fail(struct dtls *d, int rc)
{
	char text[300];

	switch (rc) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		snprintf(text, sizeof(text), "the peer refuses us: %s",
			 alert_text(d));
		break;
	case GNUTLS_E_TIMEDOUT:
		snprintf(text, sizeof(text), "the handshake was not answered");
		break;
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
		snprintf(text, sizeof(text),
			 "no cipher suite in common: does one end have "
			 "certificates and the other a pre-shared key?");
		break;
	default:
		snprintf(text, sizeof(text), "%s", gnutls_strerror(rc));
	}
	if (rc != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(d->session, rc);
	finish(d, DTLS_FAILED, text);
}

/* ---- what GnuTLS calls ----------------------------------------------------
 */

static ssize_t
push(gnutls_transport_ptr_t arg, const void *data, size_t length)
{
	struct dtls *d = arg;
	struct record record;

	if (d->state == DTLS_SHAKING && !d->finished_ms &&
	    record_read(&record, data, length) && record.epoch > 0 &&
	    record.type == DTLS_HANDSHAKE)
		d->finished_ms = d->now_ms;
	d->send(d->arg, data, length);
	return (ssize_t)length;
}

static ssize_t
pull(gnutls_transport_ptr_t arg, void *data, size_t size)
{
	struct dtls *d = arg;
	size_t length = d->in_length;

	if (!d->in) {
		gnutls_transport_set_errno(d->session, EAGAIN);
		return -1;
	}
	if (length > size)
		length = size;
	memcpy(data, d->in, length);
	d->in = NULL;
	return (ssize_t)length;
}

static int
pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	const struct dtls *d = arg;

	return d->in != NULL;
}

static bool
check_peer(struct dtls *d)
{
	struct secure_verdict verdict;

	dtls_peer_check(d->secure, d->session, &d->remote, &verdict);
	verdict.peer[sizeof(verdict.peer) - 1] = '\0';
	memcpy(d->peer, verdict.peer, sizeof(d->peer));
	if (verdict.allowed)
		return true;
	snprintf(d->reason, sizeof(d->reason), "%s", verdict.reason);
	return false;
}

/* In a full handshake, as soon as the certificates are there. */
static int
verify(gnutls_session_t session)
{
	struct dtls *d = gnutls_session_get_ptr(session);

	d->checked = check_peer(d);
	return d->checked ? 0 : -1;
}

/*
 * Called when the master secret is there. Later hooks are too late: a server's
 * would have to read a Finished that its SCTP can't authenticate yet.
 */
static int
on_secret(gnutls_session_t session, const char *label,
	  const gnutls_datum_t *secret)
{
	static const char exporter[] = "EXPORTER_DTLS_OVER_SCTP";
	struct dtls *d = gnutls_session_get_ptr(session);
	uint8_t key[SCTP_KEY];

	d->secret_ms = d->now_ms;
	if (gnutls_prf_rfc5705(session, sizeof(exporter) - 1, exporter, 0, NULL,
			       sizeof(key), (char *)key) == 0)
		d->key(d->arg, key, sizeof(key));
	gnutls_memset(key, 0, sizeof(key));
	return 0;
}

/* ---- the extension --------------------------------------------------------
 */

static int
extension_received(gnutls_session_t session, const unsigned char *data,
		   size_t length)
{
	struct dtls *d = gnutls_session_get_ptr(session);

	d->heartbeat_allowed = length == 1 && data[0] == HEARTBEAT_ALLOWED;
	return 0;
}

static int
extension_send(gnutls_session_t session, gnutls_buffer_t out)
{
	static const uint8_t mode = HEARTBEAT_ALLOWED;

	return gnutls_buffer_append_data(out, &mode, 1) < 0 ? -1 : 1;
}

/* RFC 6520 section 2. Builds of GnuTLS with heartbeats have it themselves, and
 * don't let us have another one. */
static void
offer_heartbeat(struct dtls *d)
{
	int rc = gnutls_session_ext_register(
		d->session, "heartbeat", HEARTBEAT_EXTENSION, GNUTLS_EXT_TLS,
		extension_received, extension_send, NULL, NULL, NULL,
		GNUTLS_EXT_FLAG_CLIENT_HELLO |
			GNUTLS_EXT_FLAG_TLS12_SERVER_HELLO |
			GNUTLS_EXT_FLAG_DTLS | GNUTLS_EXT_FLAG_TLS);

	if (rc == 0)
		return;
	d->heartbeat_builtin = true;
	gnutls_heartbeat_enable(d->session, GNUTLS_HB_PEER_ALLOWED_TO_SEND);
}

/* ---- the handshake --------------------------------------------------------
 */

static void
come_up(struct dtls *d)
{
	if (!d->checked && !check_peer(d)) {
		reject(d, GNUTLS_A_ACCESS_DENIED, d->reason);
		return;
	}
	gnutls_dtls_set_mtu(d->session, DTLS_DATAGRAM_MAX);
	d->epoch = record_epoch(d->session);
	if (d->heartbeat_builtin &&
	    gnutls_heartbeat_allowed(d->session,
				     GNUTLS_HB_LOCAL_ALLOWED_TO_SEND))
		d->heartbeat_allowed = true;
	if (!record_can(d->session))
		d->heartbeat_allowed = d->heartbeat_wanted = false;
	d->state = DTLS_UP;
	d->alive_ms = d->now_ms;
}

/* Identities of strangers are not for a terminal to obey. */
static void
reject_identity(struct dtls *d)
{
	const char *identity = gnutls_psk_server_get_username(d->session);
	char text[SECURE_PSK_IDENTITY + 64];
	int n;

	n = snprintf(text, sizeof(text),
		     "there is no pre-shared key of its identity \"%.*s\"",
		     SECURE_PSK_IDENTITY, identity ? identity : "");
	for (int i = 0; i < n && text[i]; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = '?';
	reject(d, GNUTLS_A_UNKNOWN_PSK_IDENTITY, text);
}

static void
shake(struct dtls *d)
{
	int rc;

	do
		rc = gnutls_handshake(d->session);
	while (rc < 0 && rc != GNUTLS_E_AGAIN && rc != GNUTLS_E_INTERRUPTED &&
	       !gnutls_error_is_fatal(rc));
	if (rc == 0)
		come_up(d);
	else if (rc == GNUTLS_E_CERTIFICATE_ERROR && d->reason[0])
		reject(d, GNUTLS_A_BAD_CERTIFICATE, d->reason);
	else if (rc == GNUTLS_E_KEYFILE_ERROR && d->server)
		reject_identity(d);
	else if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND && d->server)
		reject(d, GNUTLS_A_HANDSHAKE_FAILURE,
		       "it has shown no certificate");
	else if (gnutls_error_is_fatal(rc))
		fail(d, rc);
}

static void
renewed(struct dtls *d)
{
	d->again = false;
	d->renewed = DTLS_PROBE_ANSWERED;
	d->epoch = record_epoch(d->session);
	d->window = (struct record_window){0};
	d->alive_ms = d->now_ms;
	gnutls_dtls_set_mtu(d->session, DTLS_DATAGRAM_MAX);
}

/* The handshake within a session, as far as it goes. */
static void
shake_again(struct dtls *d)
{
	int rc;

	do
		rc = gnutls_handshake(d->session);
	while (rc == GNUTLS_E_INTERRUPTED ||
	       (rc == GNUTLS_E_WARNING_ALERT_RECEIVED &&
		gnutls_alert_get(d->session) != GNUTLS_A_NO_RENEGOTIATION));
	if (rc == 0 || rc == GNUTLS_E_WARNING_ALERT_RECEIVED) {
		d->genuine++;
		renewed(d);
	} else if (rc == GNUTLS_E_GOT_APPLICATION_DATA) {
		d->drain = true;
	} else if (rc == GNUTLS_E_TIMEDOUT) {
		/* It may be that only its answers do not arrive. */
		gnutls_alert_send(d->session, GNUTLS_AL_WARNING,
				  GNUTLS_A_CLOSE_NOTIFY);
		finish(d, DTLS_FAILED,
		       "the peer does not answer a handshake: it is dead, or "
		       "has lost the session");
	} else if (rc == GNUTLS_E_CERTIFICATE_ERROR && d->reason[0]) {
		reject(d, GNUTLS_A_BAD_CERTIFICATE, d->reason);
	} else if (gnutls_error_is_fatal(rc)) {
		fail(d, rc);
	}
}

static void
begin_again(struct dtls *d)
{
	d->again = true;
	gnutls_dtls_set_mtu(d->session, d->octets);
	shake_again(d);
}

/* The client wants to. */
static void
asked_again(struct dtls *d)
{
	if (d->allowed && gnutls_safe_renegotiation_status(d->session)) {
		begin_again(d);
		return;
	}
	gnutls_alert_send(d->session, GNUTLS_AL_WARNING,
			  GNUTLS_A_NO_RENEGOTIATION);
	/* GnuTLS has kept what it asks with, and is to throw it away now: it
	 * would do so when it should read the next record. */
	d->drain = true;
}

/* A sealed record came in a handshake that has not got on by it. */
static void
count_sealed(struct dtls *d)
{
	if (!d->sealed++)
		d->sealed_ms = d->now_ms;
	if (d->server && d->sealed >= WRONG_KEY_RECORDS &&
	    d->now_ms - d->sealed_ms >= WRONG_KEY_MS &&
	    dtls_uses_psk(d->session))
		reject(d, GNUTLS_A_DECRYPT_ERROR, WRONG_KEY);
}

static int
set_up(struct dtls *d, const struct dtls_conf *conf)
{
	uint32_t ms =
		conf->handshake_ms ? conf->handshake_ms : DTLS_HANDSHAKE_MS;
	uint32_t octets = conf->handshake_octets ? conf->handshake_octets
						 : DTLS_HANDSHAKE_OCTETS;
	gnutls_dtls_prestate_st start;
	int rc;

	gnutls_session_set_ptr(d->session, d);
	rc = dtls_credentials_use(d->credentials, d->session);
	if (rc < 0)
		return rc;
	gnutls_session_set_verify_function(d->session, verify);
	gnutls_transport_set_ptr(d->session, d);
	gnutls_transport_set_push_function(d->session, push);
	gnutls_transport_set_pull_function(d->session, pull);
	gnutls_transport_set_pull_timeout_function(d->session, pull_timeout);
	gnutls_dtls_set_timeouts(
		d->session, conf->over_sctp ? NEVER_MS : RETRANSMIT_MS, ms);
	if (d->key)
		gnutls_session_set_keylog_function(d->session, on_secret);
	d->octets = octets;
	gnutls_dtls_set_mtu(d->session, octets);
	if (d->heartbeat_wanted)
		offer_heartbeat(d);
	if (conf->start) {
		start.record_seq = conf->start->record;
		start.hsk_read_seq = conf->start->read;
		start.hsk_write_seq = conf->start->write;
		gnutls_dtls_prestate_set(d->session, &start);
	}
	if (conf->resume && conf->resume->data) {
		gnutls_session_set_data(d->session, conf->resume->data,
					conf->resume->length);
		d->heartbeat_allowed = conf->resume->heartbeat;
	}
	return 0;
}

struct dtls *
dtls_new(struct dtls_context *context, const struct dtls_conf *conf,
	 uint64_t now_ms, char **error)
{
	const struct secure_conf *secure = secure_conf_of(context->secure);
	unsigned flags = GNUTLS_DATAGRAM | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	struct dtls *d = calloc(1, sizeof(*d));
	int rc;

	*error = NULL;
	if (!d)
		return NULL;
	d->secure = context->secure;
	d->context = context;
	d->credentials = present_credentials(context);
	d->remote = *conf->remote;
	d->send = conf->send;
	d->key = conf->key;
	d->arg = conf->arg;
	d->server = secure->server;
	d->now_ms = d->alive_ms = now_ms;
	d->heartbeat_wanted = conf->heartbeat;
	d->allowed = conf->renegotiation && d->server && !conf->over_sctp;
	flags |= d->server ? GNUTLS_SERVER : GNUTLS_CLIENT;
	if (!secure->resumption || conf->over_sctp)
		flags |= GNUTLS_NO_TICKETS;
	if (conf->over_sctp)
		flags |= GNUTLS_NO_REPLAY_PROTECTION;
	rc = gnutls_init(&d->session, flags);
	if (rc == 0)
		rc = set_up(d, conf);
	if (rc == 0)
		return d;
	if (asprintf(error, "a DTLS session can't be made: %s",
		     gnutls_strerror(rc)) < 0)
		*error = NULL;
	dtls_free(d);
	return NULL;
}

void
dtls_free(struct dtls *d)
{
	if (!d)
		return;
	if (d->session)
		gnutls_deinit(d->session);
	dtls_credentials_release(d->credentials);
	free(d);
}

void
dtls_end(struct dtls *d, uint64_t now_ms)
{
	d->now_ms = now_ms;
	if (d->state == DTLS_UP) {
		gnutls_bye(d->session, GNUTLS_SHUT_WR);
		d->half = true;
	}
	finish(d, DTLS_ENDED, "ended by us");
}

/* ---- heartbeats -----------------------------------------------------------
 */

static void
send_sealed(struct dtls *d, const uint8_t *plain, size_t length)
{
	uint8_t out[HEARTBEAT_MAX + RECORD_OVERHEAD];
	int n = record_seal(d->session, HEARTBEAT_RECORD, plain, length, out);

	if (n > 0)
		d->send(d->arg, out, (size_t)n);
}

static void
send_request(struct dtls *d)
{
	uint8_t plain[HEARTBEAT_MAX];

	send_sealed(d, plain, heartbeat_write(&d->heartbeat, plain, d->now_ms));
}

static void
take_heartbeat(struct dtls *d, const struct record *record)
{
	uint8_t plain[HEARTBEAT_MAX + RECORD_OVERHEAD], answer[HEARTBEAT_MAX];
	size_t length;
	int n;

	if (!d->heartbeat_wanted || record->epoch != d->epoch ||
	    record->length > sizeof(plain))
		return;
	n = record_open(d->session, &d->window, record, plain);
	if (n < 0) {
		d->discarded++;
		return;
	}
	d->genuine++;
	d->alive_ms = d->now_ms;
	length = heartbeat_read(&d->heartbeat, plain, (size_t)n, answer,
				d->now_ms);
	if (length)
		send_sealed(d, answer, length);
}

bool
dtls_has_heartbeat(const struct dtls *d)
{
	return d->state == DTLS_UP && d->heartbeat_allowed;
}

int
dtls_probe(struct dtls *d, uint32_t octets, unsigned tries, uint32_t wait_ms,
	   uint64_t now_ms)
{
	uint32_t overhead = dtls_overhead(d);
	int rc;

	if (!dtls_has_heartbeat(d))
		return -ENOTSUP;
	rc = heartbeat_begin(&d->heartbeat,
			     octets > overhead ? octets - overhead : 0, tries,
			     wait_ms, now_ms);
	if (rc < 0)
		return rc;
	d->now_ms = now_ms;
	if (heartbeat_due(&d->heartbeat, now_ms))
		send_request(d);
	return 0;
}

enum dtls_probe
dtls_probe_result(struct dtls *d)
{
	switch (d->heartbeat.state) {
	case HEARTBEAT_IDLE:
		return DTLS_PROBE_NONE;
	case HEARTBEAT_PENDING:
		return DTLS_PROBE_PENDING;
	case HEARTBEAT_ANSWERED:
		d->heartbeat.state = HEARTBEAT_IDLE;
		return DTLS_PROBE_ANSWERED;
	case HEARTBEAT_FAILED:
		d->heartbeat.state = HEARTBEAT_IDLE;
		return DTLS_PROBE_FAILED;
	}
	return DTLS_PROBE_NONE;
}

/* ---- datagrams ------------------------------------------------------------
 */

/* The first record of the datagram is sealed. */
static bool
is_sealed(const uint8_t *datagram, size_t length)
{
	struct record record;

	return record_read(&record, datagram, length) && record.epoch > 0;
}

static bool
readable(const struct dtls *d)
{
	return d->state == DTLS_UP || d->half;
}

/*
 * RFC 6520 section 3: heartbeats that come in a handshake are discarded, as the
 * Finished before them may have been lost or be late. GnuTLS would give up.
 * Returns the octets before the first one.
 */
static size_t
before_heartbeat(struct dtls *d, const uint8_t *datagram, size_t length)
{
	struct record record;
	size_t at = 0, one;

	while ((one = record_read(&record, datagram + at, length - at))) {
		if (record.type == HEARTBEAT_RECORD) {
			d->discarded++;
			return at;
		}
		at += one;
	}
	return length;
}

void
dtls_input(struct dtls *d, const uint8_t *datagram, size_t length,
	   uint64_t now_ms)
{
	d->now_ms = now_ms;
	d->datagram = datagram;
	d->datagram_length = readable(d) ? length : 0;
	if (d->state != DTLS_SHAKING)
		return;
	length = before_heartbeat(d, datagram, length);
	/* To GnuTLS nothing is the end of the connection. */
	if (!length)
		return;
	d->in = datagram;
	d->in_length = length;
	shake(d);
	/* In the last flight data may follow in the same datagram. */
	d->drain = d->state == DTLS_UP;
	if (d->state == DTLS_SHAKING && is_sealed(datagram, length))
		count_sealed(d);
}

/*
 * Gives GnuTLS the next record that is whole and for it to read. False: there
 * is none.
 */
static bool
next_record(struct dtls *d)
{
	struct record record;
	size_t one;

	while (d->datagram_length) {
		one = record_read(&record, d->datagram, d->datagram_length);
		d->in = d->datagram;
		d->in_length = one;
		d->datagram += one;
		d->datagram_length -= one ? one : d->datagram_length;
		if (!one)
			d->discarded++;
		else if (record.type == HEARTBEAT_RECORD)
			take_heartbeat(d, &record);
		else
			return true;
	}
	d->in = NULL;
	return false;
}

ssize_t
dtls_read(struct dtls *d, uint8_t *data, size_t size)
{
	ssize_t n;

	while (readable(d) && (d->drain || next_record(d))) {
		if (d->again && !d->drain) {
			shake_again(d);
			if (!d->drain)
				continue;
		}
		n = gnutls_record_recv(d->session, data, size);
		if (n > 0) {
			d->genuine++;
			d->alive_ms = d->now_ms;
			return n;
		}
		d->drain = false;
		if (n == 0) {
			d->half = false;
			finish(d, DTLS_ENDED, "the peer closed the session");
		} else if (n == GNUTLS_E_REHANDSHAKE) {
			asked_again(d);
		} else if (gnutls_error_is_fatal((int)n)) {
			fail(d, (int)n);
		}
	}
	return -EAGAIN;
}

int
dtls_write(struct dtls *d, const uint8_t *data, size_t length, uint64_t now_ms)
{
	ssize_t n;

	if (d->state != DTLS_UP)
		return -ENOTCONN;
	if (d->again)
		return -EAGAIN;
	d->now_ms = now_ms;
	n = gnutls_record_send(d->session, data, length);
	if (n == GNUTLS_E_LARGE_PACKET)
		return -EMSGSIZE;
	if (n < 0) {
		fail(d, (int)n);
		return -ENOTCONN;
	}
	return 0;
}

uint32_t
dtls_overhead(const struct dtls *d)
{
	return (uint32_t)gnutls_record_overhead_size(d->session);
}

int
dtls_renegotiate(struct dtls *d, uint64_t now_ms)
{
	if (d->again)
		return -EBUSY;
	if (d->state != DTLS_UP || d->server || d->key ||
	    !gnutls_safe_renegotiation_status(d->session))
		return -ENOTSUP;
	d->now_ms = now_ms;
	begin_again(d);
	return 0;
}

enum dtls_probe
dtls_renegotiated(struct dtls *d)
{
	enum dtls_probe result = d->again ? DTLS_PROBE_PENDING : d->renewed;

	d->renewed = DTLS_PROBE_NONE;
	return result;
}

/* ---- time -----------------------------------------------------------------
 */

int64_t
dtls_wait(const struct dtls *d, uint64_t now_ms)
{
	if (d->state == DTLS_SHAKING || (d->again && d->state == DTLS_UP))
		return gnutls_dtls_get_timeout(d->session);
	if (d->state == DTLS_UP)
		return heartbeat_wait(&d->heartbeat, now_ms);
	return -1;
}

void
dtls_tick(struct dtls *d, uint64_t now_ms)
{
	d->now_ms = now_ms;
	if (d->state == DTLS_UP && d->again) {
		shake_again(d);
		return;
	}
	if (d->state == DTLS_UP) {
		if (heartbeat_due(&d->heartbeat, now_ms))
			send_request(d);
		return;
	}
	if (d->state != DTLS_SHAKING)
		return;
	if (!d->server && d->finished_ms &&
	    now_ms - d->finished_ms >= NO_ANSWER_MS &&
	    dtls_uses_psk(d->session)) {
		finish(d, DTLS_FAILED,
		       "the peer does not answer what our pre-shared key "
		       "has sealed: is it the peer's, too?");
		return;
	}
	/* SCTP-AUTH drops what is sealed with another key: nothing comes. */
	if (d->server && d->secret_ms &&
	    now_ms - d->secret_ms >= NO_ANSWER_MS &&
	    dtls_uses_psk(d->session)) {
		reject(d, GNUTLS_A_DECRYPT_ERROR, WRONG_KEY);
		return;
	}
	shake(d);
}

/* ---- what it is -----------------------------------------------------------
 */

enum dtls_state
dtls_state(const struct dtls *d)
{
	return d->state;
}

const char *
dtls_reason(const struct dtls *d)
{
	return d->reason;
}

bool
dtls_rejected(const struct dtls *d)
{
	return d->rejected;
}

const char *
dtls_revoked(const struct dtls *dtls)
{
	return dtls->state == DTLS_UP
		       ? dtls_peer_revoked(dtls->secure, dtls->session)
		       : NULL;
}

const char *
dtls_peer(const struct dtls *d)
{
	return d->peer;
}

const char *
dtls_describe(const struct dtls *d, char *text, size_t size)
{
	snprintf(text, size, "%s %s%s%s",
		 gnutls_kx_get_name(gnutls_kx_get(d->session)),
		 gnutls_cipher_get_name(gnutls_cipher_get(d->session)),
		 gnutls_session_is_resumed(d->session) ? ", resumed" : "",
		 d->heartbeat_allowed ? ", heartbeat" : "");
	return text;
}

void
dtls_resume_get(const struct dtls *d, struct dtls_resume *resume)
{
	gnutls_datum_t data;

	if (d->state != DTLS_UP ||
	    gnutls_session_get_data2(d->session, &data) < 0)
		return;
	dtls_resume_fini(resume);
	resume->data = data.data;
	resume->length = data.size;
	resume->heartbeat = d->heartbeat_allowed;
}

void
dtls_resume_fini(struct dtls_resume *resume)
{
	if (resume->data)
		gnutls_memset(resume->data, 0, resume->length);
	gnutls_free(resume->data);
	*resume = (struct dtls_resume){0};
}

uint64_t
dtls_genuine(const struct dtls *d)
{
	return d->genuine;
}

void
dtls_stats(const struct dtls *d, struct dtls_stats *stats)
{
	*stats = (struct dtls_stats){
		.requests = d->heartbeat.requests,
		.answers = d->heartbeat.answers,
		.asked = d->heartbeat.asked,
		.ignored = d->heartbeat.ignored,
		.discarded =
			d->discarded + gnutls_record_get_discarded(d->session),
		.answer_ms = d->heartbeat.answer_ms,
		.alive_ms = d->alive_ms,
	};
}
