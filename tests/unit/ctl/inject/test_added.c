/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the containers may do, field by field: the restricted Pod Security profile and what tulle-init needs beyond it. */
#include <jansson.h>
#include <string.h>

#include "inject/added.h"
#include "unit.h"

static struct inject_options o;
static struct added_pod pod;
static json_t *table;

static void
setup(void)
{
	o = inject_defaults;
	table = json_object();
	pod = (struct added_pod){ .probes = table, .grace = "30s", .namespace = "shop" };
}

/* <have> has exactly what <want> has. */
static void
expect(const json_t *have, const char *want)
{
	json_t *w = json_loads(want, 0, NULL);
	char *text = json_dumps(have, JSON_ENCODE_ANY);

	ck_assert_ptr_nonnull(w);
	ck_assert_msg(json_equal(have, w), "%s\nis not\n%s", text, want);
	json_decref(w);
	free(text);
}

static const char *
env(const json_t *container, const char *name)
{
	json_t *e;
	size_t i;

	json_array_foreach (json_object_get(container, "env"), i, e)
		if (strcmp(json_string_value(json_object_get(e, "name")), name) == 0)
			return json_string_value(json_object_get(e, "value"));
	return NULL;
}

START_TEST(the_sidecar_fits_the_restricted_profile)
{
	for (int classic = 0; classic < 2; classic++) {
		json_t *c;

		o.classic = classic == 1;
		c = added_sidecar(&o, &pod);
		expect(json_object_get(c, "securityContext"),
		    "{\"runAsNonRoot\": true, \"runAsUser\": 1337, \"runAsGroup\": 1337, \"allowPrivilegeEscalation\": false,"
		    " \"readOnlyRootFilesystem\": true, \"capabilities\": {\"drop\": [\"ALL\"]},"
		    " \"seccompProfile\": {\"type\": \"RuntimeDefault\"}}");
		json_decref(c);
	}
}
END_TEST

START_TEST(the_init_container_has_uid_0_and_net_admin_beyond_it_and_nothing_else)
{
	json_t *c = added_init(&o, &pod);

	expect(json_object_get(c, "securityContext"),
	    "{\"runAsNonRoot\": false, \"runAsUser\": 0, \"runAsGroup\": 0, \"allowPrivilegeEscalation\": false,"
	    " \"readOnlyRootFilesystem\": true, \"capabilities\": {\"drop\": [\"ALL\"], \"add\": [\"NET_ADMIN\"]},"
	    " \"seccompProfile\": {\"type\": \"RuntimeDefault\"}}");
	expect(json_object_get(c, "volumeMounts"),
	    "[{\"name\": \"tulle-config\", \"mountPath\": \"/etc/tulle/config\", \"readOnly\": true},"
	    " {\"name\": \"tulle-run\", \"mountPath\": \"/run/tulle\"}]");
	json_decref(c);
}
END_TEST

/* hostPath is not in the restricted profile's list, nor even in the baseline's: it is the operator's word. */
START_TEST(the_volumes_are_of_kinds_that_the_restricted_profile_allows)
{
	static const char *const allowed[] = { "configMap", "emptyDir", "projected", "csi" };

	for (int socket = 0; socket < 2; socket++) {
		json_t *volumes, *v;
		size_t i, found = 0;

		o.socket = socket == 1;
		volumes = added_volumes(&o);
		json_array_foreach (volumes, i, v) {
			for (size_t k = 0; k < sizeof(allowed) / sizeof(allowed[0]); k++)
				found += json_object_get(v, allowed[k]) != NULL;
			ck_assert_uint_eq(json_object_size(v), 2);
		}
		ck_assert_uint_eq(found, json_array_size(volumes));
		json_decref(volumes);
	}
	o.socket_volume = "/run/tulle/pods";
	json_t *volumes = added_volumes(&o);

	expect(json_array_get(volumes, 4),
	    "{\"name\": \"tulle-node\", \"hostPath\": {\"path\": \"/run/tulle/pods\", \"type\": \"Directory\"}}");
	json_decref(volumes);
}
END_TEST

START_TEST(every_mount_has_its_volume_and_every_volume_its_mount)
{
	for (int socket = 0; socket < 2; socket++) {
		json_t *c, *volumes, *m, *v;
		size_t i, k, pairs = 0;

		o.socket = socket == 1;
		c = added_sidecar(&o, &pod);
		volumes = added_volumes(&o);
		json_array_foreach (json_object_get(c, "volumeMounts"), i, m)
			json_array_foreach (volumes, k, v)
				pairs += json_equal(json_object_get(m, "name"), json_object_get(v, "name"));
		ck_assert_uint_eq(pairs, json_array_size(volumes));
		ck_assert_uint_eq(pairs, json_array_size(json_object_get(c, "volumeMounts")));
		json_decref(c);
		json_decref(volumes);
	}
}
END_TEST

START_TEST(a_native_sidecar_goes_on_and_holds_back_who_comes_after_it)
{
	json_t *c = added_sidecar(&o, &pod);

	ck_assert_str_eq(json_string_value(json_object_get(c, "restartPolicy")), "Always");
	ck_assert_ptr_nonnull(json_object_get(c, "startupProbe"));
	ck_assert_ptr_null(json_object_get(c, "lifecycle"));
	ck_assert_str_eq(env(c, "TULLE_NATIVE"), "1");
	ck_assert_ptr_null(env(c, "TULLE_END_WITH_APP"));
	json_decref(c);
}
END_TEST

START_TEST(a_classic_sidecar_ends_with_a_job_and_with_nothing_else)
{
	json_t *c;

	o.classic = true;
	c = added_sidecar(&o, &pod);
	ck_assert_ptr_null(json_object_get(c, "restartPolicy"));
	ck_assert_ptr_null(json_object_get(c, "startupProbe")); /* Kubernetes 1.20 has it, but postStart does the work */
	expect(json_object_get(c, "lifecycle"), "{\"postStart\": {\"exec\": {\"command\": [\"/usr/sbin/tulle-sidecar\", \"--wait\"]}}}");
	ck_assert_ptr_null(env(c, "TULLE_NATIVE"));
	ck_assert_ptr_null(env(c, "TULLE_END_WITH_APP"));
	json_decref(c);
	pod.ends = true;
	c = added_sidecar(&o, &pod);
	ck_assert_str_eq(env(c, "TULLE_END_WITH_APP"), "1");
	json_decref(c);
}
END_TEST

START_TEST(names_that_are_no_names_do_not_get_into_variables)
{
	json_t *c;

	pod.service = "shop";
	c = added_sidecar(&o, &pod);
	ck_assert_str_eq(env(c, "OTEL_SERVICE_NAME"), "shop");
	ck_assert_str_eq(env(c, "OTEL_RESOURCE_ATTRIBUTES"), "service.namespace=shop");
	json_decref(c);
	pod.service = "shop,a=b";
	pod.namespace = "$(SECRET)";
	c = added_sidecar(&o, &pod);
	ck_assert_ptr_null(env(c, "OTEL_SERVICE_NAME"));
	ck_assert_str_eq(env(c, "OTEL_RESOURCE_ATTRIBUTES"), "service.namespace=$(POD_NAMESPACE)");
	json_decref(c);
}
END_TEST

START_TEST(requests_and_limits_are_what_was_asked_for)
{
	json_t *c;

	o.cpu = "0.5:1";
	o.memory = "32Mi";
	c = added_init(&o, &pod);
	expect(json_object_get(c, "resources"), "{\"requests\": {\"cpu\": \"0.5\", \"memory\": \"32Mi\"}, \"limits\": {\"cpu\": \"1\"}}");
	json_decref(c);
}
END_TEST

START_TEST(options_that_say_nothing_are_refused)
{
	static const char *const cpus[] = { "", "m", "5x", "5m:", ":5m", "5.m", "1.:1", "5m:5m:5m", "-1", " 1" };
	char why[INJECT_WHY];

	ck_assert_int_eq(inject_options_check(&o, why), TULLE_OK);
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		o.cpu = cpus[i];
		ck_assert_msg(inject_options_check(&o, why) == TULLE_EINVAL, "%s", cpus[i]);
		ck_assert_ptr_nonnull(strstr(why, "--cpu"));
	}
	o = inject_defaults;
	o.image = "a\nb";
	ck_assert_int_eq(inject_options_check(&o, why), TULLE_EINVAL);
	o = inject_defaults;
	o.image = "registry.example:5000/mesh/tulle@sha256:0123";
	o.grace = "1m30s";
	o.drain = "0s";
	o.socket_volume = "/var/lib/x";
	ck_assert_int_eq(inject_options_check(&o, why), TULLE_OK);
	o.config_map = "Tulle";
	ck_assert_int_eq(inject_options_check(&o, why), TULLE_EINVAL);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { the_sidecar_fits_the_restricted_profile,
		the_init_container_has_uid_0_and_net_admin_beyond_it_and_nothing_else,
		the_volumes_are_of_kinds_that_the_restricted_profile_allows, every_mount_has_its_volume_and_every_volume_its_mount,
		a_native_sidecar_goes_on_and_holds_back_who_comes_after_it, a_classic_sidecar_ends_with_a_job_and_with_nothing_else,
		names_that_are_no_names_do_not_get_into_variables, requests_and_limits_are_what_was_asked_for,
		options_that_say_nothing_are_refused };
	Suite *suite = suite_create("added");
	TCase *tc = tcase_create("added");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
