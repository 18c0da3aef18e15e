/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

#define PROBLEMS_BYTES 4096

static void
say_trouble(struct copy *c, const char *text)
{
	if (strcmp(c->trouble, text) != 0)
		log_error("the authority's manifests were not taken: those that are here stay", LF_STR("reason", text),
		    LF_UINT("generation", c->number), LF_UINT("offered", c->offered));
	(void)snprintf(c->trouble, sizeof(c->trouble), "%s", text);
}

static void
set(struct copy *c, const struct generation *g, const struct generation_kept *about)
{
	c->number = g->number;
	c->made_at = g->made_at;
	memcpy(c->digest, g->digest, sizeof(c->digest));
	memcpy(c->revision, g->revision, sizeof(c->revision));
	c->files = g->files.n;
	c->bytes = g->files.bytes;
	c->about = *about;
}

static enum tulle_err
remember(struct copy *c, const struct generation *g)
{
	char digest[2 * GENERATION_DIGEST + 1];

	return store_put(c->store, "self", "manifests",
	    json_pack("{sI ss}", "number", (json_int_t)g->number, "digest", text_hex(g->digest, GENERATION_DIGEST, digest)));
}

/* ---- start ---- */

/* Is it what was taken last?  The file is written first: a newer one is a step that a power cut interrupted. */
static enum tulle_err
compare(struct copy *c, const struct generation *g, char why[GENERATION_WHY])
{
	const json_t *last = store_get(c->store, "self", "manifests");
	char digest[2 * GENERATION_DIGEST + 1];
	const uint64_t number = (uint64_t)value_int(last, "number");

	(void)text_hex(g->digest, GENERATION_DIGEST, digest);
	if (g->number > number)
		return remember(c, g);
	if (g->number == number && strcmp(value_text(last, "digest"), digest) == 0)
		return TULLE_OK;
	(void)snprintf(why, GENERATION_WHY, "it is generation %" PRIu64 ", and this host has had %" PRIu64 ": somebody put an old one there",
	    g->number, number);
	return TULLE_EDENIED;
}

static enum tulle_err
load(struct copy *c, char why[GENERATION_WHY])
{
	struct generation_kept about = { .since = 0 };
	struct generation g;
	char AUTO_FREE *data = NULL;
	size_t len;
	enum tulle_err e = file_read(c->path, GENERATION_KEPT_MAX, &data, &len);

	if (e != TULLE_OK) {
		(void)snprintf(why, GENERATION_WHY, "%s", e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return e;
	}
	e = generation_kept_open(&g, &about, (const uint8_t *)data, len, why);
	if (e != TULLE_OK)
		return e;
	e = compare(c, &g, why);
	if (e == TULLE_OK)
		set(c, &g, &about);
	generation_free(&g);
	return e;
}

static void
move_aside(const struct copy *c)
{
	char AUTO_FREE *to = NULL;

	if (asprintf(&to, "%s.refused", c->path) == -1)
		to = NULL;
	if (to == NULL || rename(c->path, to) == -1)
		(void)unlink(c->path);
}

enum tulle_err
copy_open(struct copy *c, struct store *store, const char *path)
{
	char why[GENERATION_WHY] = "";
	enum tulle_err e;

	*c = (struct copy){ .store = store, .path = strdup(path) };
	if (c->path == NULL)
		return TULLE_ENOMEM;
	e = load(c, why);
	if (e == TULLE_OK || e == TULLE_ENOMEM || (e == TULLE_ENOENT && store_get(store, "self", "manifests") == NULL))
		return e == TULLE_ENOMEM ? e : TULLE_OK;
	log_error("this host's copy of the manifests is refused: the authority is asked for them", LF_STR("file", path),
	    LF_STR("reason", why));
	(void)snprintf(c->trouble, sizeof(c->trouble), "the copy on disk was refused: %.150s", e == TULLE_ENOENT ? "it is gone" : why);
	if (e == TULLE_EDENIED || e == TULLE_EPEER)
		move_aside(c);
	return TULLE_OK;
}

void
copy_close(struct copy *c)
{
	free(c->path);
	*c = (struct copy){ 0 };
}

/* ---- taking ---- */

static enum tulle_err
check_number(struct copy *c, const struct generation *g, char why[GENERATION_WHY])
{
	const uint64_t last = (uint64_t)value_int(store_get(c->store, "self", "manifests"), "number");

	c->offered = g->number;
	if (g->number >= last)
		return TULLE_OK;
	(void)snprintf(why, GENERATION_WHY,
	    "the authority offers generation %" PRIu64 ", and this host has had %" PRIu64 ": was it restored from a backup? tulle reload "
	    "certd there publishes its mesh.d anew",
	    g->number, last);
	return TULLE_EDENIED;
}

/* One number, two contents: the authority's word is not to be relied on. */
static bool
contradicts(const struct copy *c, const struct generation *g)
{
	return c->number == g->number && memcmp(c->digest, g->digest, sizeof(c->digest)) != 0;
}

static enum tulle_err
judge(const struct generation *g, copy_check *check, void *arg, char why[GENERATION_WHY])
{
	struct buf problems = buf_new(PROBLEMS_BYTES);
	enum tulle_err e = check(arg, &g->files, &problems);
	const char *text = buf_len(&problems) > 0 ? (const char *)buf_head(&problems) : "";

	if (e != TULLE_OK)
		(void)snprintf(why, GENERATION_WHY, "generation %" PRIu64 " does not load: %.*s", g->number,
		    (int)(buf_len(&problems) > 0 ? strcspn(text, "\n") : 0), text);
	buf_free(&problems);
	return e;
}

static enum tulle_err
save(struct copy *c, const uint8_t *p, size_t n, struct der roots, const struct generation *g,
    const struct generation_kept *about, char why[GENERATION_WHY])
{
	struct buf out = buf_new(GENERATION_KEPT_MAX);
	enum tulle_err e = generation_keep(&out, p, n, roots.p, roots.len, about);

	if (e == TULLE_OK)
		e = file_replace(c->path, buf_head(&out), buf_len(&out), 0644);
	if (e == TULLE_OK)
		e = remember(c, g);
	if (e != TULLE_OK)
		(void)snprintf(why, GENERATION_WHY, "%s: generation %" PRIu64 " cannot be written to %.100s",
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e), g->number, c->path);
	buf_free(&out);
	return e;
}

static enum tulle_err
take(struct copy *c, const uint8_t *p, size_t n, struct der roots, const struct generation *g,
    const struct generation_kept *about, copy_check *check, void *arg, char why[GENERATION_WHY])
{
	enum tulle_err e = check_number(c, g, why);

	if (e == TULLE_OK && contradicts(c, g)) {
		(void)snprintf(why, GENERATION_WHY, "generation %" PRIu64 " has other manifests than this host has under that number", g->number);
		e = TULLE_EDENIED;
	}
	if (e == TULLE_OK && c->number == g->number)
		return TULLE_OK;
	if (e == TULLE_OK)
		e = judge(g, check, arg, why);
	if (e == TULLE_OK)
		e = save(c, p, n, roots, g, about, why);
	if (e != TULLE_OK)
		return e;
	set(c, g, about);
	log_notice("manifests of the authority taken", LF_UINT("generation", c->number),
	    LF_STR("revision", c->revision), LF_UINT("files", c->files), LF_STR("from", about->authority));
	return TULLE_OK;
}

enum tulle_err
copy_take(struct copy *c, const uint8_t *p, size_t n, const char *td, struct der roots, const char *from, int64_t now,
    copy_check *check, void *arg)
{
	struct generation_kept about = { .since = now };
	char why[GENERATION_WHY] = "";
	struct generation g;
	enum tulle_err e = generation_open(&g, p, n, td, roots.p, roots.len, why);

	(void)snprintf(about.authority, sizeof(about.authority), "%s", from);
	if (e == TULLE_OK) {
		e = take(c, p, n, roots, &g, &about, check, arg, why);
		generation_free(&g);
	}
	if (e == TULLE_OK)
		c->trouble[0] = '\0';
	else
		say_trouble(c, why[0] != '\0' ? why : tulle_strerror(e));
	return e;
}

void
copy_forget(struct copy *c)
{
	if (c->path == NULL)
		return;
	(void)unlink(c->path);
	if (store_get(c->store, "self", "manifests") != NULL)
		(void)store_remove(c->store, "self", "manifests");
	c->number = c->offered = 0;
	c->trouble[0] = '\0';
	memset(c->digest, 0, sizeof(c->digest));
	c->revision[0] = '\0';
}

json_t *
copy_status(const struct copy *c)
{
	return json_pack("{sI ss sI sI ss sI sI sI ss}", "number", (json_int_t)c->number, "revision", c->revision, "made_at",
	    (json_int_t)c->made_at, "since", (json_int_t)c->about.since, "authority", c->about.authority, "offered",
	    (json_int_t)c->offered, "files", (json_int_t)c->files, "bytes", (json_int_t)c->bytes, "trouble", c->trouble);
}
