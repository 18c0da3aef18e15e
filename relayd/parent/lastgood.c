/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/lastgood.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/paths.h"
#include "bundle.h"
#include "msg/msg.h"

#define FILE_NAME "relayd/last-good"

/* Another layout of what follows takes another number: a file of another version is refused, not misread. */
static const char magic[] = "tulle-relayd: last good configuration, 1\n";

struct head {
	char magic[sizeof(magic) - 1];
	int64_t when;
	uint64_t len; /* of what follows: half of the files must not pass for all of them */
};

enum tulle_err
lastgood_prepare(uid_t uid, gid_t gid)
{
	const char *dir;
	struct stat st;

	if (file_mkdirs(paths_var(""), 0755) != TULLE_OK) /* other daemons must get through */
		return TULLE_ESYS;
	dir = paths_var("relayd");
	if (file_mkdirs(dir, 0700) != TULLE_OK || lstat(dir, &st) == -1)
		return TULLE_ESYS;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return TULLE_ESYS;
	}
	if (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid) && lchown(dir, uid, gid) == -1)
		return TULLE_ESYS;
	return TULLE_OK;
}

enum tulle_err
lastgood_keep(int fd, int64_t when)
{
	char AUTO_FREE *bytes = NULL, *whole = NULL;
	struct head head = { .when = when };
	size_t len;
	enum tulle_err e = msg_unseal(fd, BUNDLE_MAX, &bytes, &len);

	if (e != TULLE_OK)
		return e;
	whole = malloc(sizeof(head) + len);
	if (whole == NULL)
		return TULLE_ENOMEM;
	memcpy(head.magic, magic, sizeof(head.magic));
	head.len = len;
	memcpy(whole, &head, sizeof(head));
	memcpy(whole + sizeof(head), bytes, len);
	return file_replace(paths_var(FILE_NAME), whole, sizeof(head) + len, 0600);
}

enum tulle_err
lastgood_open(int *ret_fd, int64_t *ret_when)
{
	char AUTO_FREE *bytes = NULL;
	struct head head;
	size_t len;
	enum tulle_err e = file_read(paths_var(FILE_NAME), sizeof(head) + BUNDLE_MAX, &bytes, &len);

	if (e != TULLE_OK)
		return e;
	if (len < sizeof(head))
		return TULLE_EPEER;
	memcpy(&head, bytes, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(head.magic)) != 0 || head.len != len - sizeof(head))
		return TULLE_EPEER;
	e = msg_seal(ret_fd, bytes + sizeof(head), len - sizeof(head));
	if (e == TULLE_OK)
		*ret_when = head.when;
	return e;
}

const char *
lastgood_when(int64_t when, char out[LASTGOOD_WHEN])
{
	const time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, LASTGOOD_WHEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)strcpy(out, "?");
	return out;
}
