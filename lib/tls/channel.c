/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/sock.h"

#define READ_SIZE 16384
#define OUT_MAX (1 << 20)
#define OUT_SPARE 65536 /* beyond out_max: handshakes, alerts, heads of records */
#define READY_MS 10000
#define FINISH_MS 5000
#define LINGER_MS 1000

enum state {
	CONNECTING, /* waits to become writable */
	SHAKING,    /* TLS handshake */
	OPEN,
	LINGERING,  /* failed; our alert is on its way, so what the peer sends is read and dropped */
	CLOSED,
};

struct channel {
	struct loop *loop; /* lent */
	const struct channel_handler *handler; /* lent */
	void *arg;
	int fd; /* owned; -1 once closed */
	struct watch watch;
	struct timer deadline;
	struct tls_session *tls; /* owned; NULL: plain */
	struct buf out;          /* on its way to the socket */
	size_t out_max;
	enum state state;
	bool paused;
	bool finishing; /* channel_finish() was called */
	bool shut;      /* our direction is shut down */
	bool ended;     /* the peer's direction is */
	uint64_t idle_ms;
	uint64_t active_at; /* loop_now() of the last bytes either way */
	enum tulle_err why; /* LINGERING: what closed() will say */
	bool *freed;        /* set if a callback frees the channel; NULL outside of callbacks */
	char error[160];
};

static void on_event(struct watch *w, uint32_t events);
static void on_deadline(struct timer *t);

static void
set_interest(struct channel *c)
{
	uint32_t want = 0;

	if (c->state == CLOSED || !watch_active(&c->watch))
		return;
	if (c->state != CONNECTING && !c->ended && (!c->paused || c->state != OPEN))
		want |= EPOLLIN;
	if (c->state == CONNECTING || buf_len(&c->out) > 0 || (c->state == OPEN && c->finishing && !c->shut))
		want |= EPOLLOUT;
	loop_mod(c->loop, &c->watch, want);
}

/* Gives the descriptor back and tells the user; <c> may be gone afterwards. */
static void
over(struct channel *c, enum tulle_err why)
{
	loop_del(c->loop, &c->watch);
	timer_clear(c->loop, &c->deadline);
	cleanup_fd(&c->fd);
	c->fd = -1;
	c->state = CLOSED;
	buf_free(&c->out);
	c->handler->closed(c, why, c->arg);
}

/* Ends the channel with an error.  If the peer should hear why, its alert goes first. */
static void
fail(struct channel *c, enum tulle_err why, const char *text)
{
	(void)snprintf(c->error, sizeof(c->error), "%s", text);
	if (c->tls != NULL && buf_len(&c->out) > 0 && (why == TULLE_EDENIED || why == TULLE_EPEER) && !c->ended &&
	    send(c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
	    shutdown(c->fd, SHUT_WR) == 0) {
		/*
		 * To close now would send a reset if the peer's next bytes are here
		 * already, and the reset can overtake the alert.
		 */
		buf_free(&c->out);
		c->why = why;
		c->state = LINGERING;
		timer_set(c->loop, &c->deadline, LINGER_MS, on_deadline);
		return;
	}
	over(c, why);
}

static void
fail_tls(struct channel *c, enum tulle_err why)
{
	fail(c, why, tls_session_error(c->tls));
}

static void
fail_errno(struct channel *c)
{
	int err = errno;

	fail(c, err == ECONNRESET || err == EPIPE ? TULLE_ERESET : TULLE_ESYS, log_errno_text(err));
}

/* Makes a user's callback; false: the channel is gone. */
#define CALL(c, call)                 \
	__extension__({               \
		bool freed_ = false;  \
		(c)->freed = &freed_; \
		call;                 \
		if (!freed_)          \
			(c)->freed = NULL; \
		!freed_;              \
	})

static bool
become_open(struct channel *c)
{
	c->state = OPEN;
	timer_clear(c->loop, &c->deadline);
	c->active_at = loop_now(c->loop);
	if (c->idle_ms > 0)
		timer_set(c->loop, &c->deadline, c->idle_ms, on_deadline);
	return c->handler->ready == NULL || CALL(c, c->handler->ready(c, c->arg));
}

/* Feeds <n> bytes of ciphertext; what comes out goes to the user.  False: gone or over. */
static bool
take_tls(struct channel *c, const uint8_t *p, size_t n)
{
	uint8_t plain[READ_SIZE];
	enum tulle_err e;
	size_t got;

	tls_session_input(c->tls, p, n);
	if (c->state == SHAKING) {
		e = tls_session_handshake(c->tls);
		if (e == TULLE_AGAIN)
			return true;
		if (e != TULLE_OK) {
			fail_tls(c, e);
			return false;
		}
		if (!become_open(c))
			return false;
	}
	for (;;) {
		e = tls_session_read(c->tls, plain, sizeof(plain), &got);
		if (e == TULLE_AGAIN)
			return true;
		if (e == TULLE_EOF) {
			c->ended = true;
			return true;
		}
		if (e != TULLE_OK) {
			fail_tls(c, e);
			return false;
		}
		if (!CALL(c, c->handler->read(c, plain, got, c->arg)))
			return false;
	}
}

/* One piece from the socket.  False: gone or over. */
static bool
do_read(struct channel *c)
{
	uint8_t raw[READ_SIZE];
	ssize_t n;

	do
		n = recv(c->fd, raw, sizeof(raw), MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return true;
	if (c->state == LINGERING) {
		if (n > 0)
			return true;
		over(c, c->why);
		return false;
	}
	if (n == -1) {
		fail_errno(c);
		return false;
	}
	c->active_at = loop_now(c->loop);
	if (n == 0) {
		c->ended = true;
		if (c->tls == NULL || c->finishing)
			return true;
		fail(c, TULLE_ERESET, c->state == SHAKING ? "the peer closed in the middle of the handshake"
							  : "the peer closed without close_notify");
		return false;
	}
	if (c->tls != NULL)
		return take_tls(c, raw, (size_t)n);
	return CALL(c, c->handler->read(c, raw, (size_t)n, c->arg));
}

/* False: gone or over. */
static bool
do_write(struct channel *c)
{
	ssize_t n;

	if (buf_len(&c->out) == 0)
		return true;
	do
		n = send(c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return true;
	if (n == -1) {
		fail_errno(c);
		return false;
	}
	c->active_at = loop_now(c->loop);
	buf_consume(&c->out, (size_t)n);
	if (buf_len(&c->out) > 0)
		return true;
	buf_free(&c->out);
	if (c->state == OPEN && !c->finishing && c->handler->drained != NULL)
		return CALL(c, c->handler->drained(c, c->arg));
	return true;
}

/* Shuts our direction down once all is sent, and ends when both are.  False: gone or over. */
static bool
do_finish(struct channel *c)
{
	if (buf_len(&c->out) > 0 || c->state != OPEN)
		return true;
	if (c->ended) {
		over(c, TULLE_EOF);
		return false;
	}
	if (c->finishing && !c->shut) {
		c->shut = true;
		(void)shutdown(c->fd, SHUT_WR);
	}
	return true;
}

static bool
do_connected(struct channel *c)
{
	enum tulle_err e;

	if (sock_connected(c->fd) != TULLE_OK) {
		fail(c, TULLE_ESYS, log_errno_text(errno));
		return false;
	}
	if (c->tls == NULL)
		return become_open(c);
	c->state = SHAKING;
	e = tls_session_handshake(c->tls); /* a client's first words */
	if (e != TULLE_AGAIN && e != TULLE_OK) {
		fail_tls(c, e);
		return false;
	}
	return true;
}

static void
on_event(struct watch *w, uint32_t events)
{
	struct channel *c = CONTAINER_OF(w, struct channel, watch);
	const uint32_t hung = EPOLLERR | EPOLLHUP;

	if (c->state == CONNECTING) {
		if (!do_connected(c))
			return;
		events &= ~(uint32_t)EPOLLIN; /* next time round */
	} else if (c->paused && c->state == OPEN && (events & hung) != 0) {
		/* It would be told again and again; channel_pause(false) looks. */
		loop_del(c->loop, &c->watch);
		return;
	}
	if ((events & (EPOLLIN | hung)) != 0 && !c->ended && !do_read(c))
		return;
	if (c->state != LINGERING && (!do_write(c) || !do_finish(c)))
		return;
	set_interest(c);
}

static void
on_deadline(struct timer *t)
{
	struct channel *c = CONTAINER_OF(t, struct channel, deadline);
	uint64_t quiet = loop_now(c->loop) - c->active_at;

	if (c->state == LINGERING) {
		over(c, c->why);
	} else if (c->state != OPEN && c->finishing) {
		over(c, TULLE_EOF);
	} else if (c->state != OPEN) {
		fail(c, TULLE_ETIMEDOUT, c->state == CONNECTING ? "no connection in time" : "no TLS handshake in time");
	} else if (c->finishing) {
		over(c, TULLE_EOF);
	} else if (quiet < c->idle_ms) {
		timer_set(c->loop, &c->deadline, c->idle_ms - quiet, on_deadline);
	} else {
		fail(c, TULLE_ETIMEDOUT, "idle for too long");
	}
}

static enum tulle_err
set_up(struct channel *c, int fd, const struct channel_options *o)
{
	int flags = fcntl(fd, F_GETFL);
	enum tulle_err e;

	if (o->tls != NULL) {
		e = tls_session_new(&c->tls, o->tls, &o->session);
		if (e != TULLE_OK)
			return e;
		tls_session_output(c->tls, &c->out);
	}
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return TULLE_ESYS;
	return loop_add(c->loop, &c->watch, fd, EPOLLOUT, on_event);
}

enum tulle_err
channel_new(struct channel **ret, struct loop *loop, int fd, const struct channel_options *o,
    const struct channel_handler *h, void *arg)
{
	static const struct channel_options none;
	struct channel *c = calloc(1, sizeof(*c));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	if (o == NULL)
		o = &none;
	c->loop = loop;
	c->handler = h;
	c->arg = arg;
	c->fd = -1;
	c->watch = (struct watch)WATCH_INIT;
	c->out_max = o->out_max > 0 ? o->out_max : OUT_MAX;
	/* A record's head and tail are 22 bytes; a message of one byte a time is the worst. */
	c->out = buf_new(c->out_max + OUT_SPARE);
	c->idle_ms = o->idle_ms;
	e = set_up(c, fd, o);
	if (e != TULLE_OK) {
		tls_session_free(c->tls);
		free(c);
		return e;
	}
	c->fd = fd; /* ours from here on */
	timer_set(loop, &c->deadline, o->ready_ms > 0 ? o->ready_ms : READY_MS, on_deadline);
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
channel_connect(struct channel **ret, struct loop *loop, const struct addr *to, const struct channel_options *o,
    const struct channel_handler *h, void *arg)
{
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_connect(&fd, to);

	if (e != TULLE_OK && e != TULLE_AGAIN)
		return e;
	e = channel_new(ret, loop, fd, o, h, arg);
	if (e == TULLE_OK)
		(void)fd_take(&fd);
	return e;
}

enum tulle_err
channel_connect_unix(struct channel **ret, struct loop *loop, const char *path, const struct channel_options *o,
    const struct channel_handler *h, void *arg)
{
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_connect_unix(&fd, path);

	if (e == TULLE_OK)
		e = channel_new(ret, loop, fd, o, h, arg);
	if (e == TULLE_OK)
		(void)fd_take(&fd);
	return e;
}

enum tulle_err
channel_write(struct channel *c, const void *p, size_t n)
{
	enum tulle_err e;

	if (c->state != OPEN || c->finishing)
		return TULLE_EPEER;
	if (n > c->out_max || buf_len(&c->out) > c->out_max - n)
		return TULLE_ELIMIT;
	e = c->tls != NULL ? tls_session_write(c->tls, p, n) : buf_append(&c->out, p, n);
	set_interest(c);
	return e;
}

size_t
channel_pending(const struct channel *c)
{
	return buf_len(&c->out);
}

void
channel_finish(struct channel *c)
{
	if (c->state == CLOSED || c->state == LINGERING || c->finishing)
		return;
	c->finishing = true;
	if (c->tls != NULL)
		tls_session_close_notify(c->tls);
	/* One that is not even open ends in the next tick. */
	timer_set(c->loop, &c->deadline, c->state == OPEN ? FINISH_MS : 0, on_deadline);
	set_interest(c);
}

void
channel_pause(struct channel *c, bool paused)
{
	c->paused = paused;
	if (c->state == CLOSED)
		return;
	if (!paused && !watch_active(&c->watch) &&
	    loop_add(c->loop, &c->watch, c->fd, EPOLLIN, on_event) != TULLE_OK) {
		c->idle_ms = 0; /* the kernel has no room for it: give it up */
		timer_set(c->loop, &c->deadline, 0, on_deadline);
	}
	set_interest(c);
}

struct channel *
channel_free(struct channel *c)
{
	if (c == NULL)
		return NULL;
	if (c->freed != NULL)
		*c->freed = true;
	if (c->state != CLOSED) {
		loop_del(c->loop, &c->watch);
		timer_clear(c->loop, &c->deadline);
		cleanup_fd(&c->fd);
	}
	tls_session_free(c->tls);
	buf_free(&c->out);
	free(c);
	return NULL;
}

struct tls_session *
channel_session(const struct channel *c)
{
	return c->tls;
}

int
channel_fd(const struct channel *c)
{
	return c->fd;
}

const char *
channel_error(const struct channel *c)
{
	return c->error;
}
