/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * look.h - judgements about what the daemons answered.  Each adds to the
 * report what it sees, well or not, with what to do about it.  They ask
 * nobody; look_rules() alone opens a file, tulle.yaml.
 */
#ifndef TULLE_CTL_LOOK_LOOK_H
#define TULLE_CTL_LOOK_LOOK_H

#include "look/answers.h"
#include "look/listeners.h"
#include "look/report.h"

/* certd: state, certificates that are not renewed, this host as a member, its clock. */
void look_certd(struct report *r, const struct answers *a);

/* relayd: does it run, and which identities does it have. */
void look_relayd(struct report *r, const struct answers *a);

/* Which manifests are in force, and are they those that were written last. */
void look_manifests(struct report *r, const struct answers *a);

/* Every service with its endpoints; where one is on this host, does its application listen?  <l>: who does. */
void look_services(struct report *r, const struct answers *a, const struct listeners *l);

/* Connections and tunnels. */
void look_traffic(struct report *r, const struct answers *a);

/* What failed or was denied in the last minutes, each way; told, not judged. */
void look_failures(struct report *r, const struct answers *a);

/* The steering rules against the plan. */
void look_rules(struct report *r, const struct answers *a);

/* telemetryd: attached, and what its destinations say. */
void look_telemetry(struct report *r, const struct answers *a);

/* Is there a relay process that answers? */
int look_relay_lives(const struct answers *a);

#endif
