/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

static int64_t
remembered(const struct published *p)
{
	return value_int(store_get(p->store, "self", "published"), "number");
}

/* What <message> holds is in force from now on. */
static void
set(struct published *p, struct buf *message, const struct generation *g)
{
	buf_free(&p->message);
	p->message = *message;
	*message = buf_new(0);
	p->number = g->number;
	p->made_at = g->made_at;
	memcpy(p->digest, g->digest, sizeof(p->digest));
	memcpy(p->revision, g->revision, sizeof(p->revision));
	p->files = g->files.n;
	p->bytes = g->files.bytes;
}

/* ---- loading ---- */

static enum tulle_err
load(struct published *p, char why[GENERATION_WHY])
{
	struct der roots = authority_roots(p->authority);
	struct buf message = buf_new(GENERATION_SIGNED_MAX);
	char AUTO_FREE *data = NULL;
	struct generation g;
	size_t len;
	enum tulle_err e = file_read(p->path, GENERATION_SIGNED_MAX, &data, &len);

	if (e != TULLE_OK) {
		(void)snprintf(why, GENERATION_WHY, "%s", e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return e;
	}
	e = generation_open(&g, (const uint8_t *)data, len, p->td, roots.p, roots.len, why);
	if (e != TULLE_OK)
		return e;
	if (g.number < (uint64_t)remembered(p)) {
		(void)snprintf(why, GENERATION_WHY, "it is older than what was published last");
		e = TULLE_EINVAL;
	}
	if (e == TULLE_OK)
		e = buf_append(&message, data, len);
	if (e == TULLE_OK)
		set(p, &message, &g);
	buf_free(&message);
	generation_free(&g);
	return e;
}

enum tulle_err
publish_open(struct published *p, struct store *store, struct authority *authority, const char *dir, const char *td)
{
	char why[GENERATION_WHY] = "";
	enum tulle_err e;

	*p = (struct published){ .store = store, .authority = authority, .td = td, .message = buf_new(GENERATION_SIGNED_MAX) };
	if (asprintf(&p->path, "%s/published", dir) == -1) {
		p->path = NULL;
		return TULLE_ENOMEM;
	}
	e = load(p, why);
	if (e == TULLE_ENOMEM)
		return e;
	if (e != TULLE_OK && (e != TULLE_ENOENT || remembered(p) > 0))
		log_warn("what was published to the members cannot be used: mesh.d is published anew", LF_STR("file", p->path),
		    LF_STR("reason", why));
	return TULLE_OK;
}

void
publish_close(struct published *p)
{
	buf_free(&p->message);
	free(p->path);
	*p = (struct published){ 0 };
}

/* ---- publishing ---- */

static uint64_t
next_number(const struct published *p, int64_t now)
{
	uint64_t last = (uint64_t)remembered(p), number = now > 0 ? (uint64_t)now : 1;

	if (p->number > last)
		last = p->number;
	return number > last ? number : last + 1;
}

/* On disk, then remembered. */
static enum tulle_err
save(struct published *p, const struct buf *message, uint64_t number)
{
	enum tulle_err e = file_replace(p->path, buf_head(message), buf_len(message), 0600);

	return e != TULLE_OK ? e : store_put(p->store, "self", "published", json_pack("{sI}", "number", (json_int_t)number));
}

enum tulle_err
publish_files(struct published *p, const struct manifest_files *files, int64_t now, bool *ret_changed,
    char why[GENERATION_WHY])
{
	struct generation g = { .made_at = now, .files = *files };
	struct buf message = buf_new(GENERATION_SIGNED_MAX);
	enum tulle_err e = generation_bounds(files, why);

	if (e == TULLE_OK)
		e = generation_digest(g.digest, files->items, files->n);
	if (e != TULLE_OK)
		return e;
	if (p->number != 0 && p->highest <= p->number && memcmp(g.digest, p->digest, sizeof(g.digest)) == 0) {
		*ret_changed = false;
		return TULLE_OK;
	}
	g.number = next_number(p, now);
	e = generation_sign(&message, p->td, g.number, now, files, authority_root_key(p->authority));
	if (e == TULLE_OK)
		e = save(p, &message, g.number);
	if (e == TULLE_OK) {
		(void)snapshot_revision(g.revision, files->items, files->n);
		set(p, &message, &g);
		*ret_changed = true;
		log_notice("manifests published to the members", LF_UINT("generation", p->number),
		    LF_STR("revision", p->revision), LF_UINT("files", p->files),
		    LF_UINT("bytes", p->bytes));
	}
	buf_free(&message);
	return e;
}

void
publish_seen(struct published *p, uint64_t number)
{
	if (number <= p->highest)
		return;
	p->highest = number;
	if (p->number != 0 && number > p->number)
		log_warn("a member has a newer generation of manifests than this authority: was it restored from a backup? bring "
		         "mesh.d up to date, then tulle reload certd",
		    LF_UINT("theirs", number), LF_UINT("ours", p->number));
}

json_t *
publish_status(const struct published *p)
{
	return json_pack("{sI ss sI sI sI ss sI}", "number", (json_int_t)p->number, "revision", p->revision, "made_at",
	    (json_int_t)p->made_at, "files", (json_int_t)p->files, "bytes", (json_int_t)p->bytes, "trouble", p->trouble, "highest",
	    (json_int_t)p->highest);
}
