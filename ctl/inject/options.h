/* SPDX-License-Identifier: GPL-3.0-or-later */
/* options.h - what the operator chooses, for all pods of a manifest. */
#ifndef TULLE_CTL_INJECT_OPTIONS_H
#define TULLE_CTL_INJECT_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"

struct inject_options {
	bool classic;                /* an ordinary container, for Kubernetes before 1.29 and for podman */
	bool socket;                 /* identity from a socket of the node instead of the pod's token */
	bool no_status;              /* no annotation tulle.mesh/status: podman takes none that is longer than 63 bytes */
	const char *image;
	const char *pull_policy;     /* or NULL: the cluster's default */
	const char *config_map;      /* holds tulle.yaml */
	const char *mesh_config_map; /* holds the manifests, if it exists */
	const char *socket_volume;   /* a folder of the node, or the name of a CSI driver */
	const char *cpu, *memory;    /* "REQUEST", "REQUEST:LIMIT" */
	const char *drain, *grace;   /* durations, or NULL */
	const char *version;         /* goes into the status */
};

/* What holds where nothing is said. */
extern const struct inject_options inject_defaults;

/*
 * Are they sound?  TULLE_EINVAL: <why> says which is not, and what would be
 * right.
 */
#define INJECT_WHY 256
enum tulle_err inject_options_check(const struct inject_options *o, char why[INJECT_WHY]);

#endif
