/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * doctor.h - the checks of tulle doctor.  Each looks at one thing and adds
 * to the report what it found; none changes anything.
 */
#ifndef TULLE_CTL_DOCTOR_DOCTOR_H
#define TULLE_CTL_DOCTOR_DOCTOR_H

#include <stdbool.h>

#include "look/listeners.h"
#include "look/look.h"
#include "manifest/host.h"
#include "manifest/snapshot.h"

#define DOCTOR_ADDRESSES 3000 /* as the relay has it */

/* What all checks look at; gathered once. */
struct doctor {
	struct report report;
	struct answers answers;
	struct listeners listeners;
	struct host_config *host;      /* NULL: tulle.yaml has mistakes */
	const struct snapshot *mine;   /* the manifests as this host sees them; NULL: they have mistakes */
	const struct snapshot *all;    /* the same with every workload taken for ours: whose policies are they */
	struct addr *local;            /* this host's addresses; owned */
	size_t n_local;
	uint32_t relay_uid;            /* 0: not known */
	bool root;
	const char *destination;       /* what was named on the command line; NULL: nothing */
};

void check_disk(struct doctor *d);        /* room below /var/lib/tulle */
void check_files(struct doctor *d);       /* tulle.yaml, identities.yaml, mesh.d: also reads them for the others */
void check_secrets(struct doctor *d);     /* who may read what is secret */
void check_daemons(struct doctor *d);     /* do they run, are they of this version, what do they say */
void check_authority(struct doctor *d);   /* the way to the authority, and the clocks */
void check_kernel(struct doctor *d);      /* what the steering rules need, tried in a network namespace of its own */
void check_steering(struct doctor *d);    /* rules in place, and nobody before them */
void check_ports(struct doctor *d);       /* ours are ours */
void check_applications(struct doctor *d); /* the workloads of this host listen */
void check_peers(struct doctor *d);       /* the relays of other hosts can be reached */
void check_telemetry(struct doctor *d);   /* collectors answer, little is dropped */
void check_destination(struct doctor *d); /* the one that was named */
void check_failures(struct doctor *d);    /* what failed lately, and why */

/* Where the identity that this host speaks with stands, NULL: it has none.  Lent. */
const char *doctor_identity(const struct doctor *d);

#endif
