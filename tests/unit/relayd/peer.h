/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * peer.h - the other end of a tunnel, frame by frame: says what a test wants
 * said, in the order it wants, and remembers what came.  It has none of the
 * relay's code above TLS.
 */
#ifndef TULLE_TESTS_PEER_H
#define TULLE_TESTS_PEER_H

#include "relays.h"

#define PEER_STREAMS 1200
#define PEER_PLAIN (1u << 20)

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct peer_stream {
	int status;           /* of its answer; clients */
	char authority[128];  /* of its request; servers */
	bool asked;
	size_t data;          /* bytes that came */
	bool end, rst;
	uint32_t rst_code;
	int64_t window;       /* what we may still send */
	bool known;
};

struct peer {
	int fd;
	bool server;
	struct tls_context *ctx;
	struct tls_session *tls;
	struct verifier *verifier;
	struct buf tx;
	bool up, ended;
	enum tulle_err error;
	int sys_errno;        /* of the call that ended it; 0: none did */
	uint8_t plain[PEER_PLAIN];
	size_t have;
	bool preface;         /* servers: it has come */
	bool said_settings;
	unsigned int acks_due; /* a server's first frame must be its SETTINGS */
	bool no_credit;       /* gives no window back */
	bool mute;            /* says nothing at all */
	nghttp2_hd_inflater *inflater;
	unsigned int settings, settings_acks, ping_acks, pings, goaways, data_frames, empty_data;
	int32_t last_id;      /* of the latest GOAWAY */
	uint32_t goaway_code;
	int32_t max_id, taken; /* the highest stream that was asked for, and that peer_next() gave out */
	unsigned int open_now, open_most;
	uint32_t max_streams, initial_window, max_frame;
	int64_t window;       /* of the connection, what we may still send */
	struct peer_stream s[PEER_STREAMS];
};

static struct peer *peers[64];
static size_t npeers;

static inline struct peer_stream *
peer_stream(struct peer *p, int32_t id)
{
	struct peer_stream *s = &p->s[id / 2];

	ck_assert_int_lt(id / 2, PEER_STREAMS);
	if (!s->known) {
		s->known = true;
		s->window = p->initial_window;
	}
	return s;
}

static inline void
peer_flush(struct peer *p)
{
	ssize_t n;

	while (buf_len(&p->tx) > 0 && !p->ended) {
		n = send(p->fd, buf_head(&p->tx), buf_len(&p->tx), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0) {
			if (errno != EAGAIN) {
				p->error = TULLE_ESYS;
				p->sys_errno = errno;
				p->ended = true;
			}
			return;
		}
		buf_consume(&p->tx, (size_t)n);
	}
}

static inline void
peer_raw(struct peer *p, const void *bytes, size_t n)
{
	if (p->ended || p->mute)
		return;
	ck_assert_int_eq(tls_session_write(p->tls, bytes, n), TULLE_OK);
	peer_flush(p);
}

static inline void
peer_frame(struct peer *p, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t n)
{
	uint8_t *f = calloc(1, 9 + n);

	f[0] = (uint8_t)(n >> 16);
	f[1] = (uint8_t)(n >> 8);
	f[2] = (uint8_t)n;
	f[3] = type;
	f[4] = flags;
	f[5] = (uint8_t)(id >> 24);
	f[6] = (uint8_t)(id >> 16);
	f[7] = (uint8_t)(id >> 8);
	f[8] = (uint8_t)id;
	if (n > 0)
		memcpy(f + 9, payload, n);
	peer_raw(p, f, 9 + n);
	free(f);
	if (type == SETTINGS && !(flags & ACK))
		for (p->said_settings = true; p->acks_due > 0; p->acks_due--)
			peer_frame(p, SETTINGS, ACK, 0, NULL, 0);
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
peer_word(struct peer *p, uint8_t type, int32_t id, uint32_t v)
{
	uint8_t w[4];

	put32(w, v);
	peer_frame(p, type, 0, id, w, 4);
}

static inline void
peer_goaway(struct peer *p, uint32_t last, uint32_t code)
{
	uint8_t w[8];

	put32(w, last);
	put32(w + 4, code);
	peer_frame(p, GOAWAY, 0, 0, w, 8);
}

static inline void
peer_setting(struct peer *p, uint16_t id, uint32_t v)
{
	uint8_t w[6] = { (uint8_t)(id >> 8), (uint8_t)id };

	put32(w + 2, v);
	peer_frame(p, SETTINGS, 0, 0, w, 6);
}

/* HPACK: literals without indexing, without Huffman. */
static inline size_t
put_literal(uint8_t *out, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	ck_assert_uint_lt(n, 127);
	ck_assert_uint_lt(v, 127);
	out[0] = 0;
	out[1] = (uint8_t)n;
	memcpy(out + 2, name, n);
	out[2 + n] = (uint8_t)v;
	memcpy(out + 3 + n, value, v);
	return 3 + n + v;
}

/* HEADERS of pairs of texts, ended by NULL. */
static inline void
peer_headers(struct peer *p, int32_t id, uint8_t flags, ...)
{
	uint8_t block[2048];
	const char *name;
	size_t n = 0;
	va_list ap;

	va_start(ap, flags);
	while ((name = va_arg(ap, const char *)) != NULL)
		n += put_literal(block + n, name, va_arg(ap, const char *));
	va_end(ap);
	peer_frame(p, HEADERS, END_HEADERS | flags, id, block, n);
}

/* Clients: asks for <authority>. */
static inline void
peer_ask(struct peer *p, int32_t id, const char *authority)
{
	(void)peer_stream(p, id);
	peer_headers(p, id, 0, ":method", "CONNECT", ":authority", authority, NULL);
}

/* Servers: answers. */
static inline void
peer_answer(struct peer *p, int32_t id, const char *status)
{
	peer_headers(p, id, 0, ":status", status, NULL);
}

/* Sends up to <n> zero bytes, as far as both windows go; how many. */
static inline size_t
peer_data(struct peer *p, int32_t id, size_t n, bool end)
{
	static const uint8_t zeros[16384];
	struct peer_stream *s = peer_stream(p, id);
	size_t done = 0, piece;

	while (done < n && !p->ended) {
		piece = n - done < sizeof(zeros) ? n - done : sizeof(zeros);
		if ((int64_t)piece > s->window || (int64_t)piece > p->window || buf_len(&p->tx) > (4u << 20))
			break;
		s->window -= (int64_t)piece;
		p->window -= (int64_t)piece;
		done += piece;
		peer_frame(p, DATA, end && done == n ? END_STREAM : 0, id, zeros, piece);
	}
	return done;
}

static inline void
peer_inflate(struct peer *p, struct peer_stream *s, const uint8_t *in, size_t n)
{
	nghttp2_nv nv;
	int flags = 0;
	ssize_t used;

	do {
		used = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, in, n, 1);
		ck_assert_int_ge(used, 0);
		in += used;
		n -= (size_t)used;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
			continue;
		if (nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0)
			s->status = (nv.value[0] - '0') * 100 + (nv.value[1] - '0') * 10 + nv.value[2] - '0';
		if (nv.namelen == 10 && memcmp(nv.name, ":authority", 10) == 0)
			snprintf(s->authority, sizeof(s->authority), "%.*s", (int)nv.valuelen, (const char *)nv.value);
	} while (!(flags & NGHTTP2_HD_INFLATE_FINAL));
	nghttp2_hd_inflate_end_headers(p->inflater);
}

static inline void
peer_gone(struct peer *p, struct peer_stream *s)
{
	if (s->asked && p->open_now > 0)
		p->open_now--;
	s->asked = false;
}

static inline void
peer_got(struct peer *p, uint8_t type, uint8_t flags, int32_t id, const uint8_t *in, size_t n)
{
	struct peer_stream *s = id != 0 ? peer_stream(p, id) : NULL;

	if (type == SETTINGS && (flags & ACK)) {
		p->settings_acks++;
	} else if (type == SETTINGS) {
		p->settings++;
		for (size_t i = 0; i + 6 <= n; i += 6) {
			uint32_t v = get32(in + i + 2);

			if (in[i + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
				p->max_streams = v;
			if (in[i + 1] == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) {
				for (size_t k = 0; k < PEER_STREAMS; k++)
					if (p->s[k].known)
						p->s[k].window += (int64_t)v - p->initial_window;
				p->initial_window = v;
			}
			if (in[i + 1] == NGHTTP2_SETTINGS_MAX_FRAME_SIZE)
				p->max_frame = v;
		}
		if (p->said_settings)
			peer_frame(p, SETTINGS, ACK, 0, NULL, 0);
		else
			p->acks_due++;
	} else if (type == HEADERS) {
		ck_assert(flags & END_HEADERS);
		peer_inflate(p, s, in, n);
		if (p->server && !s->asked) {
			s->asked = true;
			p->max_id = id > p->max_id ? id : p->max_id;
			p->open_now++;
			p->open_most = p->open_now > p->open_most ? p->open_now : p->open_most;
		}
	} else if (type == DATA) {
		s->data += n;
		p->data_frames++;
		p->empty_data += n == 0 && !(flags & END_STREAM);
		if (n > 0 && !p->no_credit) {
			peer_word(p, WINDOW_UPDATE, 0, (uint32_t)n);
			peer_word(p, WINDOW_UPDATE, id, (uint32_t)n);
		}
	} else if (type == RST_STREAM) {
		s->rst = true;
		s->rst_code = get32(in);
		peer_gone(p, s);
	} else if (type == PING && (flags & ACK)) {
		p->ping_acks++;
	} else if (type == PING) {
		p->pings++;
		peer_frame(p, PING, ACK, 0, in, n);
	} else if (type == GOAWAY) {
		p->goaways++;
		p->last_id = (int32_t)(get32(in) & 0x7fffffff);
		p->goaway_code = get32(in + 4);
	} else if (type == WINDOW_UPDATE) {
		*(s != NULL ? &s->window : &p->window) += get32(in);
	}
	if ((type == HEADERS || type == DATA) && (flags & END_STREAM))
		s->end = true;
}

static inline void
peer_parse(struct peer *p)
{
	size_t at_byte = 0, n;

	if (p->server && !p->preface) {
		if (p->have < 24)
			return;
		ck_assert_int_eq(memcmp(p->plain, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 0);
		p->preface = true;
		at_byte = 24;
	}
	while (p->have - at_byte >= 9) {
		const uint8_t *f = p->plain + at_byte;

		n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
		if (p->have - at_byte < 9 + n)
			break;
		at_byte += 9 + n;
		peer_got(p, f[3], f[4], (int32_t)(get32(f + 5) & 0x7fffffff), f + 9, n);
	}
	memmove(p->plain, p->plain + at_byte, p->have - at_byte);
	p->have -= at_byte;
}

static inline void
peer_ends(struct peer *p, enum tulle_err e)
{
	p->error = e;
	peer_flush(p);
	p->ended = true;
}

/* One turn: whatever came, and whatever waits. */
static inline void
peer_pump(struct peer *p)
{
	static uint8_t in[65536];
	enum tulle_err e;
	size_t got;
	ssize_t n;

	if (p->ended || p->fd == -1)
		return;
	peer_flush(p);
	n = recv(p->fd, in, sizeof(in), MSG_DONTWAIT);
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != ENOTCONN)) {
		p->sys_errno = n == -1 ? errno : 0;
		peer_ends(p, n == 0 ? TULLE_EOF : TULLE_ERESET);
		return;
	}
	if (n > 0)
		tls_session_input(p->tls, in, (size_t)n);
	if (!p->up) {
		e = tls_session_handshake(p->tls);
		peer_flush(p);
		if (e != TULLE_OK && e != TULLE_AGAIN)
			peer_ends(p, e);
		if (e != TULLE_OK)
			return;
		p->up = true;
	}
	while (!p->ended) {
		got = 0;
		ck_assert_uint_gt(PEER_PLAIN - p->have, TLS_RECORD);
		e = tls_session_read(p->tls, p->plain + p->have, PEER_PLAIN - p->have, &got);
		p->have += e == TULLE_OK ? got : 0;
		peer_parse(p);
		if (e == TULLE_AGAIN)
			break;
		if (e != TULLE_OK)
			peer_ends(p, e);
	}
	peer_flush(p);
}

static inline void
peers_pump(void)
{
	for (size_t i = 0; i < npeers; i++)
		peer_pump(peers[i]);
}

static inline struct peer *
peer_new(const char *id, bool server)
{
	const struct tls_options options = { .alpn = "h2" };
	struct peer *p = calloc(1, sizeof(*p));
	struct pki *leaf = pki_leaf(root, id);
	struct identity_set *set = pki_set(root, "mesh.test", leaf, NULL);

	ck_assert_int_eq(verifier_new(&p->verifier, set->trust), TULLE_OK);
	ck_assert_int_eq(server ? tls_context_mesh_server(&p->ctx, set, p->verifier, &options)
	                        : tls_context_mesh_client(&p->ctx, identity_set_default(set), p->verifier, &options),
	    TULLE_OK);
	identity_set_unref(set);
	pki_free(leaf);
	p->server = server;
	p->fd = -1;
	p->tx = buf_new(64u << 20);
	p->initial_window = 65535;
	p->window = 65535;
	ck_assert_int_eq(nghttp2_hd_inflate_new(&p->inflater), 0);
	ck_assert_int_eq(tls_session_new(&p->tls, p->ctx, NULL), TULLE_OK);
	tls_session_output(p->tls, &p->tx);
	ck_assert_uint_lt(npeers, ARRAY_LEN(peers));
	peers[npeers++] = p;
	relays_idle = peers_pump;
	return p;
}

/* What ended is not waited for: it is told why. */
static inline void
peer_must_live(const struct peer *p)
{
	if (p->ended)
		ck_abort_msg("the tunnel ended %s: %s, %s, %s", p->up ? "before its settings" : "in the handshake",
		    tulle_strerror(p->error), strerror(p->sys_errno), tls_session_error(p->tls));
}

/* A client whose TLS is up and whose preface and settings are out; the relay's settings have come. */
static inline struct peer *
peer_connect(const char *to, const char *id)
{
	struct peer *p = peer_new(id, false);
	struct addr where = at(to);

	ck_assert_int_ne(sock_connect(&p->fd, &where), TULLE_ESYS);
	UNTIL(p->up || p->ended);
	peer_must_live(p);
	peer_raw(p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	peer_frame(p, SETTINGS, 0, 0, NULL, 0);
	UNTIL((p->settings > 0 && p->settings_acks > 0) || p->ended);
	peer_must_live(p);
	return p;
}

/* The tunnel that somebody makes to <listener>; its TLS is up and its preface has come.  Says no SETTINGS yet. */
static inline struct peer *
peer_accept(int listener, const char *id)
{
	struct peer *p = peer_new(id, true);

	p->fd = app_accept(listener);
	UNTIL(p->up && p->preface);
	return p;
}

/* Waits until the relay asks for one more stream, and says which. */
static inline int32_t
peer_next(struct peer *p)
{
	p->taken += p->taken == 0 ? 1 : 2;
	UNTIL(p->max_id >= p->taken);
	return p->taken;
}

static inline void
peer_close(struct peer *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	p->ended = true;
}

/* Closes, and gives everything back. */
static inline void
peer_free(struct peer *p)
{
	peer_close(p);
	for (size_t i = 0; i < npeers; i++)
		if (peers[i] == p)
			peers[i] = peers[--npeers];
	p->tls = tls_session_free(p->tls);
	p->ctx = tls_context_unref(p->ctx);
	p->verifier = verifier_unref(p->verifier);
	nghttp2_hd_inflate_del(p->inflater);
	buf_free(&p->tx);
	free(p);
}

#endif
