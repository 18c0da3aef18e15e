/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "unit.h"

static char root[64];

static struct settings *
settings(const char *yaml)
{
	struct settings *s = NULL;
	struct problems problems;
	char dir[96];

	log_set_threshold(LOG_LVL_ERROR);
	(void)snprintf(root, sizeof(root), "/tmp/tulle-settings-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(paths_init(root), TULLE_OK);
	(void)snprintf(dir, sizeof(dir), "%s/etc/tulle", root);
	ck_assert_int_eq(file_mkdirs(dir, 0755), TULLE_OK);
	ck_assert_int_eq(file_replace(paths_etc("tulle.yaml"), yaml, strlen(yaml), 0644), TULLE_OK);
	problems_init(&problems);
	ck_assert_int_eq(settings_read(&s, "id", &problems), TULLE_OK);
	problems_free(&problems);
	return s;
}

static void
finish(struct settings *s)
{
	char command[96];

	settings_free(s);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static const char *
resource(const struct settings *s, const char *key)
{
	for (size_t i = 0; i < s->n_resource; i++)
		if (strcmp(s->resource[i].key, key) == 0)
			return s->resource[i].value;
	return "";
}

START_TEST(the_file_wins_over_the_environment)
{
	struct settings *s;

	(void)setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318", 1);
	s = settings("telemetry: {destinations: [{otlp: \"http://file:4318\"}]}\n");
	ck_assert_uint_eq(s->n_destinations, 1);
	ck_assert_str_eq(s->destinations[0], "http://file:4318");
	finish(s);
	s = settings("");
	ck_assert_uint_eq(s->n_destinations, 1);
	ck_assert_str_eq(s->destinations[0], "http://env:4318");
	finish(s);
	(void)setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "", 1);
	s = settings("");
	ck_assert_uint_eq(s->n_destinations, 0);
	ck_assert_int_eq(s->access, LEVEL_ERRORS);
	ck_assert(s->tracing);
	ck_assert_uint_eq(s->metrics_ms, 15000);
	ck_assert(s->sender.compress);
	finish(s);
}
END_TEST

START_TEST(the_environment_of_opentelemetry_is_understood)
{
	struct settings *s;

	(void)setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-tenant = shop ,bad,=worse,c=%zz", 1);
	(void)setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none", 1);
	(void)setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000", 1);
	(void)setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", 1); /* ignored */
	(void)setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,host.name=other", 1);
	s = settings("identity: {default: ns/shop/sa/web}\n");
	ck_assert_str_eq(s->headers[0], "authorization");
	ck_assert_str_eq(s->headers[1], "Bearer abc");
	ck_assert_str_eq(s->headers[2], "x-tenant");
	ck_assert_str_eq(s->headers[3], "shop");
	ck_assert_ptr_null(s->headers[4]);
	ck_assert(!s->sender.compress);
	ck_assert_uint_eq(s->metrics_ms, 1000);
	ck_assert_uint_eq(s->sender.timeout_ms, 10000);
	ck_assert_str_eq(resource(s, "service.name"), "web");
	ck_assert_str_eq(resource(s, "service.namespace"), "shop");
	ck_assert_str_eq(resource(s, "service.instance.id"), "id");
	ck_assert_str_eq(resource(s, "deployment.environment.name"), "test");
	ck_assert_str_eq(resource(s, "host.name"), "other");
	finish(s);
	(void)setenv("OTEL_SERVICE_NAME", "named", 1);
	s = settings("telemetry: {traces: 0%, access: off, metrics: off}\n");
	ck_assert_str_eq(resource(s, "service.name"), "named");
	ck_assert(!s->tracing);
	ck_assert_int_eq(s->access, LEVEL_OFF);
	ck_assert(!s->scrape.on);
	finish(s);
}
END_TEST

UNIT_MAIN("settings", the_file_wins_over_the_environment, the_environment_of_opentelemetry_is_understood)
