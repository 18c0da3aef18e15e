/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum tulle_err
file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	size_t len = 0, cap = 4096;
	char *data, *bigger;
	ssize_t n;

	data = malloc(cap + 1);
	if (data == NULL)
		return TULLE_ENOMEM;
	for (;;) {
		n = read(fd, data + len, cap - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			int saved = errno;

			free(data);
			errno = saved;
			return TULLE_ESYS;
		}
		len += (size_t)n;
		if (len > max) {
			free(data);
			return TULLE_ELIMIT;
		}
		if (n == 0)
			break;
		if (len == cap) {
			cap *= 2;
			bigger = realloc(data, cap + 1);
			if (bigger == NULL) {
				free(data);
				return TULLE_ENOMEM;
			}
			data = bigger;
		}
	}
	data[len] = '\0';
	*ret_data = data;
	*ret_len = len;
	return TULLE_OK;
}

enum tulle_err
file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	int AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return errno == ENOENT ? TULLE_ENOENT : TULLE_ESYS;
	return file_read_fd(fd, max, ret_data, ret_len);
}

enum tulle_err
file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return TULLE_ESYS;
		p += n;
		len -= (size_t)n;
	}
	return TULLE_OK;
}

/* A rename is on disk only when its directory is. */
static enum tulle_err
sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int AUTO_FD fd = -1;

	if (slash == NULL)
		(void)snprintf(dir, sizeof(dir), ".");
	else
		(void)snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		return TULLE_ESYS;
	return TULLE_OK;
}

enum tulle_err
file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	char temp[PATH_MAX];
	int AUTO_FD fd = -1;
	int saved;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp)) {
		errno = ENAMETOOLONG;
		return TULLE_ESYS;
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd == -1)
		return TULLE_ESYS;
	if (fchmod(fd, mode) == -1 || file_write_all(fd, data, len) != TULLE_OK || fsync(fd) == -1 ||
	    rename(temp, path) == -1) {
		saved = errno;
		(void)unlink(temp);
		errno = saved;
		return TULLE_ESYS;
	}
	return sync_parent(path);
}

enum tulle_err
file_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path), i;

	if (len == 0 || len >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return TULLE_ESYS;
	}
	memcpy(part, path, len + 1);
	for (i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) == -1 && errno != EEXIST)
			return TULLE_ESYS;
		part[i] = path[i];
	}
	return TULLE_OK;
}
