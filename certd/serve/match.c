/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/match.h"

#include <string.h>

enum match_result
match(const struct match_rule *r, const struct facts *f)
{
	if (!r->has_uid && r->unit == NULL)
		return MATCH_NOTHING_ASKED; /* a rule without a condition fits nobody, never everybody */
	if (r->has_uid && r->uid != f->uid)
		return MATCH_UID;
	if (r->unit != NULL && strcmp(r->unit, f->unit) != 0)
		return MATCH_UNIT;
	return MATCH_YES;
}

const char *
match_phrase(enum match_result r)
{
	static const char *const phrases[] = { [MATCH_YES] = "it fits", [MATCH_UID] = "its uid is another",
		[MATCH_UNIT] = "its systemd unit is another",
		[MATCH_NOTHING_ASKED] = "the rule names nothing to match" };

	return phrases[r];
}
