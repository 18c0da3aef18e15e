/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A control socket against whatever a client sends, in pieces: the first byte
 * says how long they are and when the client leaves.  Invariants: an answer
 * is one line of JSON with "ok" in it, there are no more of them than lines
 * were sent, and nothing of the client stays: neither its place nor a call.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/ctlsock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static struct loop *loop;
static struct ctl_server *server;
static struct ctl_call *late;
static char path[64];
static char answers[1 << 20];
static size_t answers_n, lines;

static void
run_echo(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	CHECK(json_is_object(args));
	ctl_ok(call, json_deep_copy(args));
}

static void
run_fail(void *arg, struct ctl_call *call, const json_t *args)
{
	const char *why = json_string_value(json_object_get(args, "why"));

	(void)arg;
	ctl_fail(call, "no: %s", why != NULL ? why : "\xff");
}

static void
run_late(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	(void)args;
	CHECK(late == NULL);
	late = call;
}

static const struct ctl_command commands[] = { { "echo", true, run_echo }, { "fail", false, run_fail },
	{ "late", false, run_late }, { 0 } };

static void
tick(void)
{
	CHECK(loop_tick(loop, 0) == TULLE_OK);
	if (late != NULL) {
		struct ctl_call *call = late;

		late = NULL;
		ctl_ok(call, NULL);
	}
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	CHECK(loop_new(&loop) == TULLE_OK);
	(void)snprintf(path, sizeof(path), "/tmp/tulle-fuzz-ctl-%d", (int)getpid());
	CHECK(ctl_serve(&server, loop, path, "fuzz", commands, NULL) == TULLE_OK);
}

static void
end(void)
{
	server = ctl_server_free(server);
	loop = loop_free(loop);
	(void)unlink(path);
}

/* What the server has said by now.  False: and it has hung up. */
static bool
hear(int fd)
{
	ssize_t n;

	while ((n = recv(fd, answers + answers_n, sizeof(answers) - answers_n, MSG_DONTWAIT)) > 0)
		answers_n += (size_t)n;
	return n == -1 && errno == EAGAIN;
}

static void
check_answers(void)
{
	const char *p = answers, *last = answers + answers_n, *lf;
	size_t n = 0;

	for (; (lf = memchr(p, '\n', (size_t)(last - p))) != NULL; p = lf + 1, n++) {
		json_t *doc = json_loadb(p, (size_t)(lf - p), JSON_ALLOW_NUL, NULL);

		CHECK(json_is_boolean(json_object_get(doc, "ok")));
		CHECK(json_is_true(json_object_get(doc, "ok")) ? json_object_get(doc, "result") != NULL
		                                               : json_is_string(json_object_get(doc, "error")));
		if (json_is_false(json_object_get(doc, "ok"))) /* it would be said once enough clients had stayed */
			CHECK(strncmp(json_string_value(json_object_get(doc, "error")), "too many", 8) != 0);
		json_decref(doc);
	}
	CHECK(p == last && n <= lines);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece, n;
	bool leave;
	int fd;

	if (size < 1 || size > 65536)
		return 0;
	if (loop == NULL) {
		set_up();
		(void)atexit(end);
	}
	piece = (size_t)(data[0] & 0x7f) * 8 + 1;
	leave = data[0] & 0x80;
	answers_n = lines = 0;
	CHECK(sock_connect_unix(&fd, path) == TULLE_OK);
	for (data++, size--; size > 0; data += n, size -= n) {
		n = size < piece ? size : piece;
		if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
			break;
		for (size_t i = 0; i < n; i++)
			lines += data[i] == '\n';
		tick();
		if (!hear(fd))
			break;
	}
	if (!leave)
		for (int i = 0; i < 70 && hear(fd); i++)
			tick();
	if (!leave)
		check_answers();
	(void)close(fd);
	for (int i = 0; i < 3; i++)
		tick();
	CHECK(late == NULL);
	return 0;
}
