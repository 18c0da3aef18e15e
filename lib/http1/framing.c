/* SPDX-License-Identifier: GPL-3.0-or-later */
/* framing.c - what the fields say about the body and the connection (9112 6 and 9). */
#include "http1/chars.h"

/* 1*DIGIT, at most 2^63 - 1 (H1-18). */
static bool
length_parse(struct http1_text t, uint64_t *ret)
{
	uint64_t v = 0;

	if (t.n == 0)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		unsigned int d = (unsigned int)(t.p[i] - '0');

		if (!http1_is_digit(t.p[i]) || v > ((uint64_t)INT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret = v;
	return true;
}

/* One length, from a field of its own or from a list. */
static void
note_length(struct http1_parser *p, struct http1_text t)
{
	uint64_t v;

	if (!length_parse(t, &v)) {
		p->saw.bad_length = true;
		return;
	}
	if (p->saw.lengths > 0 && v != p->saw.length)
		p->saw.lengths_differ = true;
	p->saw.length = v;
	p->saw.lengths++;
}

static void
note_lengths(struct http1_parser *p, struct http1_text t)
{
	const char *comma;

	/* Not http1_list_next(): an empty element is no length. */
	for (;;) {
		size_t n = 0;

		while (n < t.n && t.p[n] != ',')
			n++;
		comma = n < t.n ? t.p + n : NULL;
		note_length(p, http1_trim(t.p, n));
		if (comma == NULL)
			break;
		t.n -= n + 1;
		t.p = comma + 1;
	}
}

static void
note_connection(struct http1_parser *p, struct http1_text list)
{
	struct http1_text t;

	while (http1_list_next(&list, &t)) {
		if (http1_text_is_nocase(t, "close"))
			p->saw.close = true;
		else if (http1_text_is_nocase(t, "keep-alive"))
			p->saw.keep_alive = true;
		else if (http1_text_is_nocase(t, "upgrade"))
			p->saw.upgrade = true;
	}
}

void
http1_note(struct http1_parser *p, const struct http1_field *f)
{
	switch (f->id) {
	case HTTP1_HOST:
		p->saw.hosts++;
		p->saw.host = f->value;
		break;
	case HTTP1_CONTENT_LENGTH:
		note_lengths(p, f->value);
		break;
	case HTTP1_TRANSFER_ENCODING:
		p->saw.codings++;
		if (!http1_text_is_nocase(f->value, "chunked"))
			p->saw.bad_coding = true;
		break;
	case HTTP1_CONNECTION:
		note_connection(p, f->value);
		break;
	case HTTP1_EXPECT:
		p->saw.expects++;
		if (!http1_text_is_nocase(f->value, "100-continue"))
			p->saw.bad_expect = true;
		break;
	case HTTP1_UPGRADE:
		p->saw.upgrades++;
		break;
	case HTTP1_OTHER:
	case HTTP1_KEEP_ALIVE:
	case HTTP1_PROXY_CONNECTION:
	case HTTP1_TE:
	case HTTP1_TRAILER:
	case HTTP1_NAMES:
		break;
	}
}

static enum http1_result
check_host(const struct http1_parser *p)
{
	struct http1_head *h = p->head;

	if (p->saw.hosts > 1)
		return HTTP1_E_HOST_REPEATED;
	if (p->saw.hosts == 0)
		return h->minor == 0 ? HTTP1_OK : HTTP1_E_HOST_MISSING;
	if (!http1_authority_valid(p->saw.host, false))
		return HTTP1_E_HOST;
	/* The target's authority wins, but only over a Host that is legal itself (H1-08). */
	if (h->authority.p == NULL)
		h->authority = p->saw.host;
	return HTTP1_OK;
}

static bool
has_underscore(struct http1_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] == '_')
			return true;
	return false;
}

/* What is true of lengths and codings on either side. */
static enum http1_result
check_lengths(const struct http1_parser *p, bool join)
{
	if (p->saw.codings > 1)
		return HTTP1_E_CODING_REPEATED;
	if (p->saw.bad_coding)
		return HTTP1_E_CODING;
	if (p->saw.bad_length)
		return HTTP1_E_LENGTH;
	if (p->saw.lengths_differ || (p->saw.lengths > 1 && !join))
		return HTTP1_E_LENGTH_REPEATED;
	return HTTP1_OK;
}

static void
set_length(struct http1_head *h, const struct http1_parser *p)
{
	h->has_length = p->saw.lengths > 0;
	h->length = h->has_length ? p->saw.length : 0;
}

static enum http1_result
frame_request(struct http1_parser *p)
{
	struct http1_head *h = p->head;
	bool connect = h->form == HTTP1_FORM_AUTHORITY;
	enum http1_result r = check_host(p);

	if (r != HTTP1_OK)
		return r;
	if (p->rules->refuse_host_underscore && has_underscore(h->authority))
		return HTTP1_E_HOST;
	if (p->saw.codings > 0 && (h->minor == 0 || connect))
		return HTTP1_E_CODING_PLACE;
	r = check_lengths(p, p->rules->join_equal_lengths);
	if (r != HTTP1_OK)
		return r;
	if (p->saw.codings > 0 && p->saw.lengths > 0)
		return HTTP1_E_LENGTH_AND_CODING;
	set_length(h, p);
	if (connect && h->length > 0)
		return HTTP1_E_CODING_PLACE; /* 9110 9.3.6: a CONNECT has no content */
	if (p->saw.codings > 0)
		h->body = HTTP1_BODY_CHUNKED;
	else
		h->body = h->length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
	if (p->saw.expects > 1)
		return HTTP1_E_EXPECT_REPEATED;
	if (p->saw.bad_expect)
		return HTTP1_E_EXPECT;
	h->expect_continue = p->saw.expects > 0 && h->minor > 0;
	return HTTP1_OK;
}

static enum http1_result
frame_response(struct http1_parser *p)
{
	struct http1_head *h = p->head;
	enum http1_result r;

	if (h->status == 101 || (p->asked == HTTP1_ASKED_CONNECT && h->status >= 200 && h->status <= 299)) {
		h->body = HTTP1_BODY_TUNNEL; /* whatever the fields say (RS-02) */
		return HTTP1_OK;
	}
	if (h->status < 200 || h->status == 204) {
		h->body = HTTP1_BODY_NONE; /* RS-01 */
		return HTTP1_OK;
	}
	if (p->saw.codings > 0 && h->minor == 0)
		return HTTP1_E_CODING_PLACE;
	r = check_lengths(p, true);
	if (r != HTTP1_OK)
		return r;
	if (p->saw.codings > 0 && p->saw.lengths > 0) {
		if (p->rules->refuse_length_and_coding)
			return HTTP1_E_LENGTH_AND_CODING;
		h->keep_alive = false; /* RS-03: this peer is not to be trusted with another message */
	} else {
		set_length(h, p);
	}
	if (p->asked == HTTP1_ASKED_HEAD || h->status == 304)
		h->body = HTTP1_BODY_NONE;
	else if (p->saw.codings > 0)
		h->body = HTTP1_BODY_CHUNKED;
	else if (h->has_length)
		h->body = h->length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
	else
		h->body = HTTP1_BODY_CLOSE;
	if (h->body == HTTP1_BODY_CLOSE)
		h->keep_alive = false;
	return HTTP1_OK;
}

enum http1_result
http1_framing(struct http1_parser *p)
{
	struct http1_head *h = p->head;

	if (p->trailers)
		return HTTP1_OK;
	h->keep_alive = !p->saw.close && (h->minor > 0 || p->saw.keep_alive);
	h->upgrade = p->saw.upgrade && p->saw.upgrades > 0 && h->minor > 0;
	return p->response ? frame_response(p) : frame_request(p);
}
