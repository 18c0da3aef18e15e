/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow/talk.h"

#define HASH_NONFATAL_OOM 1 /* a talk that is not in the table leaves hh.tbl NULL */

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

struct talk {
	UT_hash_handle hh;
	TAILQ_ENTRY(talk) silent; /* on the list while nothing is open */
	struct talk_key key;
	struct talk_counts n;
	uint64_t live_rx, live_tx;
	bool other; /* one of talks.others: not in the table */
};

struct talks {
	struct talk *table; /* by key */
	TAILQ_HEAD(, talk) silent; /* the longest silent first */
	uint32_t size, max;
	struct talk others[EVENT_DIRECTIONS][TALK_HOWS];
};

const char *
talk_how_name(enum talk_how how)
{
	switch (how) {
	case TALK_MUTUAL:
		return "mutual";
	case TALK_PLAINTEXT:
		return "plaintext";
	case TALK_LOCAL:
		return "local";
	case TALK_OUTSIDE:
		return "outside";
	case TALK_HOWS:
		break;
	}
	return "?";
}

enum tulle_err
talks_new(struct talks **ret, uint32_t max)
{
	struct talks *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return TULLE_ENOMEM;
	t->max = max;
	TAILQ_INIT(&t->silent);
	for (int d = 0; d < EVENT_DIRECTIONS; d++)
		for (int h = 0; h < TALK_HOWS; h++)
			t->others[d][h].other = true;
	*ret = t;
	return TULLE_OK;
}

static void
forget(struct talks *t, struct talk *k)
{
	HASH_DEL(t->table, k);
	t->size--;
	free(k);
}

struct talks *
talks_free(struct talks *t)
{
	struct talk *k, *next;

	if (t == NULL)
		return NULL;
	k = t->table;
	HASH_CLEAR(hh, t->table); /* lets go of them and leaves their chain as it is */
	for (; k != NULL; k = next) {
		next = k->hh.next;
		free(k);
	}
	free(t);
	return NULL;
}

/* Who was silent for longest becomes one of the others.  False: nobody is silent. */
static bool
make_place(struct talks *t)
{
	struct talk *k = TAILQ_FIRST(&t->silent);
	struct talk_counts *sum;

	if (k == NULL)
		return false;
	sum = &t->others[k->key.direction][k->key.how].n;
	sum->connections += k->n.connections;
	sum->denied += k->n.denied;
	sum->failed += k->n.failed;
	sum->audited += k->n.audited;
	sum->rx += k->n.rx;
	sum->tx += k->n.tx;
	if (sum->last_sec < k->n.last_sec)
		sum->last_sec = k->n.last_sec;
	TAILQ_REMOVE(&t->silent, k, silent);
	forget(t, k);
	return true;
}

/* NULL: no place, or no memory. */
static struct talk *
add(struct talks *t, const struct talk_key *key)
{
	struct talk *k;

	if (t->size >= t->max && !make_place(t))
		return NULL;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return NULL;
	k->key = *key;
	HASH_ADD(hh, t->table, key, sizeof(k->key), k);
	if (k->hh.tbl == NULL) { /* uthash had no memory for its own part */
		free(k);
		return NULL;
	}
	t->size++;
	TAILQ_INSERT_TAIL(&t->silent, k, silent);
	return k;
}

struct talk *
talk_begin(struct talks *t, const struct talk_key *key, int64_t now_sec)
{
	struct talk *k;

	HASH_FIND(hh, t->table, key, sizeof(*key), k);
	if (k == NULL)
		k = add(t, key);
	if (k == NULL)
		k = &t->others[key->direction][key->how];
	else if (k->n.active == 0)
		TAILQ_REMOVE(&t->silent, k, silent);
	k->n.connections++;
	k->n.active++;
	k->n.last_sec = now_sec;
	return k;
}

void
talk_audited(struct talk *k)
{
	k->n.audited++;
}

void
talk_end(struct talks *t, struct talk *k, enum event_outcome outcome, uint64_t rx, uint64_t tx, int64_t now_sec)
{
	k->n.denied += outcome == EVENT_DENIED;
	k->n.failed += outcome == EVENT_FAILED;
	k->n.rx += rx;
	k->n.tx += tx;
	k->n.last_sec = now_sec;
	if (--k->n.active == 0 && !k->other)
		TAILQ_INSERT_TAIL(&t->silent, k, silent);
}

void
talk_live(struct talk *k, uint64_t rx, uint64_t tx)
{
	k->live_rx += rx;
	k->live_tx += tx;
}

static struct talk_counts
taken(struct talk *k)
{
	struct talk_counts n = k->n;

	n.rx += k->live_rx;
	n.tx += k->live_tx;
	k->live_rx = k->live_tx = 0;
	return n;
}

void
talks_each(struct talks *t, void (*each)(void *arg, const struct talk_key *key, enum event_direction direction,
    enum talk_how how, const struct talk_counts *counts), void *arg)
{
	struct talk_counts n;

	for (struct talk *k = t->table; k != NULL; k = k->hh.next) {
		n = taken(k);
		each(arg, &k->key, k->key.direction, k->key.how, &n);
	}
	for (int d = 0; d < EVENT_DIRECTIONS; d++) {
		for (int h = 0; h < TALK_HOWS; h++) {
			n = taken(&t->others[d][h]);
			if (n.connections > 0)
				each(arg, NULL, (enum event_direction)d, (enum talk_how)h, &n);
		}
	}
}
