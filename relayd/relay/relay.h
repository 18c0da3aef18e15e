/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay.h - the relay process: parses what strangers send, builds snapshots,
 * moves bytes.  It has no capability, a short list of system calls, and gets
 * everything else from its parent.
 */
#ifndef TULLE_RELAYD_RELAY_H
#define TULLE_RELAYD_RELAY_H

#include <stdbool.h>

#include "manifest/host.h"
#include "relay/worker.h"

struct relay_start {
	const struct host_config *config;     /* lent for the life of the process */
	int channel;                          /* to the parent */
	int segment, doorbell;                /* telemetry */
	const struct worker_sockets *sockets; /* one per worker */
	int health;                           /* listening socket for health checks; -1: none */
	bool hands_over;                      /* another relay goes on with the sockets: a drain leaves them open */
};

/* Runs until drained or the parent is gone; the result is the exit status. */
int relay_main(const struct relay_start *start);

#endif
