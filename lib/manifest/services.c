/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Services and their endpoints: from WorkloadEntries by selector, from EndpointSlices by name. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "manifest/build.h"

/* ---- endpoints --------------------------------------------------------------- */

static const struct endpoint *
previous_endpoint(const struct build *b, const char *name)
{
	const uint64_t hash = hash_text(HASH_SEED, name);
	const struct table *t;
	const struct endpoint *e;
	size_t at;

	if (b->in->previous == NULL)
		return NULL;
	t = &b->in->previous->inner->by_name;
	for (at = table_start(t, hash); (e = table_next(t, hash, &at)) != NULL;)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

/* Takes over the reference to <e>. */
static enum tulle_err
keep_endpoint(struct build *b, struct endpoint *e)
{
	struct snapshot_inner *out = b->out;
	struct endpoint **more;

	if (out->n_all == out->all_room) {
		const size_t room = out->all_room > 0 ? 2 * out->all_room : 16;

		more = realloc(out->all, room * sizeof(struct endpoint *));
		if (more == NULL) {
			(void)endpoint_unref(e);
			return TULLE_ENOMEM;
		}
		out->all = more;
		out->all_room = room;
	}
	out->all[out->n_all++] = e;
	if (!table_put(&out->by_name, &out->arena, hash_text(HASH_SEED, e->name), e) ||
	    !table_put(&out->endpoints, &out->arena, hash_addr(&e->addr), e))
		return TULLE_ENOMEM;
	return TULLE_OK;
}

static enum tulle_err
make_endpoint(struct build *b, const char *name, const struct workload_spec *w, const struct addr *at,
    struct endpoint **ret)
{
	const struct site *site = site_find(b, at);
	const struct endpoint *old = previous_endpoint(b, name);
	struct endpoint draft = { .name = name, .addr = *at, .weight = 1, .local = site != NULL && site->local };

	if (w != NULL) {
		draft.weight = w->weight;
		draft.namespace = w->meta.namespace;
		draft.workload = w->meta.name;
		draft.account = w->service_account;
		draft.locality = w->locality;
		draft.labels = w->labels;
	}
	if (draft.account != NULL) {
		draft.meshed = true;
		draft.identity = identity_uri(&b->scratch, b->trust_domain, draft.namespace, draft.account);
		draft.sni = identity_sni(&b->scratch, b->trust_domain, draft.namespace, draft.account);
		if (draft.identity == NULL || draft.sni == NULL)
			return TULLE_ENOMEM;
	}
	if (old != NULL && endpoint_same(old, &draft))
		*ret = endpoint_ref(old)->self;
	else
		*ret = endpoint_new(&draft, old != NULL ? old->state : NULL);
	return *ret != NULL ? TULLE_OK : TULLE_ENOMEM;
}

enum tulle_err
build_endpoint(struct build *b, const struct workload_spec *w, const struct addr *at, struct draft **ret)
{
	char text[ADDR_TEXT], *name;
	struct endpoint *e = NULL;
	struct draft *d;
	enum tulle_err err;
	uint64_t hash;
	size_t i;

	name = arena_printf(&b->scratch, "%s/%s/%s", w != NULL ? w->meta.namespace : "-",
	    w != NULL ? w->meta.name : "-", addr_format(at, text));
	if (name == NULL)
		return TULLE_ENOMEM;
	hash = hash_text(HASH_SEED, name);
	for (i = table_start(&b->drafts, hash); (d = table_next(&b->drafts, hash, &i)) != NULL;) {
		if (strcmp(d->endpoint->name, name) == 0) {
			*ret = d;
			return TULLE_OK;
		}
	}
	d = arena_alloc(&b->scratch, sizeof(*d));
	if (d == NULL)
		return TULLE_ENOMEM;
	err = make_endpoint(b, name, w, at, &e);
	if (err == TULLE_OK)
		err = keep_endpoint(b, e);
	if (err != TULLE_OK)
		return err;
	d->endpoint = e;
	if (!table_put(&b->drafts, &b->scratch, hash, d))
		return TULLE_ENOMEM;
	*ret = d;
	return TULLE_OK;
}

/* ---- the endpoints of one port ------------------------------------------------- */

/* A service being made, and the slices that name it. */
struct making {
	const struct service_spec *spec;
	struct service *service;
	struct slices {
		const struct slice_spec *slice;
		struct slices *next;
	} *slices;
};

struct collect {
	struct build *b;
	const struct making *m;
	const struct service_port_spec *port;
	const struct endpoint **list; /* from malloc() */
	size_t n, room;
	size_t mark;
};

static enum tulle_err
collect_endpoint(struct collect *c, const struct workload_spec *w, struct addr at, uint32_t port)
{
	const struct endpoint **more;
	struct draft *d;
	enum tulle_err e;

	at.port = (uint16_t)port;
	e = build_endpoint(c->b, w, &at, &d);
	if (e != TULLE_OK || d->mark == c->mark)
		return e;
	d->mark = c->mark;
	if (c->n == c->room) {
		const size_t room = c->room > 0 ? 2 * c->room : 16;

		more = realloc((void *)c->list, room * sizeof(struct endpoint *));
		if (more == NULL)
			return TULLE_ENOMEM;
		c->list = more;
		c->room = room;
	}
	c->list[c->n++] = d->endpoint;
	return TULLE_OK;
}

static uint32_t
named_port(const struct workload_spec *w, const char *name)
{
	for (size_t i = 0; name != NULL && i < w->ports.n; i++)
		if (strcmp(w->ports.items[i].name, name) == 0)
			return w->ports.items[i].port;
	return 0;
}

/*
 * Which port of <w> a service's port means: targetPort if it is a name; else
 * what <w> itself says under the service port's name, as in Istio; else
 * targetPort's number, else the same number.  0: an error was added.
 */
static uint32_t
target_port(struct build *b, const struct service_port_spec *p, const struct workload_spec *w)
{
	uint32_t port;

	if (p->target.name != NULL) {
		port = named_port(w, p->target.name);
		if (port == 0)
			problem_error(b->problems, p->place, "targetPort",
			    "\"%s\" is not among the ports of WorkloadEntry %s/%s (%s:%u); name it there or write its number",
			    p->target.name, w->meta.namespace, w->meta.name, w->meta.place.file, w->meta.place.line);
		return port;
	}
	port = named_port(w, p->name);
	if (port == 0)
		port = p->target.number != 0 ? p->target.number : p->port;
	return port;
}

static enum tulle_err
collect_selected(struct collect *c)
{
	struct build *b = c->b;
	const struct service_spec *spec = c->m->spec;
	const struct workload_spec *w;
	const struct site *site;
	enum tulle_err e = TULLE_OK;
	char text[ADDR_TEXT];
	uint32_t port;

	for (size_t i = 0; spec->selector.n > 0 && i < b->n_entries && e == TULLE_OK; i++) {
		w = b->entries[i];
		if (strcmp(w->meta.namespace, spec->meta.namespace) != 0 || !labels_match(&spec->selector, &w->labels))
			continue;
		port = target_port(b, c->port, w);
		if (port == 0)
			continue;
		site = site_find(b, &w->address);
		if (site == NULL || site_owner(site, port) != w) {
			problem_error(b->problems, c->port->place, "targetPort",
			    "%u at %s is not among the ports of WorkloadEntry %s/%s (%s:%u), and others live at that address",
			    port, addr_format(&w->address, text), w->meta.namespace, w->meta.name, w->meta.place.file,
			    w->meta.place.line);
			continue;
		}
		e = collect_endpoint(c, w, w->address, port);
	}
	return e;
}

/* The port of a slice for this service port; 0 if it has none. */
static uint32_t
slice_target(const struct slice_spec *s, const struct service_port_spec *p)
{
	const char *name = p->name != NULL ? p->name : "";

	for (size_t i = 0; i < s->ports.n; i++) {
		const struct slice_port *sp = &s->ports.items[i];

		if (sp->protocol == p->protocol && strcmp(sp->name, name) == 0)
			return sp->port != 0 ? sp->port : p->target.number != 0 ? p->target.number : p->port;
	}
	return 0;
}

static enum tulle_err
collect_slice(struct collect *c, const struct slice_spec *s)
{
	const uint32_t port = slice_target(s, c->port);
	const struct site *site;
	enum tulle_err e = TULLE_OK;

	if (port == 0) {
		problem_warn(c->b->problems, s->meta.place, "ports",
		    "none has the name \"%s\" of a port of Service %s/%s; it gets no endpoint from here",
		    c->port->name != NULL ? c->port->name : "", s->meta.namespace, s->service);
		return TULLE_OK;
	}
	for (size_t i = 0; i < s->endpoints.n; i++) {
		const struct slice_endpoint *se = &s->endpoints.items[i];

		for (size_t j = 0; se->ready && j < se->addresses.n && e == TULLE_OK; j++) {
			site = site_find(c->b, &se->addresses.items[j]);
			e = collect_endpoint(c, site != NULL ? site_owner(site, port) : NULL, se->addresses.items[j],
			    port);
		}
	}
	return e;
}

static enum tulle_err
collect_port(struct build *b, const struct making *m, const struct service_port_spec *spec, struct service_port *ret)
{
	struct collect c = { .b = b, .m = m, .port = spec, .mark = ++b->marks };
	const struct endpoint **list;
	const struct slices *s;
	enum tulle_err e;

	e = collect_selected(&c);
	for (s = m->slices; s != NULL && e == TULLE_OK; s = s->next)
		e = collect_slice(&c, s->slice);
	list = e == TULLE_OK ? arena_array(&b->out->arena, c.n, sizeof(*list)) : NULL;
	if (list != NULL && c.n > 0)
		memcpy((void *)list, (const void *)c.list, c.n * sizeof(*list));
	free((void *)c.list);
	if (list == NULL)
		return TULLE_ENOMEM;
	*ret = (struct service_port){
		.service = m->service,
		.name = spec->name != NULL ? spec->name : "",
		.port = (uint16_t)spec->port,
		.app_protocol = spec->app_protocol,
		.endpoints = list,
		.n_endpoints = c.n,
	};
	return TULLE_OK;
}

/* ---- services ------------------------------------------------------------------- */

static enum tulle_err
publish_port(struct build *b, const struct making *m, const struct service_port_spec *spec, struct service_port *port)
{
	struct snapshot_inner *out = b->out;
	const struct service_port *twin;
	char text[ADDR_TEXT];
	struct addr at;

	for (size_t i = 0; i < m->spec->cluster_ips.n; i++) {
		at = m->spec->cluster_ips.items[i];
		at.port = port->port;
		twin = snapshot_service(&out->pub, &at);
		if (twin != NULL)
			problem_error(b->problems, spec->place, "port",
			    "%s is that of Service %s/%s, too (%s:%u); every cluster address and port has one service",
			    addr_format(&at, text), twin->service->namespace, twin->service->name,
			    twin->service->place.file, twin->service->place.line);
		else if (!table_put(&out->services, &out->arena, hash_addr(&at), port))
			return TULLE_ENOMEM;
	}
	return TULLE_OK;
}

static enum tulle_err
make_service(struct build *b, struct making *m)
{
	const struct service_spec *spec = m->spec;
	struct service *s = m->service;
	struct service_port *ports = arena_array(&b->out->arena, spec->ports.n, sizeof(*ports));
	const size_t errors = b->problems->errors;
	bool any = false;
	enum tulle_err e = TULLE_OK;

	if (ports == NULL)
		return TULLE_ENOMEM;
	*s = (struct service){ .place = spec->meta.place, .name = spec->meta.name, .namespace = spec->meta.namespace,
		.cluster_ips = spec->cluster_ips.items, .n_cluster_ips = spec->cluster_ips.n, .ports = ports };
	for (size_t i = 0; i < spec->ports.n && e == TULLE_OK; i++) {
		const struct service_port_spec *p = &spec->ports.items[i];

		if (p->protocol != PROTOCOL_TCP)
			continue;
		e = collect_port(b, m, p, &ports[s->n_ports]);
		if (e == TULLE_OK)
			e = publish_port(b, m, p, &ports[s->n_ports]);
		any = any || ports[s->n_ports].n_endpoints > 0;
		s->n_ports++;
	}
	if (e != TULLE_OK || any || s->n_ports == 0 || b->problems->errors != errors)
		return e;
	if (spec->selector.n > 0 && m->slices == NULL)
		problem_warn(b->problems, spec->meta.place, "spec.selector",
		    "no WorkloadEntry of namespace %s has these labels; Service %s has no endpoint", s->namespace, s->name);
	else
		problem_warn(b->problems, spec->meta.place, NULL,
		    "Service %s/%s has no endpoint: no selector and no ready EndpointSlice", s->namespace, s->name);
	return TULLE_OK;
}

static uint64_t
name_hash(const char *namespace, const char *name)
{
	return hash_text(hash_text(HASH_SEED, namespace), name);
}

static enum tulle_err
attach_slice(struct build *b, const struct table *by_name, const struct slice_spec *slice)
{
	const uint64_t hash = name_hash(slice->meta.namespace, slice->service);
	struct slices *link, **tail;
	struct making *m;
	size_t at;

	for (at = table_start(by_name, hash); (m = table_next(by_name, hash, &at)) != NULL;)
		if (strcmp(m->spec->meta.namespace, slice->meta.namespace) == 0 &&
		    strcmp(m->spec->meta.name, slice->service) == 0)
			break;
	if (m == NULL) {
		problem_warn(b->problems, slice->meta.place, "metadata.labels",
		    "there is no Service %s/%s; nobody uses this EndpointSlice", slice->meta.namespace, slice->service);
		return TULLE_OK;
	}
	link = arena_alloc(&b->scratch, sizeof(*link));
	if (link == NULL)
		return TULLE_ENOMEM;
	link->slice = slice;
	for (tail = &m->slices; *tail != NULL; tail = &(*tail)->next)
		continue;
	*tail = link;
	return TULLE_OK;
}

/* Every port that a WorkloadEntry names can be dialled, in a service or not; all others if one lives there alone. */
static enum tulle_err
direct_endpoints(struct build *b)
{
	enum tulle_err e = TULLE_OK;
	struct draft *d;

	for (size_t i = 0; i < b->n_entries && e == TULLE_OK; i++) {
		const struct workload_spec *w = b->entries[i];
		const struct site *site = site_find(b, &w->address);
		struct addr at = w->address;

		for (size_t j = 0; j < w->ports.n && e == TULLE_OK; j++) {
			at.port = (uint16_t)w->ports.items[j].port;
			e = build_endpoint(b, w, &at, &d);
		}
		at.port = 0;
		if (e == TULLE_OK && site != NULL && site_owner(site, 0) == w)
			e = build_endpoint(b, w, &at, &d);
	}
	return e;
}

enum tulle_err
build_services(struct build *b)
{
	const size_t n = b->objects.count[OBJECT_SERVICE];
	struct service *services = arena_array(&b->out->arena, n, sizeof(*services));
	struct making *making = arena_array(&b->scratch, n, sizeof(*making));
	struct table by_name = { 0 };
	enum tulle_err e = TULLE_OK;
	const struct object *o;
	size_t i = 0;

	if (services == NULL || making == NULL)
		return TULLE_ENOMEM;
	for (o = b->objects.first; o != NULL; o = o->next) {
		if (o->kind != OBJECT_SERVICE)
			continue;
		making[i] = (struct making){ .spec = o->service, .service = &services[i] };
		if (!table_put(&by_name, &b->scratch, name_hash(o->meta->namespace, o->meta->name), &making[i]))
			return TULLE_ENOMEM;
		i++;
	}
	for (o = b->objects.first; o != NULL && e == TULLE_OK; o = o->next)
		if (o->kind == OBJECT_ENDPOINT_SLICE)
			e = attach_slice(b, &by_name, o->slice);
	for (i = 0; i < n && e == TULLE_OK; i++)
		e = make_service(b, &making[i]);
	if (e == TULLE_OK)
		e = direct_endpoints(b);
	b->out->pub.services = services;
	b->out->pub.n_services = n;
	b->out->pub.n_endpoints = b->out->n_all;
	return e;
}
