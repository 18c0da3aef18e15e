/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/ctlsock.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "io/acceptor.h"

#define REQUEST_MAX (256 * 1024)
#define ANSWER_MAX (16 * 1024 * 1024)

/* Places at the socket.  Everybody may connect: who may do nothing must not be able to take them all. */
#define CLIENTS_MAX 64
#define CLIENTS_NOT_ROOT 48 /* so 16 are for root */
#define CLIENTS_OTHERS 32   /* neither root nor the daemon's own user, so 16 more are for that one */
#define CLIENTS_OF_UID 8    /* of one of those others */

struct client {
	LIST_ENTRY(client) link;
	struct ctl_server *server;
	struct watch watch; /* its fd is owned */
	struct timer deadline; /* none while its call is under way */
	struct sock_cred cred;
	struct buf in;
	struct buf out;
	struct ctl_call *call; /* under way, or NULL */
	bool closing;          /* once <out> is empty */
};

struct ctl_server {
	struct loop *loop;
	struct acceptor acceptor;
	int fd; /* owned */
	uint64_t request_ms, answer_ms;
	const char *name;
	const struct ctl_command *commands;
	void *arg;
	LIST_HEAD(, client) clients;
	LIST_HEAD(, ctl_call) calls;
	unsigned int nclients;
};

struct ctl_call {
	LIST_ENTRY(ctl_call) link;
	struct client *client; /* NULL once it has hung up */
	struct sock_cred cred;
};

static uint64_t started_ns;

static void client_ready(struct watch *w, uint32_t events);

static void
client_free(struct client *c)
{
	int fd = c->watch.fd;

	if (c->call != NULL)
		c->call->client = NULL;
	loop_del(c->server->loop, &c->watch);
	timer_clear(c->server->loop, &c->deadline);
	(void)close(fd);
	LIST_REMOVE(c, link);
	c->server->nclients--;
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static void
client_late(struct timer *t)
{
	client_free(CONTAINER_OF(t, struct client, deadline));
}

/* Sends what it can; frees the client when that was all it was kept for. */
static void
client_flush(struct client *c)
{
	ssize_t n;

	while (buf_len(&c->out) > 0) {
		n = send(c->watch.fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
		if (n == -1 && errno == EAGAIN) {
			loop_mod(c->server->loop, &c->watch, EPOLLOUT);
			return;
		}
		if (n == -1) {
			client_free(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
	}
	buf_free(&c->out);
	if (c->closing) {
		client_free(c);
		return;
	}
	loop_mod(c->server->loop, &c->watch, EPOLLIN);
	timer_set(c->server->loop, &c->deadline, c->server->request_ms, client_late);
}

static void
answer(struct ctl_call *call, json_t *doc)
{
	struct client *c = call->client;
	char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(doc);
	LIST_REMOVE(call, link);
	free(call);
	if (c != NULL) {
		c->call = NULL;
		timer_set(c->server->loop, &c->deadline, c->server->answer_ms, client_late);
		if (text == NULL || buf_append(&c->out, text, strlen(text)) != TULLE_OK ||
		    buf_append(&c->out, "\n", 1) != TULLE_OK)
			client_free(c);
		else
			client_flush(c);
	}
	free(text);
}

void
ctl_ok(struct ctl_call *call, json_t *result)
{
	answer(call, json_pack("{s:b, s:o}", "ok", 1, "result", result != NULL ? result : json_object()));
}

void
ctl_fail(struct ctl_call *call, const char *fmt, ...)
{
	char *text = NULL;
	json_t *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	s = json_string(text != NULL ? text : "out of memory");
	if (s == NULL) /* not UTF-8 */
		s = json_string("failed, for a reason that cannot be printed");
	answer(call, json_pack("{s:b, s:o}", "ok", 0, "error", s));
	free(text);
}

const struct sock_cred *
ctl_caller(const struct ctl_call *call)
{
	return &call->cred;
}

static int64_t
resident_bytes(void)
{
	char AUTO_FREE *text = NULL;
	unsigned long size, resident;
	size_t len;

	if (file_read("/proc/self/statm", 4096, &text, &len) != TULLE_OK ||
	    sscanf(text, "%lu %lu", &size, &resident) != 2)
		return -1;
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n - 3; /* ".", ".." and the directory itself */
}

json_t *
ctl_process(const char *name)
{
	struct timespec cpu = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:I}", "pid", (int)getpid(), "name", name, "version", TULLE_VERSION, "cpu_ns",
	    (json_int_t)cpu.tv_sec * (json_int_t)NS_PER_SEC + cpu.tv_nsec, "rss_bytes", (json_int_t)resident_bytes(),
	    "fds", (json_int_t)open_descriptors(), "started", (json_int_t)started_ns);
}

static void
dispatch(struct client *c, const char *line, size_t len)
{
	struct ctl_server *s = c->server;
	struct ctl_call *call = calloc(1, sizeof(*call));
	json_t *doc = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(doc, "command"));
	json_t *args = json_object_get(doc, "args");
	json_t *none = json_object();
	const struct ctl_command *cmd;

	if (call == NULL || none == NULL) {
		free(call);
		goto hang_up;
	}
	call->client = c;
	call->cred = c->cred;
	c->call = call;
	LIST_INSERT_HEAD(&s->calls, call, link);
	loop_mod(s->loop, &c->watch, 0);
	timer_clear(s->loop, &c->deadline);
	if (name == NULL || (args != NULL && !json_is_object(args))) {
		c->closing = true;
		ctl_fail(call, "not a request: expected {\"command\":\"NAME\",\"args\":{...}}");
		goto done;
	}
	for (cmd = s->commands; cmd->name != NULL; cmd++)
		if (strcmp(cmd->name, name) == 0)
			break;
	if (cmd->name == NULL && strcmp(name, "process") == 0) {
		ctl_ok(call, ctl_process(s->name));
	} else if (cmd->name == NULL) {
		ctl_fail(call, "unknown command '%s'", name);
	} else if (cmd->changes && c->cred.uid != 0 && c->cred.uid != geteuid()) {
		log_warn("control command refused", LF_STR("command", name), LF_INT("uid", c->cred.uid),
		    LF_INT("pid", c->cred.pid));
		ctl_fail(call, "'%s' is for root or for the user of %s only", name, s->name);
	} else {
		cmd->run(s->arg, call, args != NULL ? args : none);
	}
done:
	json_decref(none);
	json_decref(doc);
	return;
hang_up:
	json_decref(none);
	json_decref(doc);
	client_free(c);
}

static void
client_ready(struct watch *w, uint32_t events)
{
	struct client *c = CONTAINER_OF(w, struct client, watch);
	const uint8_t *nl;
	uint8_t *room;
	ssize_t n;

	if (events & EPOLLOUT) {
		client_flush(c);
		return;
	}
	if (!(events & EPOLLIN)) {
		client_free(c);
		return;
	}
	if (buf_reserve(&c->in, 1024, &room) != TULLE_OK) {
		client_free(c); /* a request without an end */
		return;
	}
	n = recv(w->fd, room, 1024, 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	buf_commit(&c->in, (size_t)n);
	nl = memchr(buf_head(&c->in), '\n', buf_len(&c->in));
	if (nl != NULL) {
		struct buf line = c->in;
		size_t len = (size_t)(nl - buf_head(&c->in));

		c->in = buf_new(REQUEST_MAX); /* what follows the newline is dropped: one request at a time */
		dispatch(c, (const char *)buf_head(&line), len);
		buf_free(&line);
	}
}

/* Is there a place for one more client of <uid>? */
static bool
has_room(const struct ctl_server *s, uid_t uid)
{
	const struct client *c;
	uid_t own = geteuid();
	unsigned int others = 0, same = 0, not_root = 0;

	LIST_FOREACH (c, &s->clients, link) {
		not_root += c->cred.uid != 0;
		others += c->cred.uid != 0 && c->cred.uid != own;
		same += c->cred.uid == uid;
	}
	if (uid == 0)
		return s->nclients < CLIENTS_MAX;
	if (uid == own)
		return not_root < CLIENTS_NOT_ROOT;
	return others < CLIENTS_OTHERS && same < CLIENTS_OF_UID;
}

static void
client_accepted(struct acceptor *a, int accepted)
{
	static const char busy[] = "{\"ok\":false,\"error\":\"too many clients at once: try again\"}\n";
	struct ctl_server *s = CONTAINER_OF(a, struct ctl_server, acceptor);
	int AUTO_FD fd = accepted;
	struct sock_cred cred;
	struct client *c;

	if (sock_cred(fd, &cred) != TULLE_OK)
		return;
	if (!has_room(s, cred.uid)) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	*c = (struct client){ .server = s, .watch = WATCH_INIT, .cred = cred, .in = buf_new(REQUEST_MAX),
		.out = buf_new(ANSWER_MAX) };
	if (loop_add(s->loop, &c->watch, fd, EPOLLIN, client_ready) != TULLE_OK) {
		free(c);
		return;
	}
	(void)fd_take(&fd);
	timer_set(s->loop, &c->deadline, s->request_ms, client_late);
	LIST_INSERT_HEAD(&s->clients, c, link);
	s->nclients++;
}

enum tulle_err
ctl_serve_fd(struct ctl_server **ret, struct loop *l, int fd, const char *name, const struct ctl_command *commands,
    void *arg)
{
	struct ctl_server *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	if (started_ns == 0)
		started_ns = clock_wall_ns();
	*s = (struct ctl_server){ .loop = l, .fd = fd, .request_ms = CTL_REQUEST_MS, .answer_ms = CTL_ANSWER_MS, .name = name,
		.commands = commands, .arg = arg };
	e = acceptor_start(&s->acceptor, l, fd, "control", client_accepted);
	if (e != TULLE_OK) {
		free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

enum tulle_err
ctl_serve(struct ctl_server **ret, struct loop *l, const char *path, const char *name,
    const struct ctl_command *commands, void *arg)
{
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_listen_unix(&fd, path, 0666);

	if (e == TULLE_OK)
		e = ctl_serve_fd(ret, l, fd, name, commands, arg);
	if (e == TULLE_OK)
		(void)fd_take(&fd);
	return e;
}

void
ctl_server_patience(struct ctl_server *s, uint64_t request_ms, uint64_t answer_ms)
{
	s->request_ms = request_ms;
	s->answer_ms = answer_ms;
}

struct ctl_server *
ctl_server_free(struct ctl_server *s)
{
	if (s == NULL)
		return NULL;
	while (!LIST_EMPTY(&s->calls))
		ctl_fail(LIST_FIRST(&s->calls), "shutting down");
	while (!LIST_EMPTY(&s->clients))
		client_free(LIST_FIRST(&s->clients));
	acceptor_stop(&s->acceptor);
	(void)close(s->fd);
	free(s);
	return NULL;
}
