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

bool
others_judge(const struct other *list, size_t n, pid_t self)
{
	for (size_t i = 0; i < n; i++) {
		const struct other *o = &list[i];

		if (o->pid == 1 || o->state == 'Z' || o->state == 'X' || strncmp(o->name, "tulle", 5) == 0)
			continue;
		if (!is_ours(list, n, o, self))
			return true;
	}
	return false;
}

bool
others_look(pid_t self)
{
	struct other AUTO_FREE *list = calloc(PROCESSES_MAX, sizeof(*list));
	DIR *dir = opendir("/proc");
	struct dirent *d;
	size_t n = 0;

	while (list != NULL && dir != NULL && n < PROCESSES_MAX && (d = readdir(dir)) != NULL) {
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
	return list != NULL && others_judge(list, n, self);
}
