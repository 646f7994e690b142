/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-shared keys: a file of lines as GnuTLS' psktool writes them,
 *
 *	identity:key in hexadecimal
 *	#identity in hexadecimal:key in hexadecimal
 *
 * with the second for identities that hold a colon or what can't be printed.
 * Other lines that begin with "#", and empty ones, are comments.
 *
 * RFC 9257: keys have at least 128 bits; an identity that is unknown takes as
 * long to look up as one that is known, so that nobody can ask which there
 * are. Neither keys nor their lines are ever part of a message.
 */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/text.h"

struct psk_reader {
	const char *file;
	uint32_t line;
	struct psk_list *list;
	unsigned room;
	char **error;
};

static int
fail(struct psk_reader *r, const char *what)
{
	return text_error(r->error, -EINVAL, "%s:%u: %s", r->file,
			  (unsigned)r->line, what);
}

int
hex_decode(const char *p, size_t length, uint8_t *out, size_t size)
{
	char digits[3] = {0};

	if (length % 2 || length / 2 > size)
		return -1;
	for (size_t i = 0; i < length; i += 2) {
		digits[0] = p[i];
		digits[1] = p[i + 1];
		if (!isxdigit((unsigned char)digits[0]) ||
		    !isxdigit((unsigned char)digits[1]))
			return -1;
		out[i / 2] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return (int)(length / 2);
}

static bool
is_hex(const char *p, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)p[i]))
			return false;
	return length > 0 && length % 2 == 0;
}

static bool
printable(const char *p, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			return false;
	return true;
}

static int
read_identity(struct psk_reader *r, struct psk *psk, const char *p,
	      size_t length)
{
	uint8_t identity[SECURE_PSK_IDENTITY];
	int octets;

	if (p[0] == '#') {
		octets = hex_decode(p + 1, length - 1, identity,
				    sizeof(identity));
		if (octets < 0)
			return fail(r, "the identity is too long");
		SHA256(identity, (size_t)octets, psk->digest);
		return 0;
	}
	if (length == 0)
		return fail(r, "there is no identity before the colon");
	if (length > SECURE_PSK_IDENTITY)
		return fail(r, "the identity is too long");
	if (!printable(p, length))
		return fail(r, "a control character in the identity");
	SHA256((const uint8_t *)p, length, psk->digest);
	return 0;
}

static int
read_key(struct psk_reader *r, struct psk *psk, const char *p, size_t length)
{
	int octets = hex_decode(p, length, psk->key, sizeof(psk->key));

	if (octets < 0)
		return fail(r, length > 2 * sizeof(psk->key)
				       ? "the key has more than 64 octets"
				       : "expected a key of pairs of "
					 "hexadecimal digits");
	if (octets < SECURE_PSK_MIN)
		return fail(r, "the key has less than 16 octets, 32 "
			       "hexadecimal digits");
	psk->key_length = (uint8_t)octets;
	return 0;
}

static struct psk *
psk_add(struct psk_reader *r)
{
	struct psk_list *list = r->list;
	unsigned room = r->room ? r->room * 2 : 16;
	struct psk *bigger;

	if (list->count == r->room) {
		/* By hand: realloc would leave keys behind. */
		bigger = calloc(room, sizeof(*bigger));
		if (!bigger)
			return NULL;
		if (list->count)
			memcpy(bigger, list->psk,
			       list->count * sizeof(*bigger));
		if (list->psk)
			OPENSSL_cleanse(list->psk,
					list->count * sizeof(*bigger));
		free(list->psk);
		list->psk = bigger;
		r->room = room;
	}
	return &list->psk[list->count++];
}

static int
read_line(struct psk_reader *r, const char *p, size_t length)
{
	const char *colon = memchr(p, ':', length);
	struct psk *psk;
	int rc;

	if (length == 0)
		return 0;
	if (p[0] == '#' && !(colon && is_hex(p + 1, (size_t)(colon - p) - 1)))
		return 0;
	if (!colon)
		return fail(r, "expected \"identity:key\"");
	if (r->list->count == SECURE_PSK_COUNT)
		return fail(r, "more than 65536 identities");
	psk = psk_add(r);
	if (!psk)
		return -ENOMEM;
	psk->line = r->line;
	rc = read_identity(r, psk, p, (size_t)(colon - p));
	if (rc == 0)
		rc = read_key(r, psk, colon + 1,
			      (size_t)(p + length - colon) - 1);
	return rc;
}

static int
read_lines(struct psk_reader *r, const struct file_data *data)
{
	const char *p = data->data, *end = p + data->length, *next;
	size_t length;
	int rc = 0;

	for (; p < end && rc == 0; p = next) {
		r->line++;
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next + 1 : end;
		length = (size_t)(next - p);
		while (length && isspace((unsigned char)p[length - 1]))
			length--;
		rc = read_line(r, p, length);
	}
	return rc;
}

static int
by_digest(const void *va, const void *vb)
{
	const struct psk *a = va, *b = vb;
	int order = memcmp(a->digest, b->digest, sizeof(a->digest));

	if (order)
		return order;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int
check_unique(struct psk_reader *r)
{
	const struct psk *psk = r->list->psk;

	qsort(r->list->psk, r->list->count, sizeof(*psk), by_digest);
	for (unsigned i = 1; i < r->list->count; i++)
		if (memcmp(psk[i].digest, psk[i - 1].digest,
			   sizeof(psk->digest)) == 0)
			return text_error(r->error, -EINVAL,
					  "%s:%u: the same identity as in "
					  "line %u",
					  r->file, (unsigned)psk[i].line,
					  (unsigned)psk[i - 1].line);
	return 0;
}

int
psk_load(struct psk_list *list, const char *file, bool *shared, char **error)
{
	struct psk_reader r = {.file = file, .list = list, .error = error};
	struct file_data data;
	int rc = file_read_secret(&data, file, shared, error);

	*list = (struct psk_list){0};
	if (rc < 0)
		return rc;
	rc = read_lines(&r, &data);
	file_free(&data);
	if (rc == 0 && list->count == 0)
		rc = text_error(error, -EINVAL,
				"%s: no key in it; expected lines "
				"\"identity:key\", as psktool writes them",
				file);
	else if (rc == 0)
		rc = check_unique(&r);
	if (rc < 0)
		psk_free(list);
	return rc;
}

void
psk_free(struct psk_list *list)
{
	if (list->psk)
		OPENSSL_cleanse(list->psk, list->count * sizeof(*list->psk));
	free(list->psk);
	*list = (struct psk_list){0};
}

/* All ones if they are equal, else 0; takes as long for any two. By words:
 * CRYPTO_memcmp goes octet by octet, which is 5 ms for a full list. */
static uintptr_t
equal_mask(const uint8_t a[32], const uint8_t b[32])
{
	uint64_t x[4], y[4], differ;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	differ = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);
	/* The top bit of one of the two is set unless all are equal. */
	return (uintptr_t)(((differ | (0 - differ)) >> 63) - 1);
}

/* All are looked at, and each as long as any other. */
int
secure_psk_find(const struct secure *secure, const void *identity,
		size_t length, const uint8_t **key, size_t *key_length)
{
	const struct psk_list *list = &secure->now.psks;
	uint8_t digest[32];
	uintptr_t found = 0;

	if (length > SECURE_PSK_IDENTITY)
		length = 0;
	SHA256(identity, length, digest);
	for (unsigned i = 0; i < list->count; i++)
		found |= equal_mask(digest, list->psk[i].digest) &
			 (uintptr_t)&list->psk[i];
	if (!found)
		return -ENOENT;
	*key = ((const struct psk *)found)->key;
	*key_length = ((const struct psk *)found)->key_length;
	return 0;
}
