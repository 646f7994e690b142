/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: an XML document of the RFC 6728 model with our additions
 * (namespace urn:conflux:config:1), loaded into a tree that is checked in full
 * and has every default filled in. The tree does not change after loading and
 * may be read by any thread. This module knows no other than base: what the
 * values mean is the business of those who read them.
 *
 *	const struct conf_node *cp, *udp, *ref;
 *
 *	conf_each (cp, conf_root(conf), "collectingProcess") {
 *		conf_each (udp, cp, "udpCollector")
 *			listen(conf_uint(udp, "localPort", 0));
 *		conf_each (ref, cp, "cache")
 *			connect(conf_name(cp), conf_name(ref->target));
 *	}
 *
 * Names are the element names without prefix; no parent has two children of
 * one name in the two namespaces.
 */
#ifndef CONFLUX_CONFIG_H
#define CONFLUX_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conflux/addr.h"

/*
 * Files of a transportLayerSecurity that names none, since the model of RFC
 * 6728 has no place for them.
 */
#define CONF_CERTIFICATE "/etc/conflux/certificate.pem"
#define CONF_KEY_FILE "/etc/conflux/key.pem"
#define CONF_AUTHORITIES "/etc/conflux/authorities.pem"

struct conf;
struct conf_row; /* one row of the table, private to the module */
struct text;

/* One element of the document, or one that a default put there. */
struct conf_node {
	const struct conf_row *row;
	struct conf_node *parent; /* NULL: the root, ipfix */
	struct conf_node *next;   /* in the order of the document */
	struct conf_node *first;  /* child; NULL for a leaf */
	struct conf_node *last;
	const char *name;         /* of the element, without prefix */
	unsigned line;            /* of the document; of the parent if defaulted */
	bool defaulted;
	/* Of a leaf: */
	char *text;               /* canonical: numbers decimal, no prefixes */
	uint64_t number;          /* numbers, and 1 or 0 of a boolean */
	struct addr addr;         /* addresses, port 0 */
	char *path;               /* file URIs and paths: what open() takes */
	const struct conf_node *target; /* references: the list entry */
};

/*
 * What is wrong with a document, in order of lines. Zero initialised is empty.
 * Every line of text reads "element: what is wrong, what was expected, nearest
 * right name"; warnings do not keep a document from being loaded.
 */
struct conf_error {
	unsigned line; /* 0: the document as a whole */
	bool warning;
	char *text;
};

struct conf_errors {
	struct conf_error *list;
	size_t count;
	size_t size;
	size_t errors;   /* how many of the list are errors */
	size_t warnings; /* and how many are warnings */
	size_t dropped;  /* met after the list was full */
};

/* "FILE:LINE: text" lines ("FILE: text" without a line), to out. */
void conf_errors_print(const struct conf_errors *errors, const char *file,
		       FILE *out);
/*
 * Adds an error at an element, for checks that callers make after loading:
 * text is what comes after its name.
 */
void conf_errors_add(struct conf_errors *errors, const struct conf_node *node,
		     const char *text);
/* The same for what need not be wrong. */
void conf_warnings_add(struct conf_errors *errors,
		       const struct conf_node *node, const char *text);
void conf_errors_fini(struct conf_errors *errors);

/* An Information Element as far as a configuration has to know it. */
struct conf_element {
	const char *name;   /* in: asked for by name, or NULL; out: its name */
	uint32_t pen;       /* in: 0 is IANA, CONF_PEN_ANY if none was given */
	uint16_t id;        /* in: if name is NULL */
	uint16_t length;    /* out: octets of its type, 65535 is variable */
	bool reducible;     /* out: shorter lengths are legal (RFC 7011 6.2) */
	uint8_t prefix_max; /* out: bits of an address element, else 0 */
};

#define CONF_PEN_ANY UINT32_MAX

/*
 * How the loader asks about Information Elements, filled in by the caller.
 * load reads a file with user elements (cx:elementFile) before any name is
 * asked for; on an error it returns a negative errno and writes the reason
 * into why. find returns 0 or -ENOENT. nearest returns the name most like the
 * given one, or NULL. load and nearest may be NULL.
 */
struct conf_elements {
	void *ctx;
	int (*load)(void *ctx, const char *path, char *why, size_t size);
	int (*find)(void *ctx, struct conf_element *element);
	const char *(*nearest)(void *ctx, const char *name);
};

struct conf_options {
	const struct conf_elements *elements; /* NULL: names are not checked */
	bool unbuilt; /* accept what this build cannot do: for tools */
};

/*
 * Loads and checks. 0: *conf is a whole, sound configuration, to be freed by
 * conf_free; errors may hold warnings. -EINVAL: the document is at fault,
 * errors says how, all of it. Other negative errno: the file could not be read
 * (errors says so too) or no memory. options may be NULL. Relative paths in
 * the document are relative to the folder of the file.
 */
int conf_load_file(struct conf **conf, const char *path,
		   const struct conf_options *options,
		   struct conf_errors *errors);
int conf_load_memory(struct conf **conf, const void *data, size_t length,
		     const struct conf_options *options,
		     struct conf_errors *errors);
void conf_free(struct conf *conf);

/* The element ipfix. */
const struct conf_node *conf_root(const struct conf *conf);

/* The first child of this name, and the next sibling of the same; or NULL. */
const struct conf_node *conf_child(const struct conf_node *node,
				   const char *name);
unsigned conf_count(const struct conf_node *node, const char *name);
const struct conf_node *conf_next_same(const struct conf_node *node);

#define conf_each(child, node, name)                                           \
	for ((child) = conf_child((node), (name)); (child);                    \
	     (child) = conf_next_same(child))

/*
 * The value of the child leaf of this name. Leaves with a default are always
 * there; for others the value is that of fallback, or NULL, or false. A leaf
 * of type empty (isFlowKey) is true if it is there.
 */
uint64_t conf_uint(const struct conf_node *node, const char *name,
		   uint64_t fallback);
/* Of a leaf in seconds: milliseconds, at most UINT32_MAX; 0 without it. */
uint32_t conf_ms(const struct conf_node *node, const char *name);
bool conf_bool(const struct conf_node *node, const char *name);
const char *conf_text(const struct conf_node *node, const char *name);
const char *conf_path(const struct conf_node *node, const char *name);
const struct addr *conf_addr(const struct conf_node *node, const char *name);

/* Whether the child is there, and whether the leaf has this very text. */
bool conf_has(const struct conf_node *node, const char *name);
bool conf_is(const struct conf_node *node, const char *name, const char *text);

/* The key "name" of a list entry. */
const char *conf_name(const struct conf_node *node);

/* The entry of a top level list by its key, or NULL. */
const struct conf_node *conf_find(const struct conf *conf, const char *list,
				  const char *name);

/*
 * A secret (community string, passphrase) given in the document or in the file
 * that FIELD + "File" names: copied to out, without the line end of the file,
 * NUL terminated. field is "community" and so on. 0; -ENOENT: neither is
 * there; or the errno of reading the file, -EBADMSG if it is empty, -ENOSPC if
 * it does not fit. The caller wipes out.
 */
int conf_secret(const struct conf_node *node, const char *field, char *out,
		size_t size);

/*
 * A copy of a list entry in which leaves have other values, by the rules of
 * loading. Each change is "NAME=VALUE", where NAME is that of a leaf anywhere
 * in the entry that may change while the daemon runs; below a list in it
 * "LIST/ENTRY/NAME". The entry, which may be such a copy, stays as it is. 0;
 * -EINVAL: errors says why (without lines); -ENOMEM.
 */
int conf_edit(const struct conf_node *entry, const char *const *change,
	      unsigned count, struct conf_node **out,
	      struct conf_errors *errors);
/* NULL is legal. */
void conf_edit_free(struct conf_node *copy);
/* Appends all leaves that may change: "NAME=VALUE NAME=VALUE". */
void conf_edit_print(const struct conf_node *entry, struct text *out);

/* What conf_print leaves out or adds. */
#define CONF_PRINT_DEFAULTS 1 /* elements that defaults put there, too */
#define CONF_PRINT_RFC 2      /* only what RFC 6728 has: valid in its model */
#define CONF_PRINT_SECRETS 4  /* secrets in clear, else as asterisks */

/* Appends the document, indented, lists in document order, to out. */
void conf_print(const struct conf *conf, unsigned flags, struct text *out);

#endif
