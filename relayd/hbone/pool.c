/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hbone/pool.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define KEY_MAX (sizeof(struct addr) + 2 * (SPIFFE_ID_MAX + 1))

struct tunnel {
	struct hbone h;
	struct pool *pool;
	struct group *group;
	LIST_ENTRY(tunnel) link;
	struct timer idle;
	bool ended;
};

/* All tunnels of one key. */
struct group {
	UT_hash_handle hh;
	LIST_HEAD(, tunnel) tunnels;
	unsigned int streams_max; /* what the peer takes on one connection, as far as it has said (HB-13) */
	size_t key_len;
	const char *expected; /* inside the key */
	uint8_t key[];
};

struct pool {
	struct thread *th;
	struct creds *creds;
	const struct pool_events *events;
	void *arg;
	struct group *groups;
	LIST_HEAD(, tunnel) ended;
	unsigned int ntunnels;
	bool draining;
};

enum tulle_err
pool_new(struct pool **ret, struct thread *th, struct creds *creds, const struct pool_events *events, void *arg)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return TULLE_ENOMEM;
	*p = (struct pool){ .th = th, .creds = creds, .events = events, .arg = arg };
	*ret = p;
	return TULLE_OK;
}

struct pool *
pool_free(struct pool *p)
{
	if (p == NULL)
		return NULL;
	p->draining = true; /* flows that fail now must not make new ones */
	while (p->groups != NULL) /* a group goes with its last tunnel */
		hbone_fail(&LIST_FIRST(&p->groups->tunnels)->h, TULLE_EUNAVAIL);
	pool_reap(p);
	free(p);
	return NULL;
}

/* Address, expected identity, own identity: text parts end in a NUL, so no two keys run together. */
static size_t
make_key(uint8_t out[KEY_MAX], const struct pool_target *to, const char *own)
{
	size_t expected = strlen(to->expected) + 1, mine = strlen(own) + 1;

	memcpy(out, &to->addr, sizeof(to->addr));
	memcpy(out + sizeof(to->addr), to->expected, expected);
	memcpy(out + sizeof(to->addr) + expected, own, mine);
	return sizeof(to->addr) + expected + mine;
}

static struct group *
find_group(struct pool *p, const struct pool_target *to)
{
	uint8_t key[KEY_MAX];
	struct group *g;
	size_t len;

	if (strlen(to->expected) > SPIFFE_ID_MAX)
		return NULL;
	len = make_key(key, to, to->own->facts.id);
	HASH_FIND(hh, p->groups, key, len, g);
	if (g != NULL)
		return g;
	g = calloc(1, sizeof(*g) + len);
	if (g == NULL)
		return NULL;
	LIST_INIT(&g->tunnels);
	g->streams_max = HBONE_STREAMS_CLIENT;
	g->key_len = len;
	memcpy(g->key, key, len);
	g->expected = (const char *)g->key + sizeof(to->addr);
	HASH_ADD_KEYPTR(hh, p->groups, g->key, g->key_len, g);
	return g;
}

static void
idle_over(struct timer *t)
{
	struct tunnel *u = CONTAINER_OF(t, struct tunnel, idle);

	if (u->h.nstreams > 0)
		return;
	hbone_drain(&u->h);
	hbone_mark_dirty(&u->h); /* the flush says goodbye and finds that the session is over */
}

static void
tunnel_slots(struct hbone *h)
{
	struct tunnel *u = CONTAINER_OF(h, struct tunnel, h);

	if (u->ended)
		return;
	if (h->streams_max > 0)
		u->group->streams_max = h->streams_max;
	if (h->nstreams > 0)
		return;
	timer_set(u->pool->th->loop, &u->idle, h->draining ? 0 : POOL_IDLE_MS, idle_over);
}

static void
tunnel_ready(struct hbone *h)
{
	struct tunnel *u = CONTAINER_OF(h, struct tunnel, h);

	if (u->pool->events->up != NULL)
		u->pool->events->up(u->pool->arg, h);
	if (h->nstreams == 0)
		tunnel_slots(h); /* whoever asked for it has gone */
}

static void
tunnel_closed(struct hbone *h, enum tulle_err e)
{
	struct tunnel *u = CONTAINER_OF(h, struct tunnel, h);
	struct pool *p = u->pool;

	if (p->events->down != NULL)
		p->events->down(p->arg, h, e);
	u->ended = true;
	timer_clear(p->th->loop, &u->idle);
	LIST_REMOVE(u, link);
	p->ntunnels--;
	if (LIST_EMPTY(&u->group->tunnels)) {
		HASH_DELETE(hh, p->groups, u->group);
		free(u->group);
	}
	u->group = NULL;
	LIST_INSERT_HEAD(&p->ended, u, link);
}

static const struct hbone_events tunnel_events = {
	.ready = tunnel_ready,
	.slots = tunnel_slots,
	.closed = tunnel_closed,
};

static enum tulle_err
make_tunnel(struct pool *p, struct group *g, const struct pool_target *to, struct tunnel **ret)
{
	const struct tls_session_options options = { .server_name = to->sni, .expected = &to->expected, .expected_n = 1 };
	struct tls_context *client;
	struct tunnel *u;
	enum tulle_err e = creds_client(p->creds, to->own, &client);

	if (e != TULLE_OK)
		return e;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return TULLE_ENOMEM;
	u->pool = p;
	u->group = g;
	e = hbone_connect(&u->h, p->th, &to->addr, client, &options, &tunnel_events);
	if (e != TULLE_OK) {
		free(u);
		return e;
	}
	u->h.streams_max = g->streams_max;
	LIST_INSERT_HEAD(&g->tunnels, u, link);
	p->ntunnels++;
	*ret = u;
	return TULLE_OK;
}

/* The tunnel that a new flow should take; NULL: another is to be made. */
static struct tunnel *
choose(const struct group *g, const struct hbone *avoid)
{
	struct tunnel *u, *best = NULL, *bulk = NULL;
	unsigned int n = 0, most = 0, bulk_most = 0, free_streams;

	LIST_FOREACH(u, &g->tunnels, link) {
		n++;
		free_streams = &u->h != avoid ? hbone_free_streams(&u->h) : 0;
		if (hbone_is_bulk(&u->h) && free_streams > bulk_most) {
			bulk_most = free_streams;
			bulk = u;
		} else if (!hbone_is_bulk(&u->h) && free_streams > most) {
			most = free_streams;
			best = u;
		}
	}
	return best != NULL || n < POOL_SPREAD ? best : bulk;
}

enum tulle_err
pool_open(struct pool *p, struct hstream *s, const struct pool_target *to, const char *authority,
    const struct stream_events *events)
{
	enum tulle_err e = TULLE_OK;
	struct tunnel *u;
	struct group *g;

	if (to->own == NULL || p->draining)
		return TULLE_EUNAVAIL;
	g = find_group(p, to);
	if (g == NULL)
		return TULLE_ENOMEM;
	u = choose(g, to->avoid);
	if (u == NULL)
		e = make_tunnel(p, g, to, &u);
	if (e == TULLE_OK) {
		timer_clear(p->th->loop, &u->idle);
		e = hstream_open(s, &u->h, authority, events);
	}
	if (LIST_EMPTY(&g->tunnels)) {
		HASH_DELETE(hh, p->groups, g);
		free(g);
	}
	return e;
}

void
pool_drain(struct pool *p)
{
	struct group *g, *next;
	struct tunnel *u, *after;

	p->draining = true;
	HASH_ITER(hh, p->groups, g, next) {
		for (u = LIST_FIRST(&g->tunnels); u != NULL; u = after) {
			after = LIST_NEXT(u, link); /* ending the last one frees the group, not the others */
			hbone_drain(&u->h);
		}
	}
}

void
pool_reap(struct pool *p)
{
	struct tunnel *u;

	while ((u = LIST_FIRST(&p->ended)) != NULL) {
		LIST_REMOVE(u, link);
		free(u);
	}
}

unsigned int
pool_tunnels(const struct pool *p)
{
	return p->ntunnels;
}

void
pool_each(const struct pool *p, void (*visit)(void *arg, const struct hbone *h, const char *expected), void *arg)
{
	const struct group *g;
	const struct tunnel *u;

	for (g = p->groups; g != NULL; g = g->hh.next)
		LIST_FOREACH(u, &g->tunnels, link)
			visit(arg, &u->h, g->expected);
}
