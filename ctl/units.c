/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "units.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "outside.h"

#define ARGUMENTS_MAX 16

bool
units_there(void)
{
	static const char *const places[] = { "/etc/systemd/system/tulle.target", "/lib/systemd/system/tulle.target",
		"/usr/lib/systemd/system/tulle.target", "/usr/local/lib/systemd/system/tulle.target" };

	if (*paths_root() != '\0' || access("/run/systemd/system", F_OK) != 0)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], F_OK) == 0)
			return true;
	return false;
}

bool
units_run(const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX] = { "systemctl" };
	size_t n = 1;
	int status;
	pid_t pid;

	while (*arguments != NULL && n < ARGUMENTS_MAX - 1)
		argv[n++] = *arguments++;
	argv[n] = NULL;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		(void)fprintf(stderr, "systemctl: %s\n", strerror(errno));
		_exit(127);
	}
	while (pid != -1 && waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return pid != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool
units_start_all(void)
{
	static const char *const start[] = { "enable", "--quiet", "--now", "tulle.target", "tulle-certd.service",
		"tulle-telemetryd.service", "tulle-relayd.service", "tulle-rules.service", "tulle-hold.service", NULL };

	return units_run(start);
}

/* The value behind <key> on a line of its own, in <out>. */
static void
field(const char *text, const char *key, char out[64])
{
	const char *at = strstr(text, key);

	out[0] = '\0';
	if (at != NULL && (at == text || at[-1] == '\n'))
		(void)sscanf(at + strlen(key), "=%63s", out);
}

bool
units_state(const char *unit, char *out, size_t size)
{
	const char *const argv[] = { "systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "SubState", "-p", "Result",
		unit, NULL };
	char active[64], sub[64], result[64], load[64];
	char AUTO_FREE *text = NULL;

	if (outside_run(argv, NULL, false, 4096, &text) != 0 || text == NULL)
		return false;
	field(text, "LoadState", load);
	field(text, "ActiveState", active);
	field(text, "SubState", sub);
	field(text, "Result", result);
	if (active[0] == '\0' || strcmp(active, "active") == 0)
		return false;
	if (strcmp(load, "loaded") != 0)
		(void)snprintf(out, size, "%s", load);
	else
		(void)snprintf(out, size, "%s (%s, result: %s)", active, sub, result);
	return true;
}
