/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/dir.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"

static char dir[] = "/tmp/tulle-test-dir-XXXXXX";

static void
put(const char *name, const char *text)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(file_replace(path, text, strlen(text), 0600), TULLE_OK);
}

static void
drop(const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(remove(path), 0);
}

START_TEST(files_come_in_name_order_and_only_yaml)
{
	static const char *const names[] = { "20-b.yaml", "10-a.yml", ".hidden.yaml", "note.txt", "b.yaml~" };
	struct manifest_files files = { 0 };
	struct problems p;
	char path[300];

	problems_init(&p);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(names[i], names[i]);
	put(".gitignore", "");
	(void)snprintf(path, sizeof(path), "%s/below", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(manifest_dir_read(&files, dir, &p), TULLE_OK);
	ck_assert_uint_eq(p.warnings, 0);
	ck_assert_uint_eq(files.n, 2);
	(void)snprintf(path, sizeof(path), "%s/10-a.yml", dir);
	ck_assert_str_eq(files.items[0].name, path);
	ck_assert_uint_eq(files.items[1].len, 9);
	ck_assert_str_eq(files.items[1].data, "20-b.yaml");
	ck_assert_uint_eq(files.bytes, 8 + 9);
	(void)snprintf(path, sizeof(path), "%s/note.txt", dir);
	ck_assert_int_eq(manifest_file_read(&files, path, &p), TULLE_OK);
	ck_assert_uint_eq(files.n, 3);
	ck_assert_uint_eq(p.errors, 0);
	manifest_dir_ignored(dir, &p);
	ck_assert_uint_eq(p.warnings, 4); /* each that may have been meant to count is named */
	(void)snprintf(path, sizeof(path), "%s/.hidden.yaml: is ignored: only names that end in .yaml or .yml, and do not start with a dot, count", dir);
	ck_assert_str_eq(p.list[0].line, path);
	(void)snprintf(path, sizeof(path), "%s/below: is ignored: folders below are not read", dir);
	ck_assert_str_eq(p.list[2].line, path);
	ck_assert_ptr_nonnull(strstr(p.list[1].line, "/b.yaml~: is ignored"));
	ck_assert_ptr_nonnull(strstr(p.list[3].line, "/note.txt: is ignored"));
	drop("below");
	drop(".gitignore");
	manifest_files_free(&files);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		drop(names[i]);

	/* A folder with a file's name cannot be read, but what stands beside it is. */
	(void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	put("b.yaml", "x: 1");
	ck_assert_int_eq(manifest_dir_read(&files, dir, &p), TULLE_EINVAL);
	ck_assert_uint_eq(files.n, 1);
	ck_assert_uint_eq(p.errors, 1);
	drop("a.yaml");
	drop("b.yaml");
	manifest_files_free(&files);
	ck_assert_int_eq(rmdir(dir), 0);
	problems_free(&p);
}
END_TEST

START_TEST(a_missing_folder_is_told_and_a_missing_file_an_error)
{
	struct manifest_files files = { 0 };
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(manifest_dir_read(&files, "/nonexistent/mesh.d", &p), TULLE_ENOENT);
	ck_assert_int_eq(manifest_dir_read(&files, "/etc/passwd", &p), TULLE_EINVAL);
	ck_assert_int_eq(manifest_file_read(&files, "/nonexistent/a.yaml", &p), TULLE_EINVAL);
	ck_assert_str_eq(p.list[1].line, "/nonexistent/a.yaml: cannot be read: not found");
	ck_assert_uint_eq(files.n, 0);
	problems_free(&p);
}
END_TEST

UNIT_MAIN("dir", files_come_in_name_order_and_only_yaml, a_missing_folder_is_told_and_a_missing_file_an_error)
