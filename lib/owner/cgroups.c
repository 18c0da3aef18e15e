/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "owner/unit.h"

struct cgroup {
	UT_hash_handle hh;
	uint64_t id;
	const char *unit; /* "": none */
};

struct cgroups {
	struct arena arena;
	struct cgroup *table;
};

/* Where the walk is. */
struct place_in_tree {
	const char *unit; /* NULL: only slices so far */
	size_t *left;     /* how many more of this unit are taken; NULL: there is no unit yet */
	unsigned int depth;
};

static enum tulle_err
add(struct cgroups *c, uint64_t id, const char *unit)
{
	struct cgroup *g;

	if (HASH_COUNT(c->table) >= CGROUPS_MAX)
		return TULLE_ELIMIT;
	g = arena_array(&c->arena, 1, sizeof(*g));
	if (g == NULL)
		return TULLE_ENOMEM;
	g->id = id;
	g->unit = unit;
	HASH_ADD(hh, c->table, id, sizeof(g->id), g);
	return TULLE_OK;
}

static enum tulle_err walk(struct cgroups *c, int parent, const char *name, struct place_in_tree at);

/* One folder, and what is in it. */
static enum tulle_err
enter(struct cgroups *c, int parent, const struct dirent *d, struct place_in_tree at)
{
	size_t fresh = CGROUPS_IN_UNIT;
	char unit[UNIT_MAX];
	enum tulle_err e;

	if (at.unit == NULL) {
		switch (unit_step(d->d_name, strlen(d->d_name), unit)) {
		case UNIT_STEP_SLICE:
			break;
		case UNIT_STEP_UNIT:
			at.unit = arena_text(&c->arena, unit, strlen(unit));
			at.left = &fresh;
			if (at.unit == NULL)
				return TULLE_ENOMEM;
			break;
		case UNIT_STEP_NOTHING:
			at.unit = "";
			at.left = &fresh;
			break;
		}
	}
	if (at.left != NULL && *at.left == 0)
		return TULLE_OK;
	if (at.left != NULL)
		(*at.left)--;
	e = add(c, d->d_ino, at.unit != NULL ? at.unit : "");
	at.depth++;
	return e == TULLE_OK && at.depth < CGROUPS_DEPTH ? walk(c, parent, d->d_name, at) : e;
}

static enum tulle_err
walk(struct cgroups *c, int parent, const char *name, struct place_in_tree at)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	enum tulle_err e = TULLE_OK;
	const struct dirent *d;

	if (dir == NULL) {
		/* It may have gone in the meantime, or not be ours to look into: the rest counts all the same. */
		e = errno == EMFILE || errno == ENFILE || errno == ENOMEM ? TULLE_ESYS : TULLE_OK;
		if (fd != -1)
			(void)close(fd);
		return e;
	}
	while (e == TULLE_OK && (d = readdir(dir)) != NULL)
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			e = enter(c, dirfd(dir), d, at);
	(void)closedir(dir);
	return e;
}

/* NULL: there is none. */
static const char *
mounted(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

enum tulle_err
cgroups_read(struct cgroups **ret, const char *root)
{
	struct cgroups *c;
	struct stat st;
	enum tulle_err e;

	if (root == NULL)
		root = mounted();
	if (root == NULL || stat(root, &st) == -1)
		return TULLE_ENOENT;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return TULLE_ENOMEM;
	c->arena = arena_new(64u << 20);
	e = add(c, st.st_ino, "");
	if (e == TULLE_OK)
		e = walk(c, AT_FDCWD, root, (struct place_in_tree){ 0 });
	if (e != TULLE_OK && e != TULLE_ELIMIT) {
		(void)cgroups_free(c);
		return e;
	}
	*ret = c;
	return e;
}

struct cgroups *
cgroups_free(struct cgroups *c)
{
	if (c == NULL)
		return NULL;
	HASH_CLEAR(hh, c->table);
	arena_free(&c->arena);
	free(c);
	return NULL;
}

const char *
cgroups_unit(const struct cgroups *c, uint64_t id)
{
	const struct cgroup *g = NULL;

	if (c != NULL)
		HASH_FIND(hh, c->table, &id, sizeof(id), g);
	return g != NULL ? g->unit : NULL;
}

size_t
cgroups_count(const struct cgroups *c)
{
	return c != NULL ? HASH_COUNT(c->table) : 0;
}
