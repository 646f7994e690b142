/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table that says what a configuration may hold: every node of the
 * model of RFC 6728 (revision 2012-09-05) and every addition of ours. Loading,
 * checking, printing, the schema in xml/ and the reference in conflux.xml(5)
 * all come from these rows; none knows an element by name but the checks that
 * join two of them (check.c).
 *
 * A set of rows ends with a row without name. What the model shares by a
 * grouping is shared here by a row of kind GROUP; a CHOICE is the same, but at
 * most one of its rows may be used. Neither is an element of the document.
 */
#ifndef CONFLUX_CONFIG_ROWS_H
#define CONFLUX_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_NS_RFC "urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
#define CONF_NS_CX "urn:conflux:config:1"

enum conf_kind {
	CONF_END,
	CONF_CONTAINER, /* always there, if only with defaults */
	CONF_PRESENCE,  /* being there means something */
	CONF_LIST,      /* keyed by its first row, "name" */
	CONF_LEAF,
	CONF_LEAF_LIST,
	CONF_CHOICE,
	CONF_GROUP,
};

enum conf_type {
	CONF_EMPTY,
	CONF_BOOL,
	CONF_UINT,     /* min to max */
	CONF_DECIMAL,  /* 0 to 1, up to 18 digits after the point */
	CONF_STRING,   /* min to max octets */
	CONF_NAME,     /* no space at its ends */
	CONF_WORD,     /* no space at all: a name of an Information Element */
	CONF_ADDRESS,  /* IPv4 or IPv6, with or without a zone */
	CONF_URI,      /* of a file */
	CONF_PATH,
	CONF_ENUM,     /* one of values */
	CONF_IDENTITY, /* one of values, with or without a prefix */
	CONF_REF,      /* the name of an entry of the top level list ref */
	CONF_DOMAIN,
	CONF_TIME,     /* state only */
};

struct conf_row {
	const char *name;
	enum conf_kind kind;
	enum conf_type type;
	bool cx;        /* of our namespace */
	bool mandatory; /* a list: at least one entry; a choice: one of it */
	bool state;     /* config false: shown, never configured */
	bool secret;    /* never printed or logged */
	bool live;	/* a leaf that may change while the daemon runs */
	/* In the model, not in this build, which "does not ..." do it. */
	const char *unbuilt;
	uint64_t min;
	uint64_t max;
	const char *units;
	const char *def; /* of a leaf */
	const char *def_secured; /* beside transportLayerSecurity; or NULL */
	/* The last is NULL. "!x" is a value this build does not have. */
	const char *const *values;
	const char *ref;
	const struct conf_row *rows;
	const char *help; /* for the manual page */
};

#define CONF_ROW(k, n, ...) {.kind = CONF_##k, .name = (n), __VA_ARGS__}
#define CONF_RANGE(lo, hi) .type = CONF_UINT, .min = (lo), .max = (hi)
#define CONF_U16 CONF_RANGE(0, UINT16_MAX)
#define CONF_U32 CONF_RANGE(0, UINT32_MAX)
#define CONF_U64 CONF_RANGE(0, UINT64_MAX)
#define CONF_VALUES(...) .values = (const char *const[]){__VA_ARGS__, NULL}
#define CONF_KEY_HELP "Key of the list: tells the entry from its neighbours."
#define CONF_KEY                                                               \
	CONF_ROW(LEAF, "name", .type = CONF_NAME, .mandatory = true,           \
		 .help = CONF_KEY_HELP)
#define CONF_KEY_CX                                                            \
	CONF_ROW(LEAF, "name", .type = CONF_NAME, .mandatory = true,           \
		 .cx = true, .help = CONF_KEY_HELP)
/* Rows of a choice: a secret itself, or the file whose first line it is. */
#define CONF_SECRET(n, shortest, text, file_text)                             \
	CONF_ROW(LEAF, n, .cx = true, .type = CONF_STRING, .min = (shortest), \
		 .max = 255, .secret = true, .help = (text)),                 \
		CONF_ROW(LEAF, n "File", .cx = true, .type = CONF_PATH,       \
			 .help = (file_text))
/* Of a user of SNMP v3, here or in a meter. */
#define CONF_AUTH_PROTOCOL(text)                                            \
	CONF_ROW(LEAF, "authProtocol", .cx = true, .type = CONF_ENUM,       \
		 .def = "SHA",                                              \
		 CONF_VALUES("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", \
			     "SHA-512"),                                    \
		 .help = (text))
/* References to Intermediate Processes. */
#define CONF_MEDIATED(text)                                      \
	CONF_ROW(LEAF_LIST, "intermediateProcess", .cx = true,   \
		 .type = CONF_REF, .ref = "intermediateProcess", \
		 .help = (text))
#define CONF_LAST                                                              \
	{                                                                      \
		.kind = CONF_END                                               \
	}

extern const struct conf_row conf_rows_root[];       /* ipfix alone */
extern const struct conf_row conf_rows_collecting[]; /* below the lists of */
extern const struct conf_row conf_rows_observation[];
extern const struct conf_row conf_rows_selection[];
extern const struct conf_row conf_rows_cache[];
extern const struct conf_row conf_rows_exporting[];
extern const struct conf_row conf_rows_meter[]; /* cx:meterReader */
extern const struct conf_row conf_rows_agent[]; /* cx:meterAgent */
extern const struct conf_row conf_rows_mediation[];
extern const struct conf_row conf_rows_tls_exporter[];
extern const struct conf_row conf_rows_tls_collector[];
extern const struct conf_row conf_rows_tls_listener[];
extern const struct conf_row conf_rows_tls_dialer[];
extern const struct conf_row conf_rows_reconnect[];
extern const struct conf_row conf_rows_sctp[];
extern const struct conf_row conf_rows_dtls_exporter[];
extern const struct conf_row conf_rows_dtls_collector[];
extern const struct conf_row conf_rows_dtls_sctp_exporter[];
extern const struct conf_row conf_rows_dtls_sctp_collector[];
extern const struct conf_row conf_rows_session[];  /* transportSession */
extern const struct conf_row conf_rows_template[]; /* template */

/*
 * Walks a set of rows as a document sees it: rows of groups and choices in
 * place of these. Returns the row of number *at and counts it up, or NULL.
 * The deepest nesting of groups is small (a choice in a group in a group).
 */
const struct conf_row *conf_row_next(const struct conf_row *rows, unsigned *at);

/* The row of this name in a set; cx tells the namespace, -1 means any. */
const struct conf_row *conf_row_find(const struct conf_row *rows,
				     const char *name, int cx);

/* Whether a row can be written in a configuration of this build. */
static inline bool
conf_row_usable(const struct conf_row *row)
{
	return !row->state && !row->unbuilt;
}

/* Whether an element of the row holds elements, not text. */
static inline bool
conf_row_holds(const struct conf_row *row)
{
	return row->kind != CONF_LEAF && row->kind != CONF_LEAF_LIST;
}

#endif
