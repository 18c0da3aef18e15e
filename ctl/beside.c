/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "beside.h"

#include <string.h>
#include <unistd.h>

const char *
beside(char path[BESIDE_MAX], const char *program)
{
	ssize_t n = readlink("/proc/self/exe", path, BESIDE_MAX - 1);
	char *slash;

	if (n <= 0)
		return program;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash + 1 - path) + strlen(program) + 1 > BESIDE_MAX)
		return program;
	memcpy(slash + 1, program, strlen(program) + 1);
	return access(path, X_OK) == 0 ? path : program;
}
