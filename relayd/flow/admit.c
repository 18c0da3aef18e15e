/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May this connection be?  Judged, counted and told alike, whether it came from another host or from this one. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "decide/authorize.h"
#include "flow/flow.h"

static struct authz_decision
judge(const struct flow *f, const struct snapshot *snapshot, const char *peer_id, const struct addr *to)
{
	const struct authz_input in = { .peer = peer_name_of(peer_id, peer_id != NULL ? strlen(peer_id) : 0),
		.source = f->event.peer, .port = to->port, .workload = snapshot_workload(snapshot, to) };

	return authorize(&in);
}

/* "namespace/policy#rule" for records; the file and line are for the log. */
static void
record_policy(struct flow *f, const struct authz_decision *d)
{
	char text[300];

	if (d->policy == NULL)
		return;
	if (d->rule != NULL)
		(void)snprintf(text, sizeof(text), "%.120s/%.120s#%zu", d->policy->meta.namespace, d->policy->meta.name, d->rule_index);
	else
		(void)snprintf(text, sizeof(text), "%.120s/%.120s", d->policy->meta.namespace, d->policy->meta.name);
	record_text(f, &f->event.policy, text);
}

void
flow_log_refusal(struct flow *f, const char *message, const char *reason, const char *peer_id, const struct place *place)
{
	char peer[ADDR_TEXT], to[ADDR_TEXT];

	if (!flow_may_log(f->flows))
		return;
	log_warn(message, LF_STR("reason", reason), LF_STR("peer", addr_format(&f->event.peer, peer)),
	    LF_STR("peer_id", peer_id), LF_STR("destination", addr_format(&f->event.original, to)),
	    LF_STR("file", place != NULL && place->line > 0 ? place->file : NULL),
	    LF_UINT("line", place != NULL ? place->line : 0));
}

bool
flow_may_be(const struct flow *f, const char *peer_id, const struct addr *to)
{
	return judge(f, f->flows->snapshot, peer_id, to).verdict == AUTHZ_ALLOW;
}

bool
flow_admitted(struct flow *f, const struct snapshot *snapshot, const char *peer_id, const struct addr *to)
{
	struct authz_decision d = judge(f, snapshot, peer_id, to);

	record_policy(f, &d);
	if (d.n_audit > 0)
		events_add(f->flows->events, COUNT_AUTHZ_AUDIT, d.n_audit);
	f->audited = f->audited || d.n_audit > 0;
	for (size_t i = 0; i < d.n_audit && i < AUTHZ_AUDIT_MAX; i++)
		flow_log_refusal(f, "connection matches an audit policy", d.audit[i]->meta.name, peer_id, &d.audit[i]->meta.place);
	if (d.verdict == AUTHZ_ALLOW) {
		events_count(f->flows->events, COUNT_AUTHZ_ALLOW);
		return true;
	}
	events_count(f->flows->events, COUNT_AUTHZ_DENY);
	if (d.policy != NULL)
		failures_policy(&f->flows->failures, d.place.file, d.place.line, d.policy->meta.namespace, d.policy->meta.name, peer_id);
	flow_log_refusal(f, f->inbound ? "inbound connection denied by policy" : "local connection denied by policy",
	    authz_reason_text(d.reason), peer_id, &d.place);
	return false;
}

bool
flow_configured(struct flow *f)
{
	struct flows *fs = f->flows;
	char peer[ADDR_TEXT], to[ADDR_TEXT];

	if (fs->snapshot != NULL)
		return true;
	/* What policy there would be is not known: neither plain passage nor a way in may be assumed. */
	events_count(fs->events, COUNT_NO_CONFIGURATION);
	if (flow_may_log(fs))
		log_warn("connection refused: no configuration is in force",
		    LF_STR("reason", event_detail_name(EVENT_DETAIL_NO_CONFIGURATION)), LF_STR("peer", addr_format(&f->event.peer, peer)),
		    LF_STR("destination", f->event.original.family != 0 ? addr_format(&f->event.original, to) : NULL),
		    LF_STR("way_out", "see what tulle status says of the manifests"));
	return false;
}
