/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pki.h - a small authority for tests: roots, intermediates, good and bad
 * leaves, all in memory.
 *
 *   struct pki *root = pki_root("mesh.test");
 *   struct pki *leaf = pki_leaf(root, "spiffe://mesh.test/ns/a/sa/b");
 *   struct identity_set *set = pki_set(root, leaf, NULL);
 *   ...
 *   pki_free(leaf), pki_free(root);
 *
 * A bad certificate is a good one with one thing changed:
 *
 *   struct issue what = pki_leaf_body("spiffe://mesh.test/ns/a/sa/b");
 *   what.uris[1] = "spiffe://mesh.test/ns/a/sa/c";
 *   leaf = pki_issue(root, &what);
 *
 * Everything that fails stops the test at once.
 */
#ifndef TULLE_TESTS_PKI_H
#define TULLE_TESTS_PKI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "tls/der.h"
#include "tls/identity.h"
#include "tls/issue.h"
#include "tls/keys.h"
#include "tls/trust.h"

/* A certificate with its key, and the chain up to but without the root. */
struct pki {
	struct key *key;
	struct buf chain;      /* this certificate first */
	size_t cert_len;       /* of this one alone */
	const struct pki *by;  /* NULL: self-signed */
};

static inline void
pki_must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "pki: %s\n", what);
		abort();
	}
}

static inline int64_t
pki_now(void)
{
	return (int64_t)time(NULL);
}

static inline struct pki *
pki_free(struct pki *p)
{
	if (p == NULL)
		return NULL;
	key_unref(p->key);
	buf_free(&p->chain);
	free(p);
	return NULL;
}

/* Issues <what> under a new key; <by> NULL makes it self-signed.  <by> must outlive the result. */
static inline struct pki *
pki_issue(const struct pki *by, const struct issue *what)
{
	struct pki *p = calloc(1, sizeof(*p));
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX);
	struct issue full = *what;

	pki_must(p != NULL, "memory");
	p->chain = buf_new(4 * DER_CHAIN_MAX);
	p->by = by;
	pki_must(key_generate(&p->key) == TULLE_OK, "key");
	pki_must(key_public(p->key, &public) == TULLE_OK, "public key");
	full.public_key = buf_head(&public);
	full.public_key_len = buf_len(&public);
	if (by == NULL)
		pki_must(issue_cert(&p->chain, &full, NULL, 0, p->key) == TULLE_OK, "self-signed");
	else
		pki_must(issue_cert(&p->chain, &full, buf_head(&by->chain), by->cert_len, by->key) == TULLE_OK,
		    "certificate");
	p->cert_len = buf_len(&p->chain);
	/* An issuer that is no root goes along. */
	if (by != NULL && by->by != NULL)
		pki_must(buf_append(&p->chain, buf_head(&by->chain), buf_len(&by->chain)) == TULLE_OK, "chain");
	buf_free(&public);
	return p;
}

/* What an ordinary CA certificate says, for a day around now; <name> becomes its subject. */
static inline struct issue
pki_ca_body(const char *td_id, const char *name)
{
	return (struct issue){
		.organization = "Tulle test",
		.common_name = name,
		.uris = { td_id },
		.ca = true,
		.path_len = -1,
		.usage = ISSUE_CA_USAGE,
		.not_before = pki_now() - 3600,
		.not_after = pki_now() + 86400,
	};
}

/* What an ordinary leaf says, for an hour. */
static inline struct issue
pki_leaf_body(const char *id)
{
	return (struct issue){
		.uris = { id },
		.path_len = -1,
		.usage = ISSUE_LEAF_USAGE,
		.not_before = pki_now() - 60,
		.not_after = pki_now() + 3600,
	};
}

/* A root for the trust domain <td>. */
static inline struct pki *
pki_root(const char *td)
{
	static unsigned int count;
	char id[300], name[32];
	struct issue what;

	(void)snprintf(id, sizeof(id), "spiffe://%s", td);
	(void)snprintf(name, sizeof(name), "root %u", ++count);
	what = pki_ca_body(id, name);
	return pki_issue(NULL, &what);
}

/* An issuing CA below <by>. */
static inline struct pki *
pki_intermediate(const struct pki *by, const char *td)
{
	static unsigned int count;
	char id[300], name[32];
	struct issue what;

	(void)snprintf(id, sizeof(id), "spiffe://%s", td);
	(void)snprintf(name, sizeof(name), "issuer %u", ++count);
	what = pki_ca_body(id, name);
	return pki_issue(by, &what);
}

static inline struct pki *
pki_leaf(const struct pki *by, const char *id)
{
	struct issue what = pki_leaf_body(id);

	return pki_issue(by, &what);
}

/* The leaf as an identity (it must be a good one). */
static inline struct identity *
pki_identity(const struct pki *leaf, const char *hint)
{
	struct buf key = buf_new(4096);
	struct identity *id = NULL;

	pki_must(key_export(leaf->key, &key) == TULLE_OK, "key export");
	pki_must(identity_new(&id, buf_head(&leaf->chain), buf_len(&leaf->chain), buf_head(&key), buf_len(&key), hint,
		     NULL) == TULLE_OK,
	    "identity");
	buf_wipe(&key);
	return id;
}

/* Believes <root> for <td> alone. */
static inline struct trust *
pki_trust(const struct pki *root, const char *td)
{
	struct trust_bundle b = { .td = td, .roots = buf_head(&root->chain), .len = root->cert_len };
	struct trust *t = NULL;

	pki_must(trust_new(&t, &b, 1, 1) == TULLE_OK, "trust");
	return t;
}

/* A set of the given leaves, the default one first; the list ends with NULL.  Believes <root> for <td>. */
static inline struct identity_set *
pki_set(const struct pki *root, const char *td, ...)
{
	struct identity *items[16];
	struct identity_set *set = NULL;
	struct trust *t = pki_trust(root, td);
	const struct pki *leaf;
	size_t n = 0;
	va_list ap;

	va_start(ap, td);
	while ((leaf = va_arg(ap, const struct pki *)) != NULL) {
		pki_must(n < 16, "sixteen leaves at most");
		items[n++] = pki_identity(leaf, "");
	}
	va_end(ap);
	pki_must(identity_set_of(&set, items, n, t, 1) == TULLE_OK, "set");
	while (n > 0)
		identity_unref(items[--n]);
	trust_unref(t);
	return set;
}

#endif
