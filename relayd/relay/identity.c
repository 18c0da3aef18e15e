/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/identity.h"

#include <stdlib.h>

#include "base/log.h"
#include "workload/client.h"

struct identity_client {
	struct workload_client *workload;
	const struct host_config *config;
	struct identity_client_events events;
	void *arg;
	uint64_t generation;
};

/*
 * Whoever no entry matches speaks as the default or as nobody, never as the workload that happens to come first.  But
 * another agent's first is the one it means: that is what the Workload API says of the order.
 */
static void
choose_default(struct identity_set *set, const struct host_config *c)
{
	if (c->identity.default_only)
		identity_set_choose_only(set);
	else if (c->identity.default_name != NULL || c->identity.source != IDENTITY_SPIFFE)
		identity_set_choose_default(set, c->identity.default_name);
}

static bool
on_update(void *arg, const struct workload_update *u)
{
	struct identity_client *s = arg;
	struct identity_set *set = NULL;
	enum svid_reason why = SVID_OK;
	size_t bad = 0;
	enum tulle_err e =
	    identity_set_new(&set, u->svids, u->n_svids, u->bundles, u->n_bundles, s->generation + 1, &bad, &why);

	if (e != TULLE_OK) {
		log_error("identity refused: the old one stays", LF_ERR(e), LF_STR("id", bad < u->n_svids ? u->svids[bad].id : NULL),
		    LF_STR("reason", why != SVID_OK ? svid_reason_phrase(why) : NULL));
		return false;
	}
	choose_default(set, s->config);
	s->generation++;
	s->events.update(s->arg, set);
	(void)identity_set_unref(set);
	return true;
}

static void
on_dial(void *arg)
{
	struct identity_client *s = arg;

	s->events.dial(s->arg);
}

enum tulle_err
identity_client_new(struct identity_client **ret, struct loop *l, const struct host_config *config,
    const struct identity_client_events *events, void *arg)
{
	const struct workload_events workload = { .dial = on_dial, .update = on_update };
	struct identity_client *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	*s = (struct identity_client){ .config = config, .events = *events, .arg = arg };
	e = workload_client_new(&s->workload, l, &workload, s);
	if (e != TULLE_OK) {
		free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

void
identity_client_dialled(struct identity_client *s, int fd, int error)
{
	workload_client_connected(s->workload, fd, fd == -1 ? log_errno_text(error) : NULL);
}

json_t *
identity_client_json(const struct identity_client *s)
{
	struct workload_state state = workload_client_state(s->workload);

	return json_pack("{s:b, s:b, s:I, s:I, s:s}", "connected", state.connected, "stopped", state.stopped, "updates",
	    (json_int_t)state.updates, "last_update_ns", (json_int_t)state.last_update_ns, "error", state.error);
}
