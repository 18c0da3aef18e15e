/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attach.h - how telemetryd gets at the segment: it connects to
 * paths_run("telemetry.sock"), where relayd's parent listens, and gets one
 * message with three descriptors:
 *
 *   16 bytes: magic, layout version, vocabulary digest
 *   descriptors: segment, doorbell, pidfd of the sender (may be missing)
 *
 * The connection then stays open and silent.  Its end tells the parent that
 * nobody drains (events_set_consumer()), and telemetryd that no more events
 * will come: it drains to the end and connects again.
 */
#ifndef TULLE_EVENTS_ATTACH_H
#define TULLE_EVENTS_ATTACH_H

#include <stdint.h>

#include "base/err.h"

#define EVENTS_SOCKET "telemetry.sock" /* below paths_run() */

/*
 * Sends the message over a connected Unix stream socket.  All descriptors
 * stay the caller's; <pidfd> -1: none.  TULLE_ESYS: hang up on the client.
 */
enum tulle_err events_offer(int sock, int segment, int doorbell, int pidfd);

struct events_offer {
	int segment, doorbell; /* the receiver's */
	int pidfd;             /* the receiver's, or -1 */
};

/*
 * Receives it.
 *   TULLE_AGAIN   not there yet
 *   TULLE_EOF     hung up
 *   TULLE_EPEER   something else was sent
 *   TULLE_EINVAL  the relay has another layout or vocabulary: not of this version
 *   TULLE_ESYS
 */
enum tulle_err events_take_offer(int sock, struct events_offer *ret);

#endif
