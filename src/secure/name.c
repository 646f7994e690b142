/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of domains and distinguished names.
 *
 * RFC 9525 section 6.3: a wildcard is the whole left-most label of what the
 * certificate presents and stands for exactly one label. We ask for at least
 * two labels behind it, so that nobody holds a certificate for all of a
 * top-level domain. Names are compared as they are on the wire (A-labels);
 * addresses are no names of domains and never match.
 *
 * RFC 4514: a distinguished name as text has its most specific part first, the
 * reverse of the certificate. "#" values have to be strings of ASN.1.
 */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conflux/text.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63, DN_PARTS_MAX = 64 };

/* ---- names of domains -------------------------------------------------- */

/* Letters, digits, hyphens, and the underscore that people use. */
static bool
label_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of at most 63 such characters, with a dot between; returns their
 * number, or 0. */
static unsigned
labels(const char *name, size_t length)
{
	unsigned count = 0;
	size_t at = 0, label;

	if (length == 0 || length > DOMAIN_MAX)
		return 0;
	for (;;) {
		for (label = 0; at < length && name[at] != '.'; at++, label++)
			if (!label_char((unsigned char)name[at]))
				return 0;
		if (label == 0 || label > LABEL_MAX)
			return 0;
		count++;
		if (at++ == length)
			return count;
	}
}

/* No domain has only digits as its last label, so that an IPv4 address is
 * told apart (RFC 3696 section 2). */
static bool
is_address(const char *name, size_t length)
{
	while (length && name[length - 1] != '.')
		if (!isdigit((unsigned char)name[--length]))
			return false;
	return true;
}

static size_t
without_dot(const char *name, size_t length)
{
	return length && name[length - 1] == '.' ? length - 1 : length;
}

const char *
name_wrong(const char *name)
{
	size_t length = without_dot(name, strlen(name));

	if (strchr(name, '*'))
		return "only certificates have wildcards";
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return "expected its form in ASCII, as in xn--bcher-kva"
			       ".example";
	if (!labels(name, length))
		return "it is no name of a domain";
	if (is_address(name, length))
		return "an address is no name of a domain";
	return NULL;
}

bool
secure_name_match(const char *name, size_t length, const char *wanted)
{
	size_t wanted_length = without_dot(wanted, strlen(wanted));
	const char *rest;

	length = without_dot(name, length);
	if (!labels(wanted, wanted_length) || is_address(wanted, wanted_length))
		return false;
	if (length > 2 && name[0] == '*' && name[1] == '.') {
		name++;
		length--;
		if (labels(name + 1, length - 1) < 2)
			return false;
		rest = memchr(wanted, '.', wanted_length);
		if (!rest)
			return false;
		wanted_length -= (size_t)(rest - wanted);
		wanted = rest;
	} else if (!labels(name, length)) {
		return false;
	}
	return length == wanted_length &&
	       strncasecmp(name, wanted, length) == 0;
}

/* ---- distinguished names ----------------------------------------------- */

struct dn_reader {
	const char *at;
	const char *reason;
};

/* One attribute of a name; value has its octets. */
struct dn_part {
	ASN1_OBJECT *type;
	unsigned char *value;
	size_t length;
	bool hex;      /* value is the DER of it */
	bool together; /* with the part before: "+" */
};

static int
dn_fail(struct dn_reader *r, const char *reason)
{
	r->reason = reason;
	return -EINVAL;
}

static void
skip_spaces(struct dn_reader *r)
{
	while (*r->at == ' ')
		r->at++;
}

/* The short names of RFC 4514 section 3 in any case, then those of OpenSSL;
 * numbers with dots. */
static ASN1_OBJECT *
attribute_type(const char *name)
{
	static const struct {
		const char *name;
		int nid;
	} known[] = {
		{"CN", NID_commonName},
		{"L", NID_localityName},
		{"ST", NID_stateOrProvinceName},
		{"O", NID_organizationName},
		{"OU", NID_organizationalUnitName},
		{"C", NID_countryName},
		{"STREET", NID_streetAddress},
		{"DC", NID_domainComponent},
		{"UID", NID_userId},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(name, known[i].name) == 0)
			return OBJ_nid2obj(known[i].nid);
	return OBJ_txt2obj(name, isdigit((unsigned char)name[0]));
}

static int
read_type(struct dn_reader *r, struct dn_part *part)
{
	char name[64];
	size_t length;

	skip_spaces(r);
	length = strcspn(r->at, "= ");
	if (length == 0 || length >= sizeof(name))
		return dn_fail(r, "expected a type, such as CN");
	memcpy(name, r->at, length);
	name[length] = '\0';
	part->type = attribute_type(name);
	if (!part->type)
		return dn_fail(r, "no such type of a name's part");
	r->at += length;
	skip_spaces(r);
	if (*r->at != '=')
		return dn_fail(r, "expected \"=\"");
	r->at++;
	skip_spaces(r);
	return 0;
}

static int
hex_octet(const char *p)
{
	char digits[3] = {p[0], p[0] ? p[1] : '\0', '\0'};

	if (!isxdigit((unsigned char)digits[0]) ||
	    !isxdigit((unsigned char)digits[1]))
		return -1;
	return (int)strtol(digits, NULL, 16);
}

static int
read_hex(struct dn_reader *r, struct dn_part *part)
{
	int octet;

	part->hex = true;
	r->at++;
	while ((octet = hex_octet(r->at)) >= 0) {
		part->value[part->length++] = (unsigned char)octet;
		r->at += 2;
	}
	skip_spaces(r);
	if (*r->at && !strchr(",+", *r->at))
		return dn_fail(r, "expected two hexadecimal digits");
	return 0;
}

/* A string up to an unescaped "," or "+". */
static int
read_string(struct dn_reader *r, struct dn_part *part)
{
	size_t kept = 0; /* spaces behind that are not part of it */
	int octet;

	for (; *r->at && !strchr(",+", *r->at); r->at++) {
		if (strchr("\";<>", *r->at))
			return dn_fail(r, "expected \"\\\" before it");
		if (*r->at == '\\') {
			octet = hex_octet(r->at + 1);
			if (octet < 0 &&
			    (!r->at[1] || !strchr(" \"#+,;<=>\\", r->at[1])))
				return dn_fail(r, "nothing to escape");
			part->value[part->length++] =
				(unsigned char)(octet < 0 ? r->at[1] : octet);
			r->at += octet < 0 ? 1 : 2;
			kept = part->length;
			continue;
		}
		part->value[part->length++] = (unsigned char)*r->at;
		if (*r->at != ' ')
			kept = part->length;
	}
	part->length = kept;
	return 0;
}

static int
read_part(struct dn_reader *r, struct dn_part *part)
{
	int rc = read_type(r, part);

	if (rc < 0)
		return rc;
	/* No value is longer than its text. */
	part->value = malloc(strlen(r->at) + 1);
	if (!part->value)
		return -ENOMEM;
	return *r->at == '#' ? read_hex(r, part) : read_string(r, part);
}

/* set: -1: with the part added before, 0: by itself. */
static int
add_hex(X509_NAME *name, const struct dn_part *part, int set)
{
	const unsigned char *p = part->value;
	ASN1_TYPE *any = d2i_ASN1_TYPE(NULL, &p, (long)part->length);
	int ok = 0;

	/* Only strings that names have. */
	if (any && p == part->value + part->length &&
	    (ASN1_tag2bit(any->type) &
	     (B_ASN1_DIRECTORYSTRING | B_ASN1_IA5STRING)))
		ok = X509_NAME_add_entry_by_OBJ(
			name, part->type, any->type,
			ASN1_STRING_get0_data(any->value.asn1_string),
			ASN1_STRING_length(any->value.asn1_string), -1, set);
	ASN1_TYPE_free(any);
	return ok;
}

static int
add_part(X509_NAME *name, const struct dn_part *part, int set)
{
	if (part->hex)
		return add_hex(name, part, set);
	return X509_NAME_add_entry_by_OBJ(name, part->type, MBSTRING_UTF8,
					  part->value, (int)part->length, -1,
					  set);
}

/* The parts behind each other make the name from its last one on. */
static int
dn_build(X509_NAME *name, const struct dn_part *part, unsigned count)
{
	unsigned first, end = count;

	while (end) {
		for (first = end - 1; part[first].together; first--)
			;
		for (unsigned i = end; i-- > first;)
			if (!add_part(name, &part[i], i == end - 1 ? 0 : -1))
				return -EINVAL;
		end = first;
	}
	/* What can't be compared is not even equal to itself. */
	return X509_NAME_cmp(name, name) == 0 ? 0 : -EINVAL;
}

static int
read_parts(struct dn_reader *r, struct dn_part *part, unsigned *count)
{
	int rc;

	for (;;) {
		if (*count == DN_PARTS_MAX)
			return dn_fail(r, "too many parts");
		rc = read_part(r, &part[(*count)++]);
		if (rc < 0 || !*r->at)
			return rc;
		if (*count < DN_PARTS_MAX)
			part[*count].together = *r->at == '+';
		r->at++;
	}
}

int
dn_parse(const char *string, X509_NAME **out, const char **wrong,
	 const char **reason)
{
	struct dn_part part[DN_PARTS_MAX] = {{0}};
	struct dn_reader r = {.at = string};
	X509_NAME *name = X509_NAME_new();
	unsigned count = 0;
	int rc = name ? read_parts(&r, part, &count) : -ENOMEM;

	if (rc == 0 && dn_build(name, part, count) < 0) {
		r.at = string;
		rc = dn_fail(&r, "a value in it does not fit its type");
	}
	for (unsigned i = 0; i < count; i++) {
		ASN1_OBJECT_free(part[i].type);
		free(part[i].value);
	}
	if (rc < 0)
		X509_NAME_free(name);
	else
		*out = name;
	*wrong = r.at;
	*reason = r.reason;
	return rc;
}

bool
name_in_list(const X509_NAME *name, const struct dn_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (X509_NAME_cmp(name, list->name[i]) == 0)
			return true;
	return false;
}

/* ---- for the log ------------------------------------------------------- */

void
text_add_peer(struct text *text, const void *data, size_t length)
{
	const unsigned char *p = data;

	text_add_char(text, '"');
	for (size_t i = 0; i < length; i++)
		if (p[i] < ' ' || p[i] > '~' || p[i] == '"' || p[i] == '\\')
			text_printf(text, "\\x%02x", p[i]);
		else
			text_add_char(text, (char)p[i]);
	text_add_char(text, '"');
}

void
text_add_dn(struct text *text, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long length;

	text_add_char(text, '"');
	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		length = BIO_get_mem_data(bio, &data);
		text_add_bytes(text, data, (size_t)length);
	}
	text_add_char(text, '"');
	BIO_free(bio);
}
