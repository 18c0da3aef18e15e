/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "supervise.h"

static void
start(struct supervise *s, enum member m, uint64_t now)
{
	s->member[m].running = true;
	s->member[m].since = now;
	s->member[m].again_at = 0;
	s->actions->start(s->arg, m);
	/* It knows nothing of what the one before was told.  (It may have ended already.) */
	if (m == MEMBER_RELAYD && s->phase == PHASE_LEAVING && s->member[m].running)
		s->actions->signal(s->arg, m, SUPERVISE_LEAVE);
}

/* certd has had its chance: the others begin. */
static void
open_all(struct supervise *s, uint64_t now)
{
	if (s->opened)
		return;
	s->opened = true;
	for (enum member m = MEMBER_TELEMETRYD; m < MEMBERS; m++)
		if (s->options.has[m] && s->phase == PHASE_RUNNING)
			start(s, m, now);
}

void
supervise_begin(struct supervise *s, const struct supervise_options *o, const struct supervise_actions *a, void *arg,
    uint64_t now)
{
	*s = (struct supervise){ .options = *o, .actions = a, .arg = arg };
	if (o->has[MEMBER_CERTD])
		start(s, MEMBER_CERTD, now);
	else
		open_all(s, now);
}

void
supervise_certd_answers(struct supervise *s, uint64_t now)
{
	open_all(s, now);
}

bool
supervise_waits_for_certd(const struct supervise *s)
{
	return !s->opened && s->phase == PHASE_RUNNING;
}

/* ---- the stop ---- */

/* Tells the one whose turn it is to stop; those that do not run are passed over. */
static void
next_to_stop(struct supervise *s, uint64_t now)
{
	static const enum member order[MEMBERS] = { MEMBER_RELAYD, MEMBER_TELEMETRYD, MEMBER_CERTD };

	for (int i = 0; i < MEMBERS; i++) {
		uint64_t relay_until = s->asked + s->options.grace_ms - SUPERVISE_FLUSH_MS;

		if (!s->member[order[i]].running)
			continue;
		s->stopping = order[i];
		s->kill_at = order[i] == MEMBER_RELAYD ? relay_until : now + SUPERVISE_FLUSH_MS / 2;
		s->actions->signal(s->arg, order[i], SUPERVISE_STOP);
		return;
	}
	s->phase = PHASE_OVER;
	s->actions->end(s->arg);
}

static void
begin_stopping(struct supervise *s, uint64_t now)
{
	s->phase = PHASE_STOPPING;
	for (enum member m = 0; m < MEMBERS; m++)
		s->member[m].again_at = 0;
	next_to_stop(s, now);
}

void
supervise_stop(struct supervise *s, bool at_once, uint64_t now)
{
	if (s->phase >= PHASE_STOPPING)
		return;
	if (s->phase == PHASE_RUNNING)
		s->asked = now;
	if (s->phase == PHASE_LEAVING || at_once || s->options.native || s->options.drain_ms == 0) {
		begin_stopping(s, now);
		return;
	}
	s->phase = PHASE_LEAVING;
	if (s->member[MEMBER_RELAYD].running)
		s->actions->signal(s->arg, MEMBER_RELAYD, SUPERVISE_LEAVE);
}

/* ---- what happens meanwhile ---- */

void
supervise_ended(struct supervise *s, enum member m, uint64_t now)
{
	uint64_t *back_off = &s->member[m].back_off;

	s->member[m].running = false;
	if (s->phase == PHASE_STOPPING) {
		if (m == s->stopping)
			next_to_stop(s, now);
		return;
	}
	if (s->phase == PHASE_OVER)
		return;
	if (now - s->member[m].since >= SUPERVISE_STABLE_MS)
		*back_off = 0;
	s->member[m].again_at = now + *back_off;
	*back_off = *back_off == 0 ? SUPERVISE_AGAIN_MIN_MS : *back_off * 2;
	if (*back_off > SUPERVISE_AGAIN_MAX_MS)
		*back_off = SUPERVISE_AGAIN_MAX_MS;
}

bool
supervise_watches_application(const struct supervise *s)
{
	return s->phase == PHASE_LEAVING || (s->phase == PHASE_RUNNING && s->options.end_with_app);
}

void
supervise_application(struct supervise *s, bool seen, uint64_t now)
{
	if (seen) {
		s->app_seen = true;
		s->app_gone_since = 0;
	} else if (s->app_seen && s->app_gone_since == 0) {
		s->app_gone_since = now;
	}
	if (s->app_gone_since == 0 || now - s->app_gone_since < SUPERVISE_GONE_MS)
		return;
	if (supervise_watches_application(s))
		supervise_stop(s, true, now);
}

static void
sooner(uint64_t *due, uint64_t at)
{
	if (at != 0 && at < *due)
		*due = at;
}

uint64_t
supervise_tick(struct supervise *s, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	if (supervise_waits_for_certd(s) && now - s->member[MEMBER_CERTD].since >= SUPERVISE_WAIT_MS)
		open_all(s, now);
	if (s->phase == PHASE_LEAVING && now - s->asked >= s->options.drain_ms)
		begin_stopping(s, now);
	if (s->phase == PHASE_STOPPING && s->kill_at != 0 && now >= s->kill_at) {
		s->kill_at = 0;
		s->actions->signal(s->arg, s->stopping, SUPERVISE_KILL);
	}
	for (enum member m = 0; m < MEMBERS; m++)
		if (s->phase < PHASE_STOPPING && s->member[m].again_at != 0 && now >= s->member[m].again_at)
			start(s, m, now);

	if (supervise_waits_for_certd(s))
		sooner(&due, s->member[MEMBER_CERTD].since + SUPERVISE_WAIT_MS);
	if (s->phase == PHASE_LEAVING)
		sooner(&due, s->asked + s->options.drain_ms);
	if (s->phase == PHASE_STOPPING)
		sooner(&due, s->kill_at);
	for (enum member m = 0; m < MEMBERS; m++)
		sooner(&due, s->member[m].again_at);
	return due == UINT64_MAX ? due : due - now;
}
