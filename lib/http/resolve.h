/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resolve.h - from a host name to addresses, without making the loop wait.
 *
 * Addresses in digits are answered without a lookup.  A name is looked up
 * by the C library (hosts file, resolver of the system) in a helper thread
 * that lives as long as the lookup does.  For our own few connections, not
 * for the data path.
 */
#ifndef TULLE_HTTP_RESOLVE_H
#define TULLE_HTTP_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "io/loop.h"

#define RESOLVE_ADDRS 8   /* at most so many addresses of one name */
#define RESOLVE_THREADS 8 /* at most so many lookups at a time in a process */

struct resolve;

/*
 * Asks for <host> (copied); each address gets <port>.  <done> comes once,
 * from the loop, never from within this call: TULLE_OK with 1 to
 * RESOLVE_ADDRS addresses (lent for the call), or TULLE_ENOENT.  The handle
 * is freed by the caller, in <done> or whenever it no longer wants to know.
 *
 *   TULLE_EBUSY  too many lookups are under way
 *   TULLE_ENOMEM, TULLE_ESYS
 */
enum tulle_err resolve_start(struct resolve **ret, struct loop *l, const char *host, uint16_t port,
    void (*done)(void *arg, enum tulle_err e, const struct addr *addrs, size_t n), void *arg);

/* Gives up if it is still under way.  Takes NULL.  Always returns NULL. */
struct resolve *resolve_free(struct resolve *r);

#endif
