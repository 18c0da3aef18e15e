/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store.h - what certd remembers: tables of JSON values by key, in memory
 * and in the journal.
 *
 *   store_get(s, "member", "3f2a...")
 *
 * A change is on disk before it can be seen here (journal.h), and several
 * changes that belong together are one record: all or none.
 */
#ifndef TULLE_CERTD_STORE_STORE_H
#define TULLE_CERTD_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct store;

/*
 * Opens the state in <dir>.  Errors as journal_open(); TULLE_EINVAL: a
 * record that this version does not understand.
 */
enum tulle_err store_open(struct store **ret, const char *dir);

/* Takes NULL.  Always returns NULL. */
struct store *store_close(struct store *s);

/* The value of a key; NULL: none.  Lent until the next change. */
const json_t *store_get(const struct store *s, const char *table, const char *key);

/* All of a table, an object by key; NULL: nothing was ever in it.  Lent until the next change. */
const json_t *store_table(const struct store *s, const char *table);

/* A set of changes to be made together. */
struct store_change {
	const char *table, *key;
	json_t *value; /* taken over by store_commit(); NULL: remove the key */
};

/*
 * Makes them, all or none.
 *   TULLE_ESYS  not on disk, so nothing changed (errno: ENOSPC...)
 *   TULLE_ENOMEM, TULLE_ELIMIT
 */
enum tulle_err store_commit(struct store *s, struct store_change *changes, size_t n);

/* One change. */
enum tulle_err store_put(struct store *s, const char *table, const char *key, json_t *value);
enum tulle_err store_remove(struct store *s, const char *table, const char *key);

/* Helpers for reading values: "" and 0 where the field is missing or of another type.  Lent. */
const char *value_text(const json_t *value, const char *field);
int64_t value_int(const json_t *value, const char *field);

#endif
