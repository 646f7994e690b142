/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct substitution with a key (RFC 6235 sections 4.1.3, 4.1.4, 4.2.3, 4.2.4
 * and 4.5.2).
 *
 * Prefix-preserving: Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP
 * Address Anonymization", 2002), so that others with the same key get the same
 * addresses. Of the 32 octets of the key the first 16 are that of AES, and the
 * others, encrypted with it, are the pad. Bit n of an address is turned by the
 * first bit of the encryption of a block: the first n bits of the address,
 * followed by those of the pad that are behind them. IPv4 addresses are the
 * first 32 bits of a block, IPv6 addresses all of it.
 *
 * The first 16 bits of any address are turned as a table says, which costs
 * 65535 blocks once; results are kept in a table of fixed size, in sets where a
 * new one takes the place of the oldest. What is left is encrypted for many
 * addresses in one call.
 *
 * Permutation: a balanced Feistel network of 10 rounds with AES as its round
 * function, as format-preserving encryption has it, so no two values become
 * one. 128 bits are a block of AES. Keys for it are not those for Crypto-PAn,
 * but follow from the same file by SHA-256.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "conflux/hash.h"
#include "conflux/wire.h"

enum {
	TOP_BITS = 16,
	KEPT_4 = 65536, /* results for IPv4, 512 KiB: a power of 2 */
	KEPT_6 = 16384, /* and for IPv6, as many octets */
	SET = 4,	/* places that one address may have */
	BLOCK = 16,
	BLOCKS = 1024, /* in one call: stays in the first cache */
	ROUNDS = 10,
	SMALL_BITS = 16, /* permutations that are kept as a table */
};

__extension__ typedef unsigned __int128 word128;

struct kept4 {
	uint32_t from, to;
};

struct kept6 {
	uint8_t from[16], to[16];
};

struct anon_cipher {
	EVP_CIPHER_CTX *prefix, *feistel, *wide;
	uint64_t offset; /* for anon_offset */
	word128 pad;
	uint16_t top[1 << TOP_BITS]; /* bits to turn, by the first bits */
	struct kept4 kept4[KEPT_4];
	struct kept6 kept6[KEPT_6];
	uint16_t small[1 << SMALL_BITS]; /* the permutation of 16 bits */
	uint8_t block[BLOCKS * BLOCK];
};

/* ---- AES ----------------------------------------------------------------- */

static int
aes_new(const uint8_t key[16], EVP_CIPHER_CTX **out)
{
	*out = EVP_CIPHER_CTX_new();
	if (!*out ||
	    EVP_EncryptInit_ex(*out, EVP_aes_128_ecb(), NULL, key, NULL) != 1)
		return -ENOMEM;
	EVP_CIPHER_CTX_set_padding(*out, 0);
	return 0;
}

/* In place. Whole blocks without padding can't fail. */
static void
aes_run(EVP_CIPHER_CTX *aes, uint8_t *block, unsigned count)
{
	int length;

	EVP_EncryptUpdate(aes, block, &length, block, (int)(count * BLOCK));
}

/* A key for something else; 32 octets. */
static void
derive(const uint8_t key[ANONYMIZE_KEY], const char *purpose, uint8_t out[32])
{
	uint8_t text[64] = {0};

	memcpy(text, key, ANONYMIZE_KEY);
	memcpy(text + ANONYMIZE_KEY, purpose, strlen(purpose));
	SHA256(text, sizeof(text), out);
	OPENSSL_cleanse(text, sizeof(text));
}

static int
aes_derived(const uint8_t key[ANONYMIZE_KEY], const char *purpose,
	    EVP_CIPHER_CTX **out)
{
	uint8_t derived[32];
	int rc;

	derive(key, purpose, derived);
	rc = aes_new(derived, out);
	OPENSSL_cleanse(derived, sizeof(derived));
	return rc;
}

static word128
word_get(const uint8_t *p)
{
	return (word128)wire_get64(p) << 64 | wire_get64(p + 8);
}

static void
word_put(uint8_t *p, word128 v)
{
	wire_put64(p, (uint64_t)(v >> 64));
	wire_put64(p + 8, (uint64_t)v);
}

/* ---- Crypto-PAn ---------------------------------------------------------- */

/* The first bits of the address, then the pad. bits < 128. */
static void
put_block(const struct anon_cipher *c, uint8_t *p, word128 address,
	  unsigned bits)
{
	word128 rest = ~(word128)0 >> bits;

	word_put(p, (address & ~rest) | (c->pad & rest));
}

/*
 * For each prefix of up to 15 bits, whether the bit that follows it is turned:
 * for prefix p of n bits that is turned[2^n + p].
 */
static int
make_top(struct anon_cipher *c)
{
	uint8_t *turned = malloc(1 << TOP_BITS);
	uint32_t next = 1;

	if (!turned)
		return -ENOMEM;
	while (next < 1 << TOP_BITS) {
		uint32_t first = next;

		for (; next < 1 << TOP_BITS && next - first < BLOCKS; next++) {
			unsigned bits = 31 - (unsigned)__builtin_clz(next);
			word128 prefix = next - (1u << bits);

			put_block(c, c->block + (next - first) * BLOCK,
				  bits ? prefix << (128 - bits) : 0, bits);
		}
		aes_run(c->prefix, c->block, next - first);
		for (uint32_t i = first; i < next; i++)
			turned[i] = c->block[(i - first) * BLOCK] >> 7;
	}
	for (uint32_t top = 0; top < 1 << TOP_BITS; top++)
		for (unsigned n = 0; n < TOP_BITS; n++)
			c->top[top] |=
				(uint16_t)(turned[(1u << n) +
						  (top >> (TOP_BITS - n))]
					   << (TOP_BITS - 1 - n));
	free(turned);
	return 0;
}

/* Of addresses of that many bits, left-aligned, in place. */
static void
turn(struct anon_cipher *c, word128 *address, uint32_t count, unsigned bits)
{
	unsigned each = bits - TOP_BITS;
	uint32_t most = BLOCKS / each, n;

	for (; count; address += n, count -= n) {
		uint8_t *block = c->block;

		n = count < most ? count : most;
		for (uint32_t i = 0; i < n; i++)
			for (unsigned b = TOP_BITS; b < bits; b++)
				put_block(c,
					  block + (i * each + b - TOP_BITS) *
							  BLOCK,
					  address[i], b);
		aes_run(c->prefix, block, n * each);
		for (uint32_t i = 0; i < n; i++) {
			word128 turned = c->top[(uint16_t)(address[i] >> 112)];

			for (unsigned b = 0; b < each; b++, block += BLOCK)
				turned = turned << 1 | block[0] >> 7;
			address[i] ^= turned << (128 - bits);
		}
	}
}

/* The places that the result for an address may have, the latest first. */
static struct kept4 *
set4(struct anon_cipher *c, uint32_t address)
{
	return &c->kept4[hash_u64(address, 0) % (KEPT_4 / SET) * SET];
}

static inline const struct kept4 *
find4(const struct kept4 *kept, uint32_t address)
{
	unsigned found = 0;

	/* Where it is, nobody can foresee: no branch for each. */
	for (unsigned i = 0; i < SET; i++)
		found |= (unsigned)(kept[i].from == address) << i;
	return found ? &kept[__builtin_ctz(found)] : NULL;
}

static void
keep4(struct anon_cipher *c, uint32_t from, uint32_t to)
{
	struct kept4 *kept = set4(c, from);

	if (find4(kept, from))
		return; /* twice in one batch */
	memmove(kept + 1, kept, (SET - 1) * sizeof(*kept));
	*kept = (struct kept4){from, to};
}

/* What is not kept yet. Afterwards it is, if no other one took its place. */
void
anon_prefix4(struct anon_cipher *c, uint8_t *const *at, uint32_t count,
	     unsigned unchanged)
{
	uint32_t low = (uint32_t)((UINT64_C(1) << unchanged) - 1);
	uint32_t missing[BATCH_MAX], missed = 0;
	const struct kept4 *set[BATCH_MAX];
	word128 address[BATCH_MAX];

	for (uint32_t i = 0; i < count; i++) {
		set[i] = set4(c, wire_get32(at[i]));
		__builtin_prefetch(set[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t from = wire_get32(at[i]);
		const struct kept4 *kept = find4(set[i], from);

		if (kept) {
			wire_put32(at[i], (kept->to & ~low) | (from & low));
			continue;
		}
		address[missed] = (word128)from << 96;
		missing[missed++] = i;
	}
	turn(c, address, missed, 32);
	for (uint32_t i = 0; i < missed; i++) {
		uint32_t from = wire_get32(at[missing[i]]);
		uint32_t to = (uint32_t)(address[i] >> 96);

		keep4(c, from, to);
		wire_put32(at[missing[i]], (to & ~low) | (from & low));
	}
}

static struct kept6 *
set6(struct anon_cipher *c, const uint8_t *address)
{
	return &c->kept6[hash_words(address, 16, 0) % (KEPT_6 / SET) * SET];
}

static const struct kept6 *
find6(struct anon_cipher *c, const uint8_t *address)
{
	const struct kept6 *kept = set6(c, address);

	for (unsigned i = 0; i < SET; i++)
		if (memcmp(kept[i].from, address, 16) == 0)
			return &kept[i];
	return NULL;
}

static void
keep6(struct anon_cipher *c, const uint8_t *from, word128 to)
{
	struct kept6 *kept = set6(c, from);

	if (find6(c, from))
		return;
	memmove(kept + 1, kept, (SET - 1) * sizeof(*kept));
	memcpy(kept->from, from, 16);
	word_put(kept->to, to);
}

void
anon_prefix6(struct anon_cipher *c, uint8_t *const *at, uint32_t count,
	     unsigned unchanged)
{
	word128 low = unchanged ? ~(word128)0 >> (128 - unchanged) : 0;
	uint32_t missing[BATCH_MAX], missed = 0;
	word128 address[BATCH_MAX];

	for (uint32_t i = 0; i < count; i++) {
		word128 from = word_get(at[i]);
		const struct kept6 *kept = find6(c, at[i]);

		if (kept) {
			word_put(at[i],
				 (word_get(kept->to) & ~low) | (from & low));
			continue;
		}
		address[missed] = from;
		missing[missed++] = i;
	}
	turn(c, address, missed, 128);
	for (uint32_t i = 0; i < missed; i++) {
		uint8_t *p = at[missing[i]];
		word128 from = word_get(p);

		keep6(c, p, address[i]);
		word_put(p, (address[i] & ~low) | (from & low));
	}
}

/*
 * The zero address is kept in its place, so that places without a result, which
 * are all zeros, stand for nothing: they are behind it, and go before it.
 */
static void
keep_zeros(struct anon_cipher *c)
{
	static const uint8_t zeros[16];
	word128 address = 0;

	turn(c, &address, 1, 32);
	set4(c, 0)->to = (uint32_t)(address >> 96);
	address = 0;
	turn(c, &address, 1, 128);
	word_put(set6(c, zeros)->to, address);
}

/* ---- permutations -------------------------------------------------------- */

/* One round: each left half is turned by what AES makes of the right one. */
static void
feistel_round(struct anon_cipher *c, uint64_t tweak, unsigned half,
	      uint64_t *value, uint32_t count)
{
	uint64_t mask = (UINT64_C(1) << half) - 1;

	for (uint32_t i = 0; i < count; i++) {
		wire_put64(c->block + i * BLOCK, tweak);
		wire_put64(c->block + i * BLOCK + 8, value[i] & mask);
	}
	aes_run(c->feistel, c->block, count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t right = value[i] & mask;
		uint64_t left = (value[i] >> half) & mask;

		left ^= wire_get64(c->block + i * BLOCK) & mask;
		value[i] = right << half | left;
	}
}

static void
feistel(struct anon_cipher *c, enum anon_domain domain, unsigned bits,
	uint64_t *value, uint32_t count)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		feistel_round(c, (uint64_t)domain << 32 | bits << 8 | round,
			      bits / 2, value, count);
}

static void
make_small(struct anon_cipher *c)
{
	uint64_t value[BLOCKS];

	for (uint32_t first = 0; first < 1 << SMALL_BITS; first += BLOCKS) {
		for (uint32_t i = 0; i < BLOCKS; i++)
			value[i] = first + i;
		feistel(c, ANON_NUMBER, SMALL_BITS, value, BLOCKS);
		for (uint32_t i = 0; i < BLOCKS; i++)
			c->small[first + i] = (uint16_t)value[i];
	}
}

void
anon_permute(struct anon_cipher *c, enum anon_domain domain, unsigned bits,
	     uint64_t *value, uint32_t count)
{
	if (domain != ANON_NUMBER || bits != SMALL_BITS) {
		feistel(c, domain, bits, value, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		value[i] = c->small[(uint16_t)value[i]];
}

void
anon_permute_wide(struct anon_cipher *c, uint8_t *const *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		memcpy(c->block + i * BLOCK, at[i], BLOCK);
	aes_run(c->wide, c->block, count);
	for (uint32_t i = 0; i < count; i++)
		memcpy(at[i], c->block + i * BLOCK, BLOCK);
}

/* ---- the whole ----------------------------------------------------------- */

int64_t
anon_offset(const struct anon_cipher *c, int64_t most)
{
	return (int64_t)(c->offset % (2 * (uint64_t)most + 1)) - most;
}

int
anon_cipher_new(const uint8_t key[ANONYMIZE_KEY], struct anon_cipher **out)
{
	struct anon_cipher *c = calloc(1, sizeof(*c));
	uint8_t derived[32];
	int rc;

	if (!c)
		return -ENOMEM;
	rc = aes_new(key, &c->prefix);
	if (rc == 0)
		rc = aes_derived(key, "conflux permutation", &c->feistel);
	if (rc == 0)
		rc = aes_derived(key, "conflux wide permutation", &c->wide);
	if (rc == 0) {
		memcpy(c->block, key + BLOCK, BLOCK);
		aes_run(c->prefix, c->block, 1);
		c->pad = word_get(c->block);
		derive(key, "conflux offset", derived);
		c->offset = wire_get64(derived);
		OPENSSL_cleanse(derived, sizeof(derived));
		rc = make_top(c);
	}
	if (rc < 0) {
		anon_cipher_free(c);
		return rc;
	}
	keep_zeros(c);
	make_small(c);
	*out = c;
	return 0;
}

void
anon_cipher_free(struct anon_cipher *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->prefix);
	EVP_CIPHER_CTX_free(c->feistel);
	EVP_CIPHER_CTX_free(c->wide);
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}
