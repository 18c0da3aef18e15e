/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * added.h - what a pod of the mesh has and others have not: the containers
 * and volumes, as JSON.  tulle-sidecar(8) and tulle-nfrules(8) are the
 * other side of it.
 */
#ifndef TULLE_CTL_INJECT_ADDED_H
#define TULLE_CTL_INJECT_ADDED_H

#include <jansson.h>
#include <stdbool.h>

#include "inject/options.h"

#define ADDED_SIDECAR "tulle"
#define ADDED_INIT "tulle-init"
#define ADDED_UID 1337

/* Names of the volumes, and where the sidecar has them; NULL at the end. */
struct added_mount {
	const char *volume, *path;
};
extern const struct added_mount added_mounts[];

/* What the pod itself says, beside the options. */
struct added_pod {
	const char *exclude_inbound, *exclude_outbound; /* "22,8080", or NULL */
	const char *drain, *grace;                      /* durations, or NULL */
	const char *service, *namespace;                /* for telemetry: the workload's name, and where; NULL: not known */
	bool ends;                                      /* a job */
	const json_t *probes;                           /* probes.table; lent */
};

/* Each is the caller's to json_decref(); NULL: out of memory. */
json_t *added_init(const struct inject_options *o, const struct added_pod *p);
json_t *added_sidecar(const struct inject_options *o, const struct added_pod *p);
json_t *added_volumes(const struct inject_options *o);

#endif
