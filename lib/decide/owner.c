/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/owner.h"

#include <string.h>

static unsigned int
specificity(const struct identity_entry *e)
{
	return (e->match.unit != NULL ? 2u : 0u) + (e->match.uid != NULL ? 1u : 0u);
}

enum owner_fit
owner_fit(const struct identity_entry *e, const struct owner *o)
{
	const bool by_uid = e->match.uid != NULL, by_unit = e->match.unit != NULL;

	/* What surely does not fit goes first: nothing unknown can change that. */
	if (by_uid && o->uid_known && (!e->uid_known || e->uid != o->uid))
		return OWNER_OTHER_UID;
	if (by_unit && o->unit != NULL && strcmp(e->match.unit, o->unit) != 0)
		return OWNER_OTHER_UNIT;
	if (by_uid && !o->uid_known)
		return OWNER_UID_UNKNOWN;
	if (by_unit && o->unit == NULL)
		return OWNER_UNIT_UNKNOWN;
	return OWNER_FITS;
}

enum owner_choice
owner_choose(const struct identities *ids, const struct owner *o, const struct identity_entry **ret_entry)
{
	const struct identity_entry *best = NULL, *open = NULL;

	for (size_t i = 0; ids != NULL && i < ids->n; i++) {
		const struct identity_entry *e = &ids->items[i], **which = NULL;

		switch (owner_fit(e, o)) {
		case OWNER_FITS:
			which = &best;
			break;
		case OWNER_UID_UNKNOWN:
		case OWNER_UNIT_UNKNOWN:
			which = &open;
			break;
		case OWNER_OTHER_UID:
		case OWNER_OTHER_UNIT:
			continue;
		}
		if (*which == NULL || specificity(e) > specificity(*which))
			*which = e;
	}
	/* An open entry that would lose all the same decides nothing. */
	if (open != NULL && (best == NULL || specificity(open) > specificity(best) ||
	                        (specificity(open) == specificity(best) && open < best))) {
		*ret_entry = open;
		return OWNER_UNDECIDED;
	}
	*ret_entry = best;
	return best != NULL ? OWNER_ENTRY : OWNER_DEFAULT;
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

const struct identity_entry *
owner_ambiguous(const struct identities *ids, size_t i)
{
	const struct identity_entry *e = &ids->items[i];

	for (const struct identity_entry *b = ids->items; b < e; b++)
		if (same(b->match.unit, e->match.unit) && same(b->match.uid, e->match.uid) &&
		    strcmp(b->service_account, e->service_account) != 0)
			return b;
	return NULL;
}
