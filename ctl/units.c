/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "units.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/paths.h"

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
