/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * manifests.h - where the manifests of this host come from, in words (tulle
 * status, tulle member, tulle join), and what they are (tulle check, tulle doctor).
 */
#ifndef TULLE_CTL_MANIFESTS_H
#define TULLE_CTL_MANIFESTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "manifest/dir.h"
#include "manifest/problem.h"

#define MANIFESTS_TEXT 400

/*
 * From what certd and the relay's parent say ("status"; either may be NULL):
 * the generation in force, since when, from where, who has it.  False: there
 * is something to do, and <out> says what.
 */
bool manifests_origin(char out[MANIFESTS_TEXT], const json_t *certd, const json_t *relayd);

/* Which manifests a member has; <member> and <manifests> are certd's, of the authority.  Returns <out>. */
const char *manifests_of_member(char out[MANIFESTS_TEXT], const json_t *member, const json_t *manifests);

/* How many files of this host's mesh.d count as manifests. */
size_t manifests_own(void);

/* Does tulle.yaml say manifests.source: authority?  Not, if it cannot be read. */
bool manifests_follow(void);

/*
 * Appends the manifests that count on this host, as its relay would read
 * them: of mesh.d, or what its authority published, under names that begin
 * with GENERATION_PREFIX.  Mistakes and warnings are in <problems>.  False: mesh.d is missing.
 */
bool manifests_read(struct manifest_files *files, struct problems *problems);

#endif
