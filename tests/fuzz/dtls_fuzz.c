/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read of a peer before it has proved who it is, and the heartbeats
 * after that. The first octet says which:
 *
 *	0	a datagram to a server without a session: cookies
 *	1	datagrams to a server in a handshake; each has two octets of
 *		length before it
 *	2	the content of a heartbeat record
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/dtls.h"
#include "conflux/wire.h"
#include "dtls_record.h"
#include "heartbeat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char line[] = "a.example.net:00112233445566778899aabbccddeeff\n";

static struct secure *
make_secure(void)
{
	char path[] = "/tmp/conflux-fuzz-XXXXXX", *error = NULL;
	struct secure_conf conf = {.server = true, .psk_file = path};
	struct secure *secure = NULL;
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, line, sizeof(line) - 1) < 0 ||
	    secure_new(&conf, "fuzz", &secure, &error) < 0)
		abort();
	close(fd);
	unlink(path);
	return secure;
}

static void
nowhere(void *arg, const uint8_t *datagram, size_t length)
{
	*(size_t *)arg += length;
}

static void
hello(struct dtls_context *context, const uint8_t *data, size_t size)
{
	struct addr remote = {.version = 4, .port = 1};
	struct dtls_start start;
	size_t sent = 0;

	dtls_hello(context, data, size, &remote, 1, nowhere, &sent, &start);
	/* Nobody is flooded by answers to what others sent. */
	assert(sent <= size);
}

static void
handshake(struct dtls_context *context, const uint8_t *data, size_t size)
{
	struct addr remote = {.version = 4, .port = 1};
	struct dtls_start start = {0};
	uint8_t content[DTLS_DATAGRAM_MAX];
	size_t sent = 0, length;
	struct dtls_conf conf = {.remote = &remote,
				 .send = nowhere,
				 .arg = &sent,
				 .heartbeat = true,
				 .start = &start};
	char *error;
	struct dtls *d = dtls_new(context, &conf, 1, &error);

	for (; d && size >= 2; data += length, size -= length) {
		length = wire_get16(data);
		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		dtls_input(d, data, length, 1);
		while (dtls_read(d, content, sizeof(content)) > 0)
			;
		assert(dtls_state(d) != DTLS_UP);
	}
	dtls_free(d);
}

static void
heartbeat(const uint8_t *data, size_t size)
{
	static uint8_t answer[HEARTBEAT_MAX];
	struct heartbeat h = {0};
	size_t length;

	heartbeat_begin(&h, 0, 1, 0, 0);
	length = heartbeat_read(&h, data, size, answer, 1);
	assert(length <= size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dtls_context *context;
	struct secure *secure;
	char *error;

	if (size == 0 || data[0] > 2)
		return 0;
	if (data[0] == 2) {
		heartbeat(data + 1, size - 1);
		return 0;
	}
	secure = make_secure();
	if (dtls_context_new(secure, &context, &error) < 0)
		abort();
	if (data[0] == 0)
		hello(context, data + 1, size - 1);
	else
		handshake(context, data + 1, size - 1);
	dtls_context_free(context);
	secure_free(secure);
	return 0;
}
