/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/paths.h"
#include "say.h"

enum tulle_err
lock_take(int *ret_fd)
{
	uint64_t until = clock_mono_ms() + LOCK_WAIT_SEC * 1000;
	int AUTO_FD fd = -1;

	if (file_mkdirs(paths_run(""), 0755) == TULLE_OK)
		fd = open(paths_run("nfrules.lock"), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		if (clock_mono_ms() >= until) {
			say("another tulle-nfrules has been at work for more than %d s; nothing was changed", LOCK_WAIT_SEC);
			return TULLE_EBUSY;
		}
		(void)poll(NULL, 0, 50);
	}
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}
