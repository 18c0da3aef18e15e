/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/supply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "bundle.h"
#include "parent/lastgood.h"
#include "wire.h"

#define LOOK_MS 10000 /* between two looks at the addresses */
#define COPY_MS 1000  /* between two looks at the authority's manifests: certd is another user and cannot tell us */

static enum tulle_err
send_config(struct supply *s, int fd, uint64_t generation)
{
	size_t n = s->files.n_local;
	struct wire_config *c = calloc(1, sizeof(*c) + n * sizeof(c->local[0]));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	c->generation = generation;
	c->n_local = (uint32_t)n;
	memcpy(c->local, s->files.local, n * sizeof(c->local[0]));
	e = msg_send(s->channel, WIRE_CONFIG, c, sizeof(*c) + n * sizeof(c->local[0]), &fd, 1);
	free(c);
	return e;
}

void
supply_feed(struct supply *s)
{
	uint64_t generation;
	int fd;

	if (s->channel != -1 && offer_next(&s->offer, &fd, &generation) && send_config(s, fd, generation) != TULLE_OK)
		offer_unsent(&s->offer);
}

static void
remember_error(struct supply *s, const char *text)
{
	(void)snprintf(s->error, sizeof(s->error), "%s", text);
}

static bool
has_manifests(int fd)
{
	struct bundle b;
	bool some;

	if (bundle_unpack(&b, fd) != TULLE_OK)
		return true; /* it cannot be told, so they are not given up */
	some = b.n > b.manifests;
	bundle_free(&b);
	return some;
}

/* Had what was in force last, in this run or an earlier one, manifests? */
static bool
had_manifests(const struct supply *s)
{
	int AUTO_FD fd = -1;
	int64_t when;
	enum tulle_err e;

	if (s->offer.good != -1)
		return s->manifests;
	e = lastgood_open(&fd, &when);
	return e == TULLE_OK ? has_manifests(fd) : e != TULLE_ENOENT;
}

/* What is wrong with their contents the relay process says. */
enum tulle_err
supply_reload(struct supply *s, uint64_t *ret_ticket, char **ret_error)
{
	char AUTO_FREE *text = NULL;
	int fd = -1;
	enum tulle_err e = files_read(&s->files, had_manifests(s), &fd, &s->newest_from, &text);

	if (e != TULLE_OK) {
		*ret_error = PTR_TAKE(text);
		log_error(s->offer.good != -1 ? "configuration cannot be read: the old one stays" :
		                                "configuration cannot be read: there is no old one",
		    LF_ERR(e), LF_STR("problems", *ret_error));
		remember_error(s, *ret_error != NULL ? *ret_error : tulle_strerror(e));
		return e;
	}
	if (text != NULL)
		log_warn("configuration read with warnings", LF_STR("warnings", text));
	free(s->warnings);
	s->warnings = PTR_TAKE(text);
	*ret_ticket = offer_put(&s->offer, fd);
	supply_feed(s);
	return TULLE_OK;
}

/*
 * Neither files nor an earlier configuration: the policy is unknown, so
 * nothing may be assumed, neither that traffic outside the mesh may pass nor
 * who may come in.
 */
static void
nothing_in_force(const char *error)
{
	log_error("no configuration is in force: all connections are refused until a reload succeeds", LF_STR("last_good", error));
}

void
supply_fall_back(struct supply *s)
{
	int fd;
	enum tulle_err e;

	if (offer_has_hope(&s->offer))
		return;
	e = lastgood_open(&fd, &s->last_good);
	if (e != TULLE_OK) {
		nothing_in_force(e == TULLE_ENOENT ? "none was kept" : e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return;
	}
	offer_fallback(&s->offer, fd);
	supply_feed(s);
}

static void
accepted(struct supply *s)
{
	enum tulle_err e = lastgood_keep(s->offer.good, clock_wall_sec());

	s->last_good = 0;
	s->from = s->newest_from;
	s->manifests = has_manifests(s->offer.good);
	if (e != TULLE_OK)
		log_warn("the configuration cannot be kept for a start with bad files", LF_STR("folder", paths_var("relayd")),
		    LF_ERR(e), LF_ERRNO);
}

static void
refused(struct supply *s, uint64_t generation, const char *text)
{
	log_error(s->offer.good != -1 ? "configuration refused: the old one stays" : "configuration refused: there is no old one",
	    LF_UINT("generation", generation), LF_STR("problems", text));
	remember_error(s, text);
}

static void
fell_back(struct supply *s, bool ok, const char *text)
{
	char when[LASTGOOD_WHEN];

	if (ok) {
		log_warn("running on the last good configuration", LF_STR("accepted", lastgood_when(s->last_good, when)),
		    LF_STR("refused", s->error));
		return;
	}
	s->last_good = 0;
	nothing_in_force(text);
}

enum tulle_err
supply_answered(struct supply *s, const struct msg *m)
{
	struct wire_result head;
	char AUTO_FREE *text = NULL;
	json_t *result = NULL;
	enum offered what;
	uint64_t ticket;
	size_t len;
	enum tulle_err e = wire_take_text(m, &head, sizeof(head), &text, &len);

	if (e != TULLE_OK)
		return e;
	what = offer_answered(&s->offer, head.generation, head.ok != 0, &ticket);
	if (what == OFFERED_FALLBACK)
		fell_back(s, head.ok != 0, text);
	else if (!head.ok)
		refused(s, head.generation, text);
	if (what == OFFERED_NEWEST) { /* else old files under new addresses: these do not make the newest ones right */
		if (head.ok) {
			accepted(s);
			remember_error(s, "");
			result = json_pack("{s:I, s:s+}", "generation", (json_int_t)head.generation, "warnings",
			    s->warnings != NULL ? s->warnings : "", text);
		}
		callers_reloaded(s->callers, ticket, result, text);
		json_decref(result);
		if (!head.ok)
			supply_fall_back(s);
	}
	supply_feed(s);
	return TULLE_OK;
}

/* Addresses come and go (DHCP, VPNs): what is "local" must follow. */
static void
addresses_due(struct timer *t)
{
	struct supply *s = CONTAINER_OF(t, struct supply, look);
	bool changed = false;

	if (files_addresses(&s->files, &changed) == TULLE_OK && changed) {
		log_info("addresses of this host changed", LF_UINT("addresses", s->files.n_local));
		offer_addresses(&s->offer);
		supply_feed(s);
	}
	timer_set(s->loop, t, LOOK_MS, addresses_due);
}

static void
copy_due(struct timer *t)
{
	struct supply *s = CONTAINER_OF(t, struct supply, copy);
	char AUTO_FREE *error = NULL;
	uint64_t ticket;

	timer_set(s->loop, t, COPY_MS, copy_due);
	if (follow_changed(&s->files.follow))
		(void)supply_reload(s, &ticket, &error);
}

void
supply_init(struct supply *s, struct loop *loop, struct callers *callers)
{
	*s = (struct supply){ .loop = loop, .callers = callers, .channel = -1 };
	offer_init(&s->offer);
	timer_set(loop, &s->look, LOOK_MS, addresses_due);
	timer_set(loop, &s->copy, COPY_MS, copy_due);
}

void
supply_begin(struct supply *s, int channel)
{
	s->channel = channel;
	supply_feed(s);
}

void
supply_ended(struct supply *s)
{
	static const char text[] = "the relay process ended while it looked at these files: they are not tried again before "
	                           "the next reload";
	uint64_t ticket = offer_ended(&s->offer);

	s->channel = -1;
	if (ticket == 0)
		return;
	refused(s, s->offer.generation, text);
	callers_reloaded(s->callers, ticket, NULL, text);
	supply_fall_back(s);
}
