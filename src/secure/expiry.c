/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the one who runs us should see to before peers turn us away. Told a
 * month ahead, or in the last third of a life that is shorter: lists of
 * revoked certificates often live for a week.
 */
#include "internal.h"

#include <inttypes.h>
#include <time.h>

#include "conflux/log.h"
#include "conflux/text.h"

enum { DAY = 86400, MONTH = 30 * DAY };

/* Seconds from a to b. */
static int64_t
between(const ASN1_TIME *a, const ASN1_TIME *b)
{
	int days = 0, seconds = 0;

	if (!a || !b || !ASN1_TIME_diff(&days, &seconds, a, b))
		return 0;
	return (int64_t)days * DAY + seconds;
}

static void
warn(const struct secure *secure, const char *file, const char *what,
     const X509_NAME *name, const ASN1_TIME *from, const ASN1_TIME *to,
     const ASN1_TIME *now)
{
	int64_t life = between(from, to), left = between(now, to);
	int64_t ahead = life / 3 < MONTH ? life / 3 : MONTH;
	struct text text = {0};

	if (!to || left > ahead)
		return;
	text_printf(&text, "%s: %s: %s ", secure->name, file, what);
	text_add_dn(&text, name);
	if (left <= 0)
		text_add(&text, " has expired");
	else if (left < 2 * DAY)
		text_printf(&text, " expires in %" PRId64 " hours",
			    left / 3600);
	else
		text_printf(&text, " expires in %" PRId64 " days", left / DAY);
	if (!text.failed)
		log_warning("%s", text.data);
	text_fini(&text);
}

static void
warn_certificate(const struct secure *secure, const char *file,
		 const X509 *certificate, const ASN1_TIME *now)
{
	warn(secure, file, "the certificate",
	     X509_get_subject_name(certificate),
	     X509_get0_notBefore(certificate), X509_get0_notAfter(certificate),
	     now);
}

static void
warn_shared(const struct secure *secure, const char *file, bool shared)
{
	if (shared)
		log_warning("%s: %s: its group may read this secret",
			    secure->name, file);
}

void
secure_warn_expiry(const struct secure *secure, int64_t now)
{
	const struct secure_conf *conf = &secure->conf;
	const struct secure_material *m = &secure->now;
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)now);
	const X509_CRL *list;

	if (!at)
		return;
	if (m->certificate)
		warn_certificate(secure, conf->certificate, m->certificate, at);
	for (int i = 0; m->chain && i < sk_X509_num(m->chain); i++)
		warn_certificate(secure, conf->certificate,
				 sk_X509_value(m->chain, i), at);
	for (int i = 0; m->trusted && i < sk_X509_num(m->trusted); i++)
		warn_certificate(secure, conf->authorities,
				 sk_X509_value(m->trusted, i), at);
	for (int i = 0; m->lists && i < sk_X509_CRL_num(m->lists); i++) {
		list = sk_X509_CRL_value(m->lists, i);
		warn(secure, conf->revocations, "the revocation list of",
		     X509_CRL_get_issuer(list), X509_CRL_get0_lastUpdate(list),
		     X509_CRL_get0_nextUpdate(list), at);
	}
	warn_shared(secure, conf->key, m->key_shared);
	warn_shared(secure, conf->psk_file, m->psk_shared);
	ASN1_TIME_free(at);
}
