/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests as people and programs write them: every way to lay a text out that YAML has, and some that it has not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject/inject.h"
#include "inject/tree.h"
#include "unit.h"

#define MAX (64u << 20)
#define POD "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
#define JOB "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n"
#define ONE "  containers:\n  - {name: a, image: a}\n"

static struct buf out, back, notes;
static struct problems problems;
static struct inject_done done;

static void
setup(void)
{
	out = buf_new(MAX);
	back = buf_new(MAX);
	notes = buf_new(MAX);
	problems_init(&problems);
}

static void
teardown(void)
{
	buf_free(&out);
	buf_free(&back);
	buf_free(&notes);
	problems_free(&problems);
}

static enum tulle_err
inject(const char *text, size_t len, bool classic)
{
	struct inject_options o = inject_defaults;

	o.classic = classic;
	o.image = "tulle:test";
	o.version = "test";
	return inject_text(&out, &notes, &done, "m.yaml", text, len, &o, &problems);
}

static const char *
output(void)
{
	ck_assert_int_eq(buf_append(&out, "", 1), TULLE_OK);
	out.len--;
	return (const char *)buf_head(&out);
}

/* Both ways, there and back; <want>, or NULL, is in both outputs. */
static void
good(const char *text, const char *want)
{
	for (int classic = 0; classic < 2; classic++) {
		ck_assert_msg(inject(text, strlen(text), classic == 1) == TULLE_OK, "%s\n%s", text,
		    problems.n > 0 ? problems.list[0].line : "?");
		ck_assert_uint_gt(done.changed, 0);
		ck_assert_msg(want == NULL || strstr(output(), want) != NULL, "%s\nis not in\n%s", want, output());
		ck_assert_int_eq(uninject_text(&back, &notes, &done, "m.yaml", output(), buf_len(&out), &problems), TULLE_OK);
		ck_assert_uint_eq(buf_len(&back), strlen(text));
		ck_assert_mem_eq(buf_head(&back), text, strlen(text));
		teardown();
		setup();
	}
}

static void
bad(const char *text, bool classic, const char *why)
{
	ck_assert_msg(inject(text, strlen(text), classic) == TULLE_EINVAL, "%s\nis taken", text);
	ck_assert_uint_eq(buf_len(&out), 0);
	ck_assert_msg(strstr(problems.list[0].line, why) != NULL, "%s\nis not in\n%s", why, problems.list[0].line);
	teardown();
	setup();
}

static void
same(const char *text)
{
	ck_assert_msg(inject(text, strlen(text), false) == TULLE_OK, "%s", text);
	ck_assert_uint_eq(done.changed, 0);
	ck_assert_str_eq(output(), text);
	teardown();
	setup();
}

START_TEST(what_is_no_pod_stays_as_it_is)
{
	same("");
	same("\n\n");
	same("# only a comment\n");
	same("---\n---\n# nothing\n---\n...\n");
	same("a string\n");
	same("- a\n- list\n");
	same("{}\n");
	same("kind: Pod\n");                              /* of which API? */
	same("apiVersion: example.org/v1\nkind: Pod\n");  /* somebody else's */
	same("apiVersion: v1\nkind: [Pod]\n");
	same("apiVersion: v1\nkind: List\nitems:\n");
	same("apiVersion: v1\nkind: List\nitems: {kind: Pod}\n");
	same("? [a, b]\n: c\n? {d: e}\n: f\n");
	same("kind: ConfigMap\napiVersion: v1\ndata: {a: 1, a: 2}\n"); /* not ours to judge */
	same("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: !!binary aGVsbG8=\n  b: !local x\n");
}
END_TEST

START_TEST(an_entry_goes_between_a_key_and_the_comments_of_what_follows)
{
	good(POD "spec: # of the pod\n  # the containers\n\n  # all of them\n" ONE, "spec: # of the pod\n  initContainers:\n");
	good(POD "spec:\n  containers: # all\n  # the first\n  - name: a\n    image: a\n", "  # the first\n  - name: a\n");
	good("apiVersion: v1\nkind: Pod\nmetadata:\n  # its name\n  name: p\nspec:\n" ONE, "metadata:\n  annotations:\n    tulle.mesh/status: '");
}
END_TEST

START_TEST(lists_may_be_indented_or_not_and_begin_on_the_line_of_a_dash)
{
	good(POD "spec:\n    containers:\n        - name: a\n          image: a\n", NULL);
	good(POD "spec:\n  initContainers:\n      - image: x\n        name: x\n" ONE, "\n      - name: tulle-init\n        image: tulle:test\n");
	good(POD "spec:\n  containers:\n  -\n    name: a\n    image: a\n  -   name: b\n      image: b\n", NULL);
	good("apiVersion: v1\nkind: List\nitems:\n- metadata: {name: p}\n  kind: Pod\n  apiVersion: v1\n  spec:\n    containers: [{name: a}]\n"
	     "-   spec:\n      containers:\n      - name: b\n    apiVersion: v1\n    kind: Pod\n    metadata:\n      name: q\n", NULL);
	good("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Pod\n    metadata:\n"
	     "      name: p\n    spec:\n      containers:\n      - name: b\n", NULL);
}
END_TEST

START_TEST(brackets_get_json_on_the_same_line)
{
	good("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a}]}}", "metadata: {\"annotations\": {\"tulle.mesh/status\": \"");
	good("{apiVersion: v1, kind: Pod, metadata: { # c\n  name: p,\n }, spec: {\n  # c\n containers: [ {name: a, }, ], } }\n", NULL);
	good(POD "spec: {initContainers: [], volumes: [ ], containers: [{name: a}]}\n", NULL);
	good(POD "spec: {initContainers: [{name: x}, {name: y},], volumes: ~, containers: [{name: a}]}\n", NULL);
	good("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"a\","
	     "\"livenessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":80},\"periodSeconds\":10}}]}}",
	    "\"livenessProbe\":{\"httpGet\": {\"path\": \"/app-health/a/livez\", \"port\": 15020},\"periodSeconds\":10}");
}
END_TEST

START_TEST(nothing_where_a_list_or_mapping_could_be_gets_one)
{
	good("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: # none\nspec:\n  volumes:\n  initContainers: null\n" ONE,
	    "  annotations: {\"tulle.mesh/status\": ");
	good(JOB "spec: {template: {metadata: , spec: {containers: [{name: a}], restartPolicy: Never}}}\n", NULL);
	good(JOB "spec:\n  template:\n    metadata: ~\n    spec:\n      restartPolicy: Never\n      shareProcessNamespace:\n      containers:\n      - name: a\n",
	    NULL);
	good(JOB "spec:\n  template:\n    spec:\n      containers:\n      - name: a\n", "  template:\n    metadata:\n      annotations:\n");
	good(POD "spec:\n  terminationGracePeriodSeconds:\n" ONE, NULL);
	good(POD "spec:\n  terminationGracePeriodSeconds: 0x05 # five\n" ONE, "terminationGracePeriodSeconds: 10 # five\n");
}
END_TEST

START_TEST(documents_may_be_marked_closed_and_directed)
{
	good("# head\n--- # marked\n" POD "spec:\n" ONE "...\n# between\n---\n" POD "spec:\n" ONE "# end", NULL);
	good("%YAML 1.1\n%TAG ! tag:example.org,2000:\n---\n" POD "spec:\n" ONE "...\n%YAML 1.1\n---\n" POD "spec:\n" ONE, NULL);
	good("---\nkind: Service\n---\n" POD "spec:\n" ONE "---\n---\nkind: Service", NULL);
	good("--- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a}]}}\n--- \n", NULL);
}
END_TEST

START_TEST(block_scalars_keep_every_line_break)
{
	static const char *const styles[] = { "|", "|-", "|+", ">", ">-", ">+", "|2", "|+2" };
	char text[600];

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    POD "spec:\n  initContainers:\n  - name: i\n    args:\n    - %s\n      a\n\n      b: - # [\n\n\n  # c\n  containers:\n  - name: a\n    args:\n    - %s\n      x\n\n  ",
		    styles[i], styles[i]);
		if (strchr(styles[i], '2') == NULL)
			good(text, "b: - # [\n");
		(void)snprintf(text, sizeof(text),
		    POD "spec:\n  containers:\n  - name: a\n  initContainers:\n  - name: i\n    env:\n    - name: A\n      value: %s\n          last\n\n\n", styles[i]);
		good(text, NULL);
	}
	good(POD "spec:\n  containers:\n  - name: a\n    livenessProbe:\n      httpGet:\n        port: 80\n        path: |-\n          /x\n\n    image: a\n",
	    "/app-health/a/livez\n        port: 15020\n\n    image: a\n");
}
END_TEST

START_TEST(the_end_may_have_no_line_break)
{
	good(POD "spec:\n  containers:\n  - name: a\n  initContainers:\n  - name: i\n    image: i", NULL);
	good(POD "spec:\n  containers:\n  - name: a\n  initContainers:\n  - name: i # c", NULL);
	/* Here the line break would become a part of the text. */
	bad(POD "spec:\n  containers:\n  - name: a\n  initContainers:\n  - name: i\n    args:\n    - |\n      x", true, "end the file with a line break");
}
END_TEST

START_TEST(keys_may_have_quotes_anchors_and_tags)
{
	good("\"apiVersion\": 'v1'\n'kind': \"Pod\"\n\"metadata\":\n  \"name\": p\n\"spec\": !!map\n  \"containers\": !!seq\n  - \"name\": a\n", NULL);
	good("&a apiVersion: v1\nkind: &k Pod\nmetadata: &m\n  &n name: p\nspec: &s\n  &c containers: &l # list\n  # c\n  - &i\n    name: a\n", NULL);
	bad(POD "spec:\n  ? containers\n  : - name: a\n", false, "m.yaml:1: cannot be changed in place");
	good("apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"\xf0\x9f\x98\x80\"\n  labels: {\xc3\xa4: \"\xe2\x82\xac\"} # \xc3\xb6\nspec: { \xc3\xa4: 1, containers: [{name: a}]}\n", NULL);
}
END_TEST

START_TEST(probes_behind_aliases_are_written_out)
{
	good(POD "spec:\n  containers:\n  - name: a\n    livenessProbe: &p\n      httpGet: &h {path: /, port: 80}\n      periodSeconds: 7\n    readinessProbe: *p\n"
	         "    startupProbe: {httpGet: *h}\n",
	    "readinessProbe: {\"httpGet\": {\"path\": \"/app-health/a/readyz\", \"port\": 15020}, \"periodSeconds\": 7}");
	good(POD "spec:\n  containers:\n  - name: a\n    ports: &q\n    - {name: h, containerPort: 81}\n  - name: b\n    ports: *q\n    livenessProbe:\n      httpGet: {port: h}\n",
	    "\"/app-health/b/livez\":{\"httpGet\":{\"port\":81}");
	bad(POD "spec:\n  containers:\n  - name: a\n    livenessProbe: &p {httpGet: {port: 80}}\n    x: *p\n", false, "m.yaml:8:8: the alias \"p\" stands for something in line 7");
	bad(POD "spec:\n  containers:\n  - name: a\n    x: &p {httpGet: {port: 80}}\n    livenessProbe: {<<: *p}\n", false, "has a merge key (<<)");
	bad(POD "spec:\n  x: &c {name: a, livenessProbe: {httpGet: {port: 80}}}\n  containers: [*c]\n", false, "stands elsewhere (*name)");
	good(POD "spec:\n  x: &c {name: a}\n  containers: [*c]\n", NULL);
}
END_TEST

START_TEST(what_merge_keys_bring_is_seen)
{
	bad(POD "spec:\n  x: &c {securityContext: {runAsUser: 1337}}\n  containers:\n  - {name: a, <<: *c}\n", false, "1337 is the sidecar's user");
	bad(POD "x: &s {hostNetwork: true}\nspec:\n  <<: *s\n" ONE, false, "hostNetwork");
	bad(POD "x: &s {volumes: []}\nspec:\n  <<: [{}, *s]\n" ONE, false, "spec.volumes: comes from a merge key");
	bad("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  <<: {annotations: {a: b}}\nspec:\n" ONE, false, "annotations: comes from a merge key");
	bad(POD "x: &s {containers: []}\nspec: *s\n", false, "spec: stands elsewhere");
}
END_TEST

START_TEST(numbers_and_booleans_are_read_as_kubectl_reads_them)
{
	static const char *const ports[] = { "15001", "0x3a99", "035231", "0b11101010011001", "15_001", "15001.0", "1.5001e4", "0o35231", "+15001" };
	static const char *const yes[] = { "true", "True", "yes", "on", "Y" };
	char text[300];

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		(void)snprintf(text, sizeof(text), POD "spec:\n  containers:\n  - name: a\n    ports: [{containerPort: %s}]\n", ports[i]);
		bad(text, false, "Tulle's own port for outbound connections");
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		(void)snprintf(text, sizeof(text), POD "spec:\n  hostNetwork: %s\n" ONE, yes[i]);
		bad(text, false, "hostNetwork");
	}
	good(POD "spec:\n  hostNetwork: \"true\"\n" ONE, NULL); /* a text: the API server says so */
	good(POD "spec:\n  hostNetwork: no\n" ONE, NULL);
}
END_TEST

START_TEST(what_is_not_yaml_is_told_with_its_line)
{
	bad("a: b\n\tc: d\n", false, "m.yaml:2:1: not YAML");
	bad(POD "spec:\n  replicas: {{ .Values.replicas }}\n" ONE, false, "m.yaml:5:14: a key must be a text; is this a template");
	bad("{{- if .Values.x }}\nkind: Pod\n{{- end }}\n", false, "not YAML");
	bad("a: \"b\n", false, "not YAML");
	bad("a: *b\n", false, "whose anchor (&name) does not stand before it");
	bad("a: &b [*b]\n", false, "whose anchor (&name) does not stand before it");
	bad("a: \x01\n", false, "not YAML");
	bad("a: \xff\n", false, "not YAML");
	bad("\xff\xfe" "a", false, "is UTF-16");
	ck_assert_int_eq(inject("a: b\0c\n", 7, false), TULLE_EINVAL);
}
END_TEST

START_TEST(bounds_are_told_and_hold)
{
	size_t n = 300, len = TREE_MAX_BYTES + 1;
	char *text = malloc(len + 1), *p = text;

	ck_assert_ptr_nonnull(text);
	memset(text, '#', len);
	text[len] = '\0';
	bad(text, false, "larger than 16 MiB");
	memset(text, '[', n);
	memset(text + n, ']', n);
	text[2 * n] = '\0';
	bad(text, false, "nested too deep");
	for (int i = 0; i < 1100; i++)
		p += sprintf(p, "- &a%d x\n", i);
	bad(text, false, "more than 1000 anchors");
	p = text + sprintf(text, POD "spec:\n  x: {");
	for (int i = 0; i < 2100; i++)
		p += sprintf(p, "k%d: 1, ", i);
	(void)sprintf(p, "}\n" ONE);
	bad(text, false, "too many keys in one mapping of a pod");
	free(text);
}
END_TEST

START_TEST(the_table_of_probes_is_one_that_the_sidecar_takes)
{
	char *text = malloc(200000), *p;

	ck_assert_ptr_nonnull(text);
	good(POD "spec:\n  containers:\n  - name: a\n    livenessProbe:\n      timeoutSeconds: 1000\n      httpGet: {port: 80, path: \"/a b\xc3\xa4\", scheme: ~, host: , "
	         "httpHeaders: [{name: A}]}\n",
	    "{\"/app-health/a/livez\":{\"httpGet\":{\"port\":80,\"path\":\"/a%20b%C3%A4\",\"httpHeaders\":[{\"name\":\"A\",\"value\":\"\"}]},\"timeoutSeconds\":300}}");
	p = text + sprintf(text, POD "spec:\n  containers:\n  - name: a\n    livenessProbe:\n      httpGet: {port: 80, httpHeaders: [");
	for (int i = 0; i < 33; i++)
		p += sprintf(p, "{name: A%d, value: b},", i);
	(void)sprintf(p, "]}\n");
	bad(text, false, "m.yaml:8:16: spec.containers[0].livenessProbe.httpGet: has more than 32 httpHeaders");
	p = text + sprintf(text, POD "spec:\n  containers:\n");
	for (int i = 0; i < 257; i++)
		p += sprintf(p, "  - {name: a%d, livenessProbe: {tcpSocket: {port: 80}}}\n", i);
	bad(text, false, "more than 256 probes");
	free(text);
}
END_TEST

/* Ten levels of ten aliases each: 10^10 values, if anybody followed them. */
START_TEST(aliases_that_stand_for_very_much_cost_nothing)
{
	char text[3000], *p = text;

	p += sprintf(p, POD "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n");
	for (int i = 1; i < 11; i++) {
		p += sprintf(p, "x%d: &x%d [", i, i);
		for (int k = 0; k < 10; k++)
			p += sprintf(p, "*x%d, ", i - 1);
		p += sprintf(p, "]\n");
	}
	(void)sprintf(p, "spec:\n" ONE);
	good(text, NULL);
	(void)sprintf(p, "spec:\n  containers:\n  - name: a\n    livenessProbe:\n      httpGet: {port: 80, httpHeaders: *x10}\n");
	bad(text, false, "is too large");
}
END_TEST

START_TEST(a_large_manifest_is_done_in_no_time)
{
	size_t n = 3000;
	char *text = malloc(n * 600), *p = text;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++)
		p += sprintf(p, "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d%zu}\nspec:\n  template:\n    metadata:\n      labels: {a: b}\n"
		             "    spec:\n      containers:\n      - name: a\n        livenessProbe: {tcpSocket: {port: 80}}\n", i);
	ck_assert_int_eq(inject(text, (size_t)(p - text), false), TULLE_OK);
	ck_assert_uint_eq(done.changed, n);
	teardown();
	setup();
	for (size_t i = 0; i < n; i++)
		p += sprintf(p, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: d%zu}\nspec: {containers: [{name: a}]}\n", i);
	bad(text, false, "would become larger than 16 MiB; divide it");
	free(text);
}
END_TEST

START_TEST(a_status_that_says_nonsense_is_refused_or_does_no_harm)
{
	static const char *const wrong[] = { "x", "{}", "[]", "{\\\"version\\\":1}", "" };
	static const char *const steps[] = { "[0,-1,\\\"\\\"]", "[99,5,\\\"\\\"],[0,-1,\\\"\\\"]", "[-1,5,\\\"\\\"],[0,-1,\\\"\\\"]", "[0,99999,\\\"\\\"],[0,-1,\\\"\\\"]", "1", "" };
	char text[800];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {tulle.mesh/status: \"%s\"}}\nspec:\n" ONE, wrong[i]);
		ck_assert_int_eq(uninject_text(&out, &notes, &done, "m.yaml", text, strlen(text), &problems), TULLE_EINVAL);
		ck_assert_ptr_nonnull(strstr(problems.list[0].line, "is not what tulle inject writes"));
		teardown();
		setup();
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {tulle.mesh/status: \"{\\\"version\\\":\\\"1\\\",\\\"made\\\":[1,\\\"annotations\\\"],"
		    "\\\"was\\\":{},\\\"probes\\\":{\\\"a\\\":1},\\\"size\\\":10,\\\"sha256\\\":\\\"00\\\",\\\"undo\\\":[%s]}\"}}\nspec:\n" ONE,
		    steps[i]);
		ck_assert_int_eq(uninject_text(&out, &notes, &done, "m.yaml", text, strlen(text), &problems), TULLE_OK);
		ck_assert_str_eq(output(), "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: a}\n");
		teardown();
		setup();
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { what_is_no_pod_stays_as_it_is, an_entry_goes_between_a_key_and_the_comments_of_what_follows,
		lists_may_be_indented_or_not_and_begin_on_the_line_of_a_dash, brackets_get_json_on_the_same_line,
		nothing_where_a_list_or_mapping_could_be_gets_one, documents_may_be_marked_closed_and_directed,
		block_scalars_keep_every_line_break, the_end_may_have_no_line_break, keys_may_have_quotes_anchors_and_tags,
		probes_behind_aliases_are_written_out, what_merge_keys_bring_is_seen, numbers_and_booleans_are_read_as_kubectl_reads_them,
		what_is_not_yaml_is_told_with_its_line, bounds_are_told_and_hold, the_table_of_probes_is_one_that_the_sidecar_takes, aliases_that_stand_for_very_much_cost_nothing,
		a_large_manifest_is_done_in_no_time, a_status_that_says_nonsense_is_refused_or_does_no_harm };
	Suite *suite = suite_create("texts");
	TCase *tc = tcase_create("texts");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
