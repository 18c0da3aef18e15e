/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "bundle.h"
#include "io/sock.h"
#include "manifest/dir.h"

#define HOST_FILE_MAX (1u << 20)
#define UNIX_PREFIX "unix://"

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

/* All addresses in a fixed order, so that two looks can be compared. */
static size_t
read_addresses(struct addr *out)
{
	struct ifaddrs *list, *i;
	size_t n = 0;

	if (getifaddrs(&list) == -1)
		return 0;
	for (i = list; i != NULL && n < WIRE_LOCAL_MAX; i = i->ifa_next) {
		struct addr a;
		socklen_t len = i->ifa_addr == NULL                    ? 0
		                : i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
		                                                     : sizeof(struct sockaddr_in);

		if (len == 0 || addr_from_sockaddr(&a, i->ifa_addr, len) != TULLE_OK || addr_is_loopback(&a))
			continue;
		a.port = 0;
		out[n++] = a;
	}
	freeifaddrs(list);
	qsort(out, n, sizeof(out[0]), compare);
	return n;
}

bool
files_addresses_changed(struct files *f)
{
	struct addr now[WIRE_LOCAL_MAX];
	size_t n = read_addresses(now);
	bool changed = n != f->n_local || memcmp(now, f->local, n * sizeof(now[0])) != 0;

	memcpy(f->local, now, n * sizeof(now[0]));
	f->n_local = n;
	return changed;
}

static char *
problem_text(const struct problems *p)
{
	struct buf b = buf_new(64 * 1024);
	char *text;

	for (size_t i = 0; i < p->n; i++)
		(void)buf_printf(&b, "%s\n", p->list[i].line);
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

enum tulle_err
files_read(struct files *f, int *ret_fd, char **ret_error)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct manifest_files files = { 0 };
	enum tulle_err e;

	if (problems == NULL)
		return TULLE_ENOMEM;
	problems_init(problems);
	e = read_host_file(&files, problems);
	if (e == TULLE_OK)
		e = manifest_dir_read(&files, paths_etc("mesh.d"), problems);
	if (e == TULLE_OK)
		e = bundle_pack(ret_fd, files.items, files.n);
	if (e == TULLE_EINVAL)
		*ret_error = problem_text(problems);
	(void)files_addresses_changed(f);
	manifest_files_free(&files);
	problems_free(problems);
	free(problems);
	return e;
}

enum tulle_err
files_dial_identity(int *ret_fd)
{
	const char *env = getenv("SPIFFE_ENDPOINT_SOCKET");

	if (env == NULL || *env == '\0')
		return sock_connect_unix(ret_fd, paths_run("identity/workload.sock"));
	if (strncmp(env, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0 || env[strlen(UNIX_PREFIX)] != '/') {
		errno = EINVAL;
		return TULLE_EINVAL;
	}
	return sock_connect_unix(ret_fd, env + strlen(UNIX_PREFIX));
}
