/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/balance.h"

#include "decide/health.h"

/* Who may be drawn this time. */
struct draw {
	const struct endpoint *const *list;
	size_t n;
	const struct balance_tried *tried;
	uint64_t now_ms;
	bool resting; /* draw among those that rest, as no other is left */
	const struct endpoint *not_this;
};

static bool
may_draw(const struct draw *d, const struct endpoint *e)
{
	if (e == d->not_this || health_resting(e->state, d->now_ms) != d->resting)
		return false;
	for (size_t i = 0; i < d->tried->n; i++)
		if (d->tried->e[i] == e)
			return false;
	return true;
}

static uint64_t
total_weight(const struct draw *d)
{
	uint64_t total = 0;

	for (size_t i = 0; i < d->n; i++)
		if (may_draw(d, d->list[i]))
			total += d->list[i]->weight;
	return total;
}

/* One by weight, NULL if there is none.  Other threads may put an endpoint to rest meanwhile: then the last fits. */
static const struct endpoint *
draw_one(const struct draw *d, uint64_t random)
{
	const struct endpoint *last = NULL;
	uint64_t total = total_weight(d), at;

	if (total == 0)
		return NULL;
	at = random % total;
	for (size_t i = 0; i < d->n; i++) {
		if (!may_draw(d, d->list[i]))
			continue;
		last = d->list[i];
		if (at < last->weight)
			break;
		at -= last->weight;
	}
	return last;
}

/* A second, independent random number out of the first (SplitMix64's step). */
static uint64_t
next_random(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t
active(const struct endpoint *e)
{
	return atomic_load_explicit(&e->state->active, memory_order_relaxed);
}

static const struct endpoint *
choose_among(struct draw *d, uint64_t random)
{
	const struct endpoint *a = draw_one(d, random), *b;

	if (a == NULL)
		return NULL;
	d->not_this = a;
	b = draw_one(d, next_random(random));
	if (b != NULL && active(b) * a->weight < active(a) * b->weight)
		return b;
	return a;
}

const struct endpoint *
balance_choose(const struct endpoint *const *list, size_t n, struct balance_tried *tried, uint64_t now_ms,
    uint64_t random)
{
	struct draw awake = { .list = list, .n = n, .tried = tried, .now_ms = now_ms };
	struct draw resting = awake;
	const struct endpoint *e;

	if (tried->n == BALANCE_TRIES)
		return NULL;
	resting.resting = true;
	e = choose_among(&awake, random);
	if (e == NULL)
		e = choose_among(&resting, random);
	if (e == NULL) /* another thread changed what rests between the two looks */
		e = choose_among(&awake, random);
	if (e != NULL)
		tried->e[tried->n++] = e;
	return e;
}

void
balance_begin(const struct endpoint *e)
{
	atomic_fetch_add_explicit(&e->state->active, 1, memory_order_relaxed);
}

void
balance_end(const struct endpoint *e)
{
	atomic_fetch_sub_explicit(&e->state->active, 1, memory_order_relaxed);
}
