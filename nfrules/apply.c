/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apply - changes what differs, table by table, in the order of the plan;
 * takes everything back if one of them fails.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "lastgood.h"
#include "lock.h"
#include "live/sockets.h"
#include "rules/change.h"
#include "rules/firewall.h"
#include "rules/lacking.h"
#include "say.h"
#include "state.h"
#include "verbs.h"

/* What was there before, of the tables that were changed. */
struct undo {
	struct ruleset *before[FAMILIES]; /* owned */
	bool changed[FAMILIES][TABLES];
};

/* ---- waiting for the relay ---- */

static bool
listens(uint16_t port)
{
	struct sockets_count count;

	return sockets_count(&count, port) == TULLE_OK && count.listening > 0;
}

static enum tulle_err
wait_relay(const struct steering *s, uint32_t seconds)
{
	uint64_t until = clock_mono_ms() + (uint64_t)seconds * 1000;

	for (;;) {
		bool out = !s->outbound || listens(s->outbound_port), in = !s->inbound || listens(s->inbound_port);

		/* Its sockets are there before it can serve them: it waits for an identity. */
		if (out && in && sockets_relay_ready(s->health_port))
			return TULLE_OK;
		if (clock_mono_ms() >= until && out && in) {
			say("tulle-relayd listens, but is not ready after %u s (port %u says so): tulle status tells what it waits for. "
			    "Nothing was changed",
			    seconds, s->health_port);
			return TULLE_ETIMEDOUT;
		}
		if (clock_mono_ms() >= until) {
			say("nobody listens on port %u after %u s: is tulle-relayd running here? Nothing was changed",
			    out ? s->inbound_port : s->outbound_port, seconds);
			return TULLE_ETIMEDOUT;
		}
		(void)poll(NULL, 0, 50);
	}
}

/* ---- one table ---- */

static enum tulle_err
load_change(struct state *s, enum family f, enum table t, const struct ruleset *wanted, struct buf *text,
    char why[XTABLES_WHY])
{
	enum tulle_err e;

	buf_free(text);
	e = change_table(text, t, s->actual.side[s->backend][f].rules, wanted);
	if (e == TULLE_OK && buf_len(text) > 0)
		e = xtables_load(s->backend, f, (const char *)buf_head(text), buf_len(text), why);
	else if (e != TULLE_OK)
		(void)snprintf(why, XTABLES_WHY, "%s", tulle_strerror(e));
	return e;
}

/*
 * One commit.  If it is refused and our rules are not what they were when
 * it was made up, somebody changed them in between: made up and tried once more.
 */
static enum tulle_err
change(struct state *s, enum family f, enum table t, const struct ruleset *wanted, char why[XTABLES_WHY])
{
	struct buf text = buf_new(CHANGE_MAX), again = buf_new(CHANGE_MAX);
	enum tulle_err e = load_change(s, f, t, wanted, &text, why);

	if (e == TULLE_EUNAVAIL && actual_read_side(&s->actual, s->backend, f) == TULLE_OK &&
	    change_table(&again, t, s->actual.side[s->backend][f].rules, wanted) == TULLE_OK &&
	    (buf_len(&text) != buf_len(&again) || memcmp(buf_head(&text), buf_head(&again), buf_len(&text)) != 0))
		e = load_change(s, f, t, wanted, &text, why);
	buf_free(&text);
	buf_free(&again);
	return e;
}

/* ---- one family ---- */

static enum tulle_err
record(struct state *s, enum family f, struct ruleset *wanted, const char *dump)
{
	struct anchor a = { .format = ANCHOR_FORMAT, .legacy = s->backend == BACKEND_OF_LEGACY };

	(void)snprintf(a.plan, sizeof(a.plan), "%s", s->family[f].plan);
	(void)snprintf(a.dump, sizeof(a.dump), "%s", dump);
	return ruleset_set_anchor(wanted, &a);
}

/*
 * What differs after all tables were loaded.  Another release of iptables
 * may print a rule in other words, so that it is missed once and unexpected
 * once; chains and jumps are printed alike by all.
 */
struct tally {
	size_t missing, unexpected; /* rules in our chains */
	size_t others;
};

static void
count_difference(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	struct tally *tally = arg;
	bool rule_of_ours = *rule != '\0' && strncmp(chain, CHAIN_PREFIX, strlen(CHAIN_PREFIX)) == 0;

	(void)t;
	if (rule_of_ours && d == DIFF_MISSING)
		tally->missing++;
	else if (rule_of_ours && d == DIFF_UNEXPECTED)
		tally->unexpected++;
	else
		tally->others++;
}

/* After all tables: is what is there what was asked for?  Then its digest goes into the anchor. */
static enum tulle_err
settle(struct state *s, enum family f, struct ruleset *wanted, char why[XTABLES_WHY])
{
	struct actual_side *side = &s->actual.side[s->backend][f];
	struct tally tally = { 0 };
	char dump[DIGEST_TEXT];
	enum tulle_err e = actual_read_side(&s->actual, s->backend, f);

	if (e != TULLE_OK) {
		(void)snprintf(why, XTABLES_WHY, "%s", side->why);
		return e;
	}
	change_differences(side->rules, wanted, count_difference, &tally);
	if (tally.others > 0 || tally.missing != tally.unexpected) {
		(void)snprintf(why, XTABLES_WHY, "another program changed the rules at the same time");
		return TULLE_EUNAVAIL;
	}
	ruleset_digest(side->rules, dump);
	e = record(s, f, wanted, dump);
	if (e == TULLE_OK)
		e = change(s, f, TABLE_MANGLE, wanted, why);
	if (e == TULLE_OK)
		e = actual_read_side(&s->actual, s->backend, f);
	return e;
}

static enum tulle_err
apply_family(struct state *s, enum family f, struct undo *undo, char why[XTABLES_WHY])
{
	struct actual_side *side = &s->actual.side[s->backend][f];
	struct ruleset *wanted = s->family[f].wanted, *unhooked = NULL;
	enum tulle_err e = TULLE_OK;

	if (side->rules == NULL) {
		(void)snprintf(why, XTABLES_WHY, "%s", side->why);
		return TULLE_EUNAVAIL;
	}
	if (ruleset_empty(wanted)) { /* IPv6 was switched off: let live connections be */
		e = ruleset_unhook(&unhooked, side->rules);
		wanted = unhooked;
	} else {
		e = record(s, f, wanted, "");
	}
	/* <undo> takes what was read, and the side reads it anew for itself. */
	undo->before[f] = PTR_TAKE(side->rules);
	if (e == TULLE_OK)
		e = actual_read_side(&s->actual, s->backend, f);
	if (e != TULLE_OK) {
		side->rules = PTR_TAKE(undo->before[f]);
		(void)snprintf(why, XTABLES_WHY, "%s", e == TULLE_EUNAVAIL ? side->why : tulle_strerror(e));
	}
	for (int t = 0; t < TABLES && e == TULLE_OK; t++) {
		if (ruleset_table_equal(side->rules, wanted, (enum table)t))
			continue;
		e = change(s, f, (enum table)t, wanted, why);
		undo->changed[f][t] = e == TULLE_OK;
	}
	if (e == TULLE_OK && unhooked == NULL)
		e = settle(s, f, wanted, why);
	ruleset_free(unhooked);
	return e;
}

/* ---- all of it, or nothing ---- */

/* Backwards, and only our own chains: a table as a whole may have changed since. */
static bool
roll_back(struct state *s, const struct undo *undo)
{
	char why[XTABLES_WHY];
	bool all = true;

	for (int f = FAMILIES - 1; f >= 0; f--) {
		if (undo->before[f] == NULL)
			continue;
		(void)actual_read_side(&s->actual, s->backend, (enum family)f);
		for (int t = TABLES - 1; t >= 0; t--) {
			if (!undo->changed[f][t])
				continue;
			if (change(s, (enum family)f, (enum table)t, undo->before[f], why) == TULLE_OK)
				continue;
			say("%s %s could not be taken back: %s", family_name((enum family)f), table_name((enum table)t), why);
			all = false;
		}
	}
	return all;
}

static int
result(const struct options *o, const char *word, int status)
{
	if (o->json)
		(void)printf("{\"result\": \"%s\", \"exit\": %d}\n", word, status);
	else if (status == EXIT_DONE)
		(void)printf("%s\n", word);
	return status;
}

static int
failed(struct state *s, const struct options *o, enum family f, enum tulle_err e, const char *why, const struct undo *undo)
{
	char text[LACKING_TEXT];
	const char *way_out = lacking(why, text);
	bool back;

	say("%s: %s", family_name(f), why);
	if (way_out != NULL)
		say("%s", way_out);
	back = roll_back(s, undo);
	if (e == TULLE_EBUSY) {
		say(back ? "nothing was changed" : "some of it stayed: run it again");
		return result(o, "busy", EXIT_FAILED);
	}
	if (f == FAMILY_V6 && back) {
		say("IPv6 is in use here and cannot be steered, so nothing is: \"steering: {ipv6: off}\" in tulle.yaml lets "
		    "IPv6 pass by the mesh, \"ipv6: reject\" refuses its connections");
		return result(o, "refused", EXIT_REFUSED);
	}
	if (s->backend_found)
		say("the backend %s was found by looking; \"steering: {backend: %s}\" in tulle.yaml names the other one",
		    backend_name(s->backend), s->backend == BACKEND_OF_NFT ? "legacy" : "nft");
	say(back ? "everything was taken back" : "some of it stayed: tulle-nfrules check tells what, remove --now takes it away");
	return result(o, "failed", EXIT_FAILED);
}

static int
apply_state(struct state *s, const struct options *o, struct undo *undo)
{
	for (int f = 0; f < FAMILIES; f++) {
		char why[XTABLES_WHY] = "";
		enum tulle_err e;

		if (s->family[f].condition == COND_EQUAL)
			continue;
		e = apply_family(s, (enum family)f, undo, why);
		if (e == TULLE_OK)
			continue;
		if (s->family[f].unused && e == TULLE_EUNAVAIL && roll_back(s, undo)) {
			say("IPv6 is not in use here and has no rules: %s", why);
			memset(undo->changed[f], 0, sizeof(undo->changed[f]));
			continue;
		}
		return failed(s, o, (enum family)f, e, why, undo);
	}
	if (o->repair)
		log_warn("steering rules that another program took away or changed are in place again",
		    LF_STR("backend", backend_name(s->backend)));
	return result(o, o->repair ? "repaired" : "applied", EXIT_DONE);
}

/*
 * A first apply would open ports that a firewall closes, or close what it
 * opens: not without the operator's word.  Rules that are in force already
 * are kept up to date; and at boot, with failClosed, none would be worse.
 */
static bool
firewall_objects(const struct config *c, const struct state *s, const struct options *o)
{
	char text[FIREWALL_TEXT];

	if (s->firewalls == 0 || s->condition != COND_ABSENT || o->repair || o->if_closed)
		return false;
	for (unsigned int i = 0; i < FIREWALLS; i++)
		if ((s->firewalls & 1u << i) != 0)
			say("%s; nothing was changed, and the host's network is as it was", firewall_sentence(1u << i, c->steering.inbound_port, text));
	return true;
}

int
apply_verb(const struct config *c, const struct options *o)
{
	struct undo undo = { 0 };
	struct state *s = NULL;
	int AUTO_FD lock = -1;
	const char *word;
	enum tulle_err e;
	int status;

	if (o->if_closed && !c->steering.fail_closed)
		return result(o, "open", EXIT_DONE);
	if (o->wait_relay_sec > 0 && wait_relay(&c->steering, o->wait_relay_sec) != TULLE_OK)
		return result(o, "no-relay", EXIT_FAILED);
	e = lock_take(&lock);
	if (e != TULLE_OK)
		return result(o, e == TULLE_EBUSY ? "busy" : "no lock", EXIT_FAILED);
	e = state_read(&s, c, true);
	if (e != TULLE_OK) {
		say("nothing was changed");
		return result(o, "refused", EXIT_REFUSED);
	}

	if (o->repair && !repair_may(c, s, &status, &word)) {
		status = result(o, word, status);
	} else if (s->residue) {
		say("rules of Tulle are in the %s tables too, and both sets would act: run tulle-nfrules remove, which clears both, "
		    "then apply again",
		    s->backend == BACKEND_OF_NFT ? "legacy" : "nft");
		status = result(o, "refused", EXIT_REFUSED);
	} else if (firewall_objects(c, s, o)) {
		status = result(o, "refused", EXIT_REFUSED);
	} else if (s->condition == COND_EQUAL && s->family[FAMILY_V6].condition == COND_EQUAL) {
		status = result(o, "unchanged", EXIT_DONE);
	} else {
		status = apply_state(s, o, &undo);
	}
	if (status == EXIT_DONE && !o->repair) {
		lock_note(lock, true);
		if (!c->is_last_good)
			lastgood_settle(c->steering.fail_closed);
	}
	for (int f = 0; f < FAMILIES; f++)
		ruleset_free(undo.before[f]);
	state_free(s);
	return status;
}
