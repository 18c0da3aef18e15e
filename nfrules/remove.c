/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * remove - takes away everything that bears our prefix, in both backends
 * and both families, whatever version or configuration made it.
 *
 * In two phases, for the address translation of a live connection needs
 * connection tracking, and that ends with the last rule that asks for it:
 * first the jumps go, so that new connections are direct; the rules
 * themselves go when the last redirected connection has ended.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lastgood.h"
#include "lock.h"
#include "live/actual.h"
#include "live/sockets.h"
#include "rules/change.h"
#include "rules/plan.h"
#include "say.h"
#include "verbs.h"

#define DRAIN_PORTS 16

/*
 * The guard goes before the capture (the other way round it would reset
 * what is no longer captured), the anchor's table after all that needs it.
 */
static const enum table order[] = { TABLE_FILTER, TABLE_NAT, TABLE_MANGLE, TABLE_RAW };

struct port_list {
	uint16_t list[DRAIN_PORTS];
	size_t n;
};

/* ---- the two phases, for one backend and family ---- */

static enum tulle_err
change_all(struct actual *a, enum backend b, enum family f, const struct ruleset *wanted)
{
	const struct ruleset *now = a->side[b][f].rules;
	enum tulle_err e = TULLE_OK;
	char why[XTABLES_WHY] = "";

	for (size_t i = 0; i < ARRAY_LEN(order) && e == TULLE_OK; i++) {
		struct buf text = buf_new(CHANGE_MAX);

		if (!ruleset_table_equal(now, wanted, order[i])) {
			e = change_table(&text, order[i], now, wanted);
			if (e == TULLE_OK)
				e = xtables_load(b, f, (const char *)buf_head(&text), buf_len(&text), why);
			if (e != TULLE_OK)
				say("%s, %s: %s", family_name(f), backend_name(b), *why != '\0' ? why : tulle_strerror(e));
		}
		buf_free(&text);
	}
	if (e == TULLE_OK)
		e = actual_read_side(a, b, f);
	return e;
}

static enum tulle_err
unhook(struct actual *a, enum backend b, enum family f)
{
	struct ruleset *wanted = NULL;
	enum tulle_err e = ruleset_unhook(&wanted, a->side[b][f].rules);

	if (e == TULLE_OK)
		e = change_all(a, b, f, wanted);
	ruleset_free(wanted);
	return e;
}

static enum tulle_err
erase(struct actual *a, enum backend b, enum family f)
{
	struct ruleset *nothing = ruleset_new();
	enum tulle_err e = nothing == NULL ? TULLE_ENOMEM : change_all(a, b, f, nothing);

	ruleset_free(nothing);
	if (e == TULLE_OK && !ruleset_empty(a->side[b][f].rules)) {
		say("%s, %s: another program put rules of Tulle back", family_name(f), backend_name(b));
		e = TULLE_EUNAVAIL;
	}
	return e;
}

static bool
each_side(struct actual *a, enum tulle_err (*phase)(struct actual *, enum backend, enum family))
{
	bool all = true;

	for (int b = 0; b < BACKENDS; b++) {
		for (int f = 0; f < FAMILIES; f++) {
			struct ruleset *rules = a->side[b][f].rules;

			if (rules != NULL && !ruleset_empty(rules))
				all &= phase(a, (enum backend)b, (enum family)f) == TULLE_OK;
		}
	}
	return all;
}

/* ---- the drain ---- */

/* The ports that our own rules redirect to: "... -j REDIRECT --to-ports 15001". */
static void
ports_of(struct port_list *ports, const struct ruleset *r)
{
	static const char option[] = "--to-ports ";

	for (size_t i = 0; i < r->tables[TABLE_NAT].chains_n; i++) {
		const struct ruleset_chain *c = &r->tables[TABLE_NAT].chains[i];

		for (size_t k = 0; k < c->n; k++) {
			const char *at = strstr(c->rules[k], option);
			uint64_t port;

			if (at == NULL || text_uint(at + strlen(option), UINT16_MAX, &port) != TULLE_OK || ports->n == DRAIN_PORTS)
				continue;
			ports->list[ports->n++] = (uint16_t)port;
		}
	}
}

/*
 * How many redirected connections live; a port that stands in both families' rules is asked for once.
 * TULLE_ESYS: nobody can tell (errno).
 */
static enum tulle_err
live_connections(const struct actual *a, size_t *ret)
{
	struct port_list ports = { .n = 0 };
	size_t live = 0;

	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			if (a->side[b][f].rules != NULL)
				ports_of(&ports, a->side[b][f].rules);
	for (size_t i = 0; i < ports.n; i++) {
		struct sockets_count count;
		size_t k;

		for (k = 0; k < i && ports.list[k] != ports.list[i]; k++)
			;
		if (k < i)
			continue;
		if (sockets_count(&count, ports.list[i]) != TULLE_OK)
			return TULLE_ESYS;
		live += count.connected;
	}
	*ret = live;
	return TULLE_OK;
}

/* Errors as live_connections(). */
static enum tulle_err
drain(const struct actual *a, uint32_t seconds, size_t *ret)
{
	uint64_t until = clock_mono_ms() + (uint64_t)seconds * 1000;
	size_t live = 0;
	enum tulle_err e = live_connections(a, &live);

	if (live > 0 && seconds > 0)
		say("new connections are direct; waiting up to %u s for %zu redirected one%s to end", seconds, live,
		    live == 1 ? "" : "s");
	while (e == TULLE_OK && live > 0 && clock_mono_ms() < until) {
		(void)poll(NULL, 0, 100);
		e = live_connections(a, &live);
	}
	if (e == TULLE_OK)
		*ret = live;
	return e;
}

/* ---- the verb ---- */

static int
result(const struct options *o, const char *word, size_t live, int status)
{
	if (o->json)
		(void)printf("{\"result\": \"%s\", \"live\": %zu, \"exit\": %d}\n", word, live, status);
	else if (status == EXIT_DONE)
		(void)printf("%s\n", word);
	return status;
}

static int
remove_all(struct actual *a, const struct options *o, int lock)
{
	size_t live = 0;

	lock_note(lock, false); /* first: from here on they go because somebody wants it */
	lastgood_settle(false);
	if (!each_side(a, unhook)) {
		say("some rules could not be taken away; run it again");
		return result(o, "failed", 0, EXIT_FAILED);
	}
	if (drain(a, o->drain_sec, &live) != TULLE_OK) {
		say("redirected connections cannot be counted: /proc/net/tcp: %s", strerror(errno));
		if (o->drain_sec > 0) {
			say("new connections are direct; what keeps live ones going was left; remove --now takes it away and hangs them");
			return result(o, "not counted", 0, EXIT_FAILED);
		}
	}
	if (live > 0 && o->drain_sec > 0) {
		say("%zu redirected connection%s still live: new ones are direct, and what keeps these alive was left; "
		    "remove finishes when they have ended, remove --now hangs them",
		    live, live == 1 ? " is" : "s are");
		return result(o, "draining", live, EXIT_FAILED);
	}
	if (live > 0)
		say("%zu redirected connection%s will hang now", live, live == 1 ? "" : "s");
	if (!each_side(a, erase))
		return result(o, "failed", live, EXIT_FAILED);
	if (!actual_complete(a))
		return result(o, "removed in part", live, EXIT_FAILED);
	return result(o, "removed", live, EXIT_DONE);
}

/*
 * The rules that are there say whether they fail closed: the configuration
 * may be broken by now, or another.  IPv4's, for IPv6 may have a guard of
 * its own that refuses it ("ipv6: reject").
 */
static bool
fails_closed(const struct actual *a)
{
	for (int b = 0; b < BACKENDS; b++) {
		const struct ruleset *r = a->side[b][FAMILY_V4].rules;

		for (size_t i = 0; r != NULL && i < r->tables[TABLE_FILTER].chains_n; i++) {
			const char *name = r->tables[TABLE_FILTER].chains[i].name;

			if (strcmp(name, CHAIN_GUARD_OUT) == 0 || strcmp(name, CHAIN_GUARD_IN) == 0)
				return true;
		}
	}
	return false;
}

int
remove_verb(const struct options *o)
{
	int AUTO_FD lock = -1;
	struct actual a;
	enum tulle_err e;
	int status;

	e = lock_take(&lock);
	if (e != TULLE_OK)
		return result(o, e == TULLE_EBUSY ? "busy" : "no lock", 0, EXIT_FAILED);
	if (actual_read(&a) != TULLE_OK) {
		say("out of memory");
		return result(o, "failed", 0, EXIT_FAILED);
	}
	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			if (a.side[b][f].rules == NULL)
				say(a.side[b][f].absent ? "%s, %s: nothing can be there: %s" : "could not look at %s, %s: %s",
				    family_name((enum family)f), backend_name((enum backend)b), a.side[b][f].why);
	if (o->unless_closed && !fails_closed(&a) && !actual_complete(&a)) {
		say("nobody can tell whether the rules fail closed: they stay");
		status = result(o, "not looked at", 0, EXIT_FAILED);
	} else if (o->unless_closed && fails_closed(&a)) {
		say("the rules stay: they fail closed (capture.failClosed); without --unless-closed they go");
		status = result(o, "closed", 0, EXIT_DONE);
	} else if (actual_has_own(&a, BACKEND_OF_NFT) || actual_has_own(&a, BACKEND_OF_LEGACY))
		status = remove_all(&a, o, lock);
	else if (!actual_complete(&a))
		status = result(o, "not looked at", 0, EXIT_FAILED);
	else {
		lock_note(lock, false);
		lastgood_settle(false);
		status = result(o, "nothing to remove", 0, EXIT_DONE);
	}
	actual_free(&a);
	return status;
}
