/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_pod_parts.c - what the environment says, the table of probes, and whose processes there are. */
#include <string.h>

#include "others.h"
#include "probes.h"
#include "settings.h"
#include "unit.h"

/* ---- settings ---- */

struct variable {
	const char *name, *value;
};

static const char *
look_up(void *arg, const char *name)
{
	for (const struct variable *v = arg; v->name != NULL; v++)
		if (strcmp(v->name, name) == 0)
			return v->value;
	return NULL;
}

START_TEST(without_variables_there_are_defaults)
{
	struct variable none[] = { { 0 } };
	struct settings s;
	char why[SETTINGS_WHY];

	ck_assert_int_eq(settings_read(&s, look_up, none, why), TULLE_OK);
	ck_assert(!s.native && !s.end_with_app && s.probes == NULL);
	ck_assert_uint_eq(s.drain_ms, 5000);
	ck_assert_uint_eq(s.grace_ms, 30000);
}
END_TEST

START_TEST(variables_are_read)
{
	struct variable some[] = { { "TULLE_NATIVE", "1" }, { "TULLE_DRAIN", "20s" }, { "TULLE_TERMINATION_GRACE", "1m30s" }, { 0 } };
	struct settings s;
	char why[SETTINGS_WHY];

	ck_assert_int_eq(settings_read(&s, look_up, some, why), TULLE_OK);
	ck_assert(s.native);
	ck_assert_uint_eq(s.drain_ms, 20000);
	ck_assert_uint_eq(s.grace_ms, 90000);
}
END_TEST

START_TEST(a_wrong_variable_is_named)
{
	static const struct variable wrong[] = { { "TULLE_NATIVE", "yes" }, { "TULLE_END_WITH_APP", "true" }, { "TULLE_DRAIN", "5" },
		{ "TULLE_DRAIN", "2h" }, { "TULLE_TERMINATION_GRACE", "1s" } };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct variable list[] = { wrong[i], { 0 } };
		struct settings s;
		char why[SETTINGS_WHY] = "";

		ck_assert_int_eq(settings_read(&s, look_up, list, why), TULLE_EINVAL);
		ck_assert_ptr_nonnull(strstr(why, wrong[i].name));
	}
}
END_TEST

START_TEST(a_drain_needs_a_grace_that_has_room_for_it)
{
	struct variable list[] = { { "TULLE_DRAIN", "26s" }, { NULL, NULL }, { 0 } };
	char why[SETTINGS_WHY] = "";
	struct settings s;

	ck_assert_int_eq(settings_read(&s, look_up, list, why), TULLE_EINVAL);
	ck_assert_str_eq(why, "TULLE_DRAIN of 26s needs TULLE_TERMINATION_GRACE of 31s or more, for the relay and what follows it; it is 30s");
	list[1] = (struct variable){ "TULLE_TERMINATION_GRACE", "31s" };
	ck_assert_int_eq(settings_read(&s, look_up, list, why), TULLE_OK);
	list[1] = (struct variable){ "TULLE_NATIVE", "1" }; /* has no drain of its own */
	ck_assert_int_eq(settings_read(&s, look_up, list, why), TULLE_OK);
}
END_TEST

/* ---- probes ---- */

static struct probes table;
static char why[PROBES_WHY];

static void
takes(const char *text)
{
	ck_assert_msg(probes_parse(&table, text, why) == TULLE_OK, "%s", why);
}

static void
refuses(const char *text, const char *because)
{
	why[0] = '\0';
	ck_assert_int_eq(probes_parse(&table, text, why), TULLE_EINVAL);
	ck_assert_msg(strstr(why, because) != NULL, "%s", why);
}

START_TEST(an_empty_table_is_one)
{
	takes(NULL);
	ck_assert_uint_eq(table.n, 0);
	takes("{}");
	probes_free(&table);
}
END_TEST

START_TEST(every_kind_of_probe_is_read)
{
	takes("{\"/app-health/a/livez\": {\"httpGet\": {\"port\": 8080, \"path\": \"live?x=1\", \"scheme\": \"HTTPS\", \"httpHeaders\":"
	      " [{\"name\": \"Host\", \"value\": \"shop.example\"}]}, \"timeoutSeconds\": 3, \"periodSeconds\": 5},"
	      "\"/app-health/a/readyz\": {\"tcpSocket\": {\"port\": 9000, \"host\": \"127.0.0.1\"}},"
	      "\"/app-health/b/startupz\": {\"grpc\": {\"port\": 7000, \"service\": \"shop\"}}}");
	ck_assert_uint_eq(table.n, 3);
	for (size_t i = 0; i < table.n; i++) {
		const struct probe *p = &table.items[i];

		switch (p->kind) {
		case PROBE_HTTP:
			ck_assert_str_eq(p->at, "/app-health/a/livez");
			ck_assert_str_eq(p->path, "/live?x=1");
			ck_assert(p->tls && p->port == 8080 && p->timeout_ms == 3000 && p->headers_n == 1);
			break;
		case PROBE_TCP:
			ck_assert_str_eq(p->host, "127.0.0.1");
			ck_assert_uint_eq(p->timeout_ms, 1000);
			break;
		case PROBE_GRPC:
			ck_assert_str_eq(p->service, "shop");
			break;
		}
	}
	probes_free(&table);
	probes_free(&table);
}
END_TEST

START_TEST(what_is_no_probe_is_refused_with_the_field)
{
	refuses("[]", "an object");
	refuses("{", "not JSON");
	refuses("{\"/livez\": {\"tcpSocket\": {\"port\": 1}}}", "/app-health/CONTAINER/livez");
	refuses("{\"/app-health/a/livez\": {}}", "one of httpGet, tcpSocket and grpc");
	refuses("{\"/app-health/a/livez\": {\"tcpSocket\": {\"port\": 1}, \"grpc\": {\"port\": 1}}}", "one of httpGet, tcpSocket and grpc");
	refuses("{\"/app-health/a/livez\": {\"tcpSocket\": {\"port\": \"http\"}}}", "port must be a number");
	refuses("{\"/app-health/a/livez\": {\"tcpSocket\": {\"port\": 65536}}}", "port must be a number");
	refuses("{\"/app-health/a/livez\": {\"tcpSocket\": {\"port\": 1, \"host\": \"db\"}}}", "host must be an IP address");
	refuses("{\"/app-health/a/livez\": {\"httpGet\": {\"port\": 1, \"scheme\": \"FTP\"}}}", "scheme must be HTTP or HTTPS");
	refuses("{\"/app-health/a/livez\": {\"httpGet\": {\"port\": 1, \"path\": \"/a b\"}}}", "path must be text without spaces");
	refuses("{\"/app-health/a/livez\": {\"httpGet\": {\"port\": 1}, \"timeoutSeconds\": 0}}", "timeoutSeconds must be a number from 1");
	refuses("{\"/app-health/a/livez\": {\"httpGet\": {\"port\": 1, \"httpHeaders\": [{\"name\": \"A\", \"value\": \"b\\r\\nC: d\"}]}}}",
	    "text on one line");
}
END_TEST

/* ---- processes ---- */

START_TEST(a_line_of_stat_is_read_whatever_the_name_is)
{
	struct other o;

	ck_assert(other_parse(&o, "42 (a ) b (c) S 7 42 42 0"));
	ck_assert(o.pid == 42 && o.parent == 7 && o.state == 'S');
	ck_assert_str_eq(o.name, "a ) b (c");
	ck_assert(!other_parse(&o, "42 a S 7"));
	ck_assert(!other_parse(&o, ""));
}
END_TEST

START_TEST(only_the_applications_processes_count)
{
	struct other list[] = { { 1, 0, 'S', "pause" }, { 10, 0, 'S', "tulle-sidecar" }, { 11, 10, 'S', "tulle-relayd" },
		{ 12, 11, 'S', "tulle-relayd" }, { 13, 0, 'S', "tulle-sidecar" }, { 14, 0, 'Z', "job" }, { 20, 0, 'S', "job" } };

	struct others o = { .self = 10 };

	ck_assert(others_judge(&o, list, 7));
	ck_assert(!others_judge(&o, list, 6));
	list[3].parent = 20; /* a name of ours, and none of ours */
	ck_assert(!others_judge(&o, list, 6));
}
END_TEST

START_TEST(a_runtimes_process_is_what_becomes_of_it)
{
	struct other list[] = { { 1, 0, 'S', "pause" }, { 10, 0, 'S', "tulle-sidecar" }, { 20, 0, 'S', "runc:[2:INIT]" } };
	struct others o = { .self = 10 };

	/* --wait, in this container */
	ck_assert(!others_judge(&o, list, 3));
	ck_assert(!others_judge(&o, list, 3));
	(void)strcpy(list[2].name, "tulle-sidecar");
	ck_assert(!others_judge(&o, list, 3));
	ck_assert(!others_judge(&o, list, 2));
	/* the application */
	(void)strcpy(list[2].name, "runc:[2:INIT]");
	ck_assert(!others_judge(&o, list, 3));
	(void)strcpy(list[2].name, "job");
	ck_assert(others_judge(&o, list, 3));
	ck_assert(!others_judge(&o, list, 2));
	/* one that was over before the next look */
	(void)strcpy(list[2].name, "crun");
	ck_assert(!others_judge(&o, list, 3));
	ck_assert(others_judge(&o, list, 2));
	ck_assert(!others_judge(&o, list, 2));
}
END_TEST

START_TEST(the_last_number_of_a_process_is_read)
{
	ck_assert_int_eq(others_last("0.00 0.01 0.05 1/123 4567\n"), 4567);
	ck_assert_int_eq(others_last("0.00 0.01 0.05\n"), 0);
	ck_assert_int_eq(others_last(""), 0);
}
END_TEST

UNIT_MAIN("parts of a pod", without_variables_there_are_defaults, variables_are_read, a_wrong_variable_is_named, a_drain_needs_a_grace_that_has_room_for_it, an_empty_table_is_one,
    every_kind_of_probe_is_read, what_is_no_probe_is_refused_with_the_field, a_line_of_stat_is_read_whatever_the_name_is,
    only_the_applications_processes_count, a_runtimes_process_is_what_becomes_of_it, the_last_number_of_a_process_is_read)
