/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/actual.h"

#include <string.h>

enum tulle_err
actual_read_side(struct actual *a, enum backend b, enum family f)
{
	struct actual_side *s = &a->side[b][f];
	struct ruleset *rules;
	enum tulle_err e = xtables_read(&rules, b, f, s->why);

	s->absent = e == TULLE_ENOENT;
	if (e != TULLE_OK)
		return e;
	ruleset_free(s->rules);
	s->rules = rules;
	return TULLE_OK;
}

enum tulle_err
actual_read(struct actual *ret)
{
	struct actual a = { 0 };

	for (int b = 0; b < BACKENDS; b++) {
		for (int f = 0; f < FAMILIES; f++) {
			if (actual_read_side(&a, (enum backend)b, (enum family)f) == TULLE_ENOMEM) {
				actual_free(&a);
				return TULLE_ENOMEM;
			}
		}
	}
	*ret = a;
	return TULLE_OK;
}

void
actual_free(struct actual *a)
{
	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			a->side[b][f].rules = ruleset_free(a->side[b][f].rules);
}

bool
actual_complete(const struct actual *a)
{
	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			if (a->side[b][f].rules == NULL && !a->side[b][f].absent)
				return false;
	return true;
}

bool
actual_has_own(const struct actual *a, enum backend b)
{
	for (int f = 0; f < FAMILIES; f++)
		if (a->side[b][f].rules != NULL && !ruleset_empty(a->side[b][f].rules))
			return true;
	return false;
}

enum backend
actual_choose(const struct actual *a)
{
	if (actual_has_own(a, BACKEND_OF_NFT))
		return BACKEND_OF_NFT;
	if (actual_has_own(a, BACKEND_OF_LEGACY))
		return BACKEND_OF_LEGACY;
	for (int f = 0; f < FAMILIES; f++) {
		const struct ruleset *legacy = a->side[BACKEND_OF_LEGACY][f].rules;

		if (legacy != NULL && legacy->foreign > 0)
			return BACKEND_OF_LEGACY;
	}
	return a->side[BACKEND_OF_NFT][FAMILY_V4].rules != NULL ? BACKEND_OF_NFT : BACKEND_OF_LEGACY;
}
