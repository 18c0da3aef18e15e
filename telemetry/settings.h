/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * settings.h - what telemetryd is to do: tulle.yaml, and below it the
 * standard variables of OpenTelemetry's environment as defaults.
 *
 *   OTEL_EXPORTER_OTLP_ENDPOINT     the destination if the file names none
 *   OTEL_EXPORTER_OTLP_HEADERS      "key=value,key=value", percent-coded: authorization
 *   OTEL_EXPORTER_OTLP_COMPRESSION  "none" switches zstd off
 *   OTEL_EXPORTER_OTLP_CERTIFICATE  PEM file with the roots for https
 *   OTEL_EXPORTER_OTLP_TIMEOUT      of one request, milliseconds
 *   OTEL_METRIC_EXPORT_INTERVAL     milliseconds between two exports of metrics
 *   OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
 */
#ifndef TULLE_TELEMETRY_SETTINGS_H
#define TULLE_TELEMETRY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "collect/record.h"
#include "export/otlp.h"
#include "export/sender.h"
#include "manifest/host.h"

#define SETTINGS_HEADERS 8
#define SETTINGS_RESOURCE 32

struct settings {
	const char *const *destinations; /* URLs */
	size_t n_destinations;
	const char *headers[2 * SETTINGS_HEADERS + 1]; /* for sender_options */
	struct sender_options sender;                   /* its headers are the above */
	uint64_t metrics_ms;
	struct otlp_attribute resource[SETTINGS_RESOURCE];
	size_t n_resource;
	enum access_level access;
	bool tracing;
	struct listen_at scrape;
	const char *user; /* whom to run as */
	int log_level;
	struct host_config *host; /* owned */
	struct arena arena;       /* owns the texts that are not the file's */
};

/*
 * Reads paths_etc("tulle.yaml") and the environment.  <instance> names this
 * run ("service.instance.id").
 *
 *   TULLE_OK      *ret is the caller's, to release with settings_free()
 *   TULLE_EINVAL  every error is in <problems>; *ret is untouched
 *   TULLE_ENOMEM
 */
enum tulle_err settings_read(struct settings **ret, const char *instance, struct problems *problems);

/* Takes NULL, returns NULL. */
struct settings *settings_free(struct settings *s);

/*
 * Splits "key=value,key=value" (percent-coded values, W3C Baggage) into at
 * most <max> pairs whose texts lie in <a>.  Returns how many; rubbish is
 * left out.  Pure.
 */
size_t settings_pairs(struct arena *a, const char *text, struct otlp_attribute *ret, size_t max);

#endif
