/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/paths.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static char root_dir[PATHS_ROOT_MAX + 1];

enum tulle_err
paths_init(const char *root)
{
	size_t n = strlen(root);

	if (n > 0 && root[0] != '/')
		return TULLE_EINVAL;
	while (n > 0 && root[n - 1] == '/')
		n--;
	if (n > PATHS_ROOT_MAX)
		return TULLE_EINVAL;
	memcpy(root_dir, root, n);
	root_dir[n] = '\0';
	return TULLE_OK;
}

const char *
paths_root(void)
{
	return root_dir;
}

const char *
paths_etc(const char *name)
{
	static _Thread_local char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/etc/tulle/%s", root_dir, name);
	return path;
}

const char *
paths_run(const char *name)
{
	static _Thread_local char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/run/tulle/%s", root_dir, name);
	return path;
}

const char *
paths_var(const char *name)
{
	static _Thread_local char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/var/lib/tulle/%s", root_dir, name);
	return path;
}
