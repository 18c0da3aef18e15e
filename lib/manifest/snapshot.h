/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * snapshot.h - the mesh as this host sees it: services, endpoints, our own
 * workloads and the policies for them, immutable and shared by threads.
 *
 * Looking something up takes no memory and no lock.  What is returned is
 * lent: it lives as long as the snapshot (or endpoint) that the caller
 * holds.  Loading and releasing are not for the data path.
 */
#ifndef TULLE_MANIFEST_SNAPSHOT_H
#define TULLE_MANIFEST_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "manifest/dir.h"
#include "manifest/host.h"
#include "manifest/identities.h"
#include "manifest/objects.h"
#include "manifest/problem.h"

#define SNAPSHOT_REVISION 17 /* room for 16 hexadecimal digits */

/*
 * What is learnt about an endpoint at run time.  Keyed by the endpoint's
 * name, so it survives reloads.  decide/health.h and decide/balance.h say
 * what the words mean; all are used with relaxed atomics.
 */
struct endpoint_state {
	atomic_uint refs;
	atomic_uint active;                /* flows under way */
	atomic_uint failures;              /* connects that failed in a row */
	_Atomic uint64_t rest_until_ms;    /* monotonic; 0: not resting */
};

/* A place where a workload listens.  Referenced on its own: it may outlive its snapshot. */
struct endpoint {
	const char *name;      /* "NAMESPACE/WORKLOAD/ADDRESS:PORT", "-/-/ADDRESS:PORT" without a WorkloadEntry */
	struct addr addr;      /* port 0: whichever was dialled (snapshot_endpoint() only) */
	uint32_t weight;       /* at least 1 */
	bool local;            /* the address is one of this host's */
	bool meshed;           /* HBONE to it; else plain bytes */
	const char *identity;  /* "spiffe://TD/ns/NS/sa/SA" to expect; NULL if not meshed */
	const char *sni;       /* "SA.NS.sa.TD"; NULL if not meshed */
	const char *namespace; /* of the WorkloadEntry; NULL if there is none */
	const char *workload;  /* its name; NULL if there is none */
	const char *account;   /* its service account; NULL if there is none */
	const char *locality;  /* NULL if not given */
	struct labels labels;  /* of the WorkloadEntry */
	struct endpoint_state *state; /* shared with the endpoint of this name in other snapshots */
	atomic_uint refs;
	struct endpoint *self; /* this one, for whoever drops the last reference */
};

struct service_port {
	const struct service *service;
	const char *name;         /* "" if it has none */
	uint16_t port;
	const char *app_protocol; /* NULL if not declared */
	const struct endpoint *const *endpoints;
	size_t n_endpoints;       /* 0: no endpoint is ready */
};

struct service {
	struct place place;
	const char *name;
	const char *namespace;
	const struct addr *cluster_ips; /* port 0 */
	size_t n_cluster_ips;           /* 0: headless */
	const struct service_port *ports; /* TCP ports only */
	size_t n_ports;
};

/* A WorkloadEntry, or the host itself. */
struct workload {
	struct place place;       /* line 0: the host itself */
	const char *name;         /* "" for the host itself */
	const char *namespace;
	const char *account;      /* NULL: none */
	const char *identity;     /* "spiffe://..."; NULL: none */
	const char *sni;          /* "SA.NS.sa.TD"; NULL: none */
	struct addr address;      /* family 0 for the host itself */
	const struct workload_port *ports; /* none: every port of the address that no other workload claims */
	size_t n_ports;
	struct labels labels;
	const struct auth_policy *const *policies; /* all that apply, DENY first, then ALLOW, then AUDIT */
	size_t n_policies;
	size_t n_deny, n_allow, n_audit; /* in this order in <policies> */
	enum mtls_mode mtls;             /* never MTLS_UNSET */
	const struct port_mtls *port_mtls;
	size_t n_port_mtls;
};

struct snapshot {
	uint64_t generation;
	char revision[SNAPSHOT_REVISION];
	const struct service *services;
	size_t n_services;
	const struct workload *workloads; /* ours: those whose address is local; the last one is the host itself */
	size_t n_workloads;               /* at least 1 */
	size_t n_endpoints;
	size_t n_policies;                /* AuthorizationPolicies read, whether or not they apply here */
	size_t objects[OBJECT_KINDS];     /* how many of each kind were read */
	enum outbound_policy outbound_policy;
	const struct identities *identities; /* who connections of this host are (decide/owner.h); NULL: all of them the default */
	struct snapshot_inner *inner; /* look-up tables, memory and references: the snapshot's own */
};

struct snapshot_input {
	const struct manifest_file *files;
	size_t n_files;
	const struct addr *local; /* this host's addresses, ports ignored; loopback need not be named */
	size_t n_local;
	bool all_local; /* every WorkloadEntry is ours: to check the manifests of a whole mesh */
	const struct host_config *host; /* trustDomain, identity.default, outboundTrafficPolicy */
	const struct snapshot *previous; /* run-time state and unchanged endpoints are taken over from it; may be NULL */
	struct identities *identities; /* users looked up; the snapshot's once it is made; NULL: none */
	uint64_t generation;
	const char *revision; /* at most 16 characters, copied; NULL: snapshot_revision() */
};

/*
 * The revision of a set of files: a hash over names (what is behind the last
 * slash) and bytes in their order, in hexadecimal.  The same set has the same
 * one on every host.  For people to compare; it proves nothing.  Returns <out>.
 */
char *snapshot_revision(char out[SNAPSHOT_REVISION], const struct manifest_file *files, size_t n);

/*
 * Builds a snapshot.  The input is only read and may go away afterwards.
 *
 *   TULLE_OK      *ret has one reference, the caller's; <problems> may have
 *                 warnings
 *   TULLE_EINVAL  every error found is in <problems>; *ret is untouched
 *   TULLE_ENOMEM
 */
enum tulle_err snapshot_load(struct snapshot **ret, const struct snapshot_input *in, struct problems *problems);

/* From any thread.  unref() takes NULL and always returns NULL. */
const struct snapshot *snapshot_ref(const struct snapshot *s);
const struct snapshot *snapshot_unref(const struct snapshot *s);

/* The service at this cluster address and port, NULL if there is none. */
const struct service_port *snapshot_service(const struct snapshot *s, const struct addr *a);

/*
 * The endpoint at this address and port, for those who dial it directly.
 * Also any other port of a WorkloadEntry's address, if one workload alone
 * lives there: then the endpoint's addr.port is 0.  NULL: not of the mesh.
 */
const struct endpoint *snapshot_endpoint(const struct snapshot *s, const struct addr *a);

/*
 * Which workload gets what was delivered to this host at this address and
 * port: the one that claims the port, else the one at this address without
 * ports, else the only one there, else the host itself.  Never NULL.  What
 * was delivered is local: so also one whose address did not count as ours
 * when the snapshot was made.  It says nothing about whether an address is
 * ours.
 */
const struct workload *snapshot_workload(const struct snapshot *s, const struct addr *a);

/*
 * The SPIFFE ID of our workloads at this address, ports ignored, if all of
 * them are the same one: who is meant by a peer that dials the address and
 * says no more.  The host itself does not count, for it has no address of its
 * own here.  NULL: none is at it, or several are.
 */
const char *snapshot_identity_at(const struct snapshot *s, const struct addr *a);

/* What PeerAuthentication says about plaintext to this port: workload before namespace before mesh, else PERMISSIVE. */
enum mtls_mode workload_mtls(const struct workload *w, uint16_t port);

/* From any thread.  unref() takes NULL and always returns NULL. */
const struct endpoint *endpoint_ref(const struct endpoint *e);
const struct endpoint *endpoint_unref(const struct endpoint *e);

#endif
