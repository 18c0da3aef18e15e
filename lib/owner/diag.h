/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * diag.h - whose TCP connection is it?  The kernel is asked for one socket of
 * this network namespace by its exact addresses (sock_diag(7)); no right is
 * needed for that, not even for sockets of others.
 *
 * User and cgroup are those with which the socket was made: a program that
 * changes its user afterwards, or hands the socket to another, changes
 * nothing.
 */
#ifndef TULLE_OWNER_DIAG_H
#define TULLE_OWNER_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct diag;

struct diag_owner {
	bool uid_known;  /* false: no program holds the socket any more, and the kernel has forgotten whose it was */
	uint32_t uid;    /* as this process's user namespace numbers them */
	uint64_t cgroup; /* inode number of its folder in the unified hierarchy; 0: not known */
};

/* A netlink socket, for one thread.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err diag_open(struct diag **ret);

/* Takes NULL.  Always returns NULL. */
struct diag *diag_close(struct diag *d);

/*
 * Who has the connection from <local> to <remote>, both as the program sees
 * them: of a redirected one that is where it meant to go.  Never waits: the
 * kernel answers before its question has been sent.
 *
 *   TULLE_ENOENT  there is no such connection: never was, or it has ended
 *   TULLE_EINVAL  not two addresses of one family
 *   TULLE_ESYS, TULLE_EPEER (an answer that is none)
 */
enum tulle_err diag_find(struct diag *d, const struct addr *local, const struct addr *remote, struct diag_owner *ret);

#endif
