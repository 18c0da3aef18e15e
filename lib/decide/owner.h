/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * owner.h - as whom does a connection of this host speak (pure)?  By the
 * entries of identities.yaml and what is known of the process that opened it.
 *
 * An entry fits if all that its "match" gives fits.  Of those that fit, one
 * with unit and uid goes before one with a unit, that before one with a uid;
 * of equals the first in the file.  Nobody fits: the host's default.
 *
 * What is not known must not choose: a connection whose entry depends on it
 * belongs to nobody.
 */
#ifndef TULLE_DECIDE_OWNER_H
#define TULLE_DECIDE_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "manifest/identities.h"

struct owner {
	bool uid_known;
	uint32_t uid;
	const char *unit; /* "": in no unit; NULL: not known */
};

enum owner_choice { OWNER_ENTRY, OWNER_DEFAULT, OWNER_UNDECIDED };

/* One entry and one owner. */
enum owner_fit { OWNER_FITS, OWNER_OTHER_UID, OWNER_OTHER_UNIT, OWNER_UID_UNKNOWN, OWNER_UNIT_UNKNOWN };
enum owner_fit owner_fit(const struct identity_entry *e, const struct owner *o);

/*
 * Among <ids>, whose users have been looked up (identities_resolve()).
 * *ret_entry is the entry: that of OWNER_ENTRY; of OWNER_UNDECIDED the one that
 * something unknown keeps open, never NULL; else NULL.
 */
enum owner_choice owner_choose(const struct identities *ids, const struct owner *o, const struct identity_entry **ret_entry);

/*
 * The entry before <i> that takes precedence over it and can fit the same
 * process, for people: NULL if there is none.  Of two that are equally
 * specific it is an ambiguity, which the order of the file decides.
 */
const struct identity_entry *owner_ambiguous(const struct identities *ids, size_t i);

#endif
