/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A private authority in one folder, and certificates and pre-shared keys by it
 * for those who export and collect: enough for a secured link in a minute. All
 * is in files that other tools read, too; there is no database:
 *
 *	ca.pem ca.key crl.pem        the authority, what it has revoked
 *	NAME.pem NAME.key            each peer's certificate and private key
 *	psk NAME.psk                 all pre-shared keys, and each peer's
 *	replaced/NAME-SERIAL.pem     what was replaced, and may still be valid
 *	revoked/NAME-SERIAL.pem      what was revoked
 *
 * A file is written whole or not at all, and replaced only where that was asked
 * for. The folder is locked while it is open.
 */
#ifndef CONFLUX_PKI_H
#define CONFLUX_PKI_H

#include <stdbool.h>

struct pki;
struct text;

enum {
	PKI_DAYS = 730,	     /* of certificates and of the revocation list */
	PKI_DAYS_MAX = 3650, /* and those of the authority */
};

/*
 * Opens the folder, and makes it if it is not there. What is made later is
 * valid for that many days. What was done is added to told, which the caller
 * owns, one line for a file. On error *error is a message for the user, to be
 * freed; so in all functions here.
 */
int pki_open(const char *folder, unsigned days, struct text *told,
	     struct pki **out, char **error);
void pki_close(struct pki *pki);

/*
 * Does it have the form "NAME" or "NAME,ALIAS...", each the name of a host? The
 * aliases stand in the certificate, too. Returns the reason why not, or NULL.
 */
const char *pki_names_wrong(const char *names);

/* The authority is read, or made if there is none. */
int pki_authority(struct pki *pki, char **error);

/*
 * A certificate and its key. What is there is kept, or with renew put aside for
 * new ones. Both need the authority.
 */
int pki_issue(struct pki *pki, const char *names, bool renew, char **error);
/*
 * The certificate, and those of the name that it replaced, are put aside, and
 * are in the revocation list from then on.
 */
int pki_revoke(struct pki *pki, const char *name, char **error);
/* Writes the revocation list anew: it is valid from now on. */
int pki_write_list(struct pki *pki, char **error);

/* A pre-shared key, with name as its identity. */
int pki_psk_add(struct pki *pki, const char *name, bool renew, char **error);
int pki_psk_remove(struct pki *pki, const char *name, char **error);

#endif
