/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verdict.h - what outcomes mean, in words.  Pure. */
#ifndef TULLE_CTL_DOCTOR_VERDICT_H
#define TULLE_CTL_DOCTOR_VERDICT_H

#include "look/listeners.h"
#include "doctor/probe.h"
#include "look/report.h"

#define VERDICT_TEXT 600

struct verdict {
	enum health health;
	char text[VERDICT_TEXT];
};

/*
 * The relay of another host: <relay> is what became of a connection to its
 * HBONE port, <app> of one to an application's port of the same address
 * (FAILED: not tried).  <local> are our own addresses.
 */
void verdict_peer(struct verdict *ret, const char *who, const struct probe *relay, const struct probe *app,
    const struct addr *local, size_t n_local);

/* An endpoint outside the mesh, reached in plain bytes. */
void verdict_plain(struct verdict *ret, const char *who, const struct probe *p);

/* This member's authority, as verdict_peer(). */
void verdict_authority(struct verdict *ret, const struct probe *p, const struct addr *local, size_t n_local);

/*
 * An application of this host, that should take connections to <p>->to.
 * <who> names what sends them there: "service shop/web, port 80".
 */
void verdict_application(struct verdict *ret, const char *who, const struct probe *p, const struct listeners *l);

#endif
