/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/paths.h"
#include "say.h"

/* TULLE_ENOENT: the disk is read-only; TULLE_ESYS: errno tells. */
static enum tulle_err
open_lock(int *ret_fd, const char *path)
{
	int fd = -1;

	if (file_mkdirs(paths_run(""), 0755) == TULLE_OK)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return errno == EROFS ? TULLE_ENOENT : TULLE_ESYS;
	*ret_fd = fd;
	return TULLE_OK;
}

enum tulle_err
lock_take(int *ret_fd)
{
	uint64_t until = clock_mono_ms() + LOCK_WAIT_SEC * 1000;
	char AUTO_FREE *path = strdup(paths_run("nfrules.lock")); /* the next paths_run() overwrites it */
	int AUTO_FD fd = -1;
	enum tulle_err e = path == NULL ? TULLE_ENOMEM : open_lock(&fd, path);

	if (e == TULLE_ENOENT) {
		/*
		 * An init container with a read-only root must be able to steer.
		 * Who shares the disk has no lock either, and a change that meets
		 * another is found when the result is read back.
		 */
		say("%s: the file system is read-only; going on without the lock: see to it that no other tulle-nfrules runs now", path);
		*ret_fd = -1;
		return TULLE_OK;
	}
	while (e == TULLE_OK && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK) {
			e = TULLE_ESYS;
		} else if (clock_mono_ms() >= until) {
			say("another tulle-nfrules has been at work for more than %d s; nothing was changed", LOCK_WAIT_SEC);
			return TULLE_EBUSY;
		} else {
			(void)poll(NULL, 0, 50);
		}
	}
	if (e != TULLE_OK) {
		say("%s: the lock cannot be taken: %s; nothing was changed. It must be a file that root can write to, in a folder "
		    "that root can make: mend that and run it again",
		    path != NULL ? path : "nfrules.lock", e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
		return e;
	}
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

void
lock_note(int fd, bool steering)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s %" PRId64 "\n", steering ? "applied" : "removed", clock_wall_sec());

	if (fd == -1 || ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) != n)
		return; /* a full disk: it is a hint, and an empty file is none */
}

bool
lock_noted(int64_t *ret_sec)
{
	int AUTO_FD fd = open(paths_run("nfrules.lock"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char AUTO_FREE *text = NULL;
	struct stat st;
	size_t len;

	/* A daemon may make files in /run/tulle, too: what is not our own does not count. */
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    file_read_fd(fd, 64, &text, &len) != TULLE_OK)
		return false;
	return sscanf(text, "applied %" SCNd64, ret_sec) == 1;
}
