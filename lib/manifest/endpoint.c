/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Endpoints live on their own: a flow keeps one beyond the snapshot it was found in. */
#include <stdlib.h>
#include <string.h>

#include "manifest/build.h"

static struct endpoint_state *
state_ref(struct endpoint_state *state)
{
	if (state == NULL) {
		state = calloc(1, sizeof(*state));
		if (state == NULL)
			return NULL;
	}
	atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
	return state;
}

static void
state_unref(struct endpoint_state *state)
{
	if (atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) == 1)
		free(state);
}

static size_t
text_room(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

/* Copies <text> to *at and moves *at behind it. */
static const char *
put_text(char **at, const char *text)
{
	const size_t n = text_room(text);
	char *copy = *at;

	if (text == NULL)
		return NULL;
	memcpy(copy, text, n);
	*at += n;
	return copy;
}

struct endpoint *
endpoint_new(const struct endpoint *draft, struct endpoint_state *state)
{
	size_t room = sizeof(struct endpoint) + draft->labels.n * sizeof(struct label), i;
	struct endpoint *e;
	struct label *labels;
	char *at;

	room += text_room(draft->name) + text_room(draft->identity) + text_room(draft->sni) +
	    text_room(draft->namespace) + text_room(draft->workload) + text_room(draft->account) +
	    text_room(draft->locality);
	for (i = 0; i < draft->labels.n; i++)
		room += text_room(draft->labels.items[i].key) + text_room(draft->labels.items[i].value);
	e = calloc(1, room);
	if (e == NULL)
		return NULL;
	e->state = state_ref(state);
	if (e->state == NULL) {
		free(e);
		return NULL;
	}
	labels = (struct label *)(void *)(e + 1);
	at = (char *)(labels + draft->labels.n);
	e->name = put_text(&at, draft->name);
	e->addr = draft->addr;
	e->weight = draft->weight;
	e->local = draft->local;
	e->meshed = draft->meshed;
	e->identity = put_text(&at, draft->identity);
	e->sni = put_text(&at, draft->sni);
	e->namespace = put_text(&at, draft->namespace);
	e->workload = put_text(&at, draft->workload);
	e->account = put_text(&at, draft->account);
	e->locality = put_text(&at, draft->locality);
	for (i = 0; i < draft->labels.n; i++) {
		labels[i].key = put_text(&at, draft->labels.items[i].key);
		labels[i].value = put_text(&at, draft->labels.items[i].value);
	}
	e->labels = (struct labels){ labels, draft->labels.n };
	atomic_init(&e->refs, 1);
	e->self = e;
	return e;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	if (!addr_equal(&a->addr, &b->addr) || a->weight != b->weight || a->local != b->local ||
	    a->meshed != b->meshed || a->labels.n != b->labels.n)
		return false;
	if (!same_text(a->name, b->name) || !same_text(a->identity, b->identity) || !same_text(a->sni, b->sni) ||
	    !same_text(a->namespace, b->namespace) || !same_text(a->workload, b->workload) ||
	    !same_text(a->account, b->account) || !same_text(a->locality, b->locality))
		return false;
	for (size_t i = 0; i < a->labels.n; i++)
		if (!same_text(a->labels.items[i].key, b->labels.items[i].key) ||
		    !same_text(a->labels.items[i].value, b->labels.items[i].value))
			return false;
	return true;
}

const struct endpoint *
endpoint_ref(const struct endpoint *e)
{
	atomic_fetch_add_explicit(&e->self->refs, 1, memory_order_relaxed);
	return e;
}

const struct endpoint *
endpoint_unref(const struct endpoint *e)
{
	if (e != NULL && atomic_fetch_sub_explicit(&e->self->refs, 1, memory_order_acq_rel) == 1) {
		state_unref(e->state);
		free(e->self);
	}
	return NULL;
}
