/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/record.h"

#include <string.h>
#include <sys/socket.h>

/* So many records a second reach an exporter at most; the reserve of the burst is for failures. */
#define LOGS_PER_SECOND 500
#define LOGS_BURST 1000
#define LOGS_RESERVE 200
#define SPANS_PER_SECOND 200
#define SPANS_BURST 400
#define HINTS_PER_SECOND 50
#define HINTS_BURST 100

/* Takes up to the next slash (or the end) off *s. */
static struct slice
part_next(const char **s)
{
	size_t n = strcspn(*s, "/");
	struct slice part = { *s, n };

	*s += n + ((*s)[n] == '/');
	return part;
}

static bool
slice_is(struct slice s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

struct principal
principal_parse(const char *text)
{
	struct principal none = { { "", 0 }, { "", 0 } };
	const char *s = text;
	struct slice domain = part_next(&s), ns = part_next(&s), namespace = part_next(&s), sa = part_next(&s),
		     account = part_next(&s);

	if (domain.n == 0 || !slice_is(ns, "ns") || !slice_is(sa, "sa") || namespace.n == 0 || account.n == 0 ||
	    *s != '\0')
		return none;
	return (struct principal){ .namespace = namespace, .workload = account };
}

static void
addr_cut(struct addr *a)
{
	if (a->family == 0 || addr_is_loopback(a))
		return;
	if (a->family == AF_INET)
		a->ip[3] = 0; /* /24 */
	else
		memset(a->ip + 6, 0, 10); /* /48 */
	a->port = 0;
}

/*
 * Who comes in without an identity may be a person's machine: what is kept
 * of its address is the network.  Addresses of
 * the mesh, and those that a workload dialled, are servers.
 */
void
record_redact(struct record *r)
{
	if (r->ev.direction == EVENT_INBOUND && r->source[0] == '\0')
		addr_cut(&r->ev.peer);
}

bool
rate_cap_take(struct rate_cap *c, uint64_t now_ms, uint32_t rate, uint32_t burst, uint32_t reserve, bool important)
{
	uint64_t full = (uint64_t)burst * 1000;
	uint64_t least = important ? 1000 : 1000 + (uint64_t)reserve * 1000;
	uint64_t passed = now_ms - c->last_ms;

	if (c->last_ms == 0 || passed > full) /* a thousandth a millisecond at least */
		c->tokens_milli = full;
	else
		c->tokens_milli += passed * rate;
	if (c->tokens_milli > full)
		c->tokens_milli = full;
	c->last_ms = now_ms;
	if (c->tokens_milli < least)
		return false;
	c->tokens_milli -= 1000;
	return true;
}

enum record_fate
record_log_fate(const struct record *r, enum access_level level, struct record_caps *caps, uint64_t now_ms)
{
	bool bad = r->ev.kind == EVENT_CLOSE && r->ev.outcome != EVENT_SUCCESS;

	if (level == LEVEL_OFF || (level == LEVEL_ERRORS && !bad) || (r->ev.kind == EVENT_OPEN && level != LEVEL_DEBUG))
		return FATE_SAMPLED_OUT;
	return rate_cap_take(&caps->logs, now_ms, LOGS_PER_SECOND, LOGS_BURST, LOGS_RESERVE, bad) ? FATE_EMIT :
												    FATE_RATE_CAP;
}

enum record_fate
record_span_fate(struct record *r, bool tracing, struct record_caps *caps, uint64_t now_ms)
{
	r->tail_hint = !r->ev.sampled;
	if (!tracing || r->ev.kind != EVENT_CLOSE || (r->tail_hint && r->ev.outcome == EVENT_SUCCESS))
		return FATE_SAMPLED_OUT;
	if (r->tail_hint ? rate_cap_take(&caps->hints, now_ms, HINTS_PER_SECOND, HINTS_BURST, 0, true) :
			   rate_cap_take(&caps->spans, now_ms, SPANS_PER_SECOND, SPANS_BURST, 0, true))
		return FATE_EMIT;
	return FATE_RATE_CAP;
}
