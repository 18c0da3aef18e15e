/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calling side of ctlsock.h: blocking, for the command line. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/ctlsock.h"

#define ANSWER_MAX (16 * 1024 * 1024)
#define QUEUE_MS 10

/* TULLE_OK when ready, TULLE_ETIMEDOUT, TULLE_ESYS. */
static enum tulle_err
wait_for(int fd, short what, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = what };
	uint64_t now = clock_mono_ms();
	int n;

	if (now >= deadline)
		return TULLE_ETIMEDOUT;
	n = poll(&p, 1, (int)(deadline - now));
	if (n == -1 && errno != EINTR)
		return TULLE_ESYS;
	return TULLE_OK; /* a wake-up for nothing costs one EAGAIN */
}

/* A daemon that is busy has a full queue for a while. */
static enum tulle_err
connect_to(int *ret_fd, const char *path, uint64_t deadline)
{
	enum tulle_err e;

	while ((e = sock_connect_unix(ret_fd, path)) == TULLE_EUNAVAIL && errno == EAGAIN) {
		if (clock_mono_ms() >= deadline)
			return TULLE_ETIMEDOUT;
		(void)poll(NULL, 0, QUEUE_MS);
	}
	return e;
}

static enum tulle_err
send_all(int fd, const char *text, size_t len, uint64_t deadline)
{
	enum tulle_err e;
	ssize_t n;

	while (len > 0) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n >= 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return TULLE_OK; /* hung up on; it may have said why */
		if (errno != EAGAIN)
			return TULLE_ESYS;
		e = wait_for(fd, POLLOUT, deadline);
		if (e != TULLE_OK)
			return e;
	}
	return TULLE_OK;
}

static enum tulle_err
receive_line(int fd, struct buf *in, uint64_t deadline)
{
	enum tulle_err e;
	uint8_t *room;
	ssize_t n;

	for (;;) {
		e = buf_reserve(in, 4096, &room);
		if (e != TULLE_OK)
			return TULLE_EPEER;
		n = recv(fd, room, 4096, 0);
		if (n == 0)
			return TULLE_EUNAVAIL;
		if (n > 0) {
			buf_commit(in, (size_t)n);
			if (room[n - 1] == '\n')
				return TULLE_OK;
			continue;
		}
		if (errno != EAGAIN)
			return errno == ECONNRESET ? TULLE_EUNAVAIL : TULLE_ESYS;
		e = wait_for(fd, POLLIN, deadline);
		if (e != TULLE_OK)
			return e;
	}
}

static enum tulle_err
understand(const struct buf *in, json_t **ret_result, char **ret_error)
{
	json_t *doc = json_loadb((const char *)buf_head(in), buf_len(in), 0, NULL);
	json_t *result = json_object_get(doc, "result");
	const char *error = json_string_value(json_object_get(doc, "error"));
	enum tulle_err e = TULLE_EPEER;

	if (json_is_true(json_object_get(doc, "ok")) && result != NULL) {
		*ret_result = json_incref(result);
		e = TULLE_OK;
	} else if (error != NULL) {
		*ret_error = strdup(error);
		e = *ret_error != NULL ? TULLE_EINVAL : TULLE_ENOMEM;
	}
	json_decref(doc);
	return e;
}

enum tulle_err
ctl_call(const char *path, const char *command, json_t *args, int timeout_ms, json_t **ret_result, char **ret_error)
{
	uint64_t deadline = clock_mono_ms() + (uint64_t)timeout_ms;
	json_t *doc = json_pack("{s:s, s:o}", "command", command, "args", args != NULL ? args : json_object());
	char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
	struct buf in = buf_new(ANSWER_MAX);
	int AUTO_FD fd = -1;
	enum tulle_err e;

	json_decref(doc);
	if (text == NULL)
		return TULLE_ENOMEM;
	e = connect_to(&fd, path, deadline);
	if (e == TULLE_OK)
		e = send_all(fd, text, strlen(text), deadline);
	if (e == TULLE_OK)
		e = send_all(fd, "\n", 1, deadline);
	if (e == TULLE_OK)
		e = receive_line(fd, &in, deadline);
	if (e == TULLE_OK)
		e = understand(&in, ret_result, ret_error);
	free(text);
	buf_free(&in);
	return e;
}
