/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/tlsconn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "io/sock.h"

#define PENDING_MAX (64u << 20)
#define RECORD_FIRST 20 /* the types of records, RFC 8446 5.1: change_cipher_spec */
#define RECORD_LAST 23  /* to application_data */

static void
fail(struct tlsconn *c, enum tulle_err e)
{
	c->sys_errno = e == TULLE_ESYS || e == TULLE_ERESET ? errno : 0;
	(void)tlsconn_flush(c); /* an alert may be waiting to tell the peer why */
	c->events->closed(c, e);
}

enum tulle_err
tlsconn_flush(struct tlsconn *c)
{
	struct buf *tx = &c->th->tx;
	enum tulle_err e = TULLE_OK;
	ssize_t n;

	if (buf_len(tx) > 0 && buf_len(&c->pending) > 0) { /* order first */
		e = buf_append(&c->pending, buf_head(tx), buf_len(tx));
		buf_consume(tx, buf_len(tx));
		if (e != TULLE_OK)
			return e;
	}
	while (buf_len(tx) > 0) {
		n = send(c->fd, buf_head(tx), buf_len(tx), MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			if (errno == EAGAIN)
				e = buf_append(&c->pending, buf_head(tx), buf_len(tx));
			else
				e = errno == ECONNRESET || errno == EPIPE ? TULLE_ERESET : TULLE_ESYS;
			buf_consume(tx, buf_len(tx));
			break;
		}
		buf_consume(tx, (size_t)n);
	}
	if (e == TULLE_OK && buf_len(&c->pending) > 0) {
		loop_mod(c->th->loop, &c->watch, EPOLLIN | EPOLLOUT);
		return TULLE_AGAIN;
	}
	return e;
}

enum tulle_err
tlsconn_write(struct tlsconn *c, const uint8_t *p, size_t n)
{
	return tls_session_write(c->tls, p, n);
}

void
tlsconn_want_writable(struct tlsconn *c)
{
	loop_mod(c->th->loop, &c->watch, EPOLLIN | EPOLLOUT);
}

/* Sends what was kept; then the owner may produce more. */
static void
flush_pending(struct tlsconn *c)
{
	ssize_t n;

	while (buf_len(&c->pending) > 0) {
		n = send(c->fd, buf_head(&c->pending), buf_len(&c->pending), MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1) {
			fail(c, errno == ECONNRESET || errno == EPIPE ? TULLE_ERESET : TULLE_ESYS);
			return;
		}
		buf_consume(&c->pending, (size_t)n);
	}
	buf_free(&c->pending);
	loop_mod(c->th->loop, &c->watch, EPOLLIN);
	if (c->state == TLSCONN_OPEN)
		c->events->writable(c);
}

/* Opens every record at hand and delivers what was in them in one piece. */
static void
read_records(struct tlsconn *c)
{
	uint8_t *plain = c->th->plain_in;
	size_t got, total = 0;
	enum tulle_err e;

	for (;;) {
		got = 0;
		e = tls_session_read(c->tls, plain + total, PLAIN_IN_SIZE - total, &got);
		total += e == TULLE_OK ? got : 0;
		if (total > 0 && (e != TULLE_OK || PLAIN_IN_SIZE - total < TLS_RECORD)) {
			c->events->input(c, plain, total);
			total = 0;
			if (c->state == TLSCONN_CLOSED)
				return;
		}
		if (e != TULLE_OK)
			break;
	}
	if (e != TULLE_AGAIN) {
		fail(c, e);
		return;
	}
	if (buf_len(&c->th->tx) > 0 && (e = tlsconn_flush(c)) != TULLE_OK && e != TULLE_AGAIN)
		fail(c, e);
}

static void
step_handshake(struct tlsconn *c)
{
	enum tulle_err e = tls_session_handshake(c->tls), sent;

	if (e != TULLE_OK && e != TULLE_AGAIN) {
		fail(c, e);
		return;
	}
	sent = tlsconn_flush(c);
	if (sent != TULLE_OK && sent != TULLE_AGAIN) {
		fail(c, sent);
		return;
	}
	if (e == TULLE_AGAIN)
		return;
	timer_clear(c->th->loop, &c->deadline);
	c->state = TLSCONN_OPEN;
	c->ready_ns = loop_now_ns(c->th->loop);
	c->events->ready(c);
	if (c->state == TLSCONN_OPEN && tls_session_input_left(c->tls) > 0)
		read_records(c);
}

static void
handshake_late(struct timer *t)
{
	struct tlsconn *c = CONTAINER_OF(t, struct tlsconn, deadline);

	fail(c, TULLE_ETIMEDOUT);
}

static void
start_handshake(struct tlsconn *c)
{
	c->state = TLSCONN_HANDSHAKE;
	c->connected_ns = loop_now_ns(c->th->loop);
	timer_set(c->th->loop, &c->deadline, TLSCONN_HANDSHAKE_MS, handshake_late);
	loop_mod(c->th->loop, &c->watch, EPOLLIN);
}

static void
conn_ready(struct watch *w, uint32_t events)
{
	struct tlsconn *c = CONTAINER_OF(w, struct tlsconn, watch);
	ssize_t n;

	if (c->state == TLSCONN_CONNECTING) {
		if (sock_connected(c->fd) != TULLE_OK) {
			c->sys_errno = errno;
			c->events->closed(c, TULLE_ESYS);
			return;
		}
		start_handshake(c);
		step_handshake(c); /* a client speaks first */
		return;
	}
	if (events & EPOLLOUT) {
		flush_pending(c);
		/* Input in the same tick: a tunnel that is always writable would never be read otherwise. */
		if (c->state == TLSCONN_CLOSED || !(events & ~(uint32_t)EPOLLOUT))
			return;
	}
	n = recv(c->fd, c->th->rx, sizeof(c->th->rx), 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n == 0)
			errno = ECONNRESET; /* an end without close_notify */
		fail(c, n == 0 || errno == ECONNRESET ? TULLE_ERESET : TULLE_ESYS);
		return;
	}
	if (!c->heard) {
		c->heard = true;
		c->not_tls = c->th->rx[0] < RECORD_FIRST || c->th->rx[0] > RECORD_LAST;
	}
	tls_session_input(c->tls, c->th->rx, (size_t)n);
	if (c->state == TLSCONN_HANDSHAKE)
		step_handshake(c);
	else
		read_records(c);
}

static void
init(struct tlsconn *c, struct thread *th, const struct tlsconn_events *events)
{
	*c = (struct tlsconn){ .th = th, .events = events, .fd = -1, .watch = WATCH_INIT,
		.pending = buf_new(PENDING_MAX), .state = TLSCONN_CLOSED, .began_ns = loop_now_ns(th->loop) };
}

enum tulle_err
tlsconn_connect(struct tlsconn *c, struct thread *th, const struct addr *to, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events)
{
	int AUTO_FD fd = -1;
	enum tulle_err e;

	init(c, th, events);
	c->peer = *to;
	e = tls_session_new(&c->tls, ctx, options);
	if (e != TULLE_OK)
		return e;
	tls_session_output(c->tls, &th->tx);
	e = sock_connect(&fd, to);
	if (e == TULLE_OK || e == TULLE_AGAIN)
		e = loop_add(th->loop, &c->watch, fd, EPOLLOUT, conn_ready);
	if (e != TULLE_OK) {
		c->tls = tls_session_free(c->tls);
		return e;
	}
	c->fd = fd_take(&fd);
	c->state = TLSCONN_CONNECTING;
	thread_opened(th);
	timer_set(th->loop, &c->deadline, TLSCONN_CONNECT_MS, handshake_late);
	return TULLE_OK;
}

enum tulle_err
tlsconn_accept(struct tlsconn *c, struct thread *th, int fd, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events)
{
	enum tulle_err e;

	init(c, th, events);
	(void)sock_peer(fd, &c->peer);
	e = tls_session_new(&c->tls, ctx, options);
	if (e != TULLE_OK)
		return e;
	tls_session_output(c->tls, &th->tx);
	e = loop_add(th->loop, &c->watch, fd, EPOLLIN, conn_ready);
	if (e != TULLE_OK) {
		c->tls = tls_session_free(c->tls);
		return e;
	}
	c->fd = fd;
	thread_opened(th);
	start_handshake(c);
	return TULLE_OK;
}

void
tlsconn_close(struct tlsconn *c, bool notify)
{
	if (c->state == TLSCONN_CLOSED)
		return;
	if (notify && c->state == TLSCONN_OPEN) {
		tls_session_close_notify(c->tls);
		(void)tlsconn_flush(c);
	}
	buf_consume(&c->th->tx, buf_len(&c->th->tx));
	c->state = TLSCONN_CLOSED;
	timer_clear(c->th->loop, &c->deadline);
	loop_del(c->th->loop, &c->watch);
	thread_close(c->th, c->fd);
	c->fd = -1;
	c->tls = tls_session_free(c->tls);
	buf_free(&c->pending);
}
