/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * change.h - from one rule set to another: as input for iptables-restore,
 * and in words.  Pure.
 */
#ifndef TULLE_NFRULES_RULES_CHANGE_H
#define TULLE_NFRULES_RULES_CHANGE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "rules/ruleset.h"

#define CHANGE_MAX (16u << 20) /* bytes of restore input */

/*
 * Appends what takes table <t> from <now> to <wanted> in one commit under
 * --noflush: declare (and so empty) our chains, delete every jump that is
 * there, fill, jump, delete chains that are not wanted.  Chains of others
 * are never named, but to take a jump to us out of them.  Nothing is
 * appended if neither has anything there.
 *
 * TULLE_ELIMIT, TULLE_ENOMEM.
 */
enum tulle_err change_table(struct buf *out, enum table t, const struct ruleset *now, const struct ruleset *wanted);

/* What happened to a rule, as check tells it. */
enum difference {
	DIFF_MISSING,    /* wanted, and not there */
	DIFF_UNEXPECTED, /* there, and not wanted */
	DIFF_ORDER,      /* the chain has the right rules in the wrong order */
	DIFF_NOT_FIRST,  /* a jump that other rules come before */
	DIFF_REPEATED,   /* a jump that is there more than once */
};

const char *difference_name(enum difference d);

/* <rule> is what stands behind "-A CHAIN "; "" for the chain itself. */
typedef void change_report_fn(void *arg, enum difference d, enum table t, const char *chain, const char *rule);

/* Tells <report> every difference.  The comment of the anchor does not count. */
void change_differences(const struct ruleset *now, const struct ruleset *wanted, change_report_fn *report, void *arg);

#endif
