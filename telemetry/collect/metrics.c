/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/metrics.h"

#include <string.h>

void
metric_set_init(struct metric_set *s, uint64_t now_ns)
{
	*s = (struct metric_set){ .arena = arena_new(METRIC_SET_MAX), .now_ns = now_ns };
}

void
metric_set_free(struct metric_set *s)
{
	arena_free(&s->arena);
	s->families = NULL;
	s->n = s->room = 0;
}

/* A larger copy of an array of <n> elements in *room places; NULL when out of memory. */
static void *
grown(struct metric_set *s, void *old, size_t n, size_t *room, size_t size)
{
	size_t more = *room == 0 ? 8 : *room * 2;
	void *p = arena_array(&s->arena, more, size);

	if (p == NULL) {
		s->short_of_memory = true;
		return NULL;
	}
	if (n > 0)
		memcpy(p, old, n * size);
	*room = more;
	return p;
}

struct metric_family *
metric_family_add(struct metric_set *s, const char *name, enum metric_type type, const char *unit, const char *help,
    enum metric_scope scope, uint64_t start_ns)
{
	if (s->n == s->room) {
		void *p = grown(s, s->families, s->n, &s->room, sizeof(*s->families));

		if (p == NULL)
			return NULL;
		s->families = p;
	}
	s->families[s->n] = (struct metric_family){
		.name = name, .type = type, .unit = unit, .help = help, .scope = scope, .start_ns = start_ns };
	return &s->families[s->n++];
}

struct metric_point *
metric_point_add(struct metric_set *s, struct metric_family *f)
{
	if (f == NULL)
		return NULL;
	if (f->n == f->room) {
		void *p = grown(s, f->points, f->n, &f->room, sizeof(*f->points));

		if (p == NULL)
			return NULL;
		f->points = p;
	}
	f->points[f->n] = (struct metric_point){ .n_labels = 0 };
	return &f->points[f->n++];
}

void
metric_label(struct metric_point *p, const char *key, const char *value)
{
	if (p != NULL && value[0] != '\0' && p->n_labels < METRIC_LABELS)
		p->labels[p->n_labels++] = (struct metric_label){ key, value };
}

void
metric_label_n(struct metric_set *s, struct metric_point *p, const char *key, const char *value, size_t n)
{
	char *copy;

	if (p == NULL || n == 0)
		return;
	copy = arena_text(&s->arena, value, n);
	if (copy == NULL)
		s->short_of_memory = true;
	else
		metric_label(p, key, copy);
}

void
metric_simple(struct metric_set *s, struct metric_family *f, const char *key, const char *value, double number)
{
	struct metric_point *p = metric_point_add(s, f);

	if (p == NULL)
		return;
	if (key != NULL)
		metric_label(p, key, value);
	p->value = number;
}
