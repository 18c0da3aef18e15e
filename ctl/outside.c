/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "outside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

static void
child(const char *const *argv, int in, int out, int err, bool fresh)
{
	if (fresh && unshare(CLONE_NEWNET) == -1)
		_exit(126);
	if (dup2(in, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 || dup2(err, STDERR_FILENO) == -1)
		_exit(126);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(errno == ENOENT ? OUTSIDE_MISSING : 126);
}

/* What to read: a file in memory, so that nobody has to write and read at the same time. */
static int
input_of(const char *text)
{
	int fd = text == NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC) : memfd_create("input", MFD_CLOEXEC);

	if (fd != -1 && text != NULL &&
	    (file_write_all(fd, text, strlen(text)) != TULLE_OK || lseek(fd, 0, SEEK_SET) == -1)) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static char *
output_of(int fd, size_t max)
{
	char *text = malloc(max + 1);
	size_t at = 0;
	ssize_t n = 0;

	while (text != NULL && at < max && (n = pread(fd, text + at, max - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (text != NULL)
		text[at] = '\0';
	return text;
}

int
outside_run(const char *const *argv, const char *input, bool fresh, size_t max, char **ret_out)
{
	int AUTO_FD in = input_of(input), AUTO_FD out = memfd_create("output", MFD_CLOEXEC);
	int AUTO_FD err = memfd_create("errors", MFD_CLOEXEC);
	int status;
	pid_t pid;

	*ret_out = NULL;
	if (in == -1 || out == -1 || err == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		child(argv, in, out, err, fresh);
	while (pid != -1 && waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	if (pid == -1 || !WIFEXITED(status))
		return -1;
	*ret_out = output_of(lseek(out, 0, SEEK_END) > 0 ? out : err, max);
	return WEXITSTATUS(status);
}
