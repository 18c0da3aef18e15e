/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
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

/* Not a second name of another file of ours either, which lock_note() would write over. */
static bool
is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && (!S_ISREG(st->st_mode) || st->st_nlink == 1);
}

/*
 * The daemons may make files in /run/tulle (systemd/tulle.tmpfiles), so one
 * of them could make the lock and never give it back.  What another user put
 * at <path> goes: ours can be put in its place, and the sticky bit keeps it
 * there.  A folder may have something in it, so it is moved.  False: errno
 * tells.
 */
static bool
clear_foreign(const char *path, uint32_t attempt)
{
	struct stat st;
	char aside[PATH_MAX];

	if (lstat(path, &st) == -1)
		return errno == ENOENT;
	if (is_ours(&st))
		return true;
	if (attempt == 0)
		say("%s belongs to uid %u: it is no lock of ours, and is put away", path, (unsigned int)st.st_uid);
	if (!S_ISDIR(st.st_mode))
		return unlink(path) == 0 || errno == ENOENT || errno == EISDIR;
	(void)snprintf(aside, sizeof(aside), "%s.%d.%" PRIu32, path, (int)getpid(), attempt);
	return rename(path, aside) == 0 || errno == ENOENT || errno == ENOTDIR;
}

/* TULLE_ENOENT: the disk is read-only; TULLE_EUNAVAIL: another user's is there, once more; TULLE_ESYS: errno tells. */
static enum tulle_err
open_lock(int *ret_fd, const char *path, uint32_t attempt)
{
	struct stat st;
	int AUTO_FD fd = -1;

	if (file_mkdirs(paths_run(""), 0755) == TULLE_OK && clear_foreign(path, attempt)) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		/* Somebody put another one there since; EACCES is what fs.protected_regular makes of that. */
		if (fd != -1 ? fstat(fd, &st) == 0 && !is_ours(&st) : lstat(path, &st) == 0 && !is_ours(&st))
			return TULLE_EUNAVAIL;
	}
	if (fd == -1)
		return errno == EROFS ? TULLE_ENOENT : TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

/* Is what is locked still what the next one would find? */
static bool
is_at(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 && open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* open_lock() and flock(), both once.  TULLE_EBUSY: another one holds it.  Else as open_lock(). */
static enum tulle_err
try_lock(int *ret_fd, const char *path, uint32_t attempt)
{
	int AUTO_FD fd = -1;
	enum tulle_err e = open_lock(&fd, path, attempt);

	if (e != TULLE_OK)
		return e;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK || errno == EINTR ? TULLE_EBUSY : TULLE_ESYS;
	if (!is_at(fd, path))
		return TULLE_EUNAVAIL;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

enum tulle_err
lock_take(int *ret_fd)
{
	uint64_t until = clock_mono_ms() + LOCK_WAIT_SEC * 1000;
	char AUTO_FREE *path = strdup(paths_run("nfrules.lock")); /* the next paths_run() overwrites it */
	int AUTO_FD fd = -1;
	enum tulle_err e = path == NULL ? TULLE_ENOMEM : try_lock(&fd, path, 0);

	for (uint32_t n = 1; (e == TULLE_EBUSY || e == TULLE_EUNAVAIL) && clock_mono_ms() < until; n++) {
		if (e == TULLE_EBUSY)
			(void)poll(NULL, 0, 50);
		e = try_lock(&fd, path, n);
	}
	if (e == TULLE_OK) {
		*ret_fd = fd_take(&fd);
		return TULLE_OK;
	}
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
	if (e == TULLE_EBUSY) {
		say("another tulle-nfrules has been at work for more than %d s; nothing was changed", LOCK_WAIT_SEC);
		return e;
	}
	if (e == TULLE_EUNAVAIL) {
		say("%s: another user puts it back as fast as it is taken away; nothing was changed. Stop the daemons of Tulle first", path);
		return TULLE_ESYS;
	}
	say("%s: the lock cannot be taken: %s; nothing was changed. It must be a file that root can write to, in a folder "
	    "that root can make: mend that and run it again",
	    path != NULL ? path : "nfrules.lock", e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	return e;
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
