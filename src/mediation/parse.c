/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens to a tree, by recursive descent:
 *
 *	or      and { or and }
 *	and     not { and not }
 *	not     not not | ( or ) | any | exists ELEMENT | term
 *	term    [SIDE [or|and SIDE]] WORD [OPERATOR] values
 *	        SIDE ADDRESS | ELEMENT OPERATOR values | ELEMENT not in values
 *	        PROTOCOL [term of a port] | inet | inet6
 *	values  VALUE | [ VALUE { [,] VALUE } ]
 *
 * A node is added behind its children, so that a pass through the list of
 * nodes meets children before their parents.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void *
list_add(struct list *list, uint32_t count, size_t size)
{
	uint32_t most = list->size ? list->size : 16;
	void *item;

	while (most - list->count < count)
		most *= 2;
	if (most != list->size) {
		item = realloc(list->item, most * size);
		if (!item)
			return NULL;
		list->item = item;
		list->size = most;
	}
	list->count += count;
	return (char *)list->item + (list->count - count) * size;
}

static int
node_add(struct parser *p, enum node_kind kind, uint32_t first, uint32_t *out)
{
	struct list *nodes = &p->filter->nodes;
	struct node *node;

	if (nodes->count == NODES_MAX)
		return parse_error(p, p->token.at,
				   "the expression has more "
				   "than %d parts",
				   NODES_MAX);
	node = list_add(nodes, 1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	*node = (struct node){.kind = kind, .first = first, .next = NO_NODE};
	*out = nodes->count - 1;
	return 0;
}

static int
term_add(struct parser *p, const struct term *term, uint32_t *out)
{
	struct term *to = list_add(&p->filter->terms, 1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	*to = *term;
	return node_add(p, NODE_TERM, p->filter->terms.count - 1, out);
}

/* Two nodes under a new one. */
static int
join(struct parser *p, enum node_kind kind, uint32_t a, uint32_t b,
     uint32_t *out)
{
	LIST(node, p->filter->nodes)[a].next = b;
	return node_add(p, kind, a, out);
}

/* ---- values ------------------------------------------------------------ */

static bool
is_reserved(const struct token *token)
{
	return token->how != COMPARE_NONE || token_is(token, "and") ||
	       token_is(token, "or") || token_is(token, "not") ||
	       token_is(token, "&&") || token_is(token, "||") ||
	       token_is(token, "!");
}

static bool
is_value(const struct token *token)
{
	return token->kind == TOKEN_STRING ||
	       (token->kind == TOKEN_WORD && !is_reserved(token));
}

/* Takes the next token as a value. */
static int
take_value(struct parser *p)
{
	struct token *to;

	if (!is_value(&p->token))
		return parse_error(p, p->token.at, "expected a value");
	if (p->values.count == VALUES_MAX)
		return parse_error(p, p->token.at,
				   "the set has more than %d "
				   "values",
				   VALUES_MAX);
	to = list_add(&p->values, 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	*to = p->token;
	return lex_next(p);
}

static int
take_values(struct parser *p)
{
	int rc;

	p->values.count = 0;
	if (p->token.kind != TOKEN_BRACKET)
		return take_value(p);
	rc = lex_next(p);
	while (rc == 0) {
		rc = take_value(p);
		if (rc == 0 && p->token.kind == TOKEN_COMMA) {
			rc = lex_next(p);
			continue;
		}
		if (rc == 0 && p->token.kind == TOKEN_BRACKET_END)
			return lex_next(p);
		if (rc == 0 && !is_value(&p->token))
			return parse_error(p, p->token.at,
					   "expected another value or ]");
	}
	return rc;
}

/* *negated: not in. Without one it is COMPARE_NONE. */
static int
take_comparison(struct parser *p, enum comparison *out, bool *negated)
{
	int rc = 0;

	*negated = token_is(&p->token, "not") || token_is(&p->token, "!");
	if (*negated)
		rc = lex_next(p);
	*out = p->token.how;
	if (rc == 0 && *negated && *out != COMPARE_IN)
		return parse_error(p, p->token.at, "expected in behind not");
	if (rc == 0 && *out != COMPARE_NONE)
		rc = lex_next(p);
	return rc;
}

/* ---- terms ------------------------------------------------------------- */

/* net 10.0.0.0 255.0.0.0: the second is the mask of the first. */
static int
take_mask(struct parser *p, struct term *term)
{
	struct range *range;
	struct group *group = LIST(group, p->filter->groups) + term->group;
	const struct token *at = LIST(token, p->values);
	char text[WORD_SIZE];
	struct token token;
	unsigned octet[4];
	uint64_t mask = 0;
	int used = 0;

	if (token_is(&p->token, "mask")) {
		int rc = lex_next(p);

		if (rc < 0)
			return rc;
	}
	token = p->token;
	if (token_text(&token, text) < 0 ||
	    sscanf(text, "%3u.%3u.%3u.%3u%n", &octet[0], &octet[1], &octet[2],
		   &octet[3], &used) != 4 ||
	    text[used])
		return parse_error(p, token.at,
				   "expected a mask such as "
				   "255.255.0.0");
	for (int i = 0; i < 4; i++)
		mask = mask << 8 | (octet[i] & 0xff);
	mask ^= 0xffffffff;
	if (mask & (mask + 1))
		return parse_error(p, token.at,
				   "a mask has ones and then "
				   "zeros, expected one such as "
				   "255.255.0.0");
	if (memchr(at->at, '/', at->length) ||
	    memchr(at->at, ':', at->length) || p->values.count > 1)
		return parse_error(p, token.at,
				   "only one IPv4 address without "
				   "/ may have a mask");
	for (uint32_t i = 0; i < term->group_count; i++, group++) {
		if (!group->count)
			continue;
		range = LIST(range, p->filter->ranges) + group->first;
		range->min.lo &= ~mask;
		range->max.lo |= mask;
	}
	return lex_next(p);
}

static bool
is_mask(const struct parser *p)
{
	return p->token.kind == TOKEN_WORD &&
	       (token_is(&p->token, "mask") ||
		(p->token.at[0] >= '0' && p->token.at[0] <= '9'));
}

/* Letters of flags must all be set; a number is all of them (as nfdump). */
static enum comparison
default_comparison(const struct parser *p, const struct token *name)
{
	bool letters = token_is(name, "flags") &&
		       (*p->token.at < '0' || *p->token.at > '9');

	return letters ? COMPARE_HAS : COMPARE_EQ;
}

/* What to compare with behind the groups of a term. */
static int
rest_of_term(struct parser *p, struct term *term, const struct token *name,
	     bool word)
{
	enum comparison how;
	struct token at = p->token;
	bool negated;
	int rc = take_comparison(p, &how, &negated);

	if (rc < 0)
		return rc;
	if (how == COMPARE_NONE && !word)
		return parse_error(p, at.at,
				   "expected ==, !=, <, <=, >, >=, "
				   "in, has, contains or like");
	if (how == COMPARE_NONE)
		how = default_comparison(p, name);
	rc = take_values(p);
	if (rc == 0)
		rc = term_values(p, term, how, &at);
	if (rc == 0 && token_is(name, "net") && is_mask(p))
		rc = take_mask(p, term);
	term->negated ^= negated;
	return rc;
}

static int
no_word(struct parser *p, const struct token *at)
{
	char text[WORD_SIZE];
	const char *near;

	if (token_text(at, text) < 0)
		return parse_error(p, at->at, "no name is so long");
	near = nearest_word(p->filter, text);
	if (near)
		return parse_error(p, at->at,
				   "there is no element or word "
				   "\"%s\", nearest is %s",
				   text, near);
	return parse_error(p, at->at,
			   "there is no element or word \"%s\", "
			   "expected a name such as "
			   "sourceIPv4Address, src ip or port",
			   text);
}

/* e12345id678 is the name of an element that nobody knows. */
static const struct ie *
find_element(struct parser *p, const char *name)
{
	const struct ie *ie = ie_by_name(p->filter->registry, name);
	unsigned pen, id;
	int used = 0;

	if (ie || sscanf(name, "e%9uid%5u%n", &pen, &id, &used) != 2 ||
	    name[used] || id == 0 || id > 32767)
		return ie;
	return ie_get(p->filter->registry, pen, (uint16_t)id);
}

static int
element_group(struct parser *p, struct term *term, const struct token *at)
{
	struct operand operand = {.part = PART_WHOLE};
	char text[WORD_SIZE];

	if (at->kind == TOKEN_WORD && token_text(at, text) > 0)
		operand.ie = find_element(p, text);
	if (!operand.ie)
		return no_word(p, at);
	return group_add(p->filter, term, &operand, 1);
}

static int
too_many(struct parser *p, const struct token *at, int rc)
{
	if (rc != -ENOSPC)
		return rc;
	return parse_error(p, at->at,
			   "the expression has more than %d "
			   "different elements",
			   ELEMENTS_MAX);
}

/* A word on one side, or on both at once: the second shares the values. */
struct sided {
	enum side side, other;
	bool both; /* and: it must be so on both sides */
};

static int
word_term(struct parser *p, const struct sided *sided, uint32_t *out)
{
	struct token word = p->token;
	struct term term = {0}, second = {0};
	uint32_t other;
	int rc = word_groups(p->filter, sided->side, &word, &term);

	if (rc == 0 && sided->other)
		rc = word_groups(p->filter, sided->other, &word,
				 sided->both ? &second : &term);
	if (rc == -ENOENT)
		return parse_error(p, word.at,
				   "there is no %.*s on that side, "
				   "expected %s before it",
				   (int)word.length, word.at,
				   word_sides(&word));
	if (rc == 0)
		rc = lex_next(p);
	if (rc == 0)
		rc = rest_of_term(p, &term, &word, true);
	if (rc < 0)
		return too_many(p, &word, rc);
	if (sided->both) {
		struct group *group = LIST(group, p->filter->groups);

		for (uint32_t i = 0; i < second.group_count; i++) {
			group[second.group + i].first =
				group[term.group + i].first;
			group[second.group + i].count =
				group[term.group + i].count;
		}
		second.test = term.test;
		second.negated = term.negated;
		second.mask = term.mask;
		rc = term_add(p, &second, &other);
	}
	if (rc == 0)
		rc = term_add(p, &term, out);
	if (rc == 0 && sided->both)
		rc = join(p, NODE_AND, *out, other, out);
	return rc;
}

/* src, dst; src or dst, src and dst: then a word must follow. */
static int
take_sides(struct parser *p, struct sided *sided)
{
	struct parser ahead;
	int rc = lex_next(p);

	*sided = (struct sided){.side = sided->side};
	if (rc == 0 && side_behind(sided->side, &p->token) != SIDE_NONE) {
		sided->side = side_behind(sided->side, &p->token);
		return lex_next(p);
	}
	if (rc < 0 ||
	    (!token_is(&p->token, "or") && !token_is(&p->token, "and")))
		return rc;
	if (sided->side != SIDE_SOURCE && sided->side != SIDE_DESTINATION)
		return 0;
	ahead = *p;
	sided->both = token_is(&p->token, "and");
	rc = lex_next(p);
	if (rc < 0)
		return rc;
	sided->other = side_of(&p->token);
	if (sided->other + sided->side == SIDE_SOURCE + SIDE_DESTINATION &&
	    sided->other != sided->side)
		return lex_next(p);
	p->token = ahead.token;
	p->end = ahead.end;
	return parse_error(p, p->token.at, "expected a word such as port");
}

static int
side_term(struct parser *p, enum side side, uint32_t *out)
{
	struct sided sided = {.side = side};
	struct token at = p->token, ip = {TOKEN_WORD, COMPARE_NONE, "ip", 2};
	struct term term = {0};
	char text[WORD_SIZE];
	int rc = take_sides(p, &sided);

	if (rc < 0)
		return rc;
	if (is_word(&p->token))
		return word_term(p, &sided, out);
	if (sided.other || token_text(&p->token, text) < 0 || !is_address(text))
		return parse_error(p, p->token.at,
				   "expected a word such as "
				   "ip, net, port or as behind "
				   "%.*s",
				   (int)at.length, at.at);
	rc = word_groups(p->filter, side, &ip, &term);
	if (rc == -ENOENT)
		return parse_error(p, p->token.at, "expected if");
	if (rc == 0)
		rc = rest_of_term(p, &term, &ip, true);
	if (rc == 0)
		rc = term_add(p, &term, out);
	return too_many(p, &at, rc);
}

static int
element_term(struct parser *p, uint32_t *out)
{
	struct token name = p->token;
	struct term term = {0};
	int rc = element_group(p, &term, &name);

	if (rc == 0)
		rc = lex_next(p);
	if (rc == 0)
		rc = rest_of_term(p, &term, &name, false);
	if (rc == 0)
		rc = term_add(p, &term, out);
	return too_many(p, &name, rc);
}

static int
exists_term(struct parser *p, uint32_t *out)
{
	struct term term = {.test = TEST_EXISTS};
	struct token name;
	int rc = lex_next(p);

	name = p->token;
	if (rc == 0 && name.kind != TOKEN_WORD)
		return parse_error(p, name.at,
				   "expected the name of an "
				   "element");
	if (rc == 0)
		rc = element_group(p, &term, &name);
	if (rc == 0)
		rc = lex_next(p);
	if (rc == 0)
		rc = term_add(p, &term, out);
	return too_many(p, &name, rc);
}

/* An element whose number is the given one, without values in the text. */
static int
fixed_term(struct parser *p, const char *word, uint64_t first, uint64_t second,
	   uint32_t *out)
{
	struct token token = {TOKEN_WORD, COMPARE_NONE, word, strlen(word)};
	struct range *range;
	struct term term = {0};
	struct group *group;
	int rc = word_groups(p->filter, SIDE_NONE, &token, &term);

	if (rc < 0)
		return rc;
	group = LIST(group, p->filter->groups) + term.group;
	group->first = p->filter->ranges.count;
	group->count = first == second ? 1 : 2;
	range = list_add(&p->filter->ranges, group->count, sizeof(*range));
	if (!range)
		return -ENOMEM;
	range[0] = (struct range){{0, first}, {0, first}};
	if (first != second)
		range[1] = (struct range){{0, second}, {0, second}};
	return term_add(p, &term, out);
}

/* tcp, udp, ..., as in BPF with a port behind it if there is one. */
static int
protocol_term(struct parser *p, uint64_t number, uint32_t *out)
{
	struct token at = p->token;
	uint32_t port;
	int rc = lex_next(p);
	enum side side = side_of(&p->token);

	if (rc == 0)
		rc = fixed_term(p, "proto", number, number, out);
	if (rc < 0)
		return too_many(p, &at, rc);
	if (side != SIDE_SOURCE && side != SIDE_DESTINATION) {
		struct sided none = {.side = SIDE_NONE};

		if (!token_is(&p->token, "port"))
			return 0;
		rc = word_term(p, &none, &port);
	} else {
		rc = side_term(p, side, &port);
	}
	return rc < 0 ? rc : join(p, NODE_AND, *out, port, out);
}

/*
 * Flags are TCP's and types are ICMP's, whatever else their field may hold in a
 * record of another protocol. One that does not tell its protocol will do.
 */
static int
protocol_word(struct parser *p, uint64_t first, uint64_t second, uint32_t *out)
{
	struct sided none = {.side = SIDE_NONE};
	struct token at = p->token;
	uint32_t word;
	int rc = fixed_term(p, "proto", first, second, out);

	if (rc < 0)
		return too_many(p, &at, rc);
	LIST(term, p->filter->terms)[p->filter->terms.count - 1].negated = true;
	rc = node_add(p, NODE_NOT, *out, out);
	if (rc == 0)
		rc = word_term(p, &none, &word);
	return rc < 0 ? rc : join(p, NODE_AND, *out, word, out);
}

static int
version_term(struct parser *p, uint64_t version, uint32_t *out)
{
	struct token at = p->token;
	int rc = lex_next(p);

	if (rc == 0)
		rc = fixed_term(p, "version", version, version, out);
	return too_many(p, &at, rc);
}

/* Bare names of protocols; "ipv6" and the like are versions of IP. */
static int
bare_protocol(const struct token *token)
{
	static const char *const names[] = {"tcp",  "udp",  "icmp", "icmp6",
					    "sctp", "dccp", "gre",  "esp",
					    "ah",   "igmp", "ospf"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (token_is(token, names[i]))
			return protocol_number(names[i]);
	return -ENOENT;
}

static int
term(struct parser *p, uint32_t *out)
{
	const struct token *token = &p->token;
	struct sided none = {.side = SIDE_NONE};
	enum side side = side_of(token);

	if (token->kind == TOKEN_END)
		return parse_error(p, token->at,
				   "the expression ends too "
				   "soon, expected a comparison "
				   "such as port 80");
	if (token->kind != TOKEN_WORD)
		return parse_error(p, token->at,
				   "expected a comparison such "
				   "as port 80 or "
				   "sourceIPv4Address == "
				   "192.0.2.1");
	if (side != SIDE_NONE)
		return side_term(p, side, out);
	if (bare_protocol(token) >= 0)
		return protocol_term(p, (uint64_t)bare_protocol(token), out);
	if (token_is(token, "inet") || token_is(token, "ipv4"))
		return version_term(p, 4, out);
	if (token_is(token, "inet6") || token_is(token, "ipv6") ||
	    token_is(token, "ip6"))
		return version_term(p, 6, out);
	if (token_is(token, "icmp-type") || token_is(token, "icmp-code"))
		return protocol_word(p, 1, 58, out);
	if (token_is(token, "flags"))
		return protocol_word(p, 6, 6, out);
	if (token_is(token, "exists"))
		return exists_term(p, out);
	if (is_word(token))
		return word_term(p, &none, out);
	if (is_reserved(token))
		return parse_error(p, token->at,
				   "expected a comparison before "
				   "%.*s",
				   (int)token->length, token->at);
	return element_term(p, out);
}

/* ---- and, or, not ------------------------------------------------------ */

static int parse_or(struct parser *p, uint32_t *out);
static int parse_not(struct parser *p, uint32_t *out);

static int
parenthesis(struct parser *p, uint32_t *out)
{
	const char *open = p->token.at;
	int rc = lex_next(p);

	if (rc == 0)
		rc = parse_or(p, out);
	if (rc < 0)
		return rc;
	if (p->token.kind != TOKEN_PARENTHESIS_END)
		return parse_error(p, p->token.at,
				   "expected and, or, or the ) to the ( in "
				   "column %zu",
				   (size_t)(open - p->text) + 1);
	return lex_next(p);
}

/* not flags AFR: none of them is set, as in nfdump. */
static int
operand_of_not(struct parser *p, uint32_t *out)
{
	bool flags = token_is(&p->token, "flags");
	int rc = parse_not(p, out);
	struct term *last;

	if (rc < 0 || !flags)
		return rc;
	last = LIST(term, p->filter->terms) + p->filter->terms.count - 1;
	if (last->test == TEST_ALL_BITS)
		last->test = TEST_ANY_BITS;
	return 0;
}

static int
parse_not(struct parser *p, uint32_t *out)
{
	bool no = token_is(&p->token, "not") || token_is(&p->token, "!");
	int rc;

	if (no || p->token.kind == TOKEN_PARENTHESIS) {
		if (p->depth == DEPTH_MAX)
			return parse_error(p, p->token.at,
					   "more than %d "
					   "parentheses and "
					   "not in each other",
					   DEPTH_MAX);
		p->depth++;
		rc = no ? lex_next(p) : parenthesis(p, out);
		if (no && rc == 0)
			rc = operand_of_not(p, out);
		p->depth--;
		return no && rc == 0 ? node_add(p, NODE_NOT, *out, out) : rc;
	}
	if (token_is(&p->token, "any")) {
		rc = lex_next(p);
		return rc < 0 ? rc : node_add(p, NODE_ANY, NO_NODE, out);
	}
	return term(p, out);
}

/* Operands of one and the same word become the children of one node. */
static int
parse_chain(struct parser *p, const char *word, const char *sign,
	    enum node_kind kind, int (*operand)(struct parser *, uint32_t *),
	    uint32_t *out)
{
	uint32_t first, last, next;
	int rc = operand(p, &first);

	last = first;
	while (rc == 0 &&
	       (token_is(&p->token, word) || token_is(&p->token, sign))) {
		rc = lex_next(p);
		if (rc == 0)
			rc = operand(p, &next);
		if (rc < 0)
			return rc;
		LIST(node, p->filter->nodes)[last].next = next;
		last = next;
	}
	if (rc < 0)
		return rc;
	*out = first;
	return last == first ? 0 : node_add(p, kind, first, out);
}

static int
parse_and(struct parser *p, uint32_t *out)
{
	return parse_chain(p, "and", "&&", NODE_AND, parse_not, out);
}

static int
parse_or(struct parser *p, uint32_t *out)
{
	return parse_chain(p, "or", "||", NODE_OR, parse_and, out);
}

int
parse_filter(struct parser *p)
{
	int rc = lex_next(p);

	if (rc == 0)
		rc = parse_or(p, &p->filter->root);
	if (rc == 0 && p->token.kind != TOKEN_END)
		return parse_error(p, p->token.at,
				   p->token.kind == TOKEN_PARENTHESIS_END
					   ? "there is no ( to this ), "
					     "expected and, or, or the end"
					   : "expected and, or, or the end");
	return rc;
}
