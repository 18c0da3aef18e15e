/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fleet_link.c - the connection to the authority and the calls on it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define IDLE_MS 60000 /* a connection that nobody needs is dropped */
#define SKEW_MAX 60   /* seconds */

void
fleet_hang_up(struct fleet *f)
{
	f->client = grpc_client_free(f->client);
	f->dead = false;
	f->asking = false; /* the call went with it, and is made again on the next connection */
}

void
fleet_note_clock(struct fleet *f, int64_t theirs)
{
	int64_t skew = theirs - clock_wall_sec();

	if ((skew > SKEW_MAX || skew < -SKEW_MAX) && (f->skew <= SKEW_MAX && f->skew >= -SKEW_MAX))
		log_warn("this host's clock and the authority's differ: certificates may be refused", LF_INT("seconds", skew));
	f->skew = skew;
	f->skew_at_least = false;
	f->last_success = clock_wall_sec();
	if (f->error[0] != '\0') {
		f->error[0] = '\0';
		f->handler->back(f->arg);
	}
}

/* The connection, or the call on it, came to nothing. */
static void
all_failed(struct fleet *f, const char *why)
{
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	if (f->joining)
		fleet_finish_join(f, why);
	fleet_renewal_failed(f, why);
	fleet_fail_orders(f, &f->asked, why);
	fleet_fail_orders(f, &f->waiting, why);
	fleet_soon(f);
}

/*
 * Was the authority's certificate refused for its dates?  An authority keeps
 * its own fresh, so it is the clocks: at least *ret_skew seconds lie between
 * them, more by as much as the certificate has lived or was to live.
 */
static bool
clocks_differ(const struct fleet *f, int64_t *ret_skew)
{
	const struct tls_session *s = f->client != NULL ? grpc_client_session(f->client) : NULL;
	int64_t now = clock_wall_sec();

	if (s == NULL || (tls_session_reason(s) != SVID_NOT_YET_VALID && tls_session_reason(s) != SVID_EXPIRED))
		return false;
	*ret_skew = tls_session_reason(s) == SVID_EXPIRED ? tls_session_peer_not_after(s) - now : tls_session_peer_not_before(s) - now;
	return true;
}

static void
closed(void *arg, const char *reason)
{
	struct fleet *f = arg;
	bool busy = f->joining || f->renewing || !TAILQ_EMPTY(&f->asked);
	char why[FLEET_WHY], where[ADDR_TEXT];

	f->dead = true;
	fleet_soon(f);
	if (!busy && !f->asking)
		return;
	if (clocks_differ(f, &f->skew)) {
		f->skew_at_least = true;
		(void)snprintf(why, sizeof(why), "authority %s: its certificate is %s by this host's clock: the clock is at least %" PRId64
		    " s %s the authority's; set the clocks (NTP)", addr_format(&f->peer, where),
		    f->skew > 0 ? "not valid yet" : "no longer valid", f->skew > 0 ? f->skew : -f->skew,
		    f->skew > 0 ? "behind" : "ahead of");
	} else {
		(void)snprintf(why, sizeof(why), "authority %s: %s", addr_format(&f->peer, where), reason);
	}
	fleet_manifests_failed(f, why);
	if (!busy)
		return;
	all_failed(f, why);
}

static void
ready(void *arg)
{
	struct fleet *f = arg;

	/* What depends on the exporter can be said only now. */
	if (f->purpose == FOR_JOIN)
		fleet_join_ready(f);
	else if (f->purpose == FOR_LATE)
		fleet_late_ready(f);
}

enum tulle_err
fleet_dial(struct fleet *f, enum purpose purpose)
{
	const char *expected[] = { f->node.authority_id };
	struct grpc_client_options o = { .channel = { .idle_ms = IDLE_MS, .ready_ms = FLEET_CALL_MS },
		.response_max = GENERATION_SIGNED_MAX + 1024 };
	enum tulle_err e;

	if (purpose == FOR_JOIN) {
		e = node_join_tls(f->token.pin, &o.channel.tls);
		f->peer = f->token.authority;
	} else {
		e = node_tls(&f->node, purpose == FOR_WORK, &o.channel.tls);
		o.channel.session.expected = expected;
		o.channel.session.expected_n = 1;
		f->peer = f->node.authority;
	}
	if (e)
		return e;
	f->purpose = purpose;
	f->dead = false;
	e = grpc_client_connect(&f->client, f->loop, &f->peer, &o, &(struct grpc_client_events){ ready, closed }, f);
	tls_context_unref(o.channel.tls);
	return e;
}

enum tulle_err
fleet_call(struct fleet *f, const char *path, const ProtobufCMessage *m, uint64_t deadline_ms, const struct grpc_handler *h)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t AUTO_FREE *p = malloc(n + 1);
	struct grpc_request *r;

	if (p == NULL)
		return TULLE_ENOMEM;
	(void)protobuf_c_message_pack(m, p);
	return grpc_start(f->client, &r, path, p, n, NULL, 0, deadline_ms, h, f);
}

void
fleet_status_text(char out[FLEET_WHY], enum grpc_status status, const char *text)
{
	(void)snprintf(out, FLEET_WHY, "the authority says %s%s%.250s", grpc_status_name((int)status), *text != '\0' ? ": " : "",
	    text);
}

const Tulle__V1__Bundle *
fleet_own_bundle(Tulle__V1__Bundle **bundles, size_t n, const char *td)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(bundles[i]->trust_domain, td) == 0 && bundles[i]->roots.len > 0)
			return bundles[i];
	return NULL;
}
