/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "others.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define PROCESSES_MAX 4096
#define DEPTH_MAX 64
#define STAT_MAX 4096

bool
other_parse(struct other *ret, const char *line)
{
	const char *open = strchr(line, '('), *close = strrchr(line, ')');
	struct other o = { 0 };
	int parent;

	if (open == NULL || close == NULL || close < open || (size_t)(close - open) > OTHERS_NAME)
		return false;
	o.pid = atoi(line);
	memcpy(o.name, open + 1, (size_t)(close - open - 1));
	if (o.pid <= 0 || sscanf(close + 1, " %c %d", &o.state, &parent) != 2)
		return false;
	o.parent = parent;
	*ret = o;
	return true;
}

static const struct other *
find(const struct other *list, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].pid == pid)
			return &list[i];
	return NULL;
}

static bool
is_ours(const struct other *list, size_t n, const struct other *o, pid_t self)
{
	for (int depth = 0; o != NULL && depth < DEPTH_MAX; depth++) {
		if (o->pid == self)
			return true;
		o = find(list, n, o->parent);
	}
	return false;
}

static bool
starts_with(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool
is_starter(const struct other *o)
{
	return starts_with(o->name, "runc:[") || strcmp(o->name, "crun") == 0 || starts_with(o->name, "youki");
}

bool
others_judge(struct others *o, const struct other *list, size_t n)
{
	bool seen = o->starter != 0 && find(list, n, o->starter) == NULL;

	o->starter = 0;
	for (size_t i = 0; i < n; i++) {
		const struct other *p = &list[i];

		if (p->pid == 1 || p->state == 'Z' || p->state == 'X' || starts_with(p->name, "tulle") || is_ours(list, n, p, o->self))
			continue;
		if (is_starter(p))
			o->starter = p->pid;
		else
			seen = true;
	}
	return seen;
}

pid_t
others_last(const char *line)
{
	int last;

	return sscanf(line, "%*s %*s %*s %*s %d", &last) == 1 && last > 0 ? last : 0;
}

static pid_t
read_last(void)
{
	char AUTO_FREE *text = NULL;
	size_t len;

	return file_read("/proc/loadavg", STAT_MAX, &text, &len) == TULLE_OK ? others_last(text) : 0;
}

static size_t
read_processes(struct other *list, size_t max)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	size_t n = 0;

	while (dir != NULL && n < max && (d = readdir(dir)) != NULL) {
		char path[sizeof(d->d_name) + 16];
		char AUTO_FREE *text = NULL;
		size_t len;

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
		if (file_read(path, STAT_MAX, &text, &len) == TULLE_OK && other_parse(&list[n], text))
			n++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return n;
}

bool
others_look(struct others *o)
{
	pid_t last = read_last(), before = o->last;
	struct other AUTO_FREE *list = NULL;
	bool seen;

	o->last = last;
	if (last != 0 && last == before && !o->busy)
		return false;
	list = calloc(PROCESSES_MAX, sizeof(*list));
	if (list == NULL)
		return false;
	seen = others_judge(o, list, read_processes(list, PROCESSES_MAX));
	o->busy = seen || o->starter != 0;
	return seen;
}
