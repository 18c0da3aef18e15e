/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * root.h - a root folder with a configuration, for tests of what the parent
 * reads.  root_make() and root_remove() in one test.
 */
#ifndef TULLE_TESTS_ROOT_H
#define TULLE_TESTS_ROOT_H

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"
#include "unit.h"

static inline void
root_write(const char *manifest)
{
	FILE *out = fopen(paths_etc("mesh.d/a.yaml"), "w");

	ck_assert_ptr_nonnull(out);
	(void)fputs(manifest, out);
	ck_assert_int_eq(fclose(out), 0);
}

static const char *const root_folders[] = { "", "/etc", "/etc/tulle", "/etc/tulle/mesh.d", "/var", "/var/lib", "/var/lib/tulle",
	"/var/lib/tulle/relayd" };

static inline void
root_make(const char *manifest)
{
	char path[] = "/tmp/tulle-unit-XXXXXX", name[128];

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(paths_init(path), TULLE_OK);
	for (size_t i = 1; i < sizeof(root_folders) / sizeof(root_folders[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, root_folders[i]);
		ck_assert_int_eq(mkdir(name, 0755), 0);
	}
	root_write(manifest);
}

static inline void
root_remove(void)
{
	char name[128];

	(void)unlink(paths_etc("mesh.d/a.yaml"));
	(void)unlink(paths_var("relayd/last-good"));
	for (size_t i = sizeof(root_folders) / sizeof(root_folders[0]); i-- > 0;) {
		(void)snprintf(name, sizeof(name), "%s%s", paths_root(), root_folders[i]);
		ck_assert_int_eq(rmdir(name), 0);
	}
}

#endif
