/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * build.h - what the parts of snapshot_load() share.  Within lib/manifest.
 *
 * The order: snapshot.c decodes the files and checks that names are unique;
 * sites.c groups WorkloadEntries by address; services.c makes services and
 * their endpoints; workloads.c finds ours and what applies to all.
 */
#ifndef TULLE_MANIFEST_BUILD_H
#define TULLE_MANIFEST_BUILD_H

#include "manifest/snapshot.h"
#include "manifest/table.h"

struct snapshot_inner {
	struct snapshot pub;
	atomic_uint refs;
	struct arena arena;         /* owns everything but the endpoints */
	struct table services;      /* (cluster address, port) -> struct service_port */
	struct table endpoints;     /* (address, port or 0) -> struct endpoint */
	struct table workloads;     /* (address, port or 0) -> struct workload, ours or not */
	struct table by_name;       /* endpoint name -> struct endpoint */
	struct endpoint **all;      /* one reference each */
	size_t n_all, all_room;
	struct identities *identities; /* owned; may be NULL */
};

/* All WorkloadEntries at one address. */
struct site {
	struct addr ip; /* port 0 */
	bool local;
	const struct workload_spec **entries; /* in the order of the files */
	size_t n;
};

/* An endpoint while services are built: <mark> says which list has it already. */
struct draft {
	struct endpoint *endpoint;
	size_t mark;
};

struct build {
	const struct snapshot_input *in;
	const char *trust_domain;
	struct problems *problems;
	struct snapshot_inner *out;
	struct arena scratch;   /* gone when the snapshot is done */
	struct objects objects;
	const struct workload_spec **entries; /* all WorkloadEntries, in the order of the files */
	size_t n_entries;
	struct site *sites;
	size_t n_sites;
	struct table site_by_ip;
	struct table drafts;    /* endpoint name -> struct draft */
	size_t marks;
	const struct auth_policy **policies; /* DENY, ALLOW, AUDIT */
	size_t n_policies;
	const struct peer_auth **peers;
	size_t n_peers;
};

/* Each returns TULLE_OK or TULLE_ENOMEM; what is wrong with the files goes to b->problems. */
enum tulle_err build_sites(struct build *b);
enum tulle_err build_services(struct build *b);
enum tulle_err build_workloads(struct build *b);

/* NULL if no WorkloadEntry is at this address. */
const struct site *site_find(const struct build *b, const struct addr *ip);

/* Whose port it is: see snapshot_workload().  NULL if nobody's. */
const struct workload_spec *site_owner(const struct site *site, uint32_t port);

/*
 * The endpoint of <w> (NULL: of nobody) at this address and port; the same
 * one for the same name.  It belongs to the snapshot.
 */
enum tulle_err build_endpoint(struct build *b, const struct workload_spec *w, const struct addr *at,
    struct draft **ret);

/* "spiffe://TD/ns/NS/sa/SA" and "SA.NS.sa.TD" in <arena>; NULL: no memory. */
char *identity_uri(struct arena *arena, const char *trust_domain, const char *namespace, const char *account);
char *identity_sni(struct arena *arena, const char *trust_domain, const char *namespace, const char *account);

/* A namespace whose objects count for the whole mesh. */
bool is_root_namespace(const char *namespace);

/*
 * A copy of <draft> and everything it points to, with one reference, which
 * shares <state> (NULL: a new one).  NULL: no memory.
 */
struct endpoint *endpoint_new(const struct endpoint *draft, struct endpoint_state *state);

/* Same in everything but the run-time state. */
bool endpoint_same(const struct endpoint *a, const struct endpoint *b);

#endif
