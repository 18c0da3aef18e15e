/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sockets.h - TCP sockets of this network namespace, as /proc/net/tcp and tcp6 list them. */
#ifndef TULLE_NFRULES_LIVE_SOCKETS_H
#define TULLE_NFRULES_LIVE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sockets_count {
	size_t listening;
	size_t connected; /* neither listening nor waiting for the last of an ended one */
};

/*
 * How many sockets have the local port <port>.  On a port that connections
 * are redirected to, the connected ones are the live redirected
 * connections.  TULLE_ESYS: the lists cannot be read.
 */
enum tulle_err sockets_count(struct sockets_count *ret, uint16_t port);

/* Pure: one line of the list.  False if it is none (the heading), or of another port. */
bool sockets_line(const char *line, uint16_t port, struct sockets_count *count);

/* Asks the relay's health port on this host, for at most a second: does it say that it is ready? */
bool sockets_relay_ready(uint16_t health_port);

/* Has an interface other than lo an IPv6 address?  The first one's name is in <name>. */
bool sockets_ipv6_in_use(char name[32]);

#endif
