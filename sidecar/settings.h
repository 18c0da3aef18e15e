/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * settings.h - what the pod's manifest tells the sidecar: its environment.
 *
 * A value that is wrong is an error with the variable's name and what would
 * be right: a sidecar that guesses would be found out at the first stop.
 */
#ifndef TULLE_SIDECAR_SETTINGS_H
#define TULLE_SIDECAR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SETTINGS_WHY 200

struct settings {
	bool native;       /* TULLE_NATIVE=1: kubelet ends this container after the application's */
	bool end_with_app; /* TULLE_END_WITH_APP=1: ends when the application has ended */
	uint64_t drain_ms; /* TULLE_DRAIN: how long an application that was told to stop is still served, 0 to an hour */
	uint64_t grace_ms; /* TULLE_TERMINATION_GRACE: how long a stop may take in all, 5 s to an hour */
	const char *probes; /* TULLE_PROBES, or NULL: none; lent by the environment */
};

/* Where a variable's value comes from: getenv(), or a test's. */
typedef const char *settings_source(void *arg, const char *name);

/*
 * Reads them all; what is not there has its default (5 s and 30 s).
 * TULLE_EINVAL: <why> says which is wrong and what would be right.
 */
enum tulle_err settings_read(struct settings *ret, settings_source *get, void *arg, char why[SETTINGS_WHY]);

#endif
