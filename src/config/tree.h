/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the files of the module share: the tree while it grows, and errors. */
#ifndef CONFLUX_CONFIG_TREE_H
#define CONFLUX_CONFIG_TREE_H

#include "conflux/config.h"
#include "rows.h"

/* An admin's document, not a database: a bound for what may be loaded. */
#define CONF_SIZE_MAX (8u << 20)
#define CONF_ERRORS_MAX 1000u
/* Enough for the rows that may stand in one element (a test counts them). */
#define CONF_ROWS_MAX 64u

#define CONF_PEN_REVERSE 29305u /* RFC 5103 section 6.1 */

struct conf {
	struct conf_node *root;
	char *folder; /* of the file, for relative paths; NULL: current one */
};

/*
 * Adds "element: ..."; element may be NULL. No memory: the text is lost, but
 * the error counts.
 */
void conf_error(struct conf_errors *errors, unsigned line, const char *element,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
void conf_warning(struct conf_errors *errors, unsigned line,
		  const char *element, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void conf_errors_sort(struct conf_errors *errors);

/* "cx:cache" of a row in our namespace, else the name itself. */
#define CONF_SHOWN_SIZE 64
const char *conf_row_shown(const struct conf_row *row,
			   char shown[CONF_SHOWN_SIZE]);

/* A new node at the end of the children of parent (NULL: a root), or NULL. */
struct conf_node *conf_node_new(struct conf_node *parent,
				const struct conf_row *row, unsigned line);
void conf_node_free(struct conf_node *node);
struct conf_node *conf_node_child(const struct conf_node *node,
				  const struct conf_row *row);

/* What text a leaf of the row takes, in words; returns out. */
#define CONF_EXPECT_SIZE 512
const char *conf_expect(const struct conf_row *row, char out[CONF_EXPECT_SIZE]);

/*
 * Parses text as the value of the leaf; an identity comes without its prefix.
 * What is wrong goes to errors, and the node is left without text. 0 or
 * -ENOMEM.
 */
int conf_value_set(struct conf_node *node, const char *text,
		   const char *folder, struct conf_errors *errors);

/* Text as it may be shown in a message: printable, not too long, quoted. */
#define CONF_QUOTE_SIZE 80
const char *conf_quote(const char *text, char out[CONF_QUOTE_SIZE]);

/*
 * Called once the children of the document are all there: finds what is given
 * twice, missing or excludes each other, and adds defaults. Rows whose bit is
 * set in meant are not missed: a misspelt element has been reported already.
 * 0 or -ENOMEM.
 */
int conf_finish(struct conf_node *node, uint64_t meant, const char *folder,
		struct conf_errors *errors);

/* Checks that join several elements; after all nodes are finished. */
int conf_check(struct conf *conf, const struct conf_options *options,
	       struct conf_errors *errors);

/* Parts of it; 0 or -ENOMEM. */
int conf_check_meters(const struct conf *conf, struct conf_errors *errors);
void conf_check_elements(const struct conf *conf,
			 const struct conf_elements *elements,
			 struct conf_errors *errors);
void conf_check_tls(const struct conf *conf, struct conf_errors *errors);
int conf_check_ways(const struct conf *conf, struct conf_errors *errors);
int conf_check_graph(const struct conf *conf, struct conf_errors *errors);

#endif
