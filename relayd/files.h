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
#include "wire.h"

struct files {
	struct addr local[WIRE_LOCAL_MAX]; /* this host's addresses, loopback left out */
	size_t n_local;
};

/*
 * Reads tulle.yaml and mesh.d into one sealed memory file (bundle.h), which
 * is the caller's, and the addresses into <f>.  On failure *ret_error is the
 * text of what could not be read, the caller's to free(); may be NULL.
 * TULLE_EINVAL (a file), TULLE_ENOMEM, TULLE_ESYS.
 */
enum tulle_err files_read(struct files *f, int *ret_fd, char **ret_error);

/* Looks at the addresses again; true if they are others now. */
bool files_addresses_changed(struct files *f);

/*
 * Connects to the Workload API: SPIFFE_ENDPOINT_SOCKET (unix:///path) if it
 * is set, else paths_run("identity/workload.sock").  As sock_connect_unix();
 * TULLE_EINVAL: the variable names no Unix socket.
 */
enum tulle_err files_dial_identity(int *ret_fd);

#endif
