/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "store/record.h"

struct journal {
	char *path; /* owned */
	char *dir;  /* owned */
	int lock_fd;
	int fd;
	off_t end; /* of the last good record */
	size_t records;
	size_t snapshot; /* how many of them a snapshot would have */
};

struct journal *
journal_close(struct journal *j)
{
	if (j == NULL)
		return NULL;
	if (j->fd != -1)
		(void)close(j->fd);
	if (j->lock_fd != -1)
		(void)close(j->lock_fd); /* and with it the lock */
	free(j->path);
	free(j->dir);
	free(j);
	return NULL;
}

static enum tulle_err
lock(struct journal *j)
{
	char AUTO_FREE *path = NULL;

	if (asprintf(&path, "%s/lock", j->dir) == -1) {
		path = NULL;
		return TULLE_ENOMEM;
	}
	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->lock_fd == -1)
		return TULLE_ESYS;
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK ? TULLE_EBUSY : TULLE_ESYS;
	return TULLE_OK;
}

static enum tulle_err
replay(struct journal *j, const char *data, size_t len, enum tulle_err (*apply)(void *arg, const json_t *record),
    void *arg)
{
	struct record r;
	size_t off = 0;
	enum tulle_err e;

	while ((e = record_read(&r, data + off, len - off)) == TULLE_OK) {
		json_t *json = json_loadb(r.json, r.len, JSON_REJECT_DUPLICATES, NULL);

		e = json == NULL ? TULLE_EINVAL : apply(arg, json);
		json_decref(json);
		if (e) {
			log_error("a record of the journal is not understood", LF_STR("file", j->path), LF_UINT("offset", off), LF_ERR(e));
			return e;
		}
		off += r.line_len;
		j->records++;
	}
	if (e != TULLE_EOF && e != TULLE_AGAIN) {
		log_error("the journal is damaged: a record is not as it was written", LF_STR("file", j->path),
		    LF_UINT("offset", off), LF_UINT("records_before", j->records));
		return TULLE_EDAMAGED;
	}
	if (e == TULLE_AGAIN)
		log_warn("the journal's last record was cut off by a power cut: nothing had come of it, it is dropped",
		    LF_STR("file", j->path), LF_UINT("offset", off), LF_UINT("bytes", len - off));
	j->end = (off_t)off;
	return TULLE_OK;
}

static enum tulle_err
open_file(struct journal *j)
{
	j->fd = open(j->path, O_WRONLY | O_CLOEXEC);
	if (j->fd == -1 && errno == ENOENT) {
		enum tulle_err e = file_replace(j->path, "", 0, 0600);

		if (e)
			return e;
		j->fd = open(j->path, O_WRONLY | O_CLOEXEC);
	}
	if (j->fd == -1)
		return TULLE_ESYS;
	if (ftruncate(j->fd, j->end) == -1 || lseek(j->fd, j->end, SEEK_SET) == -1)
		return TULLE_ESYS;
	return TULLE_OK;
}

enum tulle_err
journal_open(struct journal **ret, const char *dir, enum tulle_err (*apply)(void *arg, const json_t *record), void *arg)
{
	char AUTO_FREE *data = NULL;
	size_t len = 0;
	struct journal *j = calloc(1, sizeof(*j));
	enum tulle_err e;

	if (j == NULL)
		return TULLE_ENOMEM;
	j->fd = j->lock_fd = -1;
	j->dir = strdup(dir);
	if (asprintf(&j->path, "%s/journal", dir) == -1)
		j->path = NULL;
	e = j->dir == NULL || j->path == NULL ? TULLE_ENOMEM : lock(j);
	if (e == TULLE_OK)
		e = file_read(j->path, JOURNAL_BYTES_MAX, &data, &len);
	if (e == TULLE_ENOENT)
		e = TULLE_OK;
	else if (e == TULLE_OK)
		e = replay(j, data, len, apply, arg);
	if (e == TULLE_OK)
		e = open_file(j);
	if (e) {
		int saved = errno;

		journal_close(j);
		errno = saved;
		return e;
	}
	*ret = j;
	return TULLE_OK;
}

static enum tulle_err
append_line(struct buf *out, const json_t *record)
{
	char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
	enum tulle_err e;

	if (text == NULL)
		return TULLE_ENOMEM;
	e = record_write(out, text, strlen(text));
	explicit_bzero(text, strlen(text)); /* token keys */
	free(text);
	return e;
}

enum tulle_err
journal_append(struct journal *j, json_t *record)
{
	struct buf line = buf_new(RECORD_MAX);
	enum tulle_err e = record == NULL ? TULLE_ENOMEM : append_line(&line, record);

	json_decref(record);
	if (e == TULLE_OK) {
		e = file_write_all(j->fd, buf_head(&line), buf_len(&line));
		if (e == TULLE_OK && fdatasync(j->fd) == -1)
			e = TULLE_ESYS;
		if (e) {
			int saved = errno;

			/* What may have been written must not be found at the next start. */
			if (ftruncate(j->fd, j->end) == -1)
				e = TULLE_ESYS; /* the next record goes over it */
			(void)lseek(j->fd, j->end, SEEK_SET);
			errno = saved;
		} else {
			j->end += (off_t)buf_len(&line);
			j->records++;
		}
	}
	buf_wipe(&line);
	return e;
}

bool
journal_is_long(const struct journal *j)
{
	return j->records >= j->snapshot + JOURNAL_COMPACT;
}

enum tulle_err
journal_replace(struct journal *j, json_t *records)
{
	struct buf all = buf_new(JOURNAL_BYTES_MAX);
	enum tulle_err e = records == NULL ? TULLE_ENOMEM : TULLE_OK;
	size_t n = json_array_size(records), i;
	json_t *record;
	int fd;

	json_array_foreach (records, i, record)
		if (e == TULLE_OK)
			e = append_line(&all, record);
	json_decref(records);
	if (e == TULLE_OK)
		e = file_replace(j->path, buf_len(&all) > 0 ? (const void *)buf_head(&all) : "", buf_len(&all), 0600);
	if (e == TULLE_OK) {
		fd = open(j->path, O_WRONLY | O_CLOEXEC);
		(void)close(j->fd); /* the old file is gone: what was written there would be lost */
		j->fd = fd;
		if (fd == -1) {
			e = TULLE_ESYS;
		} else {
			j->end = (off_t)buf_len(&all);
			(void)lseek(fd, j->end, SEEK_SET);
			j->records = j->snapshot = n;
		}
	}
	buf_wipe(&all);
	return e;
}

size_t
journal_records(const struct journal *j)
{
	return j->records;
}
