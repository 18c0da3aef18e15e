/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/cgroups.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"

/* A tree of ordinary folders: their inode numbers are all that the table wants of them. */
static char top[100];

static uint64_t
folder(const char *path)
{
	char whole[400];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s/%s", top, path);
	ck_assert_int_eq(file_mkdirs(whole, 0755), TULLE_OK);
	ck_assert_int_eq(stat(whole, &st), 0);
	return st.st_ino;
}

static void
setup(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/tulle-test-cgroups-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void
teardown(void)
{
	char command[200];

	(void)snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(every_cgroup_has_its_unit)
{
	struct cgroups *c = NULL;
	uint64_t root, slice, cart, below, manager, forged, container, inside;

	setup();
	root = folder("");
	slice = folder("system.slice");
	cart = folder("system.slice/cart.service");
	below = folder("system.slice/cart.service/a/b/jobs.service");
	manager = folder("user.slice/user-1.slice/user@1.service");
	forged = folder("user.slice/user-1.slice/user@1.service/app.slice/cart.service");
	container = folder("docker/0123");
	inside = folder("docker/0123/cart.service");
	ck_assert_int_eq(cgroups_read(&c, top), TULLE_OK);
	ck_assert_str_eq(cgroups_unit(c, root), "");
	ck_assert_str_eq(cgroups_unit(c, slice), "");
	ck_assert_str_eq(cgroups_unit(c, cart), "cart.service");
	ck_assert_str_eq(cgroups_unit(c, below), "cart.service");
	ck_assert_str_eq(cgroups_unit(c, manager), "user@1.service");
	ck_assert_str_eq(cgroups_unit(c, forged), "user@1.service");
	ck_assert_str_eq(cgroups_unit(c, container), "");
	ck_assert_str_eq(cgroups_unit(c, inside), "");
	ck_assert_ptr_null(cgroups_unit(c, 1));
	ck_assert_ptr_null(cgroups_unit(NULL, root));
	ck_assert_uint_eq(cgroups_count(c), 14);
	c = cgroups_free(c);
	teardown();
}
END_TEST

START_TEST(a_unit_that_fills_its_part_hides_no_other)
{
	struct cgroups *c = NULL;
	uint64_t cart, deep;
	char path[300];
	size_t n;

	setup();
	for (int i = 0; i < CGROUPS_IN_UNIT + 100; i++) {
		(void)snprintf(path, sizeof(path), "a.slice/user@1.service/%d", i);
		(void)folder(path);
	}
	cart = folder("z.slice/cart.service");
	(void)snprintf(path, sizeof(path), "z.slice/cart.service");
	n = strlen(path);
	for (int i = 0; i < CGROUPS_DEPTH + 5; i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/d");
	deep = folder(path);
	ck_assert_int_eq(cgroups_read(&c, top), TULLE_OK);
	ck_assert_str_eq(cgroups_unit(c, cart), "cart.service");
	ck_assert_ptr_null(cgroups_unit(c, deep));
	ck_assert_uint_lt(cgroups_count(c), CGROUPS_IN_UNIT + 50);
	c = cgroups_free(c);
	teardown();
}
END_TEST

START_TEST(what_is_not_there_is_not_read)
{
	struct cgroups *c = NULL;

	ck_assert_int_eq(cgroups_read(&c, "/nowhere/at/all"), TULLE_ENOENT);
	ck_assert_ptr_null(c);
	ck_assert_ptr_null(cgroups_free(NULL));
	ck_assert_uint_eq(cgroups_count(NULL), 0);
}
END_TEST

UNIT_MAIN("cgroups", every_cgroup_has_its_unit, a_unit_that_fills_its_part_hides_no_other, what_is_not_there_is_not_read)
