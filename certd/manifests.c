/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon.h"
#include "manifest/dir.h"
#include "manifest/snapshot.h"

/*
 * Do they load?  Every workload counts as ours, so that what is wrong for any host is wrong here: one host's view
 * would leave out the others'.
 */
static enum tulle_err
judge(const struct daemon *d, const struct config *c, const struct manifest_files *files, struct problems *problems)
{
	struct host_config host = *c->host;
	struct snapshot *s = NULL;
	enum tulle_err e;

	if (!c->td_given)
		host.trust_domain = d->td;
	e = snapshot_load(&s, &(struct snapshot_input){ .files = files->items, .n_files = files->n, .all_local = true, .host = &host },
	    problems);
	if (e == TULLE_OK)
		(void)snapshot_unref(s);
	return e;
}

/* ---- the authority ---- */

static enum tulle_err
read_folder(struct daemon *d, const struct config *c, struct manifest_files *files, struct problems *problems)
{
	const char *path = paths_etc("mesh.d");
	enum tulle_err e = manifest_dir_read(files, path, problems);

	if (e == TULLE_ENOENT && d->published.number != 0) {
		problem_error(problems, (struct place){ .file = path }, NULL,
		    "mesh.d is missing: what was published stays; an empty folder would say that there are no manifests");
		return TULLE_EINVAL;
	}
	return e != TULLE_OK ? e : judge(d, c, files, problems);
}

static enum tulle_err
publish(struct daemon *d, const struct manifest_files *files, struct buf *error)
{
	char why[GENERATION_WHY] = "";
	bool changed = false;
	enum tulle_err e = publish_files(&d->published, files, clock_wall_sec(), &changed, why);

	if (e != TULLE_OK)
		(void)buf_printf(error, "%s: %s\n", paths_etc("mesh.d"),
		    why[0] != '\0' ? why : e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	else if (changed && d->server != NULL)
		authority_server_published(d->server);
	return e;
}

static bool
has_members(const struct daemon *d)
{
	return json_object_size(store_table(d->store, "member")) > 0;
}

/* The first line of what was wrong, for status. */
static void
note_trouble(struct published *p, const struct buf *error, size_t before)
{
	const char *text = buf_len(error) > before ? (const char *)buf_head(error) + before : "it does not load";
	const size_t len = buf_len(error) > before ? buf_len(error) - before : strlen(text);
	const char *end = memchr(text, '\n', len);

	(void)snprintf(p->trouble, sizeof(p->trouble), "%.*s", (int)(end != NULL ? (size_t)(end - text) : len), text);
}

enum tulle_err
manifests_publish(struct daemon *d, const struct config *c, struct buf *error)
{
	struct manifest_files files = { 0 };
	struct problems AUTO_FREE *problems = calloc(1, sizeof(*problems));
	const size_t before = buf_len(error);
	enum tulle_err e;

	if (d->published.path == NULL)
		return TULLE_OK;
	if (problems == NULL)
		return TULLE_ENOMEM;
	problems_init(problems);
	e = read_folder(d, c, &files, problems);
	if (e == TULLE_OK) {
		e = publish(d, &files, error);
	} else if (e == TULLE_ENOENT) {
		e = TULLE_OK; /* there was never anything */
	} else {
		problems->warnings = 0; /* the relay of this host tells them */
		problems_print(error, problems);
	}
	d->published.trouble[0] = '\0';
	if (e != TULLE_OK) {
		note_trouble(&d->published, error, before);
		LOG_AT(has_members(d) ? LOG_LVL_ERROR : LOG_LVL_INFO, "the manifests of mesh.d were not published: members keep what they have", LF_STR("reason", d->published.trouble),
		    LF_UINT("generation", d->published.number));
	}
	manifest_files_free(&files);
	problems_free(problems);
	if (e == TULLE_OK || has_members(d))
		return e;
	error->len = before; /* nobody misses it, and the relay of this host says the same */
	return TULLE_OK;
}

/* ---- a member ---- */

static enum tulle_err
check(void *arg, const struct manifest_files *files, struct buf *out)
{
	struct daemon *d = arg;
	struct problems AUTO_FREE *problems = calloc(1, sizeof(*problems));
	enum tulle_err e;

	if (problems == NULL)
		return TULLE_ENOMEM;
	problems_init(problems);
	e = judge(d, d->config, files, problems);
	for (size_t i = 0; e != TULLE_OK && i < problems->n; i++)
		if (!problems->list[i].warning)
			(void)buf_printf(out, "%s\n", problems->list[i].line);
	problems_free(problems);
	return e;
}

static void
tell_fleet(struct daemon *d)
{
	fleet_have(d->fleet, d->copy.number, d->copy.digest, d->copy.trouble);
}

enum tulle_err
manifests_follow(struct daemon *d, const struct config *c)
{
	const bool on = d->fleet != NULL && c->host->manifests.source == MANIFESTS_AUTHORITY;
	enum tulle_err e = TULLE_OK;

	if (on && d->copy.path == NULL) {
		e = copy_open(&d->copy, d->store, paths_var(GENERATION_COPY));
		if (e != TULLE_OK)
			return e;
		tell_fleet(d);
		/* Of this start, not of the authority's: once told, what the authority sends is to be taken at once. */
	}
	if (!on)
		copy_close(&d->copy);
	if (d->fleet != NULL)
		fleet_follow(d->fleet, on);
	return TULLE_OK;
}

void
manifests_take(struct daemon *d, const uint8_t *p, size_t n)
{
	char from[ADDR_TEXT];

	if (d->copy.path == NULL)
		return; /* the source is another now */
	(void)copy_take(&d->copy, p, n, d->td, fleet_roots(d->fleet), fleet_authority(d->fleet, from), clock_wall_sec(), check, d);
	tell_fleet(d);
}

void
manifests_joined(struct daemon *d)
{
	publish_close(&d->published);
	if (d->copy.path == NULL)
		return;
	copy_forget(&d->copy);
	tell_fleet(d);
}

/* ---- status ---- */

static void
alarm_add(json_t *alarms, const char *what, const char *reason)
{
	(void)json_array_append_new(alarms, json_pack("{ss ss ss}", "id", "manifests", "alarm", what, "reason", reason));
}

json_t *
manifests_status(struct daemon *d, json_t *alarms)
{
	json_t *o = json_pack("{ss}", "source", d->copy.path != NULL ? "authority" : "files");
	const char *error = "";

	if (d->published.path != NULL) {
		(void)json_object_set_new(o, "published", publish_status(&d->published));
		if (d->published.trouble[0] != '\0' && has_members(d))
			alarm_add(alarms, "mesh.d is not published, members keep what they have", d->published.trouble);
		if (d->published.number != 0 && d->published.highest > d->published.number)
			alarm_add(alarms, "a member has a newer generation than this authority",
			    "was it restored from a backup? bring mesh.d up to date, then tulle reload certd");
	}
	if (d->copy.path != NULL) {
		(void)json_object_set_new(o, "copy", copy_status(&d->copy));
		(void)json_object_set_new(o, "heard", json_integer((json_int_t)fleet_manifests_heard(d->fleet, &error)));
		(void)json_object_set_new(o, "error", json_string(error));
		if (d->copy.trouble[0] != '\0')
			alarm_add(alarms, "the authority's manifests were not taken, those that are here stay", d->copy.trouble);
	}
	return o;
}
