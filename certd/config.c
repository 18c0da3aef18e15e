/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"
#include "manifest/yaml.h"

#define ARENA_MAX (16u << 20)

struct config *
config_free(struct config *c)
{
	if (c == NULL)
		return NULL;
	host_config_free(c->host);
	identities_free(c->ids);
	free(c->rules);
	free(c->wanted);
	free(c->only_ns);
	free(c->only_sa);
	free(c);
	return NULL;
}

/* A default cannot be told from a value that was written: look at the text. */
static bool
names_trust_domain(const char *path)
{
	struct problems problems;
	struct arena arena = arena_new(ARENA_MAX);
	struct yaml_documents docs = { 0 };
	char *data = NULL;
	size_t len;
	bool given = false;

	problems_init(&problems);
	if (file_read(path, YAML_MAX_BYTES, &data, &len) == TULLE_OK &&
	    yaml_parse(&docs, &arena, path, data, len, &problems) == TULLE_OK && docs.n > 0) {
		const struct yaml_node *td = yaml_get(docs.roots[0], "trustDomain");

		given = td != NULL && !yaml_is_null(td);
	}
	free(data);
	arena_free(&arena);
	problems_free(&problems);
	return given;
}

static bool
wants(struct config *c, const char *ns, const char *sa, uint64_t ttl_ms)
{
	int64_t ttl = (int64_t)(ttl_ms / 1000);

	for (size_t i = 0; i < c->n_wanted; i++) {
		struct keeper_wanted *w = &c->wanted[i];

		if (w->ns == NULL || w->sa == NULL || strcmp(w->ns, ns) != 0 || strcmp(w->sa, sa) != 0)
			continue;
		if (ttl < w->ttl) /* two rules, two lengths: the shorter is right for both */
			w->ttl = ttl;
		return false;
	}
	c->wanted[c->n_wanted++] = (struct keeper_wanted){ ns, sa, ttl };
	return true;
}

enum tulle_err
config_only(struct config *c, const char *account)
{
	const char *slash = strchr(account, '/');
	struct keeper_wanted first;
	size_t at;

	if (slash == NULL || c->only_ns != NULL)
		return TULLE_EINVAL;
	c->only_ns = strndup(account, (size_t)(slash - account));
	c->only_sa = strdup(slash + 1);
	if (c->only_ns == NULL || c->only_sa == NULL)
		return TULLE_ENOMEM;
	(void)wants(c, c->only_ns, c->only_sa, c->host->identity.ttl_ms);
	for (at = 0; strcmp(c->wanted[at].ns, c->only_ns) != 0 || strcmp(c->wanted[at].sa, c->only_sa) != 0; at++)
		continue;
	if (at >= c->n_own)
		c->n_own++;
	first = c->wanted[at];
	memmove(&c->wanted[1], &c->wanted[0], at * sizeof(c->wanted[0]));
	c->wanted[0] = first;
	return TULLE_OK;
}

static bool
user_of_host(void *arg, const char *name, uint32_t *ret_uid)
{
	uint32_t gid;

	(void)arg;
	return host_user_id(name, ret_uid, &gid) == TULLE_OK;
}

static enum tulle_err
build(struct config *c, struct problems *problems)
{
	uint32_t gid;

	c->rules = calloc(c->ids->n + 1, sizeof(*c->rules));
	c->wanted = calloc(c->ids->n + c->ids->n_pods + 2, sizeof(*c->wanted));
	if (c->rules == NULL || c->wanted == NULL)
		return TULLE_ENOMEM;
	if (identities_resolve(c->ids, user_of_host, NULL, problems) != TULLE_OK)
		return TULLE_EINVAL;
	if (c->host->identity.default_account != NULL)
		wants(c, c->host->identity.default_namespace, c->host->identity.default_account, c->host->identity.ttl_ms);
	for (size_t i = 0; i < c->ids->n; i++) {
		const struct identity_entry *e = &c->ids->items[i];
		struct config_rule *r = &c->rules[c->n_rules];

		*r = (struct config_rule){ .match = { .has_uid = e->uid_known, .uid = e->uid, .unit = e->match.unit }, .ns = e->namespace, .sa = e->account,
			.line = e->place.line };
		c->n_rules++;
		wants(c, e->namespace, e->account, e->ttl_ms != 0 ? e->ttl_ms : c->host->identity.ttl_ms);
	}
	c->n_own = c->n_wanted;
	for (size_t i = 0; i < c->ids->n_pods; i++) {
		const struct identity_entry *e = &c->ids->pods[i];

		wants(c, e->namespace, e->account, e->ttl_ms != 0 ? e->ttl_ms : c->host->identity.ttl_ms);
	}
	for (size_t i = 0; i < c->n_wanted; i++)
		if (c->wanted[i].ttl > c->ttl_max)
			c->ttl_max = c->wanted[i].ttl;
	c->relay_known = host_user_id(c->host->users.relayd, &c->relay_uid, &gid) == TULLE_OK;
	return problems->errors > 0 ? TULLE_EINVAL : TULLE_OK;
}

enum tulle_err
config_read(struct config **ret, struct buf *out)
{
	struct config *c = calloc(1, sizeof(*c));
	struct problems problems;
	enum tulle_err e, other;

	if (c == NULL)
		return TULLE_ENOMEM;
	problems_init(&problems);
	e = host_config_read(&c->host, paths_etc("tulle.yaml"), &problems);
	other = identities_read(&c->ids, paths_etc("identities.yaml"), &problems);
	if (e == TULLE_OK)
		e = other;
	if (e == TULLE_OK) {
		c->td_given = names_trust_domain(paths_etc("tulle.yaml"));
		e = build(c, &problems);
	}
	problems_print(out, &problems);
	problems_free(&problems);
	if (e) {
		config_free(c);
		return e;
	}
	*ret = c;
	return TULLE_OK;
}
