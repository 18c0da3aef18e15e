/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * copy.h - a member's copy of the fleet's manifests: the last generation that
 * it took, on disk for itself and for the relay of this host.
 *
 *   from the authority --> signed by a root that we know?
 *                          newer than what we have?
 *                          does it load?
 *                          on disk (GENERATION_COPY), then remembered
 *
 * What fails on the way changes nothing: the copy stays, and status says why.
 * The store's "self"/"manifests" remembers number and digest of what was
 * taken last.  So a copy that somebody changed, or put back from an earlier
 * day, is noticed at the next start: it is moved aside, and the authority
 * asked for the present one.
 *
 * The file may be read by everybody, as mesh.d may; only certd's user may write it.
 */
#ifndef TULLE_CERTD_AGENT_COPY_H
#define TULLE_CERTD_AGENT_COPY_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "generation/generation.h"
#include "store/store.h"
#include "tls/der.h"

struct copy {
	struct store *store; /* lent */
	char *path;          /* owned */
	uint64_t number;     /* 0: there is none */
	int64_t made_at;
	uint8_t digest[GENERATION_DIGEST];
	char revision[SNAPSHOT_REVISION];
	size_t files, bytes;
	struct generation_kept about;
	uint64_t offered;    /* the newest number that the authority has shown */
	char trouble[GENERATION_WHY]; /* why that was not taken, or the copy is gone; "": all is well */
};

/*
 * Loads the copy at <path>; one that cannot be used is moved to
 * <path>.refused, and told (log, <trouble>).  <store> is lent.  TULLE_ENOMEM.
 */
enum tulle_err copy_open(struct copy *c, struct store *store, const char *path);

void copy_close(struct copy *c);

/* Do these manifests load?  On failure the problems are appended to <problems>. */
typedef enum tulle_err copy_check(void *arg, const struct manifest_files *files, struct buf *problems);

/*
 * Takes what the authority sent, if it is good.  <td> and <roots> are our
 * trust domain's, <from> the authority's address, <check> the judge of the
 * manifests.
 *
 *   TULLE_OK       it is in force, or is what is in force already
 *   TULLE_EDENIED  not signed for us, or older than what is here
 *   TULLE_EPEER    malformed
 *   TULLE_EINVAL   it does not load
 *   TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO
 *
 * On failure nothing changed but <trouble>, which is logged as well.
 */
enum tulle_err copy_take(struct copy *c, const uint8_t *p, size_t n, const char *td, struct der roots, const char *from,
    int64_t now, copy_check *check, void *arg);

/* This host is of another fleet now, or of none: the copy goes, and what is remembered of it. */
void copy_forget(struct copy *c);

/* For status: {"number","revision","made_at","since","authority","offered","files","bytes","trouble"}. */
json_t *copy_status(const struct copy *c);

#endif
