/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * generation.h - all manifests of a fleet as one signed thing with a number,
 * as it goes from the authority to its members and lies on their disks
 * (lib/proto/authority.proto, SignedManifests and KeptManifests).
 *
 * The root's key signs: its certificate is what a member pinned when it
 * joined, so a copy can be checked for as long as the root lives, with
 * nothing fetched and no certificate that could have expired meanwhile (an
 * issuing CA lives a month).  Signed are trust domain, number, time, and the
 * digest over the names and bytes of all files.
 *
 * A number is greater than every one before: the authority takes the time in
 * seconds, or one more than the last.  Who may go back, and what is in
 * force, is not decided here (certd/agent/copy.h).
 *
 * Pure, apart from the signature's randomness.
 */
#ifndef TULLE_GENERATION_GENERATION_H
#define TULLE_GENERATION_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "manifest/dir.h"
#include "manifest/snapshot.h"
#include "tls/keys.h"

#define GENERATION_DIGEST 32
#define GENERATION_FILES_MAX 1024
#define GENERATION_BYTES_MAX (8u << 20) /* names and contents of all files */
#define GENERATION_SIGNED_MAX (GENERATION_BYTES_MAX + (256u << 10)) /* signed and packed */
#define GENERATION_KEPT_MAX (GENERATION_SIGNED_MAX + (1u << 20) + 1024)
#define GENERATION_WHY 200
#define GENERATION_PREFIX "authority/" /* before the names of files, for messages: "authority/shop.yaml:3:1: ..." */
#define GENERATION_COPY "mesh/manifests" /* below paths_var(): what a member keeps */

struct generation {
	uint64_t number; /* at least 1 */
	int64_t made_at; /* seconds since the epoch, the authority's clock */
	uint8_t digest[GENERATION_DIGEST];
	char revision[SNAPSHOT_REVISION]; /* of the files: what people compare */
	struct manifest_files files; /* owned */
};

void generation_free(struct generation *g);

/* Over names (what is behind the last slash) and bytes of the files in their order.  TULLE_ECRYPTO, TULLE_ENOMEM. */
enum tulle_err generation_digest(uint8_t ret[GENERATION_DIGEST], const struct manifest_file *files, size_t n);

/*
 * May these be one generation?  TULLE_ELIMIT: too many or too large; TULLE_EINVAL: a name that cannot
 * travel.  <why>: what, and what would be right.
 */
enum tulle_err generation_bounds(const struct manifest_files *files, char why[GENERATION_WHY]);

/*
 * Appends the files, in the order of their names, signed by <key>.  They
 * must be within generation_bounds().  TULLE_ECRYPTO, TULLE_ENOMEM, TULLE_ELIMIT.
 */
enum tulle_err generation_sign(struct buf *out, const char *td, uint64_t number, int64_t made_at,
    const struct manifest_files *files, const struct key *key);

/*
 * The reverse.  Believed is what the key of one of <roots> (DER in a row)
 * signed for <td> (NULL: any trust domain), whole and unchanged.  Files get
 * names that begin with GENERATION_PREFIX.
 *
 *   TULLE_OK       *ret is the caller's, to release with generation_free()
 *   TULLE_EDENIED  not signed by one of the roots, or not for this trust domain; <why>
 *   TULLE_EPEER    nobody of ours packed this, or it was changed; <why>
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err generation_open(struct generation *ret, const uint8_t *p, size_t n, const char *td, const uint8_t *roots,
    size_t roots_len, char why[GENERATION_WHY]);

/* What a member keeps beside the signed files. */
struct generation_kept {
	char authority[64]; /* where it came from, "192.0.2.1:15012" */
	int64_t since;      /* when this host took it, seconds since the epoch */
};

/* Appends the content of GENERATION_COPY.  TULLE_ENOMEM, TULLE_ELIMIT. */
enum tulle_err generation_keep(struct buf *out, const uint8_t *p, size_t n, const uint8_t *roots, size_t roots_len,
    const struct generation_kept *about);

/*
 * Opens what was kept, for whatever trust domain: it is whole, and signed by
 * the key whose certificate lies in the same file.  That the file is certd's
 * is for the file system to see to.  Errors as generation_open(); either of
 * the results may be NULL.
 */
enum tulle_err generation_kept_open(struct generation *ret, struct generation_kept *ret_about, const uint8_t *p, size_t n,
    char why[GENERATION_WHY]);

#endif
