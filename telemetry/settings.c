/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"

#define TEXTS_MAX (1u << 20)
#define METRICS_MS 15000
#define TIMEOUT_MS 10000

/* "" counts as not set, as the specification of the variables says. */
static const char *
environment(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

/* A bad number is said and passed over: a variable must not keep a daemon from starting. */
static uint64_t
environment_ms(const char *name, uint64_t otherwise)
{
	const char *v = environment(name);
	uint64_t n;

	if (v == NULL)
		return otherwise;
	if (text_uint(v, 86400000, &n) != TULLE_OK || n == 0) {
		log_warn("variable ignored: not a number of milliseconds", LF_STR("variable", name), LF_STR("value", v));
		return otherwise;
	}
	return n;
}

/* <n> characters without white space around them and without percent codes; NULL: out of memory or a bad code. */
static char *
decoded(struct arena *a, const char *p, size_t n)
{
	char *out;
	size_t len = 0;

	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	out = arena_text(a, p, n);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++, len++) {
		char digits[3] = { 0 };

		out[len] = p[i];
		if (p[i] != '%')
			continue;
		if (n - i < 3)
			return NULL;
		memcpy(digits, p + i + 1, 2);
		if (text_unhex(digits, &out[len], 1) != TULLE_OK || out[len] == '\0')
			return NULL;
		i += 2;
	}
	out[len] = '\0';
	return text_utf8_valid(out, len) ? out : NULL;
}

size_t
settings_pairs(struct arena *a, const char *text, struct otlp_attribute *ret, size_t max)
{
	size_t n = 0;

	while (*text != '\0' && n < max) {
		size_t len = strcspn(text, ","), eq = strcspn(text, "=");

		if (eq > 0 && eq < len) {
			const char *key = decoded(a, text, eq), *value = decoded(a, text + eq + 1, len - eq - 1);

			if (key != NULL && value != NULL && key[0] != '\0')
				ret[n++] = (struct otlp_attribute){ key, value };
		}
		text += len;
		text += *text == ',';
	}
	return n;
}

/* ---- destinations ---------------------------------------------------------- */

static enum tulle_err
destinations_read(struct settings *s)
{
	const char *fallback = environment("OTEL_EXPORTER_OTLP_ENDPOINT");
	size_t n = s->host->telemetry.destinations.n;
	const char **list = arena_array(&s->arena, n + 1, sizeof(*list));

	if (list == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = s->host->telemetry.destinations.items[i].otlp;
	if (n == 0 && fallback != NULL) {
		list[0] = arena_text(&s->arena, fallback, strlen(fallback));
		if (list[0] == NULL)
			return TULLE_ENOMEM;
		n = 1;
	}
	s->destinations = list;
	s->n_destinations = n;
	return TULLE_OK;
}

static void
sender_read(struct settings *s)
{
	struct otlp_attribute pairs[SETTINGS_HEADERS];
	const char *headers = environment("OTEL_EXPORTER_OTLP_HEADERS");
	const char *compression = environment("OTEL_EXPORTER_OTLP_COMPRESSION");
	size_t n = headers != NULL ? settings_pairs(&s->arena, headers, pairs, SETTINGS_HEADERS) : 0;

	for (size_t i = 0; i < n; i++) {
		s->headers[2 * i] = pairs[i].key;
		s->headers[2 * i + 1] = pairs[i].value;
	}
	s->sender = (struct sender_options){
		.compress = compression == NULL || strcmp(compression, "none") != 0,
		.timeout_ms = environment_ms("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS),
		.headers = s->headers,
		.ca_file = environment("OTEL_EXPORTER_OTLP_CERTIFICATE"),
	};
	s->metrics_ms = environment_ms("OTEL_METRIC_EXPORT_INTERVAL", METRICS_MS);
}

/* ---- the resource ---------------------------------------------------------- */

/* Adds an attribute, or replaces the one of that key.  NULL or "" is nothing; <value> is lent. */
static void
resource_put(struct settings *s, const char *key, const char *value)
{
	size_t i = 0;

	if (value == NULL || value[0] == '\0')
		return;
	while (i < s->n_resource && strcmp(s->resource[i].key, key) != 0)
		i++;
	if (i == SETTINGS_RESOURCE)
		return;
	s->resource[i] = (struct otlp_attribute){ key, value };
	if (i == s->n_resource)
		s->n_resource++;
}

/* The relay speaks for the host's workload, so it bears its name. */
static void
resource_read(struct settings *s, const char *instance)
{
	const char *more = environment("OTEL_RESOURCE_ATTRIBUTES");
	struct otlp_attribute pairs[SETTINGS_RESOURCE];
	char host[256] = "";
	size_t n;

	if (gethostname(host, sizeof(host) - 1) == -1)
		host[0] = '\0';
	resource_put(s, "service.name", s->host->identity.default_account != NULL ? s->host->identity.default_account :
										     "tulle");
	if (s->host->identity.default_account != NULL)
		resource_put(s, "service.namespace", s->host->identity.default_namespace);
	resource_put(s, "service.instance.id", instance);
	resource_put(s, "host.name", arena_text(&s->arena, host, strlen(host)));
	resource_put(s, "os.type", "linux");
	resource_put(s, "tulle.trust_domain", s->host->trust_domain);
	resource_put(s, "telemetry.sdk.name", "tulle");
	resource_put(s, "telemetry.sdk.language", "c");
	resource_put(s, "telemetry.sdk.version", TULLE_VERSION);
	n = more != NULL ? settings_pairs(&s->arena, more, pairs, SETTINGS_RESOURCE) : 0;
	for (size_t i = 0; i < n; i++)
		resource_put(s, pairs[i].key, pairs[i].value);
	resource_put(s, "service.name", environment("OTEL_SERVICE_NAME"));
}

enum tulle_err
settings_read(struct settings **ret, const char *instance, struct problems *problems)
{
	static const enum access_level levels[] = { [ACCESS_OFF] = LEVEL_OFF, [ACCESS_ERRORS] = LEVEL_ERRORS,
		[ACCESS_ALL] = LEVEL_ALL };
	struct settings *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->arena = arena_new(TEXTS_MAX);
	e = host_config_read(&s->host, paths_etc("tulle.yaml"), problems);
	if (e == TULLE_OK)
		e = destinations_read(s);
	if (e) {
		settings_free(s);
		return e;
	}
	sender_read(s);
	resource_read(s, instance);
	s->access = levels[s->host->telemetry.access];
	if (s->access == LEVEL_ALL && s->host->log_level == LOG_LVL_DEBUG)
		s->access = LEVEL_DEBUG;
	s->tracing = s->host->telemetry.traces_ppm > 0;
	s->scrape = s->host->telemetry.metrics;
	s->user = s->host->users.telemetryd;
	s->log_level = s->host->log_level;
	*ret = s;
	return TULLE_OK;
}

struct settings *
settings_free(struct settings *s)
{
	if (s == NULL)
		return NULL;
	host_config_free(s->host);
	arena_free(&s->arena);
	free(s);
	return NULL;
}
