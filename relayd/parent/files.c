/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/files.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "bundle.h"
#include "io/sock.h"
#include "manifest/dir.h"
#include "manifest/host.h"
#include "manifest/identities.h"

#define HOST_FILE_MAX (1u << 20)
#define UNIX_PREFIX "unix://"

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

/* All addresses of <list> once each and in a fixed order, so that two looks can be compared.  TULLE_ELIMIT. */
static enum tulle_err
collect(const struct ifaddrs *list, struct addr *out, size_t *ret_n)
{
	size_t n = 0, kept = 0;

	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		struct addr a;
		socklen_t len = i->ifa_addr == NULL                    ? 0
		                : i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
		                                                     : sizeof(struct sockaddr_in);

		if (len == 0 || addr_from_sockaddr(&a, i->ifa_addr, len) != TULLE_OK || addr_is_loopback(&a))
			continue;
		if (n == WIRE_LOCAL_MAX)
			return TULLE_ELIMIT;
		memset(&out[n], 0, sizeof(out[n])); /* padding is compared, too */
		out[n].family = a.family;
		memcpy(out[n].ip, a.ip, sizeof(a.ip));
		n++;
	}
	qsort(out, n, sizeof(out[0]), compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || compare(&out[kept - 1], &out[i]) != 0)
			out[kept++] = out[i];
	*ret_n = kept;
	return TULLE_OK;
}

static enum tulle_err
read_addresses(struct addr *out, size_t *ret_n)
{
	struct ifaddrs *list;
	enum tulle_err e;

	if (getifaddrs(&list) == -1)
		return TULLE_ESYS;
	e = collect(list, out, ret_n);
	freeifaddrs(list);
	return e;
}

/* Said once when it begins and once when it is over, not at every look. */
static void
tell_trouble(struct files *f, enum tulle_err e)
{
	bool before = f->trouble[0] != '\0';

	if (e == TULLE_OK)
		f->trouble[0] = '\0';
	else if (e == TULLE_ELIMIT)
		(void)snprintf(f->trouble, sizeof(f->trouble), "this host has more than %d addresses", WIRE_LOCAL_MAX);
	else
		(void)snprintf(f->trouble, sizeof(f->trouble), "the addresses of this host cannot be read: %s",
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	if (e != TULLE_OK && !before && f->known)
		log_error("addresses of this host: the old list stays", LF_STR("reason", f->trouble),
		    LF_UINT("addresses", f->n_local));
	else if (e == TULLE_OK && before)
		log_info("addresses of this host can be read again");
}

enum tulle_err
files_addresses(struct files *f, bool *ret_changed)
{
	struct addr AUTO_FREE *now = calloc(WIRE_LOCAL_MAX, sizeof(*now));
	size_t n = 0;
	enum tulle_err e = now != NULL ? read_addresses(now, &n) : TULLE_ENOMEM;

	tell_trouble(f, e);
	if (e != TULLE_OK)
		return e;
	*ret_changed = !f->known || n != f->n_local || memcmp(now, f->local, n * sizeof(now[0])) != 0;
	memcpy(f->local, now, n * sizeof(now[0]));
	f->n_local = n;
	f->known = true;
	return TULLE_OK;
}

static char *
problem_text(const struct problems *p)
{
	struct buf b = buf_new(64 * 1024);
	char *text;

	problems_print(&b, p);
	text = strndup(buf_len(&b) > 0 ? (const char *)buf_head(&b) : "", buf_len(&b));
	buf_free(&b);
	return text;
}

/* tulle.yaml first, empty if there is none. */
static enum tulle_err
read_host_file(struct manifest_files *files, struct problems *problems)
{
	const char *path = paths_etc("tulle.yaml");
	char *data = NULL;
	size_t len = 0;
	enum tulle_err e = file_read(path, HOST_FILE_MAX, &data, &len);

	if (e == TULLE_ENOENT)
		data = strdup("");
	else if (e != TULLE_OK) {
		problem_error(problems, (struct place){ .file = path }, NULL, "cannot be read: %s",
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return TULLE_EINVAL;
	}
	files->items = calloc(1, sizeof(files->items[0]));
	if (files->items == NULL || data == NULL) {
		free(data);
		return TULLE_ENOMEM;
	}
	files->items[0] = (struct manifest_file){ .name = strdup(path), .data = data, .len = len };
	files->n = 1;
	files->bytes = len;
	return TULLE_OK;
}

static enum tulle_err
add_file(struct manifest_files *files, const char *name, const char *data, size_t len)
{
	struct manifest_file *items = realloc(files->items, (files->n + 1) * sizeof(*items));
	char *own_name = strdup(name), *own_data = malloc(len + 1);

	if (items != NULL)
		files->items = items;
	if (items == NULL || own_name == NULL || own_data == NULL) {
		free(own_name);
		free(own_data);
		return TULLE_ENOMEM;
	}
	memcpy(own_data, data, len);
	own_data[len] = '\0';
	files->items[files->n++] = (struct manifest_file){ .name = own_name, .data = own_data, .len = len };
	files->bytes += len;
	return TULLE_OK;
}

/* Each user once is enough: the first that is found counts. */
static enum tulle_err
list_users(struct buf *out, const struct identities *ids)
{
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < ids->n && e == TULLE_OK; i++)
		if (ids->items[i].match.uid != NULL)
			e = bundle_put_user(out, ids->items[i].match.uid, ids->items[i].uid);
	return e == TULLE_OK ? buf_append(out, "", 1) : e;
}

static bool
user_of_host(void *arg, const char *name, uint32_t *ret_uid)
{
	uint32_t gid;

	(void)arg;
	return host_user_id(name, ret_uid, &gid) == TULLE_OK;
}

/* With the numbers of its users behind it: the relay process cannot look them up. */
static enum tulle_err
add_identities(struct manifest_files *files, const char *path, const char *data, size_t len, struct problems *problems)
{
	struct identities *ids = NULL;
	struct buf users = buf_new(HOST_FILE_MAX);
	enum tulle_err e = identities_parse(&ids, path, data, len, problems);

	if (e == TULLE_OK)
		e = identities_resolve(ids, user_of_host, NULL, problems);
	if (e == TULLE_OK && ids->n > 0) {
		e = list_users(&users, ids);
		if (e == TULLE_OK)
			e = add_file(files, path, data, len);
		if (e == TULLE_OK)
			e = add_file(files, BUNDLE_USERS, (const char *)buf_head(&users), buf_len(&users) - 1);
	}
	buf_free(&users);
	(void)identities_free(ids);
	return e;
}

static enum tulle_err
read_identities(struct manifest_files *files, struct problems *problems)
{
	const char *path = paths_etc("identities.yaml");
	char AUTO_FREE *data = NULL;
	size_t len = 0;
	enum tulle_err e = file_read(path, HOST_FILE_MAX, &data, &len);

	if (e == TULLE_OK)
		return add_identities(files, path, data, len, problems);
	if (e == TULLE_ENOENT)
		return TULLE_OK;
	problem_error(problems, (struct place){ .file = path }, NULL, "cannot be read: %s",
	    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	return TULLE_EINVAL;
}

static enum tulle_err
read_manifests(struct manifest_files *files, bool must, struct problems *problems)
{
	const char *path = paths_etc("mesh.d");
	enum tulle_err e = manifest_dir_read(files, path, problems);

	manifest_dir_ignored(path, problems);
	if (e != TULLE_ENOENT)
		return e;
	if (!must)
		return TULLE_OK;
	problem_error(problems, (struct place){ .file = path }, NULL,
	    "mesh.d is missing: what it said stays in force; an empty folder would say that there are no manifests");
	return TULLE_EINVAL;
}

enum tulle_err
files_read(struct files *f, bool must, int *ret_fd, struct files_origin *ret_from, char **ret_text)
{
	struct manifest_files files = { 0 };
	struct files_origin from = { 0 };
	struct problems *problems;
	bool changed;
	enum tulle_err e;

	if (files_addresses(f, &changed) != TULLE_OK && !f->known) {
		*ret_text = strdup(f->trouble);
		return TULLE_EINVAL;
	}
	problems = calloc(1, sizeof(*problems));
	if (problems == NULL)
		return TULLE_ENOMEM;
	problems_init(problems);
	e = read_host_file(&files, problems);
	if (e == TULLE_OK)
		e = read_identities(&files, problems);
	if (e == TULLE_OK) {
		follow_source(&f->follow, &files.items[0]);
		from.authority = f->follow.on;
		e = from.authority ? follow_read(&f->follow, &files, must, &from.number, problems) : read_manifests(&files, must, problems);
	}
	if (e == TULLE_OK)
		e = bundle_pack(ret_fd, files.items, files.n);
	if (e == TULLE_OK)
		*ret_from = from;
	if (e == TULLE_EINVAL || (e == TULLE_OK && problems->n > 0))
		*ret_text = problem_text(problems);
	manifest_files_free(&files);
	problems_free(problems);
	free(problems);
	return e;
}

enum tulle_err
files_dial_identity(const char *socket, int *ret_fd)
{
	const char *env = getenv("SPIFFE_ENDPOINT_SOCKET");

	if (socket != NULL)
		return sock_connect_unix(ret_fd, socket);
	if (env == NULL || *env == '\0')
		return sock_connect_unix(ret_fd, paths_run("identity/workload.sock"));
	if (strncmp(env, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0 || env[strlen(UNIX_PREFIX)] != '/') {
		errno = EINVAL;
		return TULLE_EINVAL;
	}
	return sock_connect_unix(ret_fd, env + strlen(UNIX_PREFIX));
}
