/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * files.h - what the parent reads for the relay process, which has no file
 * system: configuration files, this host's addresses, the identity socket.
 */
#ifndef TULLE_RELAYD_FILES_H
#define TULLE_RELAYD_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "parent/follow.h"
#include "wire.h"

struct files {
	struct addr local[WIRE_LOCAL_MAX]; /* this host's addresses, loopback left out */
	size_t n_local;
	bool known;        /* they have been read at least once */
	char trouble[160]; /* why the last look at them failed; "": it did not */
	struct follow follow; /* manifests of the authority */
};

/* Where the manifests of a bundle came from. */
struct files_origin {
	bool authority;
	uint64_t number; /* of the authority's generation; 0: mesh.d of this host, or none has come yet */
};

/*
 * Reads tulle.yaml, identities.yaml and mesh.d, or in its place what the
 * authority published (follow.h), into one sealed memory file (bundle.h), which
 * is the caller's, and the addresses into <f>.  *ret_text, the caller's to
 * free(), is what could not be read, or on success the warnings; may be NULL.
 * Where mesh.d is missing there are no manifests, or that is an error if
 * <must>: a folder that vanished must not drop every policy.
 * TULLE_EINVAL (a file, or the addresses were never read), TULLE_ENOMEM,
 * TULLE_ESYS.
 */
enum tulle_err files_read(struct files *f, bool must, int *ret_fd, struct files_origin *ret_from, char **ret_text);

/*
 * Looks at the addresses again; *ret_changed: they are others now.  What peers
 * may reach depends on what is ours, so a list that cannot be read whole is
 * none: on failure the old one stays, <f>->trouble says why, and the first
 * of several failures in a row is logged.
 * TULLE_ESYS, TULLE_ELIMIT (more than WIRE_LOCAL_MAX), TULLE_ENOMEM.
 */
enum tulle_err files_addresses(struct files *f, bool *ret_changed);

/*
 * Connects to the Workload API: at <socket>, a path, or if that is NULL at
 * SPIFFE_ENDPOINT_SOCKET (unix:///path), or if that is not set either at
 * paths_run("identity/workload.sock").  As sock_connect_unix();
 * TULLE_EINVAL: the variable names no Unix socket.
 */
enum tulle_err files_dial_identity(const char *socket, int *ret_fd);

#endif
