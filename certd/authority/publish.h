/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * publish.h - the generation of manifests that the authority gives to its
 * members: one writer, one number after the other.
 *
 * DIR/published is what is in force for the members, signed; the store's
 * "self"/"published" remembers its number, so that none is given twice even
 * if that file is lost.  The file is on disk before the record is, and the
 * record before a member can see it.
 *
 * The number is the time in seconds, or one more than the last one: an
 * authority that was restored from a backup goes on above what its members
 * have, as soon as it publishes.
 */
#ifndef TULLE_CERTD_AUTHORITY_PUBLISH_H
#define TULLE_CERTD_AUTHORITY_PUBLISH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/authority.h"
#include "base/buf.h"
#include "base/err.h"
#include "generation/generation.h"
#include "store/store.h"

struct published {
	struct store *store;           /* lent */
	struct authority *authority;   /* lent */
	char *path;                    /* owned: DIR/published */
	const char *td;                /* lent */
	uint64_t number;               /* 0: nothing is published yet */
	int64_t made_at;
	uint8_t digest[GENERATION_DIGEST];
	char revision[SNAPSHOT_REVISION];
	size_t files, bytes;
	struct buf message;            /* SignedManifests */
	char trouble[GENERATION_WHY];  /* why what is in mesh.d is not published; "": it is */
	uint64_t highest;              /* the highest number that a member has said it has */
};

/*
 * Loads what was published last.  A file that cannot be used is told in the
 * log; then nothing is published until publish_files().  <store>,
 * <authority>, which has a root, and <td> are lent, <dir> is certd's state folder.
 * TULLE_ENOMEM.
 */
enum tulle_err publish_open(struct published *p, struct store *store, struct authority *authority, const char *dir,
    const char *td);

void publish_close(struct published *p);

/*
 * Publishes these files, which have been validated, if they are others than
 * those in force, or if a member has a higher number than we: then this
 * authority is an older state of itself, and what it has now must count.
 * *ret_changed: there is a new generation.
 *
 *   TULLE_ELIMIT, TULLE_EINVAL  too much, or a name that cannot travel: <why>
 *   TULLE_ESYS    it cannot be written, and nothing changed (errno)
 *   TULLE_ECRYPTO, TULLE_ENOMEM
 */
enum tulle_err publish_files(struct published *p, const struct manifest_files *files, int64_t now, bool *ret_changed,
    char why[GENERATION_WHY]);

/* A member says that it has this number. */
void publish_seen(struct published *p, uint64_t number);

/* For status: {"number","revision","made_at","files","bytes","trouble","highest"}. */
json_t *publish_status(const struct published *p);

#endif
