/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * probes.h - the probes of the pod's applications, as TULLE_PROBES has them:
 *
 *   {"/app-health/web/livez": {"httpGet": {"port": 8080, "path": "/live"}, "timeoutSeconds": 2}, ...}
 *
 * The values are Kubernetes' own probe fields; those that say when to probe
 * and how often belong to kubelet and are read over.  A port is a number:
 * who writes the table has looked names up.
 */
#ifndef TULLE_SIDECAR_PROBES_H
#define TULLE_SIDECAR_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PROBES_MAX 256
#define PROBES_TEXT_MAX (64u << 10) /* bytes of the table */
#define PROBE_HEADERS 32
#define PROBE_SERVICE_MAX 127 /* its length is one byte of a message */
#define PROBES_WHY 320

enum probe_kind { PROBE_HTTP, PROBE_TCP, PROBE_GRPC };

struct probe_header {
	char *name, *value; /* owned */
};

struct probe {
	char *at;   /* owned: "/app-health/web/livez" */
	enum probe_kind kind;
	uint16_t port;
	uint64_t timeout_ms; /* 1 s to 5 min */
	char *host; /* owned; NULL: the pod */
	/* HTTP: */
	bool tls;
	char *path; /* owned; with a slash in front */
	struct probe_header headers[PROBE_HEADERS];
	size_t headers_n;
	/* gRPC: */
	char *service; /* owned; "" for the whole server */
};

struct probes {
	struct probe *items; /* owned */
	size_t n;
};

/*
 * Reads <text>.  NULL or "" is the empty table.
 *   TULLE_OK      *ret is the caller's, to release with probes_free()
 *   TULLE_EINVAL  <why> names the probe, the field, and what would be right
 *   TULLE_ENOMEM
 */
enum tulle_err probes_parse(struct probes *ret, const char *text, char why[PROBES_WHY]);

/* May be called twice. */
void probes_free(struct probes *p);

#endif
