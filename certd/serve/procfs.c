/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/procfs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits up to a blank or the end; moves *text behind them. */
static bool
number(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	*text = p;
	*ret = n;
	return true;
}

enum tulle_err
procfs_start_time(const char *stat, uint64_t *ret)
{
	const char *p = strrchr(stat, ')'); /* a process may have put any number of them into its name */
	uint64_t start;

	if (p == NULL)
		return TULLE_EINVAL;
	p++;
	for (int field = 3; field <= 22; field++) {
		if (*p != ' ')
			return TULLE_EINVAL;
		p++;
		if (field < 22)
			p += strcspn(p, " ");
	}
	if (!number(&p, &start))
		return TULLE_EINVAL;
	*ret = start;
	return TULLE_OK;
}

/* The second number of the line that starts with <key>: real, effective, saved, file system. */
static enum tulle_err
effective(const char *status, const char *key, uint32_t *ret)
{
	size_t n = strlen(key);

	for (const char *line = status; line != NULL; line = strchr(line, '\n')) {
		uint64_t id = 0;

		line += *line == '\n';
		if (strncmp(line, key, n) != 0)
			continue;
		line += n;
		for (int i = 0; i < 2; i++) {
			line += strspn(line, "\t ");
			if (!number(&line, &id))
				return TULLE_EINVAL;
		}
		if (id > UINT32_MAX)
			return TULLE_EINVAL;
		*ret = (uint32_t)id;
		return TULLE_OK;
	}
	return TULLE_EINVAL;
}

enum tulle_err
procfs_ids(const char *status, uint32_t *ret_uid, uint32_t *ret_gid)
{
	uint32_t uid, gid;

	/* Behind the name, which is escaped there: a newline in it does not start a line. */
	if (effective(status, "Uid:", &uid) != TULLE_OK || effective(status, "Gid:", &gid) != TULLE_OK)
		return TULLE_EINVAL;
	*ret_uid = uid;
	*ret_gid = gid;
	return TULLE_OK;
}

enum tulle_err
procfs_unit(const char *cgroup, char ret[UNIT_MAX])
{
	const char *p = cgroup;

	while (strncmp(p, "0::/", 4) != 0) {
		p = strchr(p, '\n');
		if (p == NULL)
			return TULLE_EINVAL;
		p++;
	}
	p += 3;
	return unit_of_path(p, strcspn(p, "\n"), ret);
}
