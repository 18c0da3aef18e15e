/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WorkloadEntries by address: who lives where, and whose port is it? */
#include <stdlib.h>
#include <string.h>

#include "manifest/build.h"

bool
is_root_namespace(const char *namespace)
{
	return strcmp(namespace, "istio-system") == 0 || strcmp(namespace, "tulle-system") == 0;
}

char *
identity_uri(struct arena *arena, const char *trust_domain, const char *namespace, const char *account)
{
	return arena_printf(arena, "spiffe://%s/ns/%s/sa/%s", trust_domain, namespace, account);
}

char *
identity_sni(struct arena *arena, const char *trust_domain, const char *namespace, const char *account)
{
	return arena_printf(arena, "%s.%s.sa.%s", account, namespace, trust_domain);
}

const struct site *
site_find(const struct build *b, const struct addr *ip)
{
	struct addr key = *ip;
	const struct site *s;
	uint64_t hash;
	size_t at;

	key.port = 0;
	hash = hash_addr(&key);
	for (at = table_start(&b->site_by_ip, hash); (s = table_next(&b->site_by_ip, hash, &at)) != NULL;)
		if (addr_equal(&s->ip, &key))
			return s;
	return NULL;
}

static bool
claims(const struct workload_spec *w, uint32_t port)
{
	for (size_t i = 0; i < w->ports.n; i++)
		if (w->ports.items[i].port == port)
			return true;
	return false;
}

const struct workload_spec *
site_owner(const struct site *site, uint32_t port)
{
	for (size_t i = 0; i < site->n; i++)
		if (claims(site->entries[i], port))
			return site->entries[i];
	for (size_t i = 0; i < site->n; i++)
		if (site->entries[i]->ports.n == 0)
			return site->entries[i];
	return site->n == 1 ? site->entries[0] : NULL;
}

/* Two at one address must not want the same port, or connections would go to whoever stands first. */
static void
check_pair(struct build *b, const struct workload_spec *first, const struct workload_spec *second)
{
	char text[ADDR_TEXT];

	if (first->ports.n == 0 && second->ports.n == 0) {
		problem_error(b->problems, second->meta.place, "spec.address",
		    "%s is that of WorkloadEntry %s/%s, too (%s:%u); give each its spec.ports",
		    addr_format(&second->address, text), first->meta.namespace, first->meta.name,
		    first->meta.place.file, first->meta.place.line);
		return;
	}
	for (size_t i = 0; i < second->ports.n; i++)
		if (claims(first, second->ports.items[i].port))
			problem_error(b->problems, second->meta.place, "spec.ports",
			    "%u of %s is a port of WorkloadEntry %s/%s, too (%s:%u); each port has one owner",
			    second->ports.items[i].port, addr_format(&second->address, text), first->meta.namespace,
			    first->meta.name, first->meta.place.file, first->meta.place.line);
}

static bool
is_local(const struct snapshot_input *in, const struct addr *ip)
{
	if (in->all_local || addr_is_loopback(ip))
		return true;
	for (size_t i = 0; i < in->n_local; i++)
		if (addr_equal_ip(&in->local[i], ip))
			return true;
	return false;
}

struct ordered {
	const struct workload_spec *w;
	size_t index;
};

static int
by_address(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	int c = memcmp(&x->w->address.family, &y->w->address.family, 1);

	if (c == 0)
		c = memcmp(x->w->address.ip, y->w->address.ip, sizeof(x->w->address.ip));
	if (c == 0)
		c = x->index < y->index ? -1 : x->index > y->index;
	return c;
}

/* More than a handful at one address is a mistake; the bound keeps the pairwise check short. */
#define SITE_MAX 64

static enum tulle_err
add_site(struct build *b, const struct ordered *run, size_t n)
{
	struct site *s = &b->sites[b->n_sites++];
	const struct workload_spec **entries = arena_array(&b->scratch, n, sizeof(*entries));

	if (entries == NULL)
		return TULLE_ENOMEM;
	if (n > SITE_MAX) {
		problem_error(b->problems, run[SITE_MAX].w->meta.place, "spec.address",
		    "more than %d WorkloadEntries have this address", SITE_MAX);
		n = SITE_MAX;
	}
	for (size_t i = 0; i < n; i++) {
		entries[i] = run[i].w;
		for (size_t j = 0; j < i; j++)
			check_pair(b, entries[j], entries[i]);
	}
	s->ip = run[0].w->address;
	s->local = is_local(b->in, &s->ip);
	s->entries = entries;
	s->n = n;
	return table_put(&b->site_by_ip, &b->scratch, hash_addr(&s->ip), s) ? TULLE_OK : TULLE_ENOMEM;
}

enum tulle_err
build_sites(struct build *b)
{
	const size_t n = b->objects.count[OBJECT_WORKLOAD_ENTRY];
	struct ordered *all = arena_array(&b->scratch, n, sizeof(*all));
	enum tulle_err e = TULLE_OK;
	const struct object *o;
	size_t i, end;

	b->entries = arena_array(&b->scratch, n, sizeof(*b->entries));
	b->sites = arena_array(&b->scratch, n, sizeof(*b->sites));
	if (all == NULL || b->entries == NULL || b->sites == NULL)
		return TULLE_ENOMEM;
	for (o = b->objects.first; o != NULL; o = o->next) {
		if (o->kind != OBJECT_WORKLOAD_ENTRY)
			continue;
		all[b->n_entries] = (struct ordered){ o->workload, b->n_entries };
		b->entries[b->n_entries++] = o->workload;
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), by_address);
	for (i = 0; i < n && e == TULLE_OK; i = end) {
		for (end = i + 1; end < n && addr_equal_ip(&all[i].w->address, &all[end].w->address); end++)
			continue;
		e = add_site(b, all + i, end - i);
	}
	return e;
}
