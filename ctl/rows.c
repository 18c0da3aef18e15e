/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *
text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

static int64_t
number(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 ? n : 0;
}

/* No sum of what a relay says wraps, whoever it is by now. */
static int64_t
plus(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static struct row
row_of(const json_t *o)
{
	return (struct row){ .inbound = strcmp(text(o, "direction"), "inbound") == 0,
		.others = json_is_true(json_object_get(o, "others")), .how = text(o, "how"), .address = text(o, "address"),
		.source = text(o, "source"), .destination = text(o, "destination"), .service = text(o, "service"),
		.workload = text(o, "workload"), .port = number(o, "port"), .connections = number(o, "connections"),
		.denied = number(o, "denied"), .failed = number(o, "failed"), .audited = number(o, "audited"),
		.active = number(o, "active"), .received = number(o, "received"), .sent = number(o, "sent"),
		.last = number(o, "last") };
}

/* What tells a talk from another, in one text; the caller's to free().  No text of a talk has a control character. */
static char *
key_of(const struct row *r)
{
	char *key;

	if (asprintf(&key, "%d\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%" PRId64, r->inbound, r->others, r->how, r->address, r->source,
	        r->destination, r->service, r->workload, r->port) == -1)
		return NULL;
	return key;
}

static struct row *
find(const struct rows *r, const char *key)
{
	const json_t *place = json_object_get(r->index, key);

	return place != NULL ? &r->list[json_integer_value(place)] : NULL;
}

static void
add(struct row *to, const struct row *r)
{
	to->connections = plus(to->connections, r->connections);
	to->denied = plus(to->denied, r->denied);
	to->failed = plus(to->failed, r->failed);
	to->audited = plus(to->audited, r->audited);
	to->active = plus(to->active, r->active);
	to->received = plus(to->received, r->received);
	to->sent = plus(to->sent, r->sent);
	if (to->last < r->last)
		to->last = r->last;
}

/* It is printed as it is. */
static bool
is_how(const char *how)
{
	static const char *const all[] = { "mutual", "plaintext", "local", "outside" };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(how, all[i]) == 0)
			return true;
	return false;
}

static enum tulle_err
take_row(struct rows *r, const json_t *o)
{
	const struct row row = row_of(o);
	char AUTO_FREE *key = key_of(&row);
	struct row *there;

	if (!json_is_object(o) || !is_how(row.how) || row.port > UINT16_MAX)
		return TULLE_EPEER;
	if (key == NULL)
		return TULLE_ENOMEM;
	there = find(r, key);
	if (there != NULL) {
		add(there, &row);
		return TULLE_OK;
	}
	r->list[r->n] = row;
	return json_object_set_new(r->index, key, json_integer((json_int_t)r->n++)) == 0 ? TULLE_OK : TULLE_EPEER;
}

enum tulle_err
rows_take(struct rows *ret, json_t *answer)
{
	const json_t *workers = json_object_get(answer, "workers"), *w, *o;
	struct rows r = { .since = number(answer, "since"), .answer = answer, .index = json_object() };
	enum tulle_err e = json_is_array(workers) ? TULLE_OK : TULLE_EPEER;
	size_t i, k, all = 1;

	json_array_foreach (workers, i, w)
		all += json_array_size(w);
	r.list = calloc(all, sizeof(*r.list));
	if (r.list == NULL || r.index == NULL)
		e = TULLE_ENOMEM;
	json_array_foreach (workers, i, w)
		for (k = 0; e == TULLE_OK && (o = json_array_get(w, k)) != NULL; k++)
			e = take_row(&r, o);
	if (e != TULLE_OK)
		rows_free(&r);
	else
		*ret = r;
	return e;
}

void
rows_free(struct rows *r)
{
	free(r->list);
	json_decref(r->answer);
	json_decref(r->index);
	*r = (struct rows){ 0 };
}

/* The index is of no more use after this. */
void
rows_filter(struct rows *r, bool (*keep)(const void *arg, const struct row *row), const void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (keep(arg, &r->list[i]))
			r->list[n++] = r->list[i];
	r->n = n;
}

static bool
has_happened(const void *arg, const struct row *row)
{
	(void)arg;
	return row->connections > 0 || row->active > 0 || row->denied > 0 || row->received > 0 || row->sent > 0;
}

/* Never below 0: an entry may have made place and come back in between. */
static int64_t
less(int64_t now, int64_t before)
{
	return now > before ? now - before : 0;
}

void
rows_subtract(struct rows *now, const struct rows *before)
{
	if (now->since != before->since)
		return;
	for (size_t i = 0; i < now->n; i++) {
		struct row *r = &now->list[i];
		char AUTO_FREE *key = key_of(r);
		const struct row *b = key != NULL ? find(before, key) : NULL;

		if (b == NULL)
			continue;
		r->connections = less(r->connections, b->connections);
		r->denied = less(r->denied, b->denied);
		r->failed = less(r->failed, b->failed);
		r->audited = less(r->audited, b->audited);
		r->received = less(r->received, b->received);
		r->sent = less(r->sent, b->sent);
	}
	rows_filter(now, has_happened, NULL);
}

/* Who is of most interest comes first. */
static int
rank(const struct row *r)
{
	switch (r->how[0]) {
	case 'p':
		return 0;
	case 'l':
		return 1;
	case 'o':
		return 2;
	default:
		return 3;
	}
}

static int
compare(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;

	if (a->inbound != b->inbound)
		return a->inbound ? -1 : 1;
	if (rank(a) != rank(b))
		return rank(a) - rank(b);
	if (a->connections != b->connections)
		return a->connections > b->connections ? -1 : 1;
	if (strcmp(a->address, b->address) != 0)
		return strcmp(a->address, b->address);
	return strcmp(a->source, b->source);
}

void
rows_sort(struct rows *r)
{
	qsort(r->list, r->n, sizeof(*r->list), compare);
}

struct rows_sum
rows_sum(const struct rows *r, bool inbound)
{
	struct rows_sum s = { 0 };

	for (size_t i = 0; i < r->n; i++) {
		const struct row *w = &r->list[i];
		int64_t carried = less(w->connections, plus(w->denied, w->failed));

		if (w->inbound != inbound)
			continue;
		s.carried = plus(s.carried, carried);
		s.mutual = plus(s.mutual, rank(w) == 3 ? carried : 0);
		s.plaintext = plus(s.plaintext, rank(w) == 0 ? carried : 0);
		s.local = plus(s.local, rank(w) == 1 ? carried : 0);
		s.outside = plus(s.outside, rank(w) == 2 ? carried : 0);
		s.callers += rank(w) == 0;
		s.denied = plus(s.denied, w->denied);
		s.failed = plus(s.failed, w->failed);
		s.audited = plus(s.audited, w->audited);
	}
	return s;
}

int
rows_share(const struct rows_sum *s)
{
	int64_t all = plus(s->mutual, s->plaintext);

	if (all > INT64_MAX / 1000)
		return (int)(s->mutual / (all / 1000));
	return all > 0 ? (int)(s->mutual * 1000 / all) : -1;
}
