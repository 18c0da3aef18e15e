/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tulle check, as a shell sees it: exit status, standard output, standard error. */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"
#include "verbs.h"

static char dir[64], out_path[100], err_path[100];
static char *out, *err;

static void
put(const char *name, const char *text)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(file_replace(path, text, strlen(text), 0600), TULLE_OK);
}

static void
setup(void)
{
	char path[200];

	(void)snprintf(dir, sizeof(dir), "/tmp/tulle-test-check-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(out_path, sizeof(out_path), "%s.out", dir);
	(void)snprintf(err_path, sizeof(err_path), "%s.err", dir);
	(void)snprintf(path, sizeof(path), "%s/etc/tulle/mesh.d", dir);
	ck_assert_int_eq(file_mkdirs(path, 0700), TULLE_OK);
	put("etc/tulle/tulle.yaml", "trustDomain: corp.example\n");
	put("etc/tulle/identities.yaml", "- {serviceAccount: a/b, match: {uid: 1}}\n");
	put("etc/tulle/mesh.d/a.yaml",
	    "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {address: 10.0.0.2}\n");
}

static void
teardown(void)
{
	static const char *const names[] = { "etc/tulle/mesh.d/a.yaml", "etc/tulle/mesh.d/b.yaml",
		"etc/tulle/mesh.d/c.yaml.old", "etc/tulle/mesh.d",
		"etc/tulle/identities.yaml", "etc/tulle/tulle.yaml", "etc/tulle", "etc", "" };
	char path[200];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	(void)remove(out_path);
	(void)remove(err_path);
	free(out);
	free(err);
	out = err = NULL;
}

/* Runs "tulle check" with these arguments in a child; returns its exit status. */
static int
check(const char *a, const char *b, const char *c)
{
	char verb[] = "check", arg[3][200] = { "", "", "" };
	char *argv[] = { verb, arg[0], arg[1], arg[2], NULL };
	const char *given[] = { a, b, c };
	int argc = 1, status;
	size_t len;
	pid_t pid;

	for (size_t i = 0; i < 3 && given[i] != NULL; i++, argc++)
		(void)snprintf(arg[i], sizeof(arg[i]), "%s%s", *given[i] == '/' ? dir : "",
		    strcmp(given[i], "/") == 0 ? "" : given[i]);
	argv[argc] = NULL;
	(void)fflush(NULL);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		if (freopen(out_path, "w", stdout) == NULL || freopen(err_path, "w", stderr) == NULL)
			_exit(99);
		optind = 1;
		status = check_main(argc, argv);
		(void)fflush(NULL);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	free(out);
	free(err);
	ck_assert_int_eq(file_read(out_path, 1 << 20, &out, &len), TULLE_OK);
	ck_assert_int_eq(file_read(err_path, 1 << 20, &err, &len), TULLE_OK);
	return WEXITSTATUS(status);
}

START_TEST(a_good_host_passes_and_is_counted)
{
	ck_assert_int_eq(check("--root", "/", NULL), 0);
	ck_assert_ptr_nonnull(strstr(out, "WorkloadEntry: 1\n"));
	ck_assert_ptr_nonnull(strstr(out, "tulle.yaml: 1\nidentities: 1\n3 files, 0 errors, 0 warnings\n"));
	ck_assert_str_eq(err, "");
	ck_assert_int_eq(check("/etc/tulle", NULL, NULL), 0); /* the folder itself, mesh.d included */
	ck_assert_ptr_nonnull(strstr(out, "3 files, 0 errors"));
}
END_TEST

START_TEST(mistakes_are_told_and_fail)
{
	put("etc/tulle/mesh.d/b.yaml", "apiVersion: v1\nkind: Servcie\n");
	ck_assert_int_eq(check("--root", "/", NULL), 1);
	ck_assert_ptr_nonnull(
	    strstr(err, "b.yaml:2:7: kind: \"Servcie\" is not supported; did you mean \"Service\"?\n"));
	ck_assert_int_eq(strncmp(err, "error: ", 7), 0);
	ck_assert_int_eq(check("/nonexistent.yaml", NULL, NULL), 1);
	ck_assert_ptr_nonnull(strstr(err, "nonexistent.yaml: cannot be read: not found\n"));
	put("etc/tulle/tulle.yaml", "relay: {workers: 0}\n");
	ck_assert_int_eq(check("/etc/tulle/tulle.yaml", NULL, NULL), 1);
	put("etc/tulle/identities.yaml", "- {serviceAccount: a/b, match: {uid: 1}}\n- {serviceAccount: a/c, match: {uid: 1}}\n");
	ck_assert_int_eq(check("/etc/tulle/identities.yaml", NULL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(err, "identities.yaml:2:"));
	ck_assert_ptr_nonnull(strstr(err, "is the same as in line 1: connections of such a process speak as that one's a/b"));
	put("etc/tulle/identities.yaml", "- {}\n");
	ck_assert_int_eq(check("/etc/tulle/identities.yaml", NULL, NULL), 1);
}
END_TEST

/* What lies in mesh.d is a manifest for the relay, whatever it looks like; so it is here. */
START_TEST(what_is_in_mesh_d_is_a_manifest)
{
	put("etc/tulle/mesh.d/b.yaml", "trustDomain: other.example\n");
	ck_assert_int_eq(check("--root", "/", NULL), 1);
	ck_assert_ptr_nonnull(strstr(err, "/mesh.d/b.yaml:1:1: "));
	ck_assert_int_eq(check("/etc/tulle", NULL, NULL), 1);
	ck_assert_int_eq(check("/etc/tulle/mesh.d/b.yaml", NULL, NULL), 1);
	put("etc/tulle/mesh.d/b.yaml", "- {serviceAccount: a/b, match: {uid: 1}}\n");
	ck_assert_int_eq(check("--root", "/", NULL), 1);
	ck_assert_int_eq(check("/etc/tulle/mesh.d/", NULL, NULL), 1);
}
END_TEST

START_TEST(what_nobody_reads_is_told)
{
	put("etc/tulle/mesh.d/c.yaml.old", "x");
	ck_assert_int_eq(check("--root", "/", NULL), 0);
	ck_assert_ptr_nonnull(strstr(err, "warning: "));
	ck_assert_ptr_nonnull(strstr(err, "/mesh.d/c.yaml.old: is ignored: "));
	ck_assert_int_eq(check("/etc/tulle/mesh.d/c.yaml.old", NULL, NULL), 1);
	ck_assert_ptr_nonnull(strstr(err, "its name must end in .yaml or .yml"));
	put("etc/tulle/mesh.d/c.yaml.old", "");
}
END_TEST

START_TEST(a_folder_that_is_missing_is_a_mistake)
{
	static const char *const names[] = { "etc/tulle/mesh.d/a.yaml", "etc/tulle/mesh.d" };
	char path[200];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		ck_assert_int_eq(remove(path), 0);
	}
	ck_assert_int_eq(check("--root", "/", NULL), 1);
	ck_assert_ptr_nonnull(strstr(err, "mesh.d is missing"));
	ck_assert_int_eq(check("/etc/tulle/mesh.d", NULL, NULL), 1);
	ck_assert_int_eq(check("/etc/tulle", NULL, NULL), 0); /* a folder of files of any kind */
}
END_TEST

START_TEST(a_foreign_trust_domain_is_told_where_ours_is_known)
{
	static const char policy[] = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n"
	                             "spec: {action: DENY, rules: [{from: [{source: {principals: [crop.example/ns/a/sa/b, "
	                             "corp.example/ns/a/sa/b, crop.example/*, '*/sa/b']}}]}]}\n";

	put("etc/tulle/mesh.d/b.yaml", policy);
	ck_assert_int_eq(check("--root", "/", NULL), 0);
	ck_assert_ptr_nonnull(strstr(err, "principals: \"crop.example\" is not the trust domain of this mesh; write corp.example/..."));
	ck_assert_ptr_nonnull(strstr(out, "0 errors, 2 warnings"));
	ck_assert_int_eq(check("/etc/tulle/mesh.d/b.yaml", NULL, NULL), 0);
	ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(a_warning_is_told_and_passes)
{
	put("etc/tulle/mesh.d/b.yaml",
	    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}\n");
	ck_assert_int_eq(check("/etc/tulle/mesh.d/b.yaml", NULL, NULL), 0);
	ck_assert_int_eq(strncmp(err, "warning: ", 9), 0);
}
END_TEST

START_TEST(json_is_json)
{
	json_t *root;

	put("etc/tulle/mesh.d/b.yaml", "apiVersion: v1\nkind: \"a\\nb\\\"\"\n");
	ck_assert_int_eq(check("--json", "--root", "/"), 1);
	root = json_loads(out, 0, NULL);
	ck_assert_ptr_nonnull(root);
	ck_assert(json_is_false(json_object_get(root, "ok")));
	ck_assert_int_eq(json_integer_value(json_object_get(root, "errors")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(root, "problems"), 0), "line")), 2);
	json_decref(root);
	put("etc/tulle/mesh.d/b.yaml", "");
	ck_assert_int_eq(check("--json", "--root", "/"), 0);
	root = json_loads(out, 0, NULL);
	ck_assert(json_is_true(json_object_get(root, "ok")));
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(root, "objects"), "WorkloadEntry")), 1);
	json_decref(root);
}
END_TEST

START_TEST(wrong_usage_is_2)
{
	ck_assert_int_eq(check("--nonsense", NULL, NULL), 2);
	ck_assert_int_eq(check("--root", "relative", NULL), 2);
	ck_assert_int_eq(check("--help", NULL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(out, "Usage: tulle check"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("check");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_good_host_passes_and_is_counted);
	tcase_add_test(tc, mistakes_are_told_and_fail);
	tcase_add_test(tc, what_is_in_mesh_d_is_a_manifest);
	tcase_add_test(tc, what_nobody_reads_is_told);
	tcase_add_test(tc, a_folder_that_is_missing_is_a_mistake);
	tcase_add_test(tc, a_foreign_trust_domain_is_told_where_ours_is_known);
	tcase_add_test(tc, a_warning_is_told_and_passes);
	tcase_add_test(tc, json_is_json);
	tcase_add_test(tc, wrong_usage_is_2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
