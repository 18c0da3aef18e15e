/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scratch.h - a folder of the test's own, removed at the end. */
#ifndef TULLE_TESTS_CERTD_SCRATCH_H
#define TULLE_TESTS_CERTD_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline char *
scratch_new(void)
{
	char *dir = strdup("/tmp/tulle-certd-XXXXXX");

	return mkdtemp(dir);
}

static int
scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
scratch_free(char *dir)
{
	(void)nftw(dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static inline char *
scratch_path(const char *dir, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

#endif
