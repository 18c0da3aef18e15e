/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parse.c - the lines of a head.  A line is looked at when all of it is
 * there, and its limits are checked before its content: so the answer does
 * not depend on how the bytes were cut, and no byte is looked at for its
 * line end twice.
 */
#include "http1/parse.h"

#include <string.h>

#include "http1/chars.h"

#define MAX_EMPTY_LINES 2

enum stage { STAGE_START, STAGE_FIELDS };

const struct http1_rules http1_rules_default = {
	.start_line_max = 8192,
	.field_max = 16384,
	.fields_max_bytes = 61440,
	.fields_max = 100,
	.extensions_max = 4096,
	.underscore = HTTP1_UNDERSCORE_LOOKALIKE,
};

size_t
http1_head_max(const struct http1_rules *r)
{
	/* Empty lines, start line, fields, and the empty line at the end. */
	return MAX_EMPTY_LINES * 2 + r->start_line_max + 2 + r->fields_max_bytes + 2;
}

static void
begin(struct http1_parser *p, const struct http1_rules *r, struct http1_head *h, struct http1_field *fields, size_t max)
{
	*p = (struct http1_parser){ .rules = r, .head = h };
	*h = (struct http1_head){ .fields = fields, .max = max };
}

void
http1_request_begin(struct http1_parser *p, const struct http1_rules *r, struct http1_head *h,
    struct http1_field *fields, size_t max)
{
	begin(p, r, h, fields, max);
}

void
http1_response_begin(struct http1_parser *p, const struct http1_rules *r, enum http1_asked asked, struct http1_head *h,
    struct http1_field *fields, size_t max)
{
	begin(p, r, h, fields, max);
	p->response = true;
	p->asked = asked;
}

void
http1_trailers_begin(struct http1_parser *p, const struct http1_parser *head, struct http1_head *h,
    struct http1_field *fields, size_t max)
{
	begin(p, head->rules, h, fields, max);
	p->response = head->response;
	p->trailers = true;
	p->stage = STAGE_FIELDS;
	/* One budget for both sections of a message (H1-29). */
	p->bytes = head->bytes;
	p->count = head->count;
}

/* "HTTP/1.x" at <s>. */
static bool
version_parse(const char *s, unsigned int *ret_minor)
{
	if (memcmp(s, "HTTP/1.", 7) != 0 || !http1_is_digit(s[7]))
		return false;
	*ret_minor = s[7] == '0' ? 0 : 1;
	return true;
}

static enum http1_result
request_line(struct http1_head *h, const char *s, size_t n)
{
	const char *sp = memchr(s, ' ', n), *end = s + n, *sp2;

	if (sp == NULL)
		return HTTP1_E_START_LINE;
	h->method = (struct http1_text){ s, (size_t)(sp - s) };
	if (h->method.n == 0)
		return HTTP1_E_START_LINE;
	if (h->method.n > HTTP1_METHOD_MAX || !http1_all(s, h->method.n, HTTP1_C_TOKEN))
		return HTTP1_E_METHOD;
	sp++;
	sp2 = memchr(sp, ' ', (size_t)(end - sp));
	if (sp2 == NULL || sp2 == sp)
		return HTTP1_E_START_LINE; /* HTTP/0.9, or two spaces */
	h->target = (struct http1_text){ sp, (size_t)(sp2 - sp) };
	sp2++;
	if (!http1_all(sp2, (size_t)(end - sp2), HTTP1_C_TARGET))
		return HTTP1_E_START_LINE; /* a third space, a tab, a bare CR */
	if (end - sp2 != 8 || !version_parse(sp2, &h->minor))
		return HTTP1_E_VERSION;
	return http1_target_parse(h);
}

static enum http1_result
status_line(struct http1_head *h, const char *s, size_t n)
{
	if (n < 8)
		return HTTP1_E_STATUS_LINE;
	if (!version_parse(s, &h->minor))
		return memcmp(s, "HTTP/", 5) == 0 ? HTTP1_E_VERSION : HTTP1_E_STATUS_LINE;
	if (n < 12 || s[8] != ' ' || !http1_is_digit(s[9]) || !http1_is_digit(s[10]) || !http1_is_digit(s[11]))
		return HTTP1_E_STATUS_LINE;
	h->status = (unsigned int)((s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0'));
	if (h->status < 100 || h->status > 599)
		return HTTP1_E_STATUS_LINE;
	/* The space belongs there even without a reason (9112 4), but old servers leave both out, and nothing hangs on it. */
	if (n == 12) {
		h->reason = (struct http1_text){ s + n, 0 };
		return HTTP1_OK;
	}
	if (s[12] != ' ' || !http1_value_valid(s + 13, n - 13))
		return HTTP1_E_STATUS_LINE;
	h->reason = (struct http1_text){ s + 13, n - 13 };
	return HTTP1_OK;
}

/* One field line of <n> > 0 bytes. */
static enum http1_result
field_line(struct http1_parser *p, const char *s, size_t n)
{
	struct http1_head *h = p->head;
	struct http1_field f = { .id = HTTP1_OTHER };
	bool underscore = false;
	size_t i = 0, name;

	if (*s == ' ' || *s == '\t')
		return p->count == 0 ? HTTP1_E_LEADING_SPACE : HTTP1_E_FOLD;
	while (i < n && http1_is(s[i], HTTP1_C_TOKEN)) {
		underscore |= s[i] == '_';
		i++;
	}
	name = i;
	/* 9112 5.1: white space before the colon is refused in a request, removed in a response. */
	while (p->response && i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	if (i == n || s[i] != ':')
		return memchr(s, ':', n) == NULL ? HTTP1_E_NO_COLON : HTTP1_E_NAME;
	if (name == 0)
		return HTTP1_E_NAME;
	if (name > HTTP1_NAME_MAX)
		return HTTP1_E_NAME_LONG;
	f.name = (struct http1_text){ s, name };
	f.value = http1_trim(s + i + 1, n - i - 1);
	if (!http1_value_valid(f.value.p, f.value.n))
		return HTTP1_E_VALUE;
	if (p->count >= p->rules->fields_max)
		return HTTP1_E_FIELDS_MANY;
	p->count++;
	if (underscore && p->rules->underscore != HTTP1_UNDERSCORE_PASS) {
		if (p->rules->underscore == HTTP1_UNDERSCORE_DROP)
			return HTTP1_OK;
		if (p->rules->underscore == HTTP1_UNDERSCORE_REFUSE || http1_lookalike(s, name))
			return HTTP1_E_UNDERSCORE;
	}
	if (h->n >= h->max)
		return HTTP1_E_FIELDS_MANY;
	f.id = http1_name_of(s, name);
	h->fields[h->n++] = f;
	if (f.id != HTTP1_OTHER && !p->trailers)
		http1_note(p, &f);
	return HTTP1_OK;
}

/* The bytes moved from <from> to <to>: so do all texts that point into them. */
static void
moved_text(struct http1_text *t, const char *from, const char *to)
{
	/* By way of integers: the old place may be no object any more. */
	if (t->p != NULL)
		t->p = to + ((uintptr_t)t->p - (uintptr_t)from);
}

static void
moved(struct http1_parser *p, const char *to)
{
	struct http1_head *h = p->head;

	moved_text(&h->method, p->base, to);
	moved_text(&h->target, p->base, to);
	moved_text(&h->reason, p->base, to);
	moved_text(&p->saw.host, p->base, to);
	for (size_t i = 0; i < h->n; i++) {
		moved_text(&h->fields[i].name, p->base, to);
		moved_text(&h->fields[i].value, p->base, to);
	}
	/* Derived from the target, and some of it is constant text: once more. */
	h->authority = h->path = h->query = (struct http1_text){ NULL, 0 };
	if (h->target.p != NULL)
		(void)http1_target_parse(h);
}

/* How long the line may be that is being read, and what it is if it is longer. */
static size_t
line_max(const struct http1_parser *p, enum http1_result *ret_over)
{
	const struct http1_rules *r = p->rules;
	size_t left;

	if (p->stage == STAGE_START) {
		*ret_over = HTTP1_E_START_LINE_LONG;
		return r->start_line_max;
	}
	left = r->fields_max_bytes - p->bytes;
	left = left > 2 ? left - 2 : 0;
	*ret_over = r->field_max <= left ? HTTP1_E_FIELD_LONG : HTTP1_E_FIELDS_LONG;
	return r->field_max <= left ? r->field_max : left;
}

static enum http1_result
start_line(struct http1_parser *p, const char *s, size_t n)
{
	enum http1_result r;

	if (n == 0 && !p->response)
		return ++p->empty_lines > MAX_EMPTY_LINES ? HTTP1_E_EMPTY_LINES : HTTP1_OK;
	r = p->response ? status_line(p->head, s, n) : request_line(p->head, s, n);
	p->stage = STAGE_FIELDS;
	return r;
}

enum http1_result
http1_parse(struct http1_parser *p, const char *data, size_t n, size_t *ret_used)
{
	if (p->base != NULL && p->base != data)
		moved(p, data);
	p->base = data;
	for (;;) {
		enum http1_result over, r;
		size_t max = line_max(p, &over), window, len;
		const char *s = data + p->line, *lf;

		window = n - p->line < max + 2 ? n - p->line : max + 2;
		lf = p->seen - p->line < window ? memchr(data + p->seen, '\n', window - (p->seen - p->line)) : NULL;
		if (lf == NULL) {
			p->seen = p->line + window;
			return window == max + 2 ? over : HTTP1_AGAIN;
		}
		if (lf == s || lf[-1] != '\r')
			return HTTP1_E_LINE_END;
		len = (size_t)(lf - s) - 1;
		p->line = p->seen = (size_t)(lf - data) + 1;
		if (p->stage == STAGE_START) {
			r = start_line(p, s, len);
		} else if (len == 0) {
			*ret_used = p->line;
			return http1_framing(p);
		} else {
			p->bytes += len + 2;
			r = field_line(p, s, len);
		}
		if (r != HTTP1_OK)
			return r;
	}
}
