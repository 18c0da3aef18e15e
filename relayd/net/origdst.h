/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * origdst.h - where a captured connection was going (netfilter REDIRECT).
 */
#ifndef TULLE_RELAYD_ORIGDST_H
#define TULLE_RELAYD_ORIGDST_H

#include "base/addr.h"
#include "base/err.h"

/*
 * Asks the kernel (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST) by the family of
 * the peer, not of the socket: an IPv4 connection on an IPv6 listener is
 * known at the IPv4 level only.
 *
 *   TULLE_OK      *ret is where the client meant to go
 *   TULLE_ENOENT  the connection was made to us and not redirected: refuse
 *                 it, or the relay would talk to itself
 */
enum tulle_err origdst_get(int fd, struct addr *ret);

#endif
