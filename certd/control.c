/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of /run/tulle/certd.sock. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authority/members.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "daemon.h"
#include "decide/owner.h"
#include "manifests.h"
#include "serve/answer.h"
#include "serve/attest.h"

/* ---- status ---- */

/* The worst first: "expired" means that something is broken now. */
static const char *
health(struct daemon *d, json_t *alarms)
{
	int64_t now = (int64_t)(clock_wall_ns() / NS_PER_MS);
	size_t usable = 0, n = keeper_slots(d->keeper);

	for (size_t i = 0; i < n; i++) {
		const struct slot *s = keeper_slot(d->keeper, i);

		usable += slot_usable(s, now);
		if (s->alarm != RENEW_FINE || (s->current == NULL && s->failures > 0))
			(void)json_array_append_new(alarms,
			    json_pack("{ss ss ss}", "id", s->id, "alarm",
			        s->current == NULL ? "there was never a certificate" : renew_alarm_text(s->alarm), "reason",
			        s->failure));
	}
	if (d->waiting[0] != '\0')
		(void)json_array_append_new(alarms, json_pack("{ss ss ss}", "id", "-", "alarm", "no identity", "reason", d->waiting));
	if (d->authority == NULL && !fleet_is_member(d->fleet))
		return "not joined";
	if (usable < n)
		return usable == 0 ? "down" : "degraded";
	return json_array_size(alarms) > 0 ? "degraded" : "ready";
}

/* Who has joined, and what each has said about its manifests. */
static json_t *
members(struct daemon *d, int64_t now)
{
	json_t *list = members_status(d->store, now), *m;
	size_t i;

	json_array_foreach (list, i, m) {
		const json_t *has = d->server != NULL ? authority_server_has(d->server, value_text(m, "node")) : NULL;

		if (has != NULL)
			(void)json_object_set_new(m, "manifests", json_deep_copy(has));
	}
	return list;
}

json_t *
daemon_status(struct daemon *d)
{
	json_t *alarms = json_array(), *manifests = manifests_status(d, alarms);
	const char *state = health(d, alarms);
	json_t *o = json_pack("{ss ss ss sI sI so so so}", "state", state, "source", d->authority != NULL ? "embedded" : "fleet",
	    "trust_domain", d->td, "generation", (json_int_t)keeper_generation(d->keeper), "streams",
	    (json_int_t)workload_streams(d->workload), "identities", keeper_status(d->keeper), "alarms", alarms, "manifests", manifests);
	int64_t now = clock_wall_sec();

	(void)json_object_set_new(o, "pods", podsocks_status(d->podsocks));
	if (d->authority != NULL) {
		char pin[TEXT_BASE64URL(TOKEN_PIN)], root[7 + 2 * TOKEN_PIN + 1] = "sha256:";

		(void)json_object_set_new(o, "cas", authority_status(d->authority, now));
		(void)json_object_set_new(o, "members", members(d, now));
		(void)json_object_set_new(o, "tokens", tokens_status(d->store, now));
		(void)json_object_set_new(o, "root_pin",
		    json_string(text_base64url(authority_pin(d->authority), TOKEN_PIN, pin)));
		(void)text_hex(authority_pin(d->authority), TOKEN_PIN, root + 7);
		(void)json_object_set_new(o, "root", json_string(root));
		if (d->server != NULL)
			(void)json_object_set_new(o, "server", authority_server_status(d->server));
		if (d->issuers != NULL)
			(void)json_object_set_new(o, "issuers", issuers_status(d->issuers));
	} else {
		(void)json_object_set_new(o, "member", fleet_status(d->fleet));
	}
	return o;
}

static void
run_status(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)args;
	ctl_ok(call, daemon_status(arg));
}

/* ---- reload ---- */

static void
run_reload(void *arg, struct ctl_call *call, const json_t *args)
{
	struct buf error = buf_new(65536);

	(void)args;
	if (daemon_reload(arg, &error) == TULLE_OK) {
		char AUTO_FREE *warnings = strndup(buf_len(&error) > 0 ? (const char *)buf_head(&error) : "", buf_len(&error));

		ctl_ok(call, json_pack("{ss}", "warnings", warnings != NULL ? warnings : ""));
	} else {
		size_t n = buf_len(&error);

		while (n > 0 && buf_head(&error)[n - 1] == '\n')
			n--;
		ctl_fail(call, "%.*s", (int)n, (const char *)buf_head(&error));
	}
	buf_free(&error);
}

static void
run_renew(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;

	(void)args;
	keeper_renew_all(d->keeper);
	ctl_ok(call, NULL);
}

/* ---- tokens and members ---- */

static bool
is_authority(struct daemon *d, struct ctl_call *call)
{
	if (d->authority != NULL)
		return true;
	ctl_fail(call, "this host is a member of a fleet; tokens are made on its authority");
	return false;
}

static enum tulle_err
token_address(struct daemon *d, const char *text, struct addr *ret)
{
	const struct listen_at *at = &d->config->host->authority.listen;

	if (*text == '\0') {
		if (at->at.family == 0 || addr_is_any(&at->at))
			return TULLE_ENOENT;
		*ret = at->at;
		return TULLE_OK;
	}
	if (addr_parse(ret, text) == TULLE_OK)
		return TULLE_OK;
	if (addr_parse_ip(ret, text) != TULLE_OK)
		return TULLE_EINVAL;
	ret->port = at->at.port != 0 ? at->at.port : (uint16_t)d->config->host->ports.authority;
	return TULLE_OK;
}

static void
run_token(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;
	const char *accounts[MEMBER_ACCOUNTS_MAX + 1];
	const json_t *list = json_object_get(args, "allow");
	struct token_order o = { .accounts = accounts, .ttl = TOKEN_TTL_DEFAULT, .uses = 1, .creator = ctl_caller(call)->uid };
	char why[MEMBER_WHY] = "", text[TOKEN_TEXT], where[ADDR_TEXT];
	struct token t;
	enum tulle_err e;

	if (!is_authority(d, call))
		return;
	if (d->server == NULL) {
		ctl_fail(call, "authority.listen is off in %s: nobody could join", paths_etc("tulle.yaml"));
		return;
	}
	for (size_t i = 0; i < json_array_size(list) && i <= MEMBER_ACCOUNTS_MAX; i++) {
		accounts[o.n_accounts] = json_string_value(json_array_get(list, i));
		if (accounts[o.n_accounts++] == NULL) {
			ctl_fail(call, "allow: a list of NAMESPACE/SERVICE-ACCOUNT is needed");
			return;
		}
	}
	if (json_object_get(args, "ttl") != NULL)
		o.ttl = value_int(args, "ttl");
	if (json_object_get(args, "uses") != NULL)
		o.uses = value_int(args, "uses");
	e = token_address(d, value_text(args, "address"), &o.authority);
	if (e) {
		ctl_fail(call, e == TULLE_ENOENT
		        ? "authority.listen names no address of this host: give the one that the new host can reach, with --address IP[:PORT]"
		        : "--address: an IP address, or IP:PORT, is needed");
		return;
	}
	e = token_create(d->store, &o, authority_pin(d->authority), clock_wall_sec(), &t, why);
	if (e) {
		ctl_fail(call, "%s", why[0] != '\0' ? why : tulle_strerror(e));
		return;
	}
	ctl_ok(call,
	    json_pack("{ss ss ss sI}", "token", token_format(&t, text), "id", t.id, "address",
	        addr_format(&t.authority, where), "expires", (json_int_t)(clock_wall_sec() + o.ttl)));
	explicit_bzero(&t, sizeof(t));
	explicit_bzero(text, sizeof(text));
}

static void
run_tokens(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;

	(void)args;
	if (!is_authority(d, call))
		return;
	(void)tokens_expire(d->store, clock_wall_sec());
	ctl_ok(call, json_pack("{so}", "tokens", tokens_status(d->store, clock_wall_sec())));
}

static void
run_token_revoke(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;
	enum tulle_err e;

	if (!is_authority(d, call))
		return;
	e = token_revoke(d->store, value_text(args, "id"));
	if (e == TULLE_OK)
		ctl_ok(call, NULL);
	else
		ctl_fail(call, "%s", e == TULLE_ENOENT ? "there is no such token" : tulle_strerror(e));
}

static void
run_member(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;
	const char *what = value_text(args, "do"), *node = value_text(args, "node");
	enum tulle_err e = TULLE_EINVAL;

	if (!is_authority(d, call))
		return;
	if (strcmp(what, "ban") == 0)
		e = member_ban(d->store, node, true);
	else if (strcmp(what, "unban") == 0)
		e = member_ban(d->store, node, false);
	else if (strcmp(what, "forget") == 0)
		e = member_forget(d->store, node);
	if (e == TULLE_OK && strcmp(what, "unban") != 0 && d->server != NULL)
		authority_server_banned(d->server, node);
	if (e == TULLE_OK)
		ctl_ok(call, NULL);
	else
		ctl_fail(call, "%s",
		    e == TULLE_ENOENT       ? "there is no such member"
		        : e == TULLE_EINVAL ? "do: ban, unban or forget"
		                            : tulle_strerror(e));
}

/* ---- joining ---- */

static void
joined(void *arg, const char *error)
{
	struct ctl_call *call = arg;

	if (error == NULL)
		ctl_ok(call, NULL);
	else
		ctl_fail(call, "%s", error);
}

static void
run_join(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;
	const char *why = "no token";
	struct token t;
	enum tulle_err e = token_parse(&t, value_text(args, "token"), &why);

	if (e) {
		ctl_fail(call, "not a token: %s", why);
		return;
	}
	e = daemon_become_member(d);
	if (e == TULLE_OK)
		e = fleet_join(d->fleet, &t, d->config->td_given ? d->config->host->trust_domain : NULL, joined, call);
	explicit_bzero(&t, sizeof(t));
	if (e == TULLE_EDENIED)
		ctl_fail(call, "this host is the authority of other hosts: forget its members first");
	else if (e)
		ctl_fail(call, "%s", e == TULLE_EBUSY ? "a join is under way already" : tulle_strerror(e));
}

/* ---- why ---- */

/* As whom the relay sends the connections of such a process: its own rule, which decide/owner.c is for both of us. */
static json_t *
outbound_json(const struct config *c, const struct facts *f)
{
	const struct owner owner = { .uid_known = true, .uid = f->uid, .unit = f->unit };
	const struct identity_entry *e;

	if (owner_choose(c->ids, &owner, &e) == OWNER_ENTRY)
		return json_pack("{ss ss si}", "as", e->path, "file", e->place.file, "line", (int)e->place.line);
	if (c->only_ns != NULL) /* identity.default: only */
		return json_pack("{so}", "as", json_sprintf("ns/%s/sa/%s", c->only_ns, c->only_sa));
	return json_pack("{ss?}", "as", c->host->identity.default_name);
}

static void
run_why(void *arg, struct ctl_call *call, const json_t *args)
{
	struct daemon *d = arg;
	struct attested who = ATTESTED_INIT;
	struct answer AUTO_FREE *a = calloc(1, sizeof(*a));
	const char *why = "";
	json_t *ids = json_array();

	if (a == NULL || attest_pid((int32_t)value_int(args, "pid"), &who, &why) != TULLE_OK) {
		ctl_fail(call, "%s", a == NULL ? "out of memory" : why);
		json_decref(ids);
		return;
	}
	answer_choose(a, d->config, d->keeper, &who.facts, (int64_t)(clock_wall_ns() / NS_PER_MS));
	for (size_t i = 0; i < a->n; i++)
		(void)json_array_append_new(ids, json_string(a->slots[i]->id));
	ctl_ok(call,
	    json_pack("{si sI ss so ss so}", "pid", who.facts.pid, "uid", (json_int_t)who.facts.uid, "unit", who.facts.unit,
	        "identities", ids, "why", a->why, "outbound", outbound_json(d->config, &who.facts)));
	attest_forget(&who);
}

const struct ctl_command daemon_commands[] = {
	{ "status", false, run_status },
	{ "why", true, run_why },
	{ "reload", true, run_reload },
	{ "renew", true, run_renew },
	{ "token", true, run_token },
	{ "tokens", true, run_tokens },
	{ "token-revoke", true, run_token_revoke },
	{ "member", true, run_member },
	{ "join", true, run_join },
	{ NULL, false, NULL },
};
