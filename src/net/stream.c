/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a session of TLS refers to, wherever the struct stream is. */
struct secured {
	struct secure_verdict verdict; /* first: see stream_close */
	struct addr remote;
};

enum { SETTLE_MIN_MS = 50, SETTLE_MAX_MS = 2000 };

int
stream_open(struct stream *stream, int fd, struct secure *secure,
	    const struct addr *remote, char **error)
{
	struct secured *secured;

	*stream = (struct stream){.fd = fd};
	if (!secure)
		return 0;
	secured = calloc(1, sizeof(*secured));
	if (!secured)
		return -ENOMEM;
	secured->remote = *remote;
	stream->verdict = &secured->verdict;
	return secure_ssl_new(secure, fd, &secured->remote, &stream->ssl,
			      error);
}

void
stream_close(struct stream *stream)
{
	if (stream->ssl) {
		if (stream->shaken && !stream->failed)
			SSL_shutdown(stream->ssl);
		ERR_clear_error();
		secure_ssl_free(stream->ssl);
	}
	free(stream->verdict);
	if (stream->fd >= 0)
		close(stream->fd);
	*stream = (struct stream){.fd = -1};
}

int
stream_handshake(struct stream *stream)
{
	int rc = stream->ssl
			 ? secure_ssl_handshake(stream->ssl, stream->verdict)
			 : 0;

	stream->shaken = rc == 0;
	return rc;
}

/* What a call of OpenSSL means in errno; 0 is a regular end. */
static ssize_t
ssl_result(struct stream *stream, int n)
{
	int saved = errno;

	switch (SSL_get_error(stream->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		stream->failed = true;
		errno = saved ? saved : EPROTO;
		return -1;
	default:
		stream->failed = true;
		errno = EPROTO;
		return -1;
	}
}

/* One call gives one record; and what stays in the library wakes nobody. */
static ssize_t
ssl_read(struct stream *stream, uint8_t *data, size_t size)
{
	size_t have = 0;
	ssize_t end;
	int n;

	while (have < size && !stream->ended) {
		ERR_clear_error();
		errno = 0;
		n = SSL_read(stream->ssl, data + have, (int)(size - have));
		if (n > 0) {
			have += (size_t)n;
			continue;
		}
		end = ssl_result(stream, n);
		if (end < 0 && errno == EAGAIN)
			break;
		stream->ended = true;
		stream->end_errno = end < 0 ? errno : 0;
	}
	if (have)
		return (ssize_t)have;
	errno = stream->ended ? stream->end_errno : EAGAIN;
	return errno ? -1 : 0;
}

ssize_t
stream_read(struct stream *stream, void *data, size_t size)
{
	return stream->ssl ? ssl_read(stream, data, size)
			   : recv(stream->fd, data, size, MSG_DONTWAIT);
}

ssize_t
stream_readv(struct stream *stream, const struct iovec *iov, int count)
{
	ssize_t sum = 0, n;

	if (!stream->ssl)
		return readv(stream->fd, iov, count);
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len == 0)
			continue;
		n = ssl_read(stream, iov[i].iov_base, iov[i].iov_len);
		if (n <= 0)
			return sum ? sum : n;
		sum += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return sum;
}

bool
stream_holds(const struct stream *stream)
{
	return stream->ssl && (stream->ended || SSL_has_pending(stream->ssl));
}

ssize_t
stream_writev(struct stream *stream, const struct iovec *iov, int count)
{
	const struct msghdr header = {
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = (size_t)count,
	};
	int n;

	if (!stream->ssl)
		return sendmsg(stream->fd, &header,
			       MSG_NOSIGNAL | MSG_DONTWAIT);
	ERR_clear_error();
	errno = 0;
	n = SSL_write(stream->ssl, iov->iov_base, (int)iov->iov_len);
	if (n > 0)
		return n;
	if (ssl_result(stream, n) == 0)
		errno = EPIPE;
	return -1;
}

bool
stream_wants_write(const struct stream *stream)
{
	return stream->ssl && SSL_want_write(stream->ssl);
}

int
stream_shutdown(struct stream *stream)
{
	int n;

	if (stream->ssl) {
		ERR_clear_error();
		errno = 0;
		n = SSL_shutdown(stream->ssl);
		if (n < 0 && ssl_result(stream, n) < 0 && errno == EAGAIN)
			return -1;
	}
	return shutdown(stream->fd, SHUT_WR);
}

unsigned
stream_settle_ms(const struct stream *stream)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	unsigned ms;

	if (!stream->ssl || SSL_is_server(stream->ssl) ||
	    SSL_version(stream->ssl) != TLS1_3_VERSION ||
	    SSL_session_reused(stream->ssl))
		return 0;
	getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	ms = SETTLE_MIN_MS + info.tcpi_rtt * 2 / 1000;
	return ms < SETTLE_MAX_MS ? ms : SETTLE_MAX_MS;
}

const char *
stream_reason(const struct stream *stream, int error)
{
	if (stream->ssl && error == EPROTO)
		return secure_ssl_reason(stream->ssl);
	return strerror(error);
}

const char *
stream_revoked(const struct stream *stream)
{
	return stream->ssl && stream->shaken ? secure_ssl_revoked(stream->ssl)
					     : NULL;
}

const char *
stream_peer(const struct stream *stream)
{
	return stream->shaken && stream->verdict ? stream->verdict->peer : NULL;
}

void
stream_suite(const struct stream *stream, char *text, size_t size)
{
	*text = '\0';
	if (stream->ssl)
		snprintf(text, size, "%s %s%s", SSL_get_version(stream->ssl),
			 SSL_get_cipher_name(stream->ssl),
			 SSL_session_reused(stream->ssl) ? " resumed" : "");
}
