/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "manifest/yaml.h"

static enum tulle_err
cannot(struct problems *problems, const char *path, const char *why)
{
	problem_error(problems, (struct place){ path, 0, 0 }, NULL, "cannot be read: %s", why);
	return TULLE_EINVAL;
}

enum tulle_err
manifest_file_read(struct manifest_files *files, const char *path, struct problems *problems)
{
	char AUTO_FREE *data = NULL, AUTO_FREE *name = NULL;
	struct manifest_file *more;
	size_t len = 0;
	enum tulle_err e;

	if (files->n == MANIFEST_MAX_FILES)
		return cannot(problems, path, "too many files");
	e = file_read(path, YAML_MAX_BYTES, &data, &len);
	if (e == TULLE_ENOMEM)
		return e;
	if (e != TULLE_OK)
		return cannot(problems, path, e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	if (len > MANIFEST_MAX_BYTES - files->bytes)
		return cannot(problems, path, "all files together are too large");
	name = strdup(path);
	more = realloc(files->items, (files->n + 1) * sizeof(*more));
	if (more != NULL)
		files->items = more;
	if (name == NULL || more == NULL)
		return TULLE_ENOMEM;
	files->items[files->n++] = (struct manifest_file){ PTR_TAKE(name), PTR_TAKE(data), len };
	files->bytes += len;
	return TULLE_OK;
}

bool
manifest_name_counts(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int
is_manifest(const struct dirent *d)
{
	return d->d_name[0] != '.' && manifest_name_counts(d->d_name);
}

/* Hidden files are hidden on purpose, unless they look like a manifest. */
static int
is_ignored(const struct dirent *d)
{
	return d->d_name[0] == '.' ? manifest_name_counts(d->d_name) : !manifest_name_counts(d->d_name);
}

/* By bytes: the order must not change with the locale. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

enum tulle_err
manifest_dir_read(struct manifest_files *files, const char *path, struct problems *problems)
{
	struct dirent **names = NULL;
	enum tulle_err e = TULLE_OK, one;
	char full[4096];
	int n;

	n = scandir(path, &names, is_manifest, by_name);
	if (n == -1) {
		if (errno == ENOENT)
			return TULLE_ENOENT;
		return errno == ENOMEM ? TULLE_ENOMEM : cannot(problems, path, log_errno_text(errno));
	}
	for (int i = 0; i < n; i++) {
		const int len = snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);

		if (len < 0 || (size_t)len >= sizeof(full))
			one = cannot(problems, path, "the path is too long");
		else
			one = manifest_file_read(files, full, problems);
		if (one != TULLE_OK && e != TULLE_ENOMEM)
			e = one;
		free(names[i]);
	}
	free(names);
	return e;
}

void
manifest_dir_ignored(const char *path, struct problems *problems)
{
	struct dirent **names = NULL;
	const int n = scandir(path, &names, is_ignored, by_name);
	char full[4096];
	struct stat st;

	for (int i = 0; i < n; i++) {
		const int len = snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);

		if (len > 0 && (size_t)len < sizeof(full))
			problem_warn(problems, (struct place){ full, 0, 0 }, NULL, "is ignored: %s",
			    stat(full, &st) == 0 && S_ISDIR(st.st_mode) ?
			        "folders below are not read" :
			        "only names that end in .yaml or .yml, and do not start with a dot, count");
		free(names[i]);
	}
	free(names);
}

void
manifest_files_free(struct manifest_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free((void *)(uintptr_t)files->items[i].name);
		free((void *)(uintptr_t)files->items[i].data);
	}
	free(files->items);
	*files = (struct manifest_files){ 0 };
}
