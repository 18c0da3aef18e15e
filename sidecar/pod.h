/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pod.h - the sidecar at work: the loop that brings supervision, processes, port and signals together. */
#ifndef TULLE_SIDECAR_POD_H
#define TULLE_SIDECAR_POD_H

#include "manifest/host.h"
#include "probes.h"
#include "settings.h"

struct pod_start {
	const struct settings *settings;
	const struct probes *probes;
	const struct host_config *config;
	const char *programs; /* the daemons' folder */
};

/* Runs until all daemons have ended; the result is the exit status. */
int pod_main(const struct pod_start *start);

/* Waits at most <seconds> until the sidecar of this pod is ready; the result is the exit status. */
int pod_wait(unsigned int seconds);

#endif
