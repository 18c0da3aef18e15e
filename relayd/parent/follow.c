/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "generation/generation.h"
#include "manifest/host.h"

void
follow_source(struct follow *f, const struct manifest_file *yaml)
{
	struct problems AUTO_FREE *unused = calloc(1, sizeof(*unused));
	struct host_config *host = NULL;

	if (unused == NULL)
		return;
	problems_init(unused);
	if (host_config_parse(&host, yaml->name, yaml->data, yaml->len, unused) == TULLE_OK)
		f->on = host->manifests.source == MANIFESTS_AUTHORITY;
	(void)host_config_free(host);
	problems_free(unused);
}

/* Names and bytes are taken over. */
static enum tulle_err
append(struct manifest_files *files, struct manifest_files *more)
{
	struct manifest_file *items = reallocarray(files->items, files->n + more->n + 1, sizeof(*items));

	if (items == NULL)
		return TULLE_ENOMEM;
	files->items = items;
	for (size_t i = 0; i < more->n; i++)
		items[files->n++] = more->items[i];
	files->bytes += more->bytes;
	more->n = 0;
	return TULLE_OK;
}

/* Files of this host that are not read may be meant to count. */
static void
warn_own_files(struct problems *problems)
{
	struct problems AUTO_FREE *unused = calloc(1, sizeof(*unused));
	const char *path = paths_etc("mesh.d");
	struct manifest_files own = { 0 };

	if (unused == NULL)
		return;
	problems_init(unused);
	(void)manifest_dir_read(&own, path, unused);
	if (own.n > 0)
		problem_warn(problems, (struct place){ .file = path }, NULL,
		    "is ignored: manifests.source is authority, so what the authority publishes is in force; files would let these count");
	manifest_files_free(&own);
	problems_free(unused);
}

static struct follow_mark
mark_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return (struct follow_mark){ 0 };
	return (struct follow_mark){ .dev = st.st_dev, .ino = st.st_ino, .len = (uint64_t)st.st_size, .sec = st.st_ctim.tv_sec,
		.nsec = st.st_ctim.tv_nsec };
}

/* Why the file cannot be read is an error, but for one that has never been there. */
static enum tulle_err
unreadable(enum tulle_err e, bool must, const struct place *at, struct problems *problems)
{
	if (e == TULLE_ENOENT && !must) {
		problem_warn(problems, *at, NULL, "the authority's manifests have not come yet: until then there are none");
		return TULLE_OK;
	}
	problem_error(problems, *at, NULL, "%s: what was in force stays; tulle-certd asks the authority for its manifests",
	    e == TULLE_ENOENT ? "is missing" : e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
}

enum tulle_err
follow_read(struct follow *f, struct manifest_files *files, bool must, uint64_t *ret_number, struct problems *problems)
{
	const struct place at = { .file = paths_var(GENERATION_COPY) };
	char why[GENERATION_WHY] = "";
	char AUTO_FREE *data = NULL;
	struct generation g;
	size_t len = 0;
	enum tulle_err e;

	warn_own_files(problems);
	f->copy = mark_of(at.file); /* before it is read: a newer one is noticed at the next look */
	e = file_read(at.file, GENERATION_KEPT_MAX, &data, &len);
	if (e != TULLE_OK) {
		*ret_number = 0;
		return unreadable(e, must, &at, problems);
	}
	e = generation_kept_open(&g, NULL, (const uint8_t *)data, len, why);
	if (e != TULLE_OK) {
		problem_error(problems, at, NULL, "is refused: %s; what was in force stays; a restart of tulle-certd fetches it anew", why);
		return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
	}
	e = append(files, &g.files);
	if (e == TULLE_OK)
		*ret_number = g.number;
	generation_free(&g);
	return e;
}

bool
follow_changed(struct follow *f)
{
	struct follow_mark now;
	bool same;

	if (!f->on)
		return false;
	now = mark_of(paths_var(GENERATION_COPY));
	same = now.dev == f->copy.dev && now.ino == f->copy.ino && now.len == f->copy.len && now.sec == f->copy.sec &&
	    now.nsec == f->copy.nsec;
	f->copy = now;
	return !same;
}
