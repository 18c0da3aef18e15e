/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/build.h"

#define SNAPSHOT_MAX_BYTES (512u << 20)

/* ---- loading --------------------------------------------------------------------- */

static int
by_kind_and_name(const void *a, const void *b)
{
	const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;
	int c = (int)x->kind - (int)y->kind;

	if (c == 0)
		c = strcmp(x->meta->namespace, y->meta->namespace);
	if (c == 0)
		c = strcmp(x->meta->name, y->meta->name);
	return c;
}

static enum tulle_err
check_names(struct build *b)
{
	const struct object **all = arena_array(&b->scratch, b->objects.n, sizeof(*all));
	const struct object *o, *first, *second;
	size_t n = 0;

	if (all == NULL)
		return TULLE_ENOMEM;
	for (o = b->objects.first; o != NULL; o = o->next)
		all[n++] = o;
	if (n > 0)
		qsort((void *)all, n, sizeof(*all), by_kind_and_name);
	for (size_t i = 1; i < n; i++) {
		if (by_kind_and_name(&all[i - 1], &all[i]) != 0)
			continue;
		first = all[i - 1]->index < all[i]->index ? all[i - 1] : all[i];
		second = first == all[i] ? all[i - 1] : all[i];
		problem_error(b->problems, second->meta->place, "metadata.name",
		    "there is a %s %s/%s already (%s:%u); names are unique for a kind and namespace",
		    object_kind_name(second->kind), second->meta->namespace, second->meta->name,
		    first->meta->place.file, first->meta->place.line);
	}
	return TULLE_OK;
}

char *
snapshot_revision(char out[SNAPSHOT_REVISION], const struct manifest_file *files, size_t n)
{
	uint64_t hash = HASH_SEED;

	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(files[i].name, '/');
		const uint64_t len = files[i].len;

		hash = hash_text(hash, slash != NULL ? slash + 1 : files[i].name);
		hash = hash_bytes(hash, &len, sizeof(len));
		hash = hash_bytes(hash, files[i].data, files[i].len);
	}
	(void)snprintf(out, SNAPSHOT_REVISION, "%016" PRIx64, hash);
	return out;
}

static void
set_revision(struct snapshot *s, const struct snapshot_input *in)
{
	if (in->revision != NULL)
		(void)snprintf(s->revision, sizeof(s->revision), "%s", in->revision);
	else
		(void)snapshot_revision(s->revision, in->files, in->n_files);
}

static enum tulle_err
build_all(struct build *b)
{
	const size_t errors = b->problems->errors;
	struct snapshot *s = &b->out->pub;
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < b->in->n_files && e != TULLE_ENOMEM; i++) {
		const struct manifest_file *f = &b->in->files[i];

		e = objects_parse(&b->objects, &b->out->arena, f->name, f->data, f->len, b->problems);
	}
	if (e == TULLE_ENOMEM)
		return e;
	e = check_names(b);
	if (e == TULLE_OK)
		e = build_sites(b);
	if (e == TULLE_OK)
		e = build_services(b);
	if (e == TULLE_OK)
		e = build_workloads(b);
	if (e != TULLE_OK)
		return e;
	if (b->problems->errors != errors)
		return TULLE_EINVAL;
	s->generation = b->in->generation;
	s->outbound_policy = (enum outbound_policy)b->in->host->outbound_policy;
	s->n_policies = b->objects.count[OBJECT_AUTHORIZATION_POLICY];
	memcpy(s->objects, b->objects.count, sizeof(s->objects));
	set_revision(s, b->in);
	return TULLE_OK;
}

static void
release(struct snapshot_inner *inner)
{
	for (size_t i = 0; i < inner->n_all; i++)
		(void)endpoint_unref(inner->all[i]);
	free((void *)inner->all);
	(void)identities_free(inner->identities);
	arena_free(&inner->arena);
	free(inner);
}

enum tulle_err
snapshot_load(struct snapshot **ret, const struct snapshot_input *in, struct problems *problems)
{
	struct build b = { .in = in, .trust_domain = in->host->trust_domain, .problems = problems };
	struct snapshot_inner *inner = calloc(1, sizeof(*inner));
	enum tulle_err e;

	if (inner == NULL)
		return TULLE_ENOMEM;
	inner->pub.inner = inner;
	atomic_init(&inner->refs, 1);
	inner->arena = arena_new(SNAPSHOT_MAX_BYTES);
	b.out = inner;
	b.scratch = arena_new(SNAPSHOT_MAX_BYTES);
	e = build_all(&b);
	arena_free(&b.scratch);
	if (e != TULLE_OK) {
		release(inner);
		return e;
	}
	inner->identities = in->identities;
	inner->pub.identities = in->identities;
	*ret = &inner->pub;
	return TULLE_OK;
}

const struct snapshot *
snapshot_ref(const struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->inner->refs, 1, memory_order_relaxed);
	return s;
}

const struct snapshot *
snapshot_unref(const struct snapshot *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&s->inner->refs, 1, memory_order_acq_rel) == 1)
		release(s->inner);
	return NULL;
}

/* ---- looking up -------------------------------------------------------------------- */

const struct service_port *
snapshot_service(const struct snapshot *s, const struct addr *a)
{
	const struct table *t = &s->inner->services;
	const uint64_t hash = hash_addr(a);
	const struct service_port *p;
	size_t at;

	for (at = table_start(t, hash); (p = table_next(t, hash, &at)) != NULL;)
		for (size_t i = 0; p->port == a->port && i < p->service->n_cluster_ips; i++)
			if (addr_equal_ip(&p->service->cluster_ips[i], a))
				return p;
	return NULL;
}

static const struct endpoint *
find_endpoint(const struct table *t, const struct addr *a)
{
	const uint64_t hash = hash_addr(a);
	const struct endpoint *e;
	size_t at;

	for (at = table_start(t, hash); (e = table_next(t, hash, &at)) != NULL;)
		if (addr_equal(&e->addr, a))
			return e;
	return NULL;
}

const struct endpoint *
snapshot_endpoint(const struct snapshot *s, const struct addr *a)
{
	const struct endpoint *e = find_endpoint(&s->inner->endpoints, a);
	struct addr any = *a;

	if (e == NULL) {
		any.port = 0;
		e = find_endpoint(&s->inner->endpoints, &any);
	}
	return e;
}

static bool
has_port(const struct workload *w, uint16_t port)
{
	if (port == 0)
		return true; /* the table knows who gets every other port */
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i].port == port)
			return true;
	return false;
}

static const struct workload *
find_workload(const struct table *t, const struct addr *a)
{
	const uint64_t hash = hash_addr(a);
	const struct workload *w;
	size_t at;

	for (at = table_start(t, hash); (w = table_next(t, hash, &at)) != NULL;)
		if (addr_equal_ip(&w->address, a) && has_port(w, a->port))
			return w;
	return NULL;
}

const struct workload *
snapshot_workload(const struct snapshot *s, const struct addr *a)
{
	const struct workload *w = find_workload(&s->inner->workloads, a);
	struct addr any = *a;

	if (w == NULL) {
		any.port = 0;
		w = find_workload(&s->inner->workloads, &any);
	}
	return w != NULL ? w : &s->workloads[s->n_workloads - 1];
}

const char *
snapshot_identity_at(const struct snapshot *s, const struct addr *a)
{
	const char *only = NULL;

	for (size_t i = 0; i + 1 < s->n_workloads; i++) { /* the last one is the host itself */
		const struct workload *w = &s->workloads[i];

		if (!addr_equal_ip(&w->address, a))
			continue;
		if (w->identity == NULL || (only != NULL && strcmp(only, w->identity) != 0))
			return NULL; /* also where one of them is nobody: it may be the one that is meant */
		only = w->identity;
	}
	return only;
}

enum mtls_mode
workload_mtls(const struct workload *w, uint16_t port)
{
	for (size_t i = 0; i < w->n_port_mtls; i++)
		if (w->port_mtls[i].port == port)
			return (enum mtls_mode)w->port_mtls[i].mode;
	return w->mtls;
}
