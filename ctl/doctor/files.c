/* SPDX-License-Identifier: GPL-3.0-or-later */
/* files.c - do the configuration and the manifests load, and are they those that are in force? */
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/paths.h"
#include "doctor/doctor.h"
#include "generation/generation.h"
#include "manifest/identities.h"
#include "manifests.h"
#include "print.h"

#define SHOWN 10 /* problems in words; tulle check has the rest */
#define ROOM_LOW (64u << 20)  /* bytes: a store, a last good configuration and their copies fit many times */
#define ROOM_NONE (2u << 20)

/* ---- room ------------------------------------------------------------------------ */

void
check_disk(struct doctor *d)
{
	struct statvfs v;
	uint64_t room;

	if (statvfs(paths_var(""), &v) == -1) {
		if (errno != ENOENT)
			report_add(&d->report, UNKNOWN, "disk", "%s: %s", paths_var(""), strerror(errno));
		return;
	}
	room = (uint64_t)v.f_bavail * v.f_frsize;
	if (room < ROOM_NONE)
		report_add(&d->report, BROKEN, "disk", "the disk of %s is full (%" PRIu64 " KiB left): certificates and manifests "
		    "cannot be kept, nothing new is signed; make room", paths_var(""), room >> 10);
	else if (v.f_files > 0 && v.f_favail == 0)
		report_add(&d->report, BROKEN, "disk", "the file system of %s has no inode left: no file can be made; remove files "
		    "there", paths_var(""));
	else if (room < ROOM_LOW)
		report_add(&d->report, WARNING, "disk", "only %" PRIu64 " MiB are left for %s: make room before it is full",
		    room >> 20, paths_var(""));
	else
		report_add(&d->report, WELL, "disk", "%" PRIu64 " MiB left for %s", room >> 20, paths_var(""));
}

/* ---- configuration ------------------------------------------------------------------ */

static void
add_problems(struct doctor *d, const struct problems *p, const char *what, const char *advice)
{
	for (size_t i = 0; i < p->n && i < SHOWN; i++)
		report_add(&d->report, p->list[i].warning ? WARNING : BROKEN, what, "%s%s%s", p->list[i].line,
		    p->list[i].warning ? "" : "; ", p->list[i].warning ? "" : advice);
	if (p->errors + p->warnings > SHOWN)
		report_add(&d->report, p->errors > 0 ? BROKEN : WARNING, what, "and %zu more: tulle check shows all",
		    p->errors + p->warnings - SHOWN);
}

static void
read_addresses(struct doctor *d)
{
	struct ifaddrs *list, *i;

	if (getifaddrs(&list) == -1)
		return;
	d->local = calloc(DOCTOR_ADDRESSES, sizeof(*d->local));
	for (i = list; i != NULL && d->local != NULL && d->n_local < DOCTOR_ADDRESSES; i = i->ifa_next) {
		struct addr a;

		if (i->ifa_addr == NULL || addr_from_sockaddr(&a, i->ifa_addr, sizeof(struct sockaddr_in6)) != TULLE_OK)
			continue;
		a.port = 0;
		d->local[d->n_local++] = a;
	}
	freeifaddrs(list);
}

static void
read_host(struct doctor *d, struct problems *p)
{
	uint32_t gid;

	(void)host_config_read(&d->host, paths_etc("tulle.yaml"), p);
	add_problems(d, p, "tulle.yaml", "mend the line, then tulle reload, and restart daemons that failed");
	if (d->host == NULL)
		return;
	if (host_user_id(d->host->users.relayd, &d->relay_uid, &gid) != TULLE_OK)
		report_add(&d->report, BROKEN, "tulle.yaml", "users.relayd is %s, and there is no such user: the relay does not "
		    "start; the package makes the users, or name ones that exist", d->host->users.relayd);
}

static void
read_identities(struct doctor *d)
{
	struct identities *ids = NULL;
	struct problems *p = malloc(sizeof(*p));

	if (p == NULL)
		return;
	problems_init(p);
	(void)identities_read(&ids, paths_etc("identities.yaml"), p);
	add_problems(d, p, "identities", "mend the line, then tulle reload certd");
	(void)identities_free(ids);
	problems_free(p);
	free(p);
}

/* The newest of the files, and the folder itself: a file that went away is a change, too. */
static time_t
newest(const struct manifest_files *files)
{
	struct stat st;
	const char *from = manifests_follow() ? paths_var(GENERATION_COPY) : paths_etc("mesh.d");
	time_t at = stat(from, &st) == 0 ? st.st_mtime : 0;

	for (size_t i = 0; i < files->n; i++)
		if (stat(files->items[i].name, &st) == 0 && st.st_mtime > at)
			at = st.st_mtime;
	return at;
}

/* What the relay took, if it took anything, is what is on disk? */
static void
compare_in_force(struct doctor *d, const struct manifest_files *files)
{
	const json_t *config = json_object_get(json_object_get(d->answers.status[RELAYD], "relay"), "config");
	const char *in_force = answer_text(config, "revision", NULL);
	char when[PRINT_TIME];

	(void)print_time(newest(files), when);
	if (in_force != NULL && strcmp(in_force, d->mine->revision) != 0)
		report_add(&d->report, WARNING, "manifests", "%s was changed (revision %s, %s) and is not in force: the relay has "
		    "revision %s; tulle reload", manifests_follow() ? "what the authority published" : "mesh.d", d->mine->revision, when,
		    in_force);
	else
		report_add(&d->report, WELL, "manifests", "%zu services, %zu endpoints, %zu policies; revision %s of %s%s",
		    d->mine->n_services, d->mine->n_endpoints, d->mine->n_policies, d->mine->revision, when,
		    in_force != NULL ? ", in force" : "");
}

static void
load(struct doctor *d, const struct manifest_files *files, struct problems *p)
{
	struct problems *unused = malloc(sizeof(*unused));
	struct snapshot_input in = { .files = files->items, .n_files = files->n, .local = d->local, .n_local = d->n_local,
		.host = d->host };
	struct snapshot *mine = NULL, *all = NULL;

	(void)snapshot_load(&mine, &in, p);
	d->mine = mine;
	in.all_local = true;
	if (mine != NULL && unused != NULL) {
		problems_init(unused);
		(void)snapshot_load(&all, &in, unused);
		d->all = all;
		problems_free(unused);
	}
	free(unused);
}

void
check_files(struct doctor *d)
{
	struct manifest_files files = { 0 };
	struct problems *p = malloc(sizeof(*p));
	bool missing;

	if (p == NULL)
		return;
	problems_init(p);
	read_addresses(d);
	read_host(d, p);
	problems_free(p);
	read_identities(d);
	problems_init(p);
	missing = !manifests_read(&files, p);
	if (missing)
		report_add(&d->report, WARNING, "manifests", "%s is missing: an empty folder would say that there are no manifests; "
		    "make it, then tulle reload", paths_etc("mesh.d"));
	if (d->host != NULL && !missing)
		load(d, &files, p);
	add_problems(d, p, "manifests", "mend the line, then tulle reload; until then the relay keeps what it has");
	if (d->mine != NULL)
		compare_in_force(d, &files);
	manifest_files_free(&files);
	problems_free(p);
	free(p);
}

/* ---- secrets ---------------------------------------------------------------------------- */

static void
look_at_secret(struct doctor *d, const char *path, uint32_t owner)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return;
	if ((st.st_mode & 077) != 0)
		report_add(&d->report, BROKEN, "secrets", "%s may be read or written by others (mode %04o): chmod go= %s, and if "
		    "somebody did read it, renew what it holds: tulle renew", path, (unsigned int)st.st_mode & 07777, path);
	if (st.st_uid != owner && st.st_uid != 0)
		report_add(&d->report, BROKEN, "secrets", "%s belongs to user %u, not to tulle-certd's (%u): chown it", path,
		    (unsigned int)st.st_uid, owner);
}

void
check_secrets(struct doctor *d)
{
	char path[4096], folder[4096];
	struct dirent *e;
	uint32_t uid, gid;
	DIR *dir;

	if (d->host == NULL || host_user_id(d->host->users.certd, &uid, &gid) != TULLE_OK)
		return;
	(void)snprintf(folder, sizeof(folder), "%s", paths_var("certd"));
	dir = opendir(folder);
	if (dir == NULL) {
		if (errno != ENOENT)
			report_add(&d->report, UNKNOWN, "secrets", "not looked at: %s: %s", folder, strerror(errno));
		return;
	}
	look_at_secret(d, folder, uid);
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < (int)sizeof(path))
			look_at_secret(d, path, uid);
	(void)closedir(dir);
	if (!report_is_bad(&d->report, "secrets"))
		report_add(&d->report, WELL, "secrets", "only tulle-certd can read %s", folder);
}
