/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/unit.h"

#include <stdbool.h>
#include <string.h>

static bool
ends_with(const char *s, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n > m && memcmp(s + n - m, suffix, m) == 0;
}

enum unit_step
unit_step(const char *name, size_t n, char ret[UNIT_MAX])
{
	if (n > 0 && name[0] == '_') {
		name++;
		n--;
	}
	if (ends_with(name, n, ".slice"))
		return UNIT_STEP_SLICE;
	if (n >= UNIT_MAX || memchr(name, '\0', n) != NULL || !(ends_with(name, n, ".service") || ends_with(name, n, ".scope")))
		return UNIT_STEP_NOTHING;
	memcpy(ret, name, n);
	ret[n] = '\0';
	return UNIT_STEP_UNIT;
}

enum tulle_err
unit_of_path(const char *path, size_t n, char ret[UNIT_MAX])
{
	const char *end = path + n, *slash;

	while (path < end && *path == '/') {
		path++;
		slash = memchr(path, '/', (size_t)(end - path));
		if (slash == NULL)
			slash = end;
		switch (unit_step(path, (size_t)(slash - path), ret)) {
		case UNIT_STEP_UNIT:
			return TULLE_OK;
		case UNIT_STEP_NOTHING:
			return TULLE_ENOENT;
		case UNIT_STEP_SLICE:
			path = slash;
			break;
		}
	}
	return TULLE_ENOENT;
}
