/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/loader.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void
loader_init(struct loader *l, const struct host_config *at_start)
{
	*l = (struct loader){ .at_start = at_start };
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What only a start can change is said, not silently ignored.  Fields of other programs are theirs to tell. */
static void
warn_unchanged(const struct host_config *now, const struct host_config *next, const char *file, struct problems *problems)
{
	const struct {
		const char *field;
		bool same;
	} table[] = {
		{ "identity.default", same_text(now->identity.default_name, next->identity.default_name) &&
		        now->identity.default_only == next->identity.default_only },
		{ "identity.socket", same_text(now->identity.socket, next->identity.socket) },
		{ "capture.outbound", now->capture.outbound == next->capture.outbound },
		{ "capture.inbound", now->capture.inbound == next->capture.inbound },
		{ "relay.workers", now->relay.workers == next->relay.workers },
		{ "relay.drain", now->relay.drain_ms == next->relay.drain_ms },
		{ "relay.terminationGrace", now->relay.termination_grace_ms == next->relay.termination_grace_ms },
		{ "limits.connections", now->limits.connections == next->limits.connections },
		{ "limits.memory", now->limits.memory == next->limits.memory },
		{ "telemetry.traces", now->telemetry.traces_ppm == next->telemetry.traces_ppm },
		{ "users.relayd", same_text(now->users.relayd, next->users.relayd) },
		{ "users.telemetryd", same_text(now->users.telemetryd, next->users.telemetryd) },
		{ "ports.outbound", now->ports.outbound == next->ports.outbound },
		{ "ports.inbound", now->ports.inbound == next->ports.inbound },
		{ "ports.hbone", now->ports.hbone == next->ports.hbone },
		{ "ports.authority", now->ports.authority == next->ports.authority },
		{ "ports.health", now->ports.health == next->ports.health },
		{ "logLevel", now->log_level == next->log_level },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (!table[i].same)
			problem_warn(problems, (struct place){ .file = file }, table[i].field,
			    "is another now; it takes effect when tulle-relayd is started again");
}

static bool
user_of_bundle(void *arg, const char *name, uint32_t *ret_uid)
{
	return bundle_find_user(arg, name, ret_uid) == TULLE_OK;
}

/* Who connections of this host are; none where identities.yaml has no entries. */
static enum tulle_err
load_identities(struct identities **ret, const struct bundle *b, struct problems *problems)
{
	const struct manifest_file *f = bundle_identities(b);
	struct manifest_file users;
	enum tulle_err e;

	if (f == NULL)
		return TULLE_OK;
	users = *bundle_users(b);
	e = identities_parse(ret, f->name, f->data, f->len, problems);
	return e == TULLE_OK ? identities_resolve(*ret, user_of_bundle, &users, problems) : e;
}

/* The account that an identity has and no file names; "ns/NS/sa/SA", as identity.default would have it. */
static enum tulle_err
name_account(const struct loader *l, struct host_config *host)
{
	const char *ns = l->account + strlen("ns/");
	const char *slash;

	if (l->account[0] == '\0' || host->identity.default_name != NULL)
		return TULLE_OK;
	slash = strchr(ns, '/');
	host->identity.default_name = l->account;
	host->identity.default_namespace = arena_text(&host->arena, ns, (size_t)(slash - ns));
	host->identity.default_account = slash + strlen("/sa/");
	return host->identity.default_namespace != NULL ? TULLE_OK : TULLE_ENOMEM;
}

static enum tulle_err
load(struct loader *l, const struct bundle *b, const struct wire_config *c, struct problems *problems)
{
	struct host_config *host = NULL;
	struct snapshot *fresh;
	struct snapshot_input in = { .files = b->files + b->manifests, .n_files = b->n - b->manifests, .local = c->local, .n_local = c->n_local,
		.previous = l->snapshot, .generation = c->generation };
	enum tulle_err e = host_config_parse(&host, b->files[0].name, b->files[0].data, b->files[0].len, problems);

	if (e != TULLE_OK)
		return e;
	warn_unchanged(l->at_start, host, b->files[0].name, problems);
	host->identity = l->at_start->identity;
	if (!host->trust_domain_given && l->trust_domain[0] != '\0')
		host->trust_domain = l->trust_domain;
	in.host = host;
	e = name_account(l, host);
	if (e == TULLE_OK)
		e = load_identities(&in.identities, b, problems);
	if (e == TULLE_OK)
		e = snapshot_load(&fresh, &in, problems);
	if (e != TULLE_OK)
		(void)identities_free(in.identities);
	if (e == TULLE_OK) {
		(void)snapshot_unref(l->snapshot);
		l->snapshot = fresh;
		l->trust_domain_given = host->trust_domain_given;
		memcpy(l->made_with, l->trust_domain, sizeof(l->made_with));
		memcpy(l->made_for, l->account, sizeof(l->made_for));
	}
	(void)host_config_free(host);
	return e;
}

enum tulle_err
loader_take(struct loader *l, struct bundle *files, struct wire_config *where, struct problems *problems)
{
	enum tulle_err e = files->n > 0 ? load(l, files, where, problems) : TULLE_EPEER;

	if (e != TULLE_OK)
		return e;
	bundle_free(&l->files);
	free(l->where);
	l->files = *files;
	l->where = where;
	*files = (struct bundle){ 0 };
	return TULLE_OK;
}

enum tulle_err
loader_follow(struct loader *l, const char *id, size_t len, bool speaks, struct problems *problems, bool *ret_changed)
{
	struct spiffe_id own;
	struct spiffe_account a;
	bool same_domain, same_account;
	enum tulle_err e;

	*ret_changed = false;
	if (spiffe_parse(&own, id, len) != TULLE_OK)
		return TULLE_EINVAL;
	memcpy(l->trust_domain, own.td, own.td_len);
	l->trust_domain[own.td_len] = '\0';
	if (speaks && spiffe_account(&a, &own)) {
		memcpy(l->account, own.path + 1, own.path_len - 1);
		l->account[own.path_len - 1] = '\0';
	}
	same_domain = l->trust_domain_given || strcmp(l->trust_domain, l->made_with) == 0;
	same_account = strcmp(l->account, l->made_for) == 0;
	if (l->snapshot == NULL || (same_domain && same_account))
		return TULLE_OK;
	e = load(l, &l->files, l->where, problems);
	*ret_changed = e == TULLE_OK;
	return e;
}
