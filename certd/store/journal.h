/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal.h - what certd must not forget: one append-only file of records,
 * each on disk before its effect.
 *
 * At the start the file is replayed.  A last line without its end is a write
 * that a power cut interrupted: nothing had come of it, and it is cut off.
 * Any other bad record is damage: what it and those behind it said had been
 * promised, so nothing is opened, and nothing is changed.
 *
 * When it has grown it is replaced by a snapshot (records that give the same
 * state), written beside it and renamed.
 */
#ifndef TULLE_CERTD_STORE_JOURNAL_H
#define TULLE_CERTD_STORE_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define JOURNAL_BYTES_MAX (64u << 20)
#define JOURNAL_COMPACT 1024 /* records after which a snapshot is due */

struct journal;

/*
 * Opens DIR/journal, or begins one, and hands each record to <apply>, which
 * returns an error for one that makes no sense (a newer version's): opening
 * fails with it.  The directory is locked until journal_close().
 *
 *   TULLE_EBUSY   another certd holds it
 *   TULLE_EDAMAGED  a record is not as it was written; the log has file and offset
 *   TULLE_ELIMIT  larger than JOURNAL_BYTES_MAX
 *   TULLE_ESYS, TULLE_ENOMEM, what <apply> says
 */
enum tulle_err journal_open(struct journal **ret, const char *dir, enum tulle_err (*apply)(void *arg, const json_t *record),
    void *arg);

/* Takes NULL.  Always returns NULL. */
struct journal *journal_close(struct journal *j);

/*
 * Writes a record and waits until it is on disk.  <record> is taken over in
 * any case; NULL is TULLE_ENOMEM.  On failure the file is as before.
 * TULLE_ESYS (errno: ENOSPC...), TULLE_ENOMEM, TULLE_ELIMIT.
 */
enum tulle_err journal_append(struct journal *j, json_t *record);

/* True when a snapshot would pay. */
bool journal_is_long(const struct journal *j);

/* Replaces all records by those of the array <records>, which is taken over.  Errors as journal_append(). */
enum tulle_err journal_replace(struct journal *j, json_t *records);

/* Records in the file. */
size_t journal_records(const struct journal *j);

#endif
