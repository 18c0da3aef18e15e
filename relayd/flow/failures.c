/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow/failures.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void
failures_note(struct failures *f, const struct conn_event *ev, const char *who)
{
	struct failed_flow *one = &f->kept[ev->direction & 1][f->n[ev->direction & 1] % FAILURES_KEPT];
	bool denied = ev->detail == EVENT_DETAIL_DENIED_BY_POLICY;

	if (ev->outcome != EVENT_DENIED && ev->outcome != EVENT_FAILED)
		return;
	*one = (struct failed_flow){ .at = clock_wall_sec(), .peer = ev->peer, .original = ev->original, .upstream = ev->upstream,
		.outcome = ev->outcome, .detail = (uint8_t)ev->detail };
	(void)snprintf(one->who, sizeof(one->who), "%s", denied && f->who[0] != '\0' ? f->who : who != NULL ? who : "");
	if (denied)
		(void)snprintf(one->policy, sizeof(one->policy), "%s", f->policy);
	f->policy[0] = f->who[0] = '\0';
	f->n[ev->direction & 1]++;
}

void
failures_policy(struct failures *f, const char *file, unsigned int line, const char *ns, const char *name, const char *peer_id)
{
	(void)snprintf(f->policy, sizeof(f->policy), "%.140s:%u: %.50s/%.50s", file, line, ns, name);
	(void)snprintf(f->who, sizeof(f->who), "%s", peer_id != NULL ? peer_id : "");
}

static json_t *
address_json(const struct addr *a)
{
	char text[ADDR_TEXT];

	return json_string(a->family != 0 ? addr_format(a, text) : "");
}

json_t *
failures_json(const struct failures *f)
{
	json_t *both[2];

	for (int way = 0; way < 2; way++) {
		uint64_t from = f->n[way] > FAILURES_KEPT ? f->n[way] - FAILURES_KEPT : 0;

		both[way] = json_array();
		for (uint64_t i = from; i < f->n[way]; i++) {
			const struct failed_flow *one = &f->kept[way][i % FAILURES_KEPT];

			(void)json_array_append_new(both[way], json_pack("{sI ss ss so so so ss ss}", "at", (json_int_t)one->at, "outcome",
			    event_outcome_name(one->outcome), "reason", event_detail_name(one->detail), "peer", address_json(&one->peer),
			    "destination", address_json(&one->original), "upstream", address_json(&one->upstream), "identity", one->who,
			    "policy", one->policy));
		}
	}
	return json_pack("{so so}", "outbound", both[EVENT_OUTBOUND], "inbound", both[EVENT_INBOUND]);
}
