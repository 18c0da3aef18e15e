/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/ruleset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "base/cleanup.h"
#include "base/text.h"

#define RULESET_MEMORY (64u << 20)
#define COMMENT " -m comment --comment "
#define COMMENT_MARK "tulle:"

struct ruleset *
ruleset_new(void)
{
	struct ruleset *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->arena = arena_new(RULESET_MEMORY);
	return r;
}

struct ruleset *
ruleset_free(struct ruleset *r)
{
	if (r != NULL)
		arena_free(&r->arena);
	free(r);
	return NULL;
}

/* A list that is full moves to twice the room; the arena keeps the old one until the end. */
static void *
grown(struct arena *a, void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap == 0 ? 8 : 2 * *cap;
	void *p;

	if (n < *cap)
		return list;
	p = arena_array(a, more, size);
	if (p == NULL)
		return NULL;
	if (n > 0)
		memcpy(p, list, n * size);
	*cap = more;
	return p;
}

static struct ruleset_chain *
find_chain(const struct ruleset *r, enum table t, const char *name)
{
	const struct ruleset_table *tab = &r->tables[t];

	for (size_t i = 0; i < tab->chains_n; i++)
		if (strcmp(tab->chains[i].name, name) == 0)
			return &tab->chains[i];
	return NULL;
}

const struct ruleset_chain *
ruleset_chain(const struct ruleset *r, enum table t, const char *name)
{
	return find_chain(r, t, name);
}

struct ruleset_chain *
ruleset_add_chain(struct ruleset *r, enum table t, const char *name)
{
	struct ruleset_table *tab = &r->tables[t];
	struct ruleset_chain *c = find_chain(r, t, name), *list;
	const char *copy;

	if (c != NULL)
		return c;
	copy = arena_text(&r->arena, name, strlen(name));
	list = grown(&r->arena, tab->chains, tab->chains_n, &tab->chains_cap, sizeof(*list));
	if (copy == NULL || list == NULL)
		return NULL;
	tab->chains = list;
	c = &list[tab->chains_n++];
	*c = (struct ruleset_chain){ .name = copy };
	return c;
}

enum tulle_err
ruleset_add_rule(struct ruleset *r, struct ruleset_chain *c, const char *rule)
{
	const char *copy = arena_text(&r->arena, rule, strlen(rule));
	const char **list = grown(&r->arena, c->rules, c->n, &c->cap, sizeof(*list));

	if (copy == NULL || list == NULL)
		return TULLE_ENOMEM;
	c->rules = list;
	c->rules[c->n++] = copy;
	return TULLE_OK;
}

enum tulle_err
ruleset_add_jump(struct ruleset *r, enum table t, const char *chain, const char *rule, const char *target,
    unsigned int position)
{
	struct ruleset_table *tab = &r->tables[t];
	struct ruleset_jump j = {
		.chain = arena_text(&r->arena, chain, strlen(chain)),
		.rule = arena_text(&r->arena, rule, strlen(rule)),
		.target = arena_text(&r->arena, target, strlen(target)),
		.position = position,
	};
	struct ruleset_jump *list = grown(&r->arena, tab->jumps, tab->jumps_n, &tab->jumps_cap, sizeof(*list));

	if (j.chain == NULL || j.rule == NULL || j.target == NULL || list == NULL)
		return TULLE_ENOMEM;
	tab->jumps = list;
	tab->jumps[tab->jumps_n++] = j;
	return TULLE_OK;
}

bool
ruleset_empty(const struct ruleset *r)
{
	for (int t = 0; t < TABLES; t++)
		if (r->tables[t].chains_n > 0 || r->tables[t].jumps_n > 0)
			return false;
	return true;
}

static bool
to_anchor(const struct ruleset_jump *j)
{
	return strcmp(j->target, CHAIN_ANCHOR) == 0;
}

bool
ruleset_hooked(const struct ruleset *r)
{
	for (int t = 0; t < TABLES; t++)
		for (size_t i = 0; i < r->tables[t].jumps_n; i++)
			if (!to_anchor(&r->tables[t].jumps[i]))
				return true;
	return false;
}

/* Without its comment: an unhooked rule set is nothing that was applied. */
static enum tulle_err
copy_rule(struct ruleset *to, struct ruleset_chain *c, const char *rule)
{
	const char *end = strcmp(c->name, CHAIN_ANCHOR) == 0 ? strstr(rule, COMMENT) : NULL;
	char *bare;

	if (end == NULL)
		return ruleset_add_rule(to, c, rule);
	bare = arena_text(&to->arena, rule, (size_t)(end - rule));
	return bare == NULL ? TULLE_ENOMEM : ruleset_add_rule(to, c, bare);
}

static enum tulle_err
copy_unhooked(struct ruleset *to, const struct ruleset *from, enum table t)
{
	const struct ruleset_table *tab = &from->tables[t];
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < tab->chains_n && e == TULLE_OK; i++) {
		struct ruleset_chain *c = ruleset_add_chain(to, t, tab->chains[i].name);

		if (c == NULL)
			return TULLE_ENOMEM;
		for (size_t k = 0; k < tab->chains[i].n && e == TULLE_OK; k++)
			e = copy_rule(to, c, tab->chains[i].rules[k]);
	}
	for (size_t i = 0; i < tab->jumps_n && e == TULLE_OK; i++) {
		const struct ruleset_jump *j = &tab->jumps[i];

		if (to_anchor(j))
			e = ruleset_add_jump(to, t, j->chain, j->rule, j->target, j->position);
	}
	return e;
}

enum tulle_err
ruleset_unhook(struct ruleset **ret, const struct ruleset *r)
{
	struct ruleset *copy = ruleset_new();
	enum tulle_err e = copy == NULL ? TULLE_ENOMEM : TULLE_OK;

	for (int t = 0; t < TABLES && e == TULLE_OK; t++)
		e = copy_unhooked(copy, r, (enum table)t);
	if (e != TULLE_OK) {
		ruleset_free(copy);
		return e;
	}
	*ret = copy;
	return TULLE_OK;
}

static bool
chain_equal(const struct ruleset_chain *a, const struct ruleset_chain *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->rules[i], b->rules[i]) != 0)
			return false;
	return true;
}

bool
ruleset_table_equal(const struct ruleset *now, const struct ruleset *wanted, enum table t)
{
	const struct ruleset_table *a = &now->tables[t], *b = &wanted->tables[t];

	if (a->chains_n != b->chains_n || a->jumps_n != b->jumps_n)
		return false;
	for (size_t i = 0; i < b->chains_n; i++) {
		const struct ruleset_chain *c = find_chain(now, t, b->chains[i].name);

		if (c == NULL || !chain_equal(c, &b->chains[i]))
			return false;
	}
	/* Each wanted jump stands once: there are as many as wanted, and no two wanted ones are the same. */
	for (size_t i = 0; i < b->jumps_n; i++) {
		const struct ruleset_jump *w = &b->jumps[i];
		size_t k;

		for (k = 0; k < a->jumps_n; k++)
			if (strcmp(a->jumps[k].chain, w->chain) == 0 && strcmp(a->jumps[k].rule, w->rule) == 0 &&
			    (w->position == 0 || a->jumps[k].position == w->position))
				break;
		if (k == a->jumps_n)
			return false;
	}
	return true;
}

/* ---- the digest ---- */

static void
hash_text(wc_Sha256 *sha, const char *s, size_t n)
{
	(void)wc_Sha256Update(sha, (const byte *)s, (word32)n);
	(void)wc_Sha256Update(sha, (const byte *)"\n", 1);
}

static int
compare_chains(const void *a, const void *b)
{
	const struct ruleset_chain *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
compare_jumps(const void *a, const void *b)
{
	const struct ruleset_jump *const *x = a, *const *y = b;
	int d = strcmp((*x)->chain, (*y)->chain);

	if (d == 0)
		d = ((*x)->position > (*y)->position) - ((*x)->position < (*y)->position);
	return d != 0 ? d : strcmp((*x)->rule, (*y)->rule);
}

static void
hash_chain(wc_Sha256 *sha, const struct ruleset_chain *c)
{
	bool anchor = strcmp(c->name, CHAIN_ANCHOR) == 0;

	hash_text(sha, c->name, strlen(c->name));
	for (size_t i = 0; i < c->n; i++) {
		const char *end = anchor ? strstr(c->rules[i], COMMENT) : NULL;

		hash_text(sha, c->rules[i], end != NULL ? (size_t)(end - c->rules[i]) : strlen(c->rules[i]));
	}
}

static void
hash_jump(wc_Sha256 *sha, const struct ruleset_jump *j)
{
	char at[16];

	(void)snprintf(at, sizeof(at), "%u", to_anchor(j) ? 0 : j->position);
	hash_text(sha, at, strlen(at));
	hash_text(sha, j->chain, strlen(j->chain));
	hash_text(sha, j->rule, strlen(j->rule));
}

void
ruleset_digest(const struct ruleset *r, char out[DIGEST_TEXT])
{
	byte full[WC_SHA256_DIGEST_SIZE];
	wc_Sha256 sha;

	(void)wc_InitSha256(&sha);
	for (int t = 0; t < TABLES; t++) {
		const struct ruleset_table *tab = &r->tables[t];
		const struct ruleset_chain **chains AUTO_FREE = calloc(tab->chains_n + 1, sizeof(struct ruleset_chain *));
		const struct ruleset_jump **jumps AUTO_FREE = calloc(tab->jumps_n + 1, sizeof(struct ruleset_jump *));

		if (chains == NULL || jumps == NULL)
			abort(); /* a digest of less than all would call a changed rule set unchanged */
		hash_text(&sha, table_name((enum table)t), strlen(table_name((enum table)t)));
		for (size_t i = 0; i < tab->chains_n; i++)
			chains[i] = &tab->chains[i];
		for (size_t i = 0; i < tab->jumps_n; i++)
			jumps[i] = &tab->jumps[i];
		qsort(chains, tab->chains_n, sizeof(struct ruleset_chain *), compare_chains);
		qsort(jumps, tab->jumps_n, sizeof(struct ruleset_jump *), compare_jumps);
		for (size_t i = 0; i < tab->chains_n; i++)
			hash_chain(&sha, chains[i]);
		for (size_t i = 0; i < tab->jumps_n; i++)
			hash_jump(&sha, jumps[i]);
	}
	(void)wc_Sha256Final(&sha, full);
	wc_Sha256Free(&sha);
	(void)text_hex(full, (DIGEST_TEXT - 1) / 2, out);
}

/* ---- the anchor's comment: tulle:FORMAT:BACKEND:PLAN:DUMP ---- */

enum tulle_err
ruleset_set_anchor(struct ruleset *r, const struct anchor *a)
{
	struct ruleset_chain *c = find_chain(r, TABLE_MANGLE, CHAIN_ANCHOR);
	const char *end, *rule;

	if (c == NULL || c->n == 0)
		return TULLE_OK;
	end = strstr(c->rules[0], COMMENT);
	rule = arena_printf(&r->arena, "%.*s" COMMENT "\"" COMMENT_MARK "%u:%s:%s:%s\"",
	    (int)(end != NULL ? (size_t)(end - c->rules[0]) : strlen(c->rules[0])), c->rules[0], a->format,
	    a->legacy ? "legacy" : "nft", a->plan, a->dump[0] != '\0' ? a->dump : "pending");
	if (rule == NULL)
		return TULLE_ENOMEM;
	c->rules[0] = rule;
	return TULLE_OK;
}

static bool
take_digest(const char **s, char out[DIGEST_TEXT], char end)
{
	size_t n = strspn(*s, "0123456789abcdef");

	if (n != DIGEST_TEXT - 1 || (*s)[n] != end)
		return false;
	memcpy(out, *s, n);
	out[n] = '\0';
	*s += n + 1;
	return true;
}

enum tulle_err
ruleset_anchor(const struct ruleset *r, struct anchor *ret)
{
	const struct ruleset_chain *c = find_chain(r, TABLE_MANGLE, CHAIN_ANCHOR);
	struct anchor a = { 0 };
	const char *s = NULL;
	char text[ANCHOR_TEXT];
	uint64_t format;
	size_t n;

	for (size_t i = 0; c != NULL && i < c->n && s == NULL; i++)
		s = strstr(c->rules[i], COMMENT);
	if (s == NULL)
		return TULLE_ENOENT;
	s += strlen(COMMENT);
	if (*s == '"')
		s++;
	n = strcspn(s, "\" ");
	if (n >= sizeof(text) || strncmp(s, COMMENT_MARK, strlen(COMMENT_MARK)) != 0) {
		*ret = a;
		return TULLE_EINVAL;
	}
	memcpy(text, s, n);
	text[n] = '\0';

	s = text + strlen(COMMENT_MARK);
	n = strcspn(s, ":");
	if (s[n] == '\0')
		goto odd;
	text[(size_t)(s - text) + n] = '\0';
	if (text_uint(s, 1000000, &format) != TULLE_OK)
		goto odd;
	a.format = (unsigned int)format;
	s += n + 1;
	if (a.format != ANCHOR_FORMAT)
		goto odd;
	if (strncmp(s, "legacy:", 7) == 0) {
		a.legacy = true;
		s += 7;
	} else if (strncmp(s, "nft:", 4) == 0) {
		s += 4;
	} else {
		goto odd;
	}
	if (!take_digest(&s, a.plan, ':') || (strcmp(s, "pending") != 0 && !take_digest(&s, a.dump, '\0')))
		goto odd;
	*ret = a;
	return TULLE_OK;
odd:
	*ret = a;
	return TULLE_EINVAL;
}
