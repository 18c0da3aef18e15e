/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The workloads, ours and others', and which AuthorizationPolicies and PeerAuthentications apply to each. */
#include <stdio.h>
#include <string.h>

#include "manifest/build.h"

/* ---- policies ------------------------------------------------------------------- */

static bool
applies(const struct auth_policy *p, const struct workload *w)
{
	return (strcmp(p->meta.namespace, w->namespace) == 0 || is_root_namespace(p->meta.namespace)) &&
	    labels_match(&p->selector, &w->labels);
}

/* All policies: DENY first, then ALLOW, then AUDIT; each in the order of the files. */
static enum tulle_err
collect_policies(struct build *b)
{
	static const enum policy_action order[] = { POLICY_DENY, POLICY_ALLOW, POLICY_AUDIT };
	const struct object *o;

	b->policies = arena_array(&b->scratch, b->objects.count[OBJECT_AUTHORIZATION_POLICY], sizeof(*b->policies));
	if (b->policies == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (o = b->objects.first; o != NULL; o = o->next)
			if (o->kind == OBJECT_AUTHORIZATION_POLICY && o->policy->action == (int)order[i])
				b->policies[b->n_policies++] = o->policy;
	return TULLE_OK;
}

static enum tulle_err
attach_policies(struct build *b, struct workload *w)
{
	const struct auth_policy **list;
	size_t n = 0;

	for (size_t i = 0; i < b->n_policies; i++)
		n += applies(b->policies[i], w);
	list = arena_array(&b->out->arena, n, sizeof(*list));
	if (list == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < b->n_policies; i++) {
		const struct auth_policy *p = b->policies[i];

		if (!applies(p, w))
			continue;
		list[w->n_policies++] = p;
		w->n_deny += p->action == POLICY_DENY;
		w->n_allow += p->action == POLICY_ALLOW;
		w->n_audit += p->action == POLICY_AUDIT;
	}
	w->policies = list;
	return TULLE_OK;
}

/* ---- PeerAuthentication ----------------------------------------------------------- */

enum level { LEVEL_MESH, LEVEL_NAMESPACE, LEVEL_WORKLOAD, LEVELS };

/* At which level <p> speaks for <w>; LEVELS: not at all. */
static enum level
level_of(const struct peer_auth *p, const struct workload *w)
{
	const bool same = strcmp(p->meta.namespace, w->namespace) == 0;

	if (p->selector.n > 0)
		return same && labels_match(&p->selector, &w->labels) ? LEVEL_WORKLOAD : LEVELS;
	if (is_root_namespace(p->meta.namespace))
		return LEVEL_MESH;
	return same ? LEVEL_NAMESPACE : LEVELS;
}

static enum tulle_err
collect_peers(struct build *b)
{
	const struct object *o;

	b->peers = arena_array(&b->scratch, b->objects.count[OBJECT_PEER_AUTHENTICATION], sizeof(*b->peers));
	if (b->peers == NULL)
		return TULLE_ENOMEM;
	for (o = b->objects.first; o != NULL; o = o->next)
		if (o->kind == OBJECT_PEER_AUTHENTICATION)
			b->peers[b->n_peers++] = o->peer;
	return TULLE_OK;
}

static enum tulle_err
attach_mtls(struct build *b, struct workload *w)
{
	const struct peer_auth *at[LEVELS] = { NULL }, *p;
	struct port_mtls *ports;

	for (size_t i = 0; i < b->n_peers; i++) {
		const struct peer_auth *one = b->peers[i];
		enum level level = level_of(one, w);

		if (level == LEVELS)
			continue;
		p = at[level];
		if (p != NULL && level == LEVEL_WORKLOAD)
			problem_error(b->problems, one->meta.place, "spec.selector",
			    "PeerAuthentication %s/%s is for workload %s, too (%s:%u); one at a time decides",
			    p->meta.namespace, p->meta.name, w->name, p->meta.place.file, p->meta.place.line);
		else
			at[level] = one;
	}
	w->mtls = MTLS_PERMISSIVE;
	for (int level = LEVEL_MESH; level < LEVELS; level++)
		if (at[level] != NULL && at[level]->mode != MTLS_UNSET)
			w->mtls = (enum mtls_mode)at[level]->mode;
	p = at[LEVEL_WORKLOAD];
	if (p == NULL || p->ports.n == 0)
		return TULLE_OK;
	ports = arena_array(&b->out->arena, p->ports.n, sizeof(*ports));
	if (ports == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < p->ports.n; i++) {
		ports[i] = p->ports.items[i];
		if (ports[i].mode == MTLS_UNSET)
			ports[i].mode = (int)w->mtls;
	}
	w->port_mtls = ports;
	w->n_port_mtls = p->ports.n;
	return TULLE_OK;
}

/* Two that speak for a whole namespace, or for the mesh, would be decided by chance. */
static void
check_wide_peers(struct build *b)
{
	const struct object *o, *first;

	for (o = b->objects.first; o != NULL; o = o->next) {
		if (o->kind != OBJECT_PEER_AUTHENTICATION || o->peer->selector.n > 0)
			continue;
		for (first = b->objects.first; first != o; first = first->next) {
			if (first->kind != OBJECT_PEER_AUTHENTICATION || first->peer->selector.n > 0)
				continue;
			if (strcmp(first->meta->namespace, o->meta->namespace) == 0 ||
			    (is_root_namespace(first->meta->namespace) && is_root_namespace(o->meta->namespace))) {
				problem_error(b->problems, o->meta->place, NULL,
				    "PeerAuthentication %s/%s (%s:%u) is for the whole %s, too; write one",
				    first->meta->namespace, first->meta->name, first->meta->place.file,
				    first->meta->place.line,
				    is_root_namespace(o->meta->namespace) ? "mesh" : "namespace");
				break;
			}
		}
	}
}

/* ---- warnings about policies that cannot mean what they say ------------------------- */

static void
warn_selector(struct build *b, const struct meta *meta, const struct labels *selector, bool root_is_wide)
{
	const bool wide = root_is_wide && is_root_namespace(meta->namespace);

	if (selector->n == 0)
		return;
	for (size_t i = 0; i < b->n_entries; i++)
		if ((wide || strcmp(b->entries[i]->meta.namespace, meta->namespace) == 0) &&
		    labels_match(selector, &b->entries[i]->labels))
			return;
	problem_warn(b->problems, meta->place, "spec.selector", "no WorkloadEntry%s%s has these labels",
	    wide ? "" : " of namespace ", wide ? "" : meta->namespace);
}

/*
 * "cluster.local/..." is copied from clusters, where Istio reads it as "the
 * local trust domain"; here it is a name, as any other. There is no
 * federation, so such an entry fits nobody: an ALLOW is too narrow then, and
 * a DENY, or what stands behind "not", too wide.
 */
static bool
is_foreign(const struct build *b, const char *td, size_t len)
{
	static const char local[] = "cluster.local", nobodys[] = "mesh.example";

	if (len == strlen(b->trust_domain) && memcmp(td, b->trust_domain, len) == 0)
		return false;
	/* Without trustDomain in tulle.yaml the true one may not be known yet, or here. */
	return b->in->host->trust_domain_given || strcmp(b->trust_domain, nobodys) != 0 ||
	    (len == sizeof(local) - 1 && memcmp(td, local, len) == 0);
}

/* <whole>: the text is a trust domain, else a trust domain is what stands before its first slash. */
static void
warn_foreign(struct build *b, const struct policy_source *s, const char *field, const struct patterns *list, bool whole)
{
	char td[PROBLEM_SHOWN], shown[PROBLEM_SHOWN];

	for (size_t i = 0; i < list->n; i++) {
		const struct pattern *p = &list->items[i];
		const char *slash = strchr(p->text, '/');
		const size_t len = whole ? p->len : slash != NULL ? (size_t)(slash - p->text) : 0;

		if (len == 0 || p->how == PATTERN_SUFFIX || (whole && p->how != PATTERN_EXACT) || !is_foreign(b, p->text, len))
			continue;
		(void)snprintf(td, sizeof(td), "%.*s", (int)len, p->text);
		problem_warn(b->problems, s->place, field, "%s is not the trust domain of this mesh; write %s%s",
		    problem_show(shown, td), b->trust_domain, whole ? "" : "/...");
	}
}

/* A namespace is a name without a slash. */
static void
warn_slash(struct build *b, const struct policy_source *s, const char *field, const struct patterns *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (strchr(list->items[i].text, '/') != NULL)
			problem_warn(b->problems, s->place, field, "no namespace has a slash; principals take whole names");
}

static void
warn_sources(struct build *b, const struct auth_policy *p)
{
	for (size_t r = 0; r < p->rules.n; r++) {
		for (size_t f = 0; f < p->rules.items[r].from.n; f++) {
			const struct policy_source *s = &p->rules.items[r].from.items[f];

			warn_foreign(b, s, "principals", &s->principals, false);
			warn_foreign(b, s, "notPrincipals", &s->not_principals, false);
			warn_foreign(b, s, "trustDomains", &s->trust_domains, true);
			warn_foreign(b, s, "notTrustDomains", &s->not_trust_domains, true);
			warn_slash(b, s, "namespaces", &s->namespaces);
			warn_slash(b, s, "notNamespaces", &s->not_namespaces);
		}
	}
}

static void
warn_all(struct build *b)
{
	const struct object *o;

	for (o = b->objects.first; o != NULL; o = o->next) {
		if (o->kind == OBJECT_AUTHORIZATION_POLICY) {
			warn_selector(b, o->meta, &o->policy->selector, true);
			warn_sources(b, o->policy);
		} else if (o->kind == OBJECT_PEER_AUTHENTICATION) {
			warn_selector(b, o->meta, &o->peer->selector, false);
		}
	}
}

/* ---- workloads ----------------------------------------------------------------------------- */

static enum tulle_err
name_identity(struct build *b, struct workload *w)
{
	struct arena *arena = &b->out->arena;

	if (w->account != NULL) {
		w->identity = identity_uri(arena, b->trust_domain, w->namespace, w->account);
		w->sni = identity_sni(arena, b->trust_domain, w->namespace, w->account);
		if (w->identity == NULL || w->sni == NULL)
			return TULLE_ENOMEM;
	}
	return TULLE_OK;
}

static enum tulle_err
finish_workload(struct build *b, struct workload *w)
{
	enum tulle_err e = name_identity(b, w);

	if (e == TULLE_OK)
		e = attach_policies(b, w);
	if (e == TULLE_OK)
		e = attach_mtls(b, w);
	return e;
}

static enum tulle_err
add_workload(struct build *b, const struct site *site, const struct workload_spec *spec, struct workload *w)
{
	struct snapshot_inner *out = b->out;
	struct addr at = spec->address;

	*w = (struct workload){ .place = spec->meta.place, .name = spec->meta.name, .namespace = spec->meta.namespace,
		.account = spec->service_account, .address = spec->address, .ports = spec->ports.items,
		.n_ports = spec->ports.n, .labels = spec->labels };
	for (size_t i = 0; i < spec->ports.n; i++) {
		at.port = (uint16_t)spec->ports.items[i].port;
		if (!table_put(&out->workloads, &out->arena, hash_addr(&at), w))
			return TULLE_ENOMEM;
	}
	at.port = 0; /* every other port */
	if (site_owner(site, 0) == spec && !table_put(&out->workloads, &out->arena, hash_addr(&at), w))
		return TULLE_ENOMEM;
	return finish_workload(b, w);
}

static enum tulle_err
add_host(struct build *b, struct workload *w)
{
	const struct host_config *host = b->in->host;
	struct arena *arena = &b->out->arena;

	*w = (struct workload){ .place = { .file = "tulle.yaml" }, .name = "",
		.namespace = arena_printf(arena, "%s", host->identity.default_namespace) };
	if (host->identity.default_account != NULL) {
		w->account = arena_printf(arena, "%s", host->identity.default_account);
		if (w->account == NULL)
			return TULLE_ENOMEM;
	}
	return w->namespace != NULL ? finish_workload(b, w) : TULLE_ENOMEM;
}

/* Those of all sites that are of this host, or those of all that are not, behind the <*n> that are there. */
static enum tulle_err
add_sites(struct build *b, bool local, struct workload *list, size_t *n)
{
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < b->n_sites; i++)
		for (size_t j = 0; b->sites[i].local == local && j < b->sites[i].n && e == TULLE_OK; j++)
			e = add_workload(b, &b->sites[i], b->sites[i].entries[j], &list[(*n)++]);
	return e;
}

/*
 * Those elsewhere can be looked up as well: an address may come to this host
 * at any moment, and what is delivered here before that is known is judged
 * by the policies for it, not by those for the host.
 */
enum tulle_err
build_workloads(struct build *b)
{
	struct workload *all = arena_array(&b->out->arena, b->n_entries + 1, sizeof(*all));
	enum tulle_err e;
	size_t n = 0;

	if (all == NULL)
		return TULLE_ENOMEM;
	check_wide_peers(b);
	warn_all(b);
	e = collect_policies(b);
	if (e == TULLE_OK)
		e = collect_peers(b);
	if (e == TULLE_OK)
		e = add_sites(b, true, all, &n);
	if (e == TULLE_OK)
		e = add_host(b, &all[n++]);
	b->out->pub.workloads = all;
	b->out->pub.n_workloads = n;
	return e == TULLE_OK ? add_sites(b, false, all, &n) : e;
}
