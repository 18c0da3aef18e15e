/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * render.h - a plan in the words of iptables.  Pure.
 *
 * The words are chosen as iptables-save prints them, so that a rule set
 * that was applied and dumped can be compared line by line.  Everything is
 * printed from numbers.
 */
#ifndef TULLE_NFRULES_RULES_RENDER_H
#define TULLE_NFRULES_RULES_RENDER_H

#include "base/err.h"
#include "rules/plan.h"
#include "rules/ruleset.h"

#define RULE_TEXT 512

/* One rule, without its chain.  Returns <out>. */
char *render_rule(const struct rule *r, char out[RULE_TEXT]);

/*
 * All of <p>.  The anchor has no comment yet: ruleset_set_anchor().
 *
 *   TULLE_OK      *ret is the caller's, to release with ruleset_free()
 *   TULLE_ENOMEM
 */
enum tulle_err render_plan(struct ruleset **ret, const struct plan *p);

#endif
