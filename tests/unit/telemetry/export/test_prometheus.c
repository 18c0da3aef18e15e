/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/prometheus.h"

#include <math.h>
#include <string.h>

#include "unit.h"

static struct metric_set set;
static struct buf out;

static void
start(void)
{
	static const double bounds[] = { 0.5, 1 };
	static const uint64_t buckets[] = { 1, 0, 2 };
	struct metric_family *f;
	struct metric_point *p;

	out = buf_new(PROMETHEUS_MAX);
	metric_set_init(&set, 1);
	f = metric_family_add(&set, "tulle.connection.io", METRIC_COUNTER, "By", "Bytes\nof \"all\" \\ kinds.", SCOPE_RELAY,
	    1);
	metric_simple(&set, f, "tulle.source.principal", "a\"b\\c\nd", 5000000000);
	f = metric_family_add(&set, "tulle.connection.active", METRIC_LEVEL, "{connection}", "Open.", SCOPE_RELAY, 1);
	metric_simple(&set, f, NULL, NULL, 2);
	(void)metric_family_add(&set, "tulle.empty", METRIC_GAUGE, "1", "Never shown.", SCOPE_SELF, 0);
	f = metric_family_add(&set, "tulle.connection.duration", METRIC_HISTOGRAM, "s", "Long.", SCOPE_RELAY, 1);
	f->bounds = bounds;
	f->n_bounds = 2;
	p = metric_point_add(&set, f);
	metric_label(p, "direction", "inbound");
	p->buckets = buckets;
	p->count = 3;
	p->value = 4.25;
}

static const char *
written(bool openmetrics)
{
	static const struct otlp_attribute resource[] = { { "service.name", "web" }, { "host.name", "h" } };

	ck_assert_int_eq(prometheus_write(&out, &set, resource, 2, openmetrics), TULLE_OK);
	ck_assert_int_eq(buf_append(&out, "", 1), TULLE_OK);
	return (const char *)buf_head(&out);
}

static void
stop(void)
{
	buf_free(&out);
	metric_set_free(&set);
}

START_TEST(text_of_version_0_0_4)
{
	start();
	ck_assert_str_eq(written(false),
	    "# HELP target_info Target metadata\n"
	    "# TYPE target_info gauge\n"
	    "target_info{service_name=\"web\",host_name=\"h\"} 1\n"
	    "# HELP tulle_connection_io_bytes_total Bytes\\nof \"all\" \\\\ kinds.\n"
	    "# TYPE tulle_connection_io_bytes_total counter\n"
	    "tulle_connection_io_bytes_total{tulle_source_principal=\"a\\\"b\\\\c\\nd\"} 5000000000\n"
	    "# HELP tulle_connection_active Open.\n"
	    "# TYPE tulle_connection_active gauge\n"
	    "tulle_connection_active 2\n"
	    "# HELP tulle_connection_duration_seconds Long.\n"
	    "# TYPE tulle_connection_duration_seconds histogram\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"0.5\"} 1\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"1\"} 1\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"+Inf\"} 3\n"
	    "tulle_connection_duration_seconds_sum{direction=\"inbound\"} 4.25\n"
	    "tulle_connection_duration_seconds_count{direction=\"inbound\"} 3\n");
	stop();
}
END_TEST

START_TEST(openmetrics)
{
	start();
	ck_assert_str_eq(written(true),
	    "# HELP target Target metadata\n"
	    "# TYPE target info\n"
	    "target_info{service_name=\"web\",host_name=\"h\"} 1\n"
	    "# HELP tulle_connection_io_bytes Bytes\\nof \\\"all\\\" \\\\ kinds.\n"
	    "# TYPE tulle_connection_io_bytes counter\n"
	    "# UNIT tulle_connection_io_bytes bytes\n"
	    "tulle_connection_io_bytes_total{tulle_source_principal=\"a\\\"b\\\\c\\nd\"} 5000000000\n"
	    "# HELP tulle_connection_active Open.\n"
	    "# TYPE tulle_connection_active gauge\n"
	    "tulle_connection_active 2\n"
	    "# HELP tulle_connection_duration_seconds Long.\n"
	    "# TYPE tulle_connection_duration_seconds histogram\n"
	    "# UNIT tulle_connection_duration_seconds seconds\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"0.5\"} 1\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"1.0\"} 1\n"
	    "tulle_connection_duration_seconds_bucket{direction=\"inbound\",le=\"+Inf\"} 3\n"
	    "tulle_connection_duration_seconds_sum{direction=\"inbound\"} 4.25\n"
	    "tulle_connection_duration_seconds_count{direction=\"inbound\"} 3\n"
	    "# EOF\n");
	stop();
}
END_TEST

START_TEST(odd_numbers_have_their_spelling)
{
	struct metric_family *f;
	const char *text;

	out = buf_new(PROMETHEUS_MAX);
	metric_set_init(&set, 1);
	f = metric_family_add(&set, "x", METRIC_GAUGE, "1", "X.", SCOPE_SELF, 0);
	metric_simple(&set, f, "n", "nan", (double)NAN);
	metric_simple(&set, f, "n", "inf", -(double)INFINITY);
	metric_simple(&set, f, "n", "half", 0.5);
	metric_simple(&set, f, "n", "big", 9007199254740991.0);
	text = written(false);
	ck_assert_ptr_nonnull(strstr(text, "x{n=\"nan\"} NaN\n"));
	ck_assert_ptr_nonnull(strstr(text, "x{n=\"inf\"} -Inf\n"));
	ck_assert_ptr_nonnull(strstr(text, "x{n=\"half\"} 0.5\n"));
	ck_assert_ptr_nonnull(strstr(text, "x{n=\"big\"} 9007199254740991\n"));
	stop();
}
END_TEST

START_TEST(who_names_openmetrics_gets_it)
{
	static const char prometheus[] = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";

	ck_assert(prometheus_wants_openmetrics(prometheus, sizeof(prometheus) - 1));
	ck_assert(!prometheus_wants_openmetrics("*/*", 3));
	ck_assert(!prometheus_wants_openmetrics("", 0));
}
END_TEST

UNIT_MAIN("prometheus", text_of_version_0_0_4, openmetrics, odd_numbers_have_their_spelling,
    who_names_openmetrics_gets_it)
