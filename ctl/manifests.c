/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifests.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/paths.h"
#include "generation/generation.h"
#include "manifest/host.h"
#include "print.h"

#define SILENT 300 /* seconds without a word about manifests; calls are held for less than one minute */

static json_int_t
num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static const char *
when(json_int_t seconds, char out[32])
{
	const time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds == 0 || gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, 32, "?");
	return out;
}

/* ---- a member that follows ---- */

static bool
copy_text(char out[MANIFESTS_TEXT], const json_t *manifests, const json_t *relayd)
{
	const json_t *copy = json_object_get(manifests, "copy");
	const json_int_t number = num(copy, "number"), heard = num(manifests, "heard"), offered = num(copy, "offered");
	const json_int_t relay = num(json_object_get(relayd, "manifests"), "number"), now = (json_int_t)time(NULL);
	const char *error = text_of(manifests, "error");
	char since[32], quiet[32];
	int n;

	if (number == 0) {
		(void)snprintf(out, MANIFESTS_TEXT, "none have come from the authority yet: %s", *error != '\0' ? error : "it has published none, or was not heard; tulle status there says which");
		return false;
	}
	n = snprintf(out, MANIFESTS_TEXT, "generation %lld (revision %s) of authority %.60s, since %s", (long long)number,
	    text_of(copy, "revision"), text_of(copy, "authority"), when(num(copy, "since"), since));
	if (n < 0 || n >= MANIFESTS_TEXT)
		return true;
	if (offered > number)
		(void)snprintf(out + n, MANIFESTS_TEXT - (size_t)n, "; BEHIND: the authority has %lld, which was not taken", (long long)offered);
	else if (*error != '\0' || now - heard > SILENT)
		(void)snprintf(out + n, MANIFESTS_TEXT - (size_t)n, "; maybe behind: the authority was not heard %s%s%s%.120s",
		    heard == 0 ? "since tulle-certd started" : "for ", heard == 0 ? "" : print_lifetime(now - heard, quiet),
		    *error != '\0' ? ": " : "", error);
	else if (relayd != NULL && relay != number && relay != 0)
		(void)snprintf(out + n, MANIFESTS_TEXT - (size_t)n, "; the relay has %lld: tulle reload relayd says why", (long long)relay);
	else
		return true;
	return false;
}

/* ---- an authority ---- */

static bool
published_text(char out[MANIFESTS_TEXT], const json_t *certd, const json_t *published)
{
	const json_t *members = json_object_get(certd, "members"), *m;
	size_t i, follow = 0, same = 0;
	char made[32];

	json_array_foreach(members, i, m) {
		const json_t *has = json_object_get(m, "manifests");

		follow += has != NULL;
		same += has != NULL && num(has, "number") == num(published, "number");
	}
	if (num(published, "number") == 0)
		(void)snprintf(out, MANIFESTS_TEXT, "from mesh.d; nothing is published to members yet");
	else
		(void)snprintf(out, MANIFESTS_TEXT, "from mesh.d; published as generation %lld (revision %s), %s; %zu of %zu members that follow have it",
		    (long long)num(published, "number"), text_of(published, "revision"), when(num(published, "made_at"), made), same, follow);
	return true; /* what is not well with it is an alarm of certd's */
}

bool
manifests_origin(char out[MANIFESTS_TEXT], const json_t *certd, const json_t *relayd)
{
	const json_t *manifests = json_object_get(certd, "manifests");
	const json_t *relay = json_object_get(relayd, "manifests");

	if (json_object_get(manifests, "copy") != NULL)
		return copy_text(out, manifests, relayd);
	if (json_object_get(manifests, "published") != NULL)
		return published_text(out, certd, json_object_get(manifests, "published"));
	if (num(relay, "number") != 0)
		(void)snprintf(out, MANIFESTS_TEXT, "generation %lld of the authority; tulle-certd does not say more", (long long)num(relay, "number"));
	else
		(void)snprintf(out, MANIFESTS_TEXT, "from mesh.d of this host");
	return true;
}

const char *
manifests_of_member(char out[MANIFESTS_TEXT], const json_t *member, const json_t *manifests)
{
	const json_t *has = json_object_get(member, "manifests"), *published = json_object_get(manifests, "published");
	const json_int_t number = num(has, "number");
	const char *trouble = text_of(has, "trouble");
	char quiet[32];

	if (has == NULL)
		(void)snprintf(out, MANIFESTS_TEXT, "manifests: its own, or not heard of since tulle-certd started");
	else if (number == num(published, "number"))
		(void)snprintf(out, MANIFESTS_TEXT, "manifests: generation %lld, the newest", (long long)number);
	else
		(void)snprintf(out, MANIFESTS_TEXT, "manifests: BEHIND, generation %lld, heard %s ago%s%s", (long long)number,
		    print_lifetime((int64_t)((json_int_t)time(NULL) - num(has, "asked")), quiet), *trouble != '\0' ? ": " : "", trouble);
	return out;
}

/* ---- files ---- */

size_t
manifests_own(void)
{
	DIR *d = opendir(paths_etc("mesh.d"));
	const struct dirent *entry;
	size_t n = 0;

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.' && manifest_name_counts(entry->d_name);
	(void)closedir(d);
	return n;
}

/* What the authority published, as the relay of this host reads it. */
static void
read_copy(struct manifest_files *files, struct problems *problems)
{
	const struct place at = { .file = paths_var(GENERATION_COPY) };
	char why[GENERATION_WHY] = "";
	char AUTO_FREE *data = NULL;
	struct manifest_file *more;
	struct generation g;
	size_t len;
	enum tulle_err e = file_read(at.file, GENERATION_KEPT_MAX, &data, &len);

	if (manifests_own() > 0)
		problem_warn(problems, (struct place){ .file = paths_etc("mesh.d") }, NULL,
		    "is ignored: manifests.source is authority, so what the authority publishes is in force; files would let these count");
	if (e == TULLE_ENOENT) {
		problem_warn(problems, at, NULL, "the authority's manifests have not come yet");
		return;
	}
	if (e == TULLE_OK)
		e = generation_kept_open(&g, NULL, (const uint8_t *)data, len, why);
	if (e != TULLE_OK) {
		problem_error(problems, at, NULL, "cannot be used: %s", why[0] != '\0' ? why : tulle_strerror(e));
		return;
	}
	more = reallocarray(files->items, files->n + g.files.n + 1, sizeof(*more));
	if (more != NULL) {
		files->items = more;
		for (size_t i = 0; i < g.files.n; i++)
			more[files->n++] = g.files.items[i]; /* names and bytes are <files>' now */
		g.files.n = 0;
	}
	generation_free(&g);
}

bool
manifests_follow(void)
{
	struct problems *unused = malloc(sizeof(*unused));
	struct host_config *host = NULL;
	bool follows;

	if (unused == NULL)
		return false;
	problems_init(unused);
	follows = host_config_read(&host, paths_etc("tulle.yaml"), unused) == TULLE_OK &&
	    host->manifests.source == MANIFESTS_AUTHORITY;
	(void)host_config_free(host);
	problems_free(unused);
	free(unused);
	return follows;
}

bool
manifests_read(struct manifest_files *files, struct problems *problems)
{
	bool there;

	if (manifests_follow()) {
		read_copy(files, problems);
		return true;
	}
	there = manifest_dir_read(files, paths_etc("mesh.d"), problems) != TULLE_ENOENT;
	manifest_dir_ignored(paths_etc("mesh.d"), problems);
	return there;
}
