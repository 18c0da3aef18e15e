/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: nfrules */
/*
 * Dumps of iptables-save: whatever comes, our part of it can be written
 * down as a change from nothing, and what was written is one table after
 * the other that names no built-in chain but in a jump.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/change.h"
#include "rules/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ignore(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	(void)arg;
	(void)d;
	(void)t;
	(void)chain;
	(void)rule;
	abort(); /* a rule set does not differ from itself, unless a jump is there twice or none is wanted there */
}

/* Do two of the jumps look the same? */
static int
has_twins(const struct ruleset *r)
{
	for (int t = 0; t < TABLES; t++)
		for (size_t i = 0; i < r->tables[t].jumps_n; i++)
			for (size_t k = 0; k < i; k++)
				if (strcmp(r->tables[t].jumps[i].rule, r->tables[t].jumps[k].rule) == 0 &&
				    strcmp(r->tables[t].jumps[i].chain, r->tables[t].jumps[k].chain) == 0)
					return 1;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ruleset *r = NULL, *nothing, *unhooked = NULL;
	struct buf out = buf_new(CHANGE_MAX);
	char digest[DIGEST_TEXT];
	struct anchor anchor;

	if (dump_parse(&r, (const char *)data, size) != TULLE_OK)
		return 0;
	nothing = ruleset_new();
	if (nothing == NULL)
		abort();
	ruleset_digest(r, digest);
	if (strlen(digest) != DIGEST_TEXT - 1)
		abort();
	(void)ruleset_anchor(r, &anchor);
	for (int t = 0; t < TABLES; t++) {
		buf_free(&out);
		if (change_table(&out, (enum table)t, nothing, r) != TULLE_OK)
			abort();
		if (buf_len(&out) > 0 && (buf_head(&out)[0] != '*' || memcmp(buf_head(&out) + buf_len(&out) - 7, "COMMIT\n", 7) != 0))
			abort();
		if (!ruleset_table_equal(r, r, (enum table)t))
			abort();
	}
	if (!has_twins(r))
		change_differences(r, r, ignore, NULL);
	if (ruleset_unhook(&unhooked, r) != TULLE_OK || ruleset_hooked(unhooked))
		abort();
	ruleset_free(unhooked);
	ruleset_free(nothing);
	ruleset_free(r);
	buf_free(&out);
	return 0;
}
