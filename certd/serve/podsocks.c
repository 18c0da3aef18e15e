/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/podsocks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "io/sock.h"
#include "serve/workload.h"

#define SOCKET "workload.sock"

struct podsock {
	LIST_ENTRY(podsock) link;
	char name[64];
	struct workload *workload; /* owned; NULL: it could not be made */
	char error[80];
};

struct podsocks {
	struct loop *loop;   /* lent */
	const char *dir;     /* lent */
	const struct keeper *keeper; /* lent */
	LIST_HEAD(, podsock) list;
	size_t n;
};

enum tulle_err
podsocks_new(struct podsocks **ret, struct loop *l, const char *dir, const struct keeper *k)
{
	struct podsocks *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return TULLE_ENOMEM;
	p->loop = l;
	p->dir = dir;
	p->keeper = k;
	LIST_INIT(&p->list);
	*ret = p;
	return TULLE_OK;
}

static void
forget(struct podsocks *p, struct podsock *s)
{
	LIST_REMOVE(s, link);
	p->n--;
	workload_free(s->workload);
	free(s);
}

struct podsocks *
podsocks_free(struct podsocks *p)
{
	struct podsock *s;

	if (p == NULL)
		return NULL;
	while ((s = LIST_FIRST(&p->list)) != NULL)
		forget(p, s);
	free(p);
	return NULL;
}

/* ---- making ---- */

static enum tulle_err
listen_at(struct podsocks *p, const char *name, int *ret_fd)
{
	char AUTO_FREE *path = NULL;
	enum tulle_err e;
	size_t folder;

	if (asprintf(&path, "%s/%s/" SOCKET, p->dir, name) == -1) {
		path = NULL;
		return TULLE_ENOMEM;
	}
	folder = strlen(path) - strlen("/" SOCKET);
	path[folder] = '\0';
	/* The host's users end at the folder above; in the pod any user may come. */
	e = file_mkdirs(p->dir, 0700);
	if (e == TULLE_OK && chmod(p->dir, 0700) == -1)
		e = TULLE_ESYS;
	if (e == TULLE_OK)
		e = file_mkdirs(path, 0755);
	if (e == TULLE_OK && chmod(path, 0755) == -1)
		e = TULLE_ESYS;
	path[folder] = '/';
	return e ? e : sock_listen_unix(ret_fd, path, 0666);
}

static void
make(struct podsocks *p, const struct config *c, const char *name)
{
	struct podsock *s = calloc(1, sizeof(*s));
	int fd = -1;
	enum tulle_err e;

	if (s == NULL)
		return; /* the next reload tries again */
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	e = p->n < PODSOCKS_MAX ? listen_at(p, name, &fd) : TULLE_ELIMIT;
	if (e)
		(void)snprintf(s->error, sizeof(s->error), "%s", e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	else
		e = workload_new_pod(&s->workload, p->loop, fd, p->keeper, c, name);
	if (e)
		log_error("the socket of a pod could not be made", LF_STR("pod", name), LF_STR("folder", p->dir), LF_ERR(e),
		    LF_STR("reason", s->error));
	else
		log_notice("socket of a pod", LF_STR("pod", name));
	LIST_INSERT_HEAD(&p->list, s, link);
	p->n++;
}

/* ---- removing ---- */

static bool
names(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->ids->n_pods; i++)
		if (strcmp(c->ids->pods[i].match.socket, name) == 0)
			return true;
	return false;
}

static void
remove_files(const struct podsocks *p, const char *name)
{
	char AUTO_FREE *path = NULL;

	if (asprintf(&path, "%s/%s/" SOCKET, p->dir, name) == -1) {
		path = NULL;
		return;
	}
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	if (rmdir(path) == 0)
		log_notice("socket of a pod removed", LF_STR("pod", name));
	else if (errno != ENOENT)
		log_warn("the folder of a pod's socket could not be removed", LF_STR("folder", path), LF_ERRNO);
}

/* What is there and not wanted, whoever made it: this run or one before. */
static void
sweep(const struct podsocks *p, const struct config *c)
{
	DIR *d = opendir(p->dir);
	struct dirent *entry;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' && !names(c, entry->d_name))
			remove_files(p, entry->d_name);
	(void)closedir(d);
}

void
podsocks_config(struct podsocks *p, const struct config *c)
{
	struct podsock *s, *next;

	for (s = LIST_FIRST(&p->list); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (!names(c, s->name) || s->workload == NULL)
			forget(p, s);
		else
			workload_config(s->workload, c);
	}
	sweep(p, c);
	for (size_t i = 0; i < c->ids->n_pods; i++) {
		const char *name = c->ids->pods[i].match.socket;

		LIST_FOREACH (s, &p->list, link)
			if (strcmp(s->name, name) == 0)
				break;
		if (s == NULL)
			make(p, c, name);
	}
}

void
podsocks_changed(struct podsocks *p)
{
	struct podsock *s;

	LIST_FOREACH (s, &p->list, link)
		if (s->workload != NULL)
			workload_changed(s->workload);
}

json_t *
podsocks_status(const struct podsocks *p)
{
	json_t *list = json_array();
	const struct podsock *s;

	LIST_FOREACH (s, &p->list, link)
		(void)json_array_append_new(list, s->workload == NULL
		        ? json_pack("{ss ss}", "socket", s->name, "error", s->error)
		        : json_pack("{ss sI}", "socket", s->name, "streams", (json_int_t)workload_streams(s->workload)));
	return list;
}
