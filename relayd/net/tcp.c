/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sock.h"

#define OUT_MAX (64u << 20) /* never reached: sources stop long before, at their window */

static void tcp_ready(struct watch *w, uint32_t events);

static struct tcp *
tcp_of(struct stream *s)
{
	return CONTAINER_OF(s, struct tcp, stream);
}

/* What epoll has to wait for follows from the state; no system call if nothing changed. */
static void
update_interest(struct tcp *t)
{
	uint32_t want = (t->reading && !t->at_eof ? (uint32_t)EPOLLIN : 0) |
	    (t->connecting || buf_len(&t->out) > 0 ? (uint32_t)EPOLLOUT : 0);

	if (t->fd == -1)
		return;
	if (!watch_active(&t->watch)) {
		if (want != 0)
			(void)loop_add(t->th->loop, &t->watch, t->fd, want, tcp_ready);
		return;
	}
	loop_mod(t->th->loop, &t->watch, want);
}

static void
fail(struct tcp *t, int err)
{
	t->stream.events->failed(&t->stream, err == ECONNRESET || err == EPIPE ? TULLE_ERESET : TULLE_ESYS, err);
}

/*
 * The peer takes no more.  It may have answered before it hung up with our
 * bytes unread, as HTTP servers do with a body they do not want: if somebody
 * reads, that is delivered, and then the reset.
 */
static void
send_failed(struct tcp *t, int err)
{
	if (!t->reading || t->at_eof) {
		fail(t, err);
		return;
	}
	t->broken = true;
	buf_free(&t->out);
	update_interest(t);
}

/* Passes the end on once all has left. */
static void
try_shut(struct tcp *t)
{
	if (t->fd == -1 || t->broken || !t->shut_wanted || t->shut_done || t->connecting || buf_len(&t->out) > 0 || t->lent_first != -1)
		return;
	t->shut_done = true;
	(void)shutdown(t->fd, SHUT_WR);
	t->stream.events->finished(&t->stream);
}

/* Sends what waits. */
static void
flush_out(struct tcp *t)
{
	size_t sent = 0;
	ssize_t n;

	while (buf_len(&t->out) > 0) {
		n = send(t->fd, buf_head(&t->out), buf_len(&t->out), MSG_NOSIGNAL);
		if (n == -1) {
			if (errno == EAGAIN || errno == EINTR)
				break;
			send_failed(t, errno);
			return;
		}
		buf_consume(&t->out, (size_t)n);
		sent += (size_t)n;
	}
	if (buf_len(&t->out) == 0)
		buf_free(&t->out);
	update_interest(t);
	if (sent > 0)
		t->stream.events->drained(&t->stream, sent);
	try_shut(t);
}

static void
connected(struct tcp *t)
{
	if (sock_connected(t->fd) != TULLE_OK) {
		t->stream.events->failed(&t->stream, TULLE_ESYS, errno);
		return;
	}
	t->connecting = false;
	update_interest(t);
	t->stream.events->opened(&t->stream);
	try_shut(t); /* the end may have been asked for meanwhile */
}

static void
tcp_ready(struct watch *w, uint32_t events)
{
	struct tcp *t = CONTAINER_OF(w, struct tcp, watch);
	int err = 0;
	socklen_t len = sizeof(err);

	if (t->connecting) {
		connected(t);
		return;
	}
	/* What came before a reset is delivered first: a server may answer, and then close with our bytes unread (HB-28). */
	if ((events & EPOLLERR) && (events & EPOLLIN) && t->reading && !t->at_eof) {
		t->broken = true;
		buf_free(&t->out);
		t->readable = true;
		t->stream.events->readable(&t->stream);
		return;
	}
	if (events & EPOLLERR) {
		(void)getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		fail(t, err != 0 ? err : ECONNRESET);
		return;
	}
	if (events & EPOLLOUT) {
		flush_out(t);
		return; /* level-triggered: what else there is comes again */
	}
	if ((events & EPOLLIN) || ((events & EPOLLHUP) && t->reading && !t->at_eof)) {
		t->readable = true;
		t->stream.events->readable(&t->stream);
		return;
	}
	/* A hang-up that nobody can use now would be reported for ever: look away until resume(). */
	loop_del(t->th->loop, w);
}

static enum tulle_err
tcp_read(struct stream *s, uint8_t *p, size_t n, size_t *ret_n)
{
	struct tcp *t = tcp_of(s);
	ssize_t got;

	if (!t->readable || t->fd == -1)
		return t->at_eof ? TULLE_EOF : TULLE_AGAIN;
	got = recv(t->fd, p, n, 0);
	if (got > 0) {
		if ((size_t)got < n)
			t->readable = false; /* no more for now: saves the recv() that would say so */
		*ret_n = (size_t)got;
		return TULLE_OK;
	}
	t->readable = false;
	if (got == 0 && t->broken) {
		errno = ECONNRESET; /* send() has taken the error away */
		return TULLE_ERESET;
	}
	if (got == 0) {
		t->at_eof = true;
		update_interest(t);
		return TULLE_EOF;
	}
	if (errno == EAGAIN || errno == EINTR)
		return TULLE_AGAIN;
	return errno == ECONNRESET ? TULLE_ERESET : TULLE_ESYS;
}

/* Keeps bytes that cannot be lent: others wait before them. */
static void
keep(struct tcp *t, const uint8_t *p, size_t n)
{
	if (buf_append(&t->out, p, n) != TULLE_OK)
		fail(t, ENOMEM);
}

static void
tcp_write(struct stream *s, const uint8_t *p, size_t n)
{
	struct tcp *t = tcp_of(s);
	struct thread *th = t->th;
	int16_t i;

	if (n == 0 || t->fd == -1 || t->broken)
		return;
	if (t->connecting || buf_len(&t->out) > 0) {
		keep(t, p, n);
		return;
	}
	if (th->nlent == LENT_MAX)
		tcp_flush_lent(th);
	if (t->fd == -1 || t->broken)
		return;
	if (buf_len(&t->out) > 0) { /* the flush found the socket full */
		keep(t, p, n);
		return;
	}
	i = (int16_t)th->nlent++;
	th->lent[i] = (struct lent){ .piece = { .iov_base = (void *)(uintptr_t)p, .iov_len = n }, .next = -1 };
	if (t->lent_first == -1) {
		t->lent_first = i;
		TAILQ_INSERT_TAIL(&th->lent_to, t, lent_link);
	} else {
		th->lent[t->lent_last].next = i;
	}
	t->lent_last = i;
}

/* Sends the pieces of one socket, as many bytes as it takes. */
static ssize_t
send_pieces(struct tcp *t, struct iovec iov[LENT_MAX], size_t *ret_n, size_t *ret_total)
{
	struct msghdr m = { .msg_iov = iov };
	size_t total = 0;

	for (int16_t i = t->lent_first; i != -1; i = t->th->lent[i].next) {
		iov[m.msg_iovlen++] = t->th->lent[i].piece;
		total += t->th->lent[i].piece.iov_len;
	}
	t->lent_first = -1;
	*ret_n = m.msg_iovlen;
	*ret_total = total;
	return m.msg_iovlen == 1 ? send(t->fd, iov[0].iov_base, total, MSG_NOSIGNAL) : sendmsg(t->fd, &m, MSG_NOSIGNAL);
}

/* And keeps what it does not take. */
static void
flush_pieces(struct tcp *t)
{
	struct iovec iov[LENT_MAX];
	size_t pieces, total, sent, skip;
	ssize_t n = send_pieces(t, iov, &pieces, &total);

	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		send_failed(t, errno);
		return;
	}
	sent = n > 0 ? (size_t)n : 0;
	skip = sent;
	for (size_t i = 0; i < pieces && sent < total; i++) {
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		if (buf_append(&t->out, (const uint8_t *)iov[i].iov_base + skip, len - skip) != TULLE_OK) {
			fail(t, ENOMEM);
			return;
		}
		skip = 0;
	}
	if (sent < total)
		update_interest(t);
	if (sent > 0)
		t->stream.events->drained(&t->stream, sent);
	try_shut(t);
}

void
tcp_flush_lent(struct thread *th)
{
	struct tcp *t;

	while ((t = TAILQ_FIRST(&th->lent_to)) != NULL) {
		TAILQ_REMOVE(&th->lent_to, t, lent_link);
		flush_pieces(t);
	}
	th->nlent = 0;
}

/* Socket to socket: one recv() into the scratch, one send() out of it. */
static void
tcp_pull(struct stream *s, struct stream *from)
{
	struct tcp *t = tcp_of(s);
	struct thread *th = t->th;
	enum tulle_err e;
	size_t n = 0;

	if (t->fd == -1)
		return;
	if (buf_len(&t->out) > 0 || t->connecting) {
		from->ops->pause(from);
		return;
	}
	e = from->ops->read(from, th->rx, sizeof(th->rx), &n);
	switch ((int)e) {
	case TULLE_OK:
		from->events->data(from, th->rx, n);
		tcp_flush_lent(th);
		return;
	case TULLE_AGAIN:
		return;
	case TULLE_EOF:
		from->events->eof(from);
		return;
	default:
		from->events->failed(from, e, errno);
		return;
	}
}

static void
tcp_shut(struct stream *s)
{
	struct tcp *t = tcp_of(s);

	t->shut_wanted = true;
	try_shut(t);
}

static void
tcp_pause(struct stream *s)
{
	struct tcp *t = tcp_of(s);

	if (t->reading) {
		t->reading = false;
		update_interest(t);
	}
}

static void
tcp_resume(struct stream *s)
{
	struct tcp *t = tcp_of(s);

	if (!t->reading) {
		t->reading = true;
		update_interest(t);
	}
}

/* What this socket delivered has left: if it was stopped for that, go on. */
static void
tcp_consumed(struct stream *s, size_t n)
{
	(void)n;
	tcp_resume(s);
}

static void
tcp_close(struct stream *s, bool reset)
{
	struct tcp *t = tcp_of(s);
	struct iovec iov[LENT_MAX];
	size_t pieces, total;

	if (t->fd == -1)
		return;
	if (t->lent_first != -1) { /* came before the end, in the same tick: still goes out before it */
		TAILQ_REMOVE(&t->th->lent_to, t, lent_link);
		(void)send_pieces(t, iov, &pieces, &total);
	}
	loop_del(t->th->loop, &t->watch);
	if (reset)
		sock_reset_on_close(t->fd);
	thread_close(t->th, t->fd);
	t->fd = -1;
	buf_free(&t->out);
}

static const struct stream_ops tcp_ops = {
	.read = tcp_read,
	.write = tcp_write,
	.pull = tcp_pull,
	.shut = tcp_shut,
	.pause = tcp_pause,
	.resume = tcp_resume,
	.consumed = tcp_consumed,
	.close = tcp_close,
};

static enum tulle_err
start(struct tcp *t, struct thread *th, int fd, bool connecting, const struct stream_events *events)
{
	enum tulle_err e;

	*t = (struct tcp){ .stream = { .ops = &tcp_ops, .events = events }, .th = th, .watch = WATCH_INIT,
		.out = buf_new(OUT_MAX), .lent_first = -1, .fd = fd, .connecting = connecting };
	/* Watched from the start, for nothing: resets must be seen while the other end is being dialled. */
	e = loop_add(th->loop, &t->watch, fd, connecting ? EPOLLOUT : 0, tcp_ready);
	if (e == TULLE_OK)
		thread_opened(th);
	else
		t->fd = -1;
	return e;
}

enum tulle_err
tcp_adopt(struct tcp *t, struct thread *th, int fd, const struct stream_events *events)
{
	return start(t, th, fd, false, events);
}

enum tulle_err
tcp_connect(struct tcp *t, struct thread *th, const struct addr *to, const struct stream_events *events)
{
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_connect(&fd, to);

	/* Connected at once (loopback): the writable event says so all the same, not from within. */
	if (e != TULLE_OK && e != TULLE_AGAIN)
		return e;
	e = start(t, th, fd, true, events);
	if (e == TULLE_OK)
		(void)fd_take(&fd);
	return e;
}
