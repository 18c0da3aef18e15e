/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dump.h - finds our own rules in what iptables-save prints.  Pure.
 *
 * No rule is understood: a line is ours if its chain or its target bears
 * our prefix, and its text is kept as it stands.  Quotes are respected: a
 * comment of somebody else that talks of our chains is a comment.
 */
#ifndef TULLE_NFRULES_RULES_DUMP_H
#define TULLE_NFRULES_RULES_DUMP_H

#include <stddef.h>

#include "base/err.h"
#include "rules/ruleset.h"

/*
 * Reads the <len> bytes of a dump (no counters: iptables-save without -c).
 * Tables that we never use are counted as foreign.
 *
 *   TULLE_OK      *ret is the caller's, to release with ruleset_free()
 *   TULLE_EINVAL  this is not what iptables-save prints
 *   TULLE_ELIMIT  a line of ours is longer than 64 KiB
 *   TULLE_ENOMEM
 */
enum tulle_err dump_parse(struct ruleset **ret, const char *text, size_t len);

#endif
