/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * handshake.h - how the handshake of a tunnel ended, in counters and words.
 */
#ifndef TULLE_RELAYD_HANDSHAKE_H
#define TULLE_RELAYD_HANDSHAKE_H

#include "events/write.h"
#include "flow/flow.h"
#include "hbone/session.h"

/* The counter for a handshake that failed with <e>; <first> is the "ok" of its direction. */
enum counter_id handshake_counter(enum counter_id first, const struct hbone *h, enum tulle_err e);

/* One line, unless there were many lately (flow_may_log()). */
void handshake_log(struct flows *fs, const struct hbone *h, enum tulle_err e, const char *message);

#endif
