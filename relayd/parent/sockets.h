/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sockets.h - the listening sockets of the relay, opened once by the parent
 * and kept while relay processes come and go.
 */
#ifndef TULLE_RELAYD_SOCKETS_H
#define TULLE_RELAYD_SOCKETS_H

#include "manifest/host.h"
#include "relay/worker.h"

struct sockets {
	struct worker_sockets *workers; /* one per worker; owned */
	unsigned int n;
	int health;
};

/* Opens all of them, or takes them over from the relay before (inherited.h); what could not be opened is logged.  TULLE_EBUSY (a port is taken), TULLE_ESYS, TULLE_ENOMEM. */
enum tulle_err sockets_open(struct sockets *ret, const struct host_config *config);

void sockets_close(struct sockets *s);

#endif
