/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lastgood.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/paths.h"
#include "say.h"

#define SIZE_MOST (1u << 20) /* more than a tulle.yaml may have */

const char *
lastgood_path(void)
{
	return paths_var("rules/last-good.yaml");
}

bool
lastgood_there(void)
{
	struct stat folder, file;

	/* Nobody but root may say what the rules are. */
	return lstat(paths_var("rules"), &folder) == 0 && S_ISDIR(folder.st_mode) && folder.st_uid == geteuid() &&
	    (folder.st_mode & 022) == 0 && lstat(lastgood_path(), &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid();
}

void
lastgood_settle(bool closed)
{
	char AUTO_FREE *text = NULL, *old = NULL;
	size_t len, old_len;
	enum tulle_err e;

	if (!closed) {
		if (unlink(lastgood_path()) == -1 && errno != ENOENT && errno != ENOTDIR)
			say("%s: %s: it is of no use any more; remove it", lastgood_path(), strerror(errno));
		return;
	}
	e = file_read(paths_etc("tulle.yaml"), SIZE_MOST, &text, &len);
	if (e == TULLE_OK && file_read(lastgood_path(), SIZE_MOST, &old, &old_len) == TULLE_OK && len == old_len &&
	    memcmp(text, old, len) == 0)
		return;
	if (e == TULLE_OK)
		e = file_mkdirs(paths_var("rules"), 0700);
	if (e == TULLE_OK)
		e = file_replace(lastgood_path(), text, len, 0600);
	if (e != TULLE_OK && errno != EROFS) /* a container's, which has no boot of its own */
		say("%s could not be written: %s: if tulle.yaml has a mistake at the next boot, nothing is closed then", lastgood_path(),
		    strerror(errno));
}
