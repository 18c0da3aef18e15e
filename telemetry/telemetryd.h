/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telemetryd.h - the daemon as one structure, and what its files do to it.
 */
#ifndef TULLE_TELEMETRY_TELEMETRYD_H
#define TULLE_TELEMETRY_TELEMETRYD_H

#include <jansson.h>
#include <stdbool.h>

#include "collect/metrics.h"
#include "collect/processes.h"
#include "collect/record.h"
#include "collect/source.h"
#include "export/pipeline.h"
#include "http/server.h"
#include "io/ctlsock.h"
#include "io/loop.h"
#include "settings.h"

#define TELEMETRYD_NAME "tulle-telemetryd"

struct telemetryd {
	struct loop *loop;          /* owned, as is all the rest */
	struct settings *settings;
	struct pipeline *pipeline;
	struct source *source;
	struct processes *processes;
	struct http_server *scrape; /* NULL: "off" */
	struct ctl_server *control;
	char instance[40];  /* service.instance.id, in the form of a UUID */
	char relay_path[128];
	uint64_t start_ns;  /* wall clock */
	struct record_caps caps;
	size_t series;      /* at the last look */
	struct timer metrics_timer, stop_timer, watchdog_timer;
	uint64_t stop_at_ms; /* loop time; 0: not stopping */
};

/*
 * Starts with <settings> (taken over, also on failure), listening for
 * commands on <control_fd> (taken over).  What fails is logged.
 */
enum tulle_err telemetryd_start(struct telemetryd *t, struct settings *settings, int control_fd);

/* Runs until SIGTERM or SIGINT and what is left is sent, 5 s at most.  TULLE_ESYS. */
enum tulle_err telemetryd_run(struct telemetryd *t);

/* Whatever of it there is. */
void telemetryd_free(struct telemetryd *t);

/* serve.c: /metrics, /healthz, /readyz.  A server at <at>, or NULL if it is off.  TULLE_EBUSY, TULLE_ESYS, ... */
enum tulle_err scrape_open(struct http_server **ret, struct telemetryd *t, const struct listen_at *at);

/* self.c: everything that is known, as a set that the caller frees. */
void telemetryd_gather(struct telemetryd *t, struct metric_set *ret);

/* status.c: for "tulle status".  NULL when out of memory. */
json_t *telemetryd_status(struct telemetryd *t);

#endif
