/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * intern.h - what the parts of a tunnel share: session.c (its life), in.c
 * (what comes) and out.c (what goes).
 */
#ifndef TULLE_RELAYD_HBONE_INTERN_H
#define TULLE_RELAYD_HBONE_INTERN_H

#include "hbone/session.h"

#define RESETS_BURST 10000 /* a bucket per tunnel: resets of one aborting client cost its neighbours nothing */
#define RESETS_PER_SEC 1000

/* Say to nghttp2 who is to be called. */
void hbone_in_callbacks(nghttp2_session_callbacks *cb);
void hbone_out_callbacks(nghttp2_session_callbacks *cb);

/* The end, as h->error says; not while h->inside. */
void hbone_finish(struct hbone *h);

#endif
