/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loader.h - from the files that the parent hands over to the snapshot in
 * force, in the relay process.
 *
 * What only a start of tulle-relayd can change (its sockets, its threads,
 * whom it runs as ...) keeps the value it had then, and whoever reloads is
 * told so for each field.
 */
#ifndef TULLE_RELAYD_LOADER_H
#define TULLE_RELAYD_LOADER_H

#include "bundle.h"
#include "manifest/host.h"
#include "manifest/snapshot.h"
#include "tls/spiffe.h"
#include "wire.h"

struct loader {
	const struct host_config *at_start;   /* lent for the life of the loader */
	const struct snapshot *snapshot;      /* in force, a reference; NULL: none yet */
	struct bundle files;                  /* what it was made of, to make it again when our trust domain becomes known */
	struct wire_config *where;            /* and this host's addresses; owned */
	char trust_domain[SPIFFE_TD_MAX + 1]; /* of our own identity; "" until it is here */
	char made_with[SPIFFE_TD_MAX + 1];    /* what <trust_domain> was when the snapshot was made */
	char account[SPIFFE_ID_MAX + 1];      /* "ns/NS/sa/SA" of our default identity, where no file names it; "" */
	char made_for[SPIFFE_ID_MAX + 1];     /* what <account> was when the snapshot was made */
	bool trust_domain_given;              /* the files name one */
};

void loader_init(struct loader *l, const struct host_config *at_start);

/*
 * Takes these files and addresses into force, all or nothing: on success
 * l->snapshot is another, and <files> (left empty) and <where> are the
 * loader's; on failure they stay the caller's and all is as before, and why
 * is in <problems>.  TULLE_EINVAL, TULLE_EPEER (no file at all), TULLE_ENOMEM.
 */
enum tulle_err loader_take(struct loader *l, struct bundle *files, struct wire_config *where, struct problems *problems);

/*
 * Where the files name no trust domain it is that of our own identity: certd
 * makes one up for a host of its own.  Where they name no default identity
 * either, but it is known all the same (<speaks>: identity.default: only),
 * this host is of its namespace: so a pod's policies apply to it.  <id> is
 * that identity; if trust domain or account are others than before, the
 * snapshot is made again: who is expected where, and which policies are
 * ours, depends on them.  *ret_changed: l->snapshot is another.  On failure
 * the old snapshot stays, why is in <problems>, and the next call tries
 * again.  TULLE_EINVAL, TULLE_ENOMEM.
 */
enum tulle_err loader_follow(struct loader *l, const char *id, size_t len, bool speaks, struct problems *problems,
    bool *ret_changed);

#endif
