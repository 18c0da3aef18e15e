/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ruleset.h - Tulle's own rules of one family as text: the chains that bear
 * its prefix, and the jumps into them from elsewhere.
 *
 * A wanted rule set comes from a plan (render.h), an actual one from a dump
 * (dump.h), and both have this shape; so apply, remove and undo are all the
 * same step from one rule set to another (change.h).  Rules are written the
 * way iptables-save prints them.
 */
#ifndef TULLE_NFRULES_RULES_RULESET_H
#define TULLE_NFRULES_RULES_RULESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "rules/plan.h"

#define DIGEST_TEXT 33 /* 128 bits of SHA-256 in hexadecimal, and its NUL */
#define ANCHOR_FORMAT 1
#define ANCHOR_TEXT 128

struct ruleset_chain {
	const char *name;
	const char **rules; /* what stands behind "-A NAME " */
	size_t n, cap;
};

struct ruleset_jump {
	const char *chain;     /* where the jump is: not one of ours */
	const char *rule;      /* what stands behind "-A CHAIN " */
	const char *target;    /* one of ours */
	unsigned int position; /* from 1; 0: anywhere */
};

struct ruleset_table {
	struct ruleset_chain *chains; /* in the order they were declared */
	size_t chains_n, chains_cap;
	struct ruleset_jump *jumps; /* in the order of the dump */
	size_t jumps_n, jumps_cap;
};

struct ruleset {
	struct ruleset_table tables[TABLES];
	size_t foreign;     /* rules of others, in all tables */
	unsigned int firewalls; /* whose they are, as far as it matters: bits of firewall.h */
	struct arena arena; /* owns all texts and lists */
};

/* What the comment in the anchor chain remembers. */
struct anchor {
	unsigned int format;
	bool legacy; /* the backend it was applied through */
	char plan[DIGEST_TEXT];
	char dump[DIGEST_TEXT]; /* "": the apply did not finish */
};

/* An empty one; NULL: no memory. */
struct ruleset *ruleset_new(void);

/* Takes NULL.  Always returns NULL. */
struct ruleset *ruleset_free(struct ruleset *r);

/* Texts are copied.  A chain that exists already is returned as it is.  NULL: no memory. */
struct ruleset_chain *ruleset_add_chain(struct ruleset *r, enum table t, const char *name);
enum tulle_err ruleset_add_rule(struct ruleset *r, struct ruleset_chain *c, const char *rule);
enum tulle_err ruleset_add_jump(struct ruleset *r, enum table t, const char *chain, const char *rule, const char *target,
    unsigned int position);

/* NULL if there is none. */
const struct ruleset_chain *ruleset_chain(const struct ruleset *r, enum table t, const char *name);

/* No chain and no jump: nothing of ours. */
bool ruleset_empty(const struct ruleset *r);

/* Is there a jump to anything but the anchor?  Without one no packet is steered. */
bool ruleset_hooked(const struct ruleset *r);

/*
 * A copy of <r> without the jumps, but for the anchor's: new connections
 * are let go, and what keeps the live ones stays.  The record of the
 * anchor's comment is left out, too.
 *
 *   TULLE_OK      *ret is the caller's, to release with ruleset_free()
 *   TULLE_ENOMEM
 */
enum tulle_err ruleset_unhook(struct ruleset **ret, const struct ruleset *r);

/* Does <now> have what <wanted> says in table <t>, in this order, and nothing more? */
bool ruleset_table_equal(const struct ruleset *now, const struct ruleset *wanted, enum table t);

/*
 * A digest over chains, rules and jumps with their positions.  The order of
 * chains, the comment and the position of the anchor do not count.
 */
void ruleset_digest(const struct ruleset *r, char out[DIGEST_TEXT]);

/* Puts <a> into the anchor's only rule; nothing if there is no anchor.  TULLE_ENOMEM. */
enum tulle_err ruleset_set_anchor(struct ruleset *r, const struct anchor *a);

/*
 *   TULLE_ENOENT  there is no anchor, or its comment is not there
 *   TULLE_EINVAL  there is a comment, but not as this version writes it;
 *                 ret->format is set if it could be read, else 0
 */
enum tulle_err ruleset_anchor(const struct ruleset *r, struct anchor *ret);

#endif
