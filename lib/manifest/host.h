/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * host.h - /etc/tulle/tulle.yaml: this host.
 *
 * Every value has a default; an empty file, or none, works: permissive, no
 * exclusions but Tulle's own users.  All texts and lists belong to the
 * host_config and live as long as it does.
 */
#ifndef TULLE_MANIFEST_HOST_H
#define TULLE_MANIFEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "manifest/problem.h"

enum identity_source { IDENTITY_EMBEDDED, IDENTITY_FLEET, IDENTITY_SPIFFE };
enum outbound_policy { OUTBOUND_ALLOW_ANY, OUTBOUND_REGISTRY_ONLY };
enum access_log { ACCESS_OFF, ACCESS_ERRORS, ACCESS_ALL };
enum manifests_source { MANIFESTS_FILES, MANIFESTS_AUTHORITY };
enum steering_backend { BACKEND_AUTO, BACKEND_NFT, BACKEND_LEGACY };
enum steering_ipv6 { IPV6_ON, IPV6_OFF, IPV6_REJECT };

/* Where to listen; <at> has family 0 for "every address": ":9464". */
struct listen_at {
	bool on; /* false: "off" was written */
	struct addr at;
};

struct otlp_destination {
	const char *otlp; /* "http://127.0.0.1:4318" */
};

/* The SHA-256 of the public key (DER SubjectPublicKeyInfo) of an authority's root. */
struct root_pin {
	bool given;
	uint8_t hash[32];
};

/* An issuer of service-account tokens whose pods may join. */
struct kubernetes_issuer {
	const char *issuer, *audience;
	const char *jwks;            /* a file or a URL */
	const char *jwks_ca;         /* PEM file: whom to believe at that URL; NULL: the system's */
	const char *jwks_token_file; /* what to show there; NULL: nothing */
	struct { const char *const *items; size_t n; } namespaces; /* empty: all */
	struct { const char *const *items; size_t n; } accounts;   /* "NS/SA"; empty: all */
	uint64_t ttl_ms;             /* of the node certificates of its pods */
	bool unbound;                /* tokens that are bound to no pod are taken too */
};

struct host_config {
	const char *trust_domain; /* "mesh.example" */
	bool trust_domain_given;  /* false: it is the default, and certd may have made another one up */

	struct {
		int source;               /* enum identity_source */
		uint64_t ttl_ms;          /* at least 10 s */
		const char *default_name; /* "ns/NS/sa/SA", or NULL: none, or none that is known yet: */
		bool default_only;        /* the one identity that this host may have, whichever it is */
		const char *default_namespace; /* "default" if there is no default_name */
		const char *default_account;   /* NULL if there is no default_name */
		const char *socket;       /* path of another agent's Workload API, for IDENTITY_SPIFFE; NULL: the usual */
		struct {
			const char *address;      /* "HOST:PORT"; NULL: this host is told to join */
			struct root_pin root;
			const char *token_file;
		} join;
	} identity;

	struct {
		bool outbound, inbound, fail_closed;
		struct { const uint32_t *items; size_t n; bool all; } inbound_ports; /* none: all; <all>: and that was said */
		struct {
			struct { const uint32_t *items; size_t n; } ports;
			struct { const struct cidr *items; size_t n; } cidrs;
			struct { const uint32_t *items; size_t n; } uids;
		} exclude;
	} capture;

	struct {
		int source; /* enum manifests_source; MANIFESTS_AUTHORITY only with IDENTITY_FLEET */
	} manifests;

	int outbound_policy; /* enum outbound_policy */

	struct {
		uint32_t workers;
		uint64_t drain_ms, termination_grace_ms;
	} relay;

	struct {
		uint32_t connections;
		uint64_t memory; /* bytes */
	} limits;

	struct {
		struct { const struct otlp_destination *items; size_t n; } destinations;
		struct listen_at metrics;
		uint32_t traces_ppm; /* how many of a million connections are traced */
		int access;          /* enum access_log */
	} telemetry;

	struct {
		const char *relayd, *certd, *telemetryd; /* a name or a number in decimal */
	} users;

	struct {
		uint32_t outbound, inbound, hbone, authority, health;
	} ports;

	struct {
		struct listen_at listen;
		struct { const struct kubernetes_issuer *items; size_t n; } kubernetes;
	} authority;

	struct {
		int backend; /* enum manifests_source { MANIFESTS_FILES, MANIFESTS_AUTHORITY };
enum steering_backend */
		int ipv6;    /* enum steering_ipv6 */
		bool repair; /* the timer puts back what others took away */
	} steering;

	int log_level; /* enum log_level */

	struct arena arena; /* owns all of the above */
};

/*
 * Reads the <len> bytes of the file called <name> (for messages).  <len> 0
 * gives the defaults.
 *
 *   TULLE_OK      *ret is the caller's, to release with host_config_free();
 *                 there may be warnings in <problems>
 *   TULLE_EINVAL  the errors are in <problems>; *ret is untouched
 *   TULLE_ENOMEM
 */
enum tulle_err host_config_parse(struct host_config **ret, const char *name, const char *data, size_t len,
    struct problems *problems);

/* The same from a file; a missing file gives the defaults.  Errors of reading are in <problems>, too. */
enum tulle_err host_config_read(struct host_config **ret, const char *path, struct problems *problems);

/* Takes NULL.  Always returns NULL. */
struct host_config *host_config_free(struct host_config *c);

/*
 * The numeric id of one of <users>: a number stands for itself, a name is
 * looked up in the user database.  TULLE_ENOENT: no such user.
 */
enum tulle_err host_user_id(const char *user, uint32_t *ret_uid, uint32_t *ret_gid);

#endif
