/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/tool.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

static const char *const directories[] = { "/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin" };

/* One end of each pipe to the child, -1 once it is closed. */
struct child {
	pid_t pid;
	int in, out, err;
	int end; /* a pidfd: readable when the child has ended */
};

static bool
find_program(const char *name, char path[PATH_MAX])
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		(void)snprintf(path, PATH_MAX, "%s/%s", directories[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* Between fork and exec: only calls that are safe there.  Does not return. */
static void __attribute__((noreturn))
become(const char *path, const char *const argv[], int in, int out, int err, char *const envp[])
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) != -1 && dup2(out, STDOUT_FILENO) != -1 && dup2(err, STDERR_FILENO) != -1)
		(void)execve(path, (char *const *)(uintptr_t)argv, envp);
	_exit(127);
}

static enum tulle_err
start(struct child *c, const char *path, const char *const argv[])
{
	char lock[PATH_MAX + 32] = "LC_ALL=C";
	char *envp[] = { (char[]){ "LC_ALL=C" }, (char[]){ "PATH=/usr/sbin:/sbin:/usr/bin:/bin" }, lock, NULL };
	const char *lock_file = getenv("XTABLES_LOCKFILE"); /* a pod's own lock: iptables(8) */
	int p[3][2];

	if (lock_file != NULL && strlen(lock_file) < PATH_MAX)
		(void)snprintf(lock, sizeof(lock), "XTABLES_LOCKFILE=%s", lock_file);
	for (int i = 0; i < 3; i++) {
		if (pipe2(p[i], O_CLOEXEC) == -1) {
			while (i-- > 0) {
				(void)close(p[i][0]);
				(void)close(p[i][1]);
			}
			return TULLE_ESYS;
		}
	}
	c->pid = fork();
	if (c->pid == 0)
		become(path, argv, p[0][0], p[1][1], p[2][1], envp);
	(void)close(p[0][0]);
	(void)close(p[1][1]);
	(void)close(p[2][1]);
	c->in = p[0][1];
	c->out = p[1][0];
	c->err = p[2][0];
	(void)fcntl(c->in, F_SETFL, O_NONBLOCK);
	if (c->pid > 0)
		c->end = pidfd_open(c->pid, 0);
	return c->pid == -1 || c->end == -1 ? TULLE_ESYS : TULLE_OK;
}

static void
shut(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

/* Feeds standard input; closes it when all is written or the child has stopped reading. */
static void
feed(struct child *c, const char **input, size_t *len)
{
	ssize_t n = write(c->in, *input, *len);

	if (n > 0) {
		*input += n;
		*len -= (size_t)n;
	}
	if (*len == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		shut(&c->in);
}

static enum tulle_err
collect(int *fd, struct buf *b)
{
	uint8_t *room;
	enum tulle_err e = buf_reserve(b, 16384, &room);
	ssize_t n;

	if (e != TULLE_OK)
		return e;
	n = read(*fd, room, 16384);
	if (n > 0)
		buf_commit(b, (size_t)n);
	else if (n == 0 || errno != EINTR)
		shut(fd);
	return TULLE_OK;
}

/* All of standard error is read, so that the child never waits for us; only its beginning is kept. */
static void
collect_err(int *fd, char *text, size_t *len)
{
	char piece[1024];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n > 0) {
		size_t keep = (size_t)n < TOOL_ERR_TEXT - 1 - *len ? (size_t)n : TOOL_ERR_TEXT - 1 - *len;

		memcpy(text + *len, piece, keep);
		*len += keep;
		text[*len] = '\0';
	} else if (n == 0 || errno != EINTR) {
		shut(fd);
	}
}

static enum tulle_err
converse(struct child *c, const char *input, size_t len, struct buf *out, char *err, size_t *err_len)
{
	uint64_t until = clock_mono_ms() + TOOL_TIMEOUT_MS;
	enum tulle_err e = TULLE_OK;

	if (len == 0)
		shut(&c->in);
	while (e == TULLE_OK && (c->out != -1 || c->err != -1 || c->end != -1)) {
		struct pollfd p[] = { { .fd = c->in, .events = POLLOUT }, { .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN }, { .fd = c->end, .events = POLLIN } };
		uint64_t now = clock_mono_ms();

		if (now >= until)
			return TULLE_ETIMEDOUT;
		if (poll(p, ARRAY_LEN(p), (int)(until - now)) == -1 && errno != EINTR)
			return TULLE_ESYS;
		if (c->in != -1 && p[0].revents != 0)
			feed(c, &input, &len);
		if (c->out != -1 && p[1].revents != 0)
			e = collect(&c->out, out);
		if (c->err != -1 && p[2].revents != 0)
			collect_err(&c->err, err, err_len);
		if (c->end != -1 && p[3].revents != 0)
			shut(&c->end);
	}
	return e;
}

enum tulle_err
tool_run(struct tool_output *ret, const char *const argv[], const char *input, size_t input_len)
{
	struct tool_output o = { .status = -1 };
	struct buf out = buf_new(TOOL_OUT_MAX);
	struct child c = { .pid = -1, .in = -1, .out = -1, .err = -1, .end = -1 };
	char path[PATH_MAX];
	size_t err_len = 0;
	enum tulle_err e;
	uint8_t *end;
	int status = 0;

	if (!find_program(argv[0], path))
		return TULLE_ENOENT;
	(void)signal(SIGPIPE, SIG_IGN);
	e = start(&c, path, argv);
	if (e == TULLE_OK)
		e = converse(&c, input, input_len, &out, o.err, &err_len);
	shut(&c.in);
	shut(&c.out);
	shut(&c.err);
	shut(&c.end);
	if (c.pid > 0) {
		if (e != TULLE_OK)
			(void)kill(c.pid, SIGKILL);
		while (waitpid(c.pid, &status, 0) == -1 && errno == EINTR)
			;
	}
	if (e == TULLE_OK)
		e = buf_reserve(&out, 1, &end);
	if (e != TULLE_OK) {
		buf_free(&out);
		return e;
	}
	*end = '\0';
	while (err_len > 0 && o.err[err_len - 1] == '\n')
		o.err[--err_len] = '\0';
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	/* Nothing was taken off the front, so the buffer's memory is the text. */
	o.out_len = buf_len(&out);
	o.out = (char *)PTR_TAKE(out.data);
	*ret = o;
	return TULLE_OK;
}

void
tool_output_free(struct tool_output *o)
{
	free(o->out);
	o->out = NULL;
}
