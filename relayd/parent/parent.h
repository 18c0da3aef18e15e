/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parent.h - the parent process of the relay: keeps the listening sockets,
 * reads files, dials the identity socket, owns telemetry's memory, and
 * starts the relay process again when it dies.
 *
 * It runs as the relay's user from before the first TCP socket is opened (a
 * socket made by root would be captured by our own rules), and parses
 * nothing that a stranger sent.
 */
#ifndef TULLE_RELAYD_PARENT_H
#define TULLE_RELAYD_PARENT_H

#include <sys/types.h>

#include "manifest/host.h"
#include "parent/sockets.h"

struct parent_start {
	const struct host_config *config;
	struct sockets sockets;
	int control;         /* listening: the control socket */
	int telemetry;       /* listening: where telemetryd attaches */
	uid_t telemetry_uid; /* who may */
	bool hands_over;     /* SIGTERM ends the parent at once: the relay process drains alone, the next relay has the sockets */
};

/* Runs until SIGTERM and the end of the drain; the result is the exit status. */
int parent_main(const struct parent_start *start);

#endif
