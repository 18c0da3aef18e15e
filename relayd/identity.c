/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "workload/client.h"

struct identity_client {
	struct workload_client *workload;
	const struct host_config *config;
	struct identity_client_events events;
	void *arg;
	uint64_t generation;
};

/* The one that identity.default names goes first, by its account or its hint; as sent, if there is none. */
static void
put_default_first(const struct identity_client *s, struct svid_der *svids, size_t n)
{
	char path[520];
	size_t len;

	if (s->config->identity.default_name == NULL)
		return;
	len = (size_t)snprintf(path, sizeof(path), "/%s", s->config->identity.default_name);
	for (size_t i = 0; i < n; i++) {
		const char *id = svids[i].id != NULL ? svids[i].id : "";
		size_t id_len = strlen(id);

		if (id_len > len && strcmp(id + id_len - len, path) == 0) {
			struct svid_der first = svids[i];

			memmove(&svids[1], &svids[0], i * sizeof(svids[0]));
			svids[0] = first;
			return;
		}
	}
}

static bool
on_update(void *arg, const struct workload_update *u)
{
	struct identity_client *s = arg;
	struct svid_der *svids = calloc(u->n_svids, sizeof(*svids));
	struct identity_set *set = NULL;
	enum svid_reason why = SVID_OK;
	size_t bad = 0;
	enum tulle_err e = TULLE_ENOMEM;

	if (svids != NULL) {
		memcpy(svids, u->svids, u->n_svids * sizeof(*svids));
		put_default_first(s, svids, u->n_svids);
		e = identity_set_new(&set, svids, u->n_svids, u->bundles, u->n_bundles, s->generation + 1, &bad, &why);
	}
	if (e != TULLE_OK)
		log_error("identity refused: the old one stays", LF_ERR(e),
		    LF_STR("id", svids != NULL && bad < u->n_svids ? svids[bad].id : NULL),
		    LF_STR("reason", why != SVID_OK ? svid_reason_phrase(why) : NULL));
	free(svids);
	if (e != TULLE_OK)
		return false;
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
