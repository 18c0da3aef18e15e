/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifests of tests/golden/inject: what becomes of each, native and
 * classic, and that it all comes back to the byte.  Those of refused/ have
 * the errors beside them.  UPDATE_GOLDEN=1 writes what is expected anew, for
 * a look at the difference.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "inject/inject.h"
#include "unit.h"

#define FOLDER "tests/golden/inject"
#define MAX (4u << 20)

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static struct inject_options
options(bool classic)
{
	struct inject_options o = inject_defaults;

	o.classic = classic;
	o.image = "tulle:test"; /* so that nothing changes with a release */
	o.version = "test";
	return o;
}

static void
expect(const char *path, const struct buf *have)
{
	char AUTO_FREE *want = NULL;
	size_t n = 0;

	if (getenv("UPDATE_GOLDEN") != NULL) {
		ck_assert_int_eq(file_replace(path, buf_head(have), buf_len(have), 0644), TULLE_OK);
		return;
	}
	ck_assert_msg(file_read(path, MAX, &want, &n) == TULLE_OK, "%s", path);
	ck_assert_msg(n == buf_len(have) && memcmp(want, buf_head(have), n) == 0, "%s is not what came out:\n%.*s", path,
	    (int)buf_len(have), (const char *)buf_head(have));
}

static void
there_and_back(const char *name, bool classic)
{
	struct buf out = buf_new(MAX), back = buf_new(MAX), notes = buf_new(MAX);
	struct inject_options o = options(classic);
	char AUTO_FREE *data = NULL;
	struct problems problems;
	struct inject_done done;
	char path[300];
	size_t len;

	problems_init(&problems);
	(void)snprintf(path, sizeof(path), FOLDER "/%s.yaml", name);
	ck_assert_int_eq(file_read(path, MAX, &data, &len), TULLE_OK);
	ck_assert_msg(inject_text(&out, &notes, &done, name, data, len, &o, &problems) == TULLE_OK, "%s: %s", name,
	    problems.n > 0 ? problems.list[0].line : "?");
	ck_assert_uint_gt(done.changed, 0);
	(void)snprintf(path, sizeof(path), FOLDER "/%s.%s.yaml", name, classic ? "classic" : "native");
	expect(path, &out);

	ck_assert_int_eq(uninject_text(&back, &notes, &done, name, (const char *)buf_head(&out), buf_len(&out), &problems), TULLE_OK);
	ck_assert_msg(buf_len(&back) == len && memcmp(buf_head(&back), data, len) == 0, "%s does not come back", name);

	/* A second time is a refusal. */
	ck_assert_int_eq(inject_text(&back, &notes, &done, name, (const char *)buf_head(&out), buf_len(&out), &o, &problems), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(problems.list[0].line, "is injected already; tulle uninject first"));
	problems_free(&problems);
	buf_free(&out);
	buf_free(&back);
	buf_free(&notes);
}

START_TEST(every_manifest_becomes_what_is_expected_and_comes_back_to_the_byte)
{
	DIR *dir = opendir(FOLDER);
	const struct dirent *d;
	size_t seen = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL) {
		char name[200];

		if (!ends_with(d->d_name, ".yaml") || ends_with(d->d_name, ".native.yaml") || ends_with(d->d_name, ".classic.yaml"))
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(strlen(d->d_name) - 5), d->d_name);
		there_and_back(name, false);
		there_and_back(name, true);
		seen++;
	}
	(void)closedir(dir);
	ck_assert_uint_ge(seen, 8);
}
END_TEST

static void
refused(const char *name)
{
	struct buf out = buf_new(MAX), notes = buf_new(MAX), said = buf_new(MAX);
	struct inject_options o = options(true);
	char AUTO_FREE *data = NULL;
	struct problems problems;
	struct inject_done done;
	char path[300];
	size_t len;

	problems_init(&problems);
	(void)snprintf(path, sizeof(path), FOLDER "/refused/%s.yaml", name);
	ck_assert_int_eq(file_read(path, MAX, &data, &len), TULLE_OK);
	(void)snprintf(path, sizeof(path), "%s.yaml", name);
	ck_assert_msg(inject_text(&out, &notes, &done, path, data, len, &o, &problems) == TULLE_EINVAL, "%s is not refused", name);
	ck_assert_uint_eq(buf_len(&out), 0);
	problems_print(&said, &problems);
	(void)snprintf(path, sizeof(path), FOLDER "/refused/%s.error", name);
	expect(path, &said);
	problems_free(&problems);
	buf_free(&out);
	buf_free(&notes);
	buf_free(&said);
}

START_TEST(what_cannot_be_in_the_mesh_is_refused_with_its_place_and_what_would_be_right)
{
	DIR *dir = opendir(FOLDER "/refused");
	const struct dirent *d;
	size_t seen = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL) {
		char name[200];

		if (!ends_with(d->d_name, ".yaml"))
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(strlen(d->d_name) - 5), d->d_name);
		refused(name);
		seen++;
	}
	(void)closedir(dir);
	ck_assert_uint_ge(seen, 15);
}
END_TEST

UNIT_MAIN("golden", every_manifest_becomes_what_is_expected_and_comes_back_to_the_byte,
    what_cannot_be_in_the_mesh_is_refused_with_its_place_and_what_would_be_right)
