/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cache.h"
#include "issue/renew.h"
#include "authority/members.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"
#include "tls/der.h"
#include "tls/spiffe.h"

static char *
file(const struct node *n, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", n->dir, name) == -1 ? NULL : path;
}

static enum tulle_err
set_roots(struct node *n, const uint8_t *roots, size_t len)
{
	struct buf copy = buf_new(DER_BUNDLE_MAX);
	enum tulle_err e = buf_append(&copy, roots, len);

	if (e)
		return e;
	buf_free(&n->roots);
	n->roots = copy;
	return TULLE_OK;
}

static void
set_domain(struct node *n, const char *td)
{
	(void)snprintf(n->td, sizeof(n->td), "%s", td);
	(void)snprintf(n->authority_id, sizeof(n->authority_id), SPIFFE_SCHEME "%s" MEMBER_AUTHORITY_PATH, td);
}

/* ---- on disk ---- */

static enum tulle_err
load_record(struct node *n, const json_t *record)
{
	const char *td = value_text(record, "trust_domain"), *text = value_text(record, "roots");
	size_t len, max = strlen(text);
	uint8_t AUTO_FREE *roots = malloc(max + 1);

	if (roots == NULL)
		return TULLE_ENOMEM;
	if (!spiffe_td_valid(td, strlen(td)) || addr_parse(&n->authority, value_text(record, "authority")) != TULLE_OK ||
	    text_unbase64url(text, max, roots, max + 1, &len) != TULLE_OK)
		return TULLE_EINVAL;
	set_domain(n, td);
	n->accounts = json_deep_copy(json_object_get(record, "accounts"));
	return set_roots(n, roots, len);
}

static enum tulle_err
load_identity(struct node *n)
{
	char AUTO_FREE *path = file(n, "node");
	json_t *saved = NULL;
	enum tulle_err e = path == NULL ? TULLE_ENOMEM : cache_read(path, n->seal, &saved);

	if (e == TULLE_OK)
		e = cache_identity_read(saved, &n->identity, &n->issued, &n->renew_at);
	json_decref(saved);
	return e;
}

enum tulle_err
node_load(struct node *n, struct store *store, const char *dir, const uint8_t seal[32])
{
	const json_t *record = store_get(store, "self", "joined");
	enum tulle_err e;

	*n = (struct node){ .store = store, .dir = dir, .roots = buf_new(DER_BUNDLE_MAX) };
	memcpy(n->seal, seal, sizeof(n->seal));
	if (record == NULL)
		return TULLE_OK;
	e = load_record(n, record);
	if (e == TULLE_OK)
		e = load_identity(n);
	if (e) {
		log_error("what this host remembers of its fleet cannot be used: it must join again", LF_ERR(e),
		    LF_STR("dir", dir));
		node_unload(n);
		return TULLE_EINVAL;
	}
	n->joined = true;
	return TULLE_OK;
}

void
node_unload(struct node *n)
{
	n->identity = identity_unref(n->identity);
	json_decref(n->accounts);
	n->accounts = NULL;
	buf_free(&n->roots);
	explicit_bzero(n->seal, sizeof(n->seal));
}

static enum tulle_err
save_record(struct node *n)
{
	char AUTO_FREE *roots = malloc(TEXT_BASE64URL(n->roots.len));
	char where[ADDR_TEXT];

	if (roots == NULL)
		return TULLE_ENOMEM;
	return store_put(n->store, "self", "joined",
	    json_pack("{ss ss ss sO}", "trust_domain", n->td, "authority", addr_format(&n->authority, where), "roots",
	        text_base64url(buf_head(&n->roots), n->roots.len, roots), "accounts", n->accounts));
}

/* ---- taking news ---- */

static enum svid_reason
verify(const struct identity *id, const struct node_news *news)
{
	struct der chain[DER_CHAIN_CERTS];
	struct svid_facts facts;
	struct trust *trust;
	struct verifier *v;
	enum svid_reason r = SVID_OTHER;
	size_t n;

	if (der_split(id->chain, id->chain_len, chain, DER_CHAIN_CERTS, &n) != TULLE_OK ||
	    trust_new(&trust, &(struct trust_bundle){ news->td, news->roots, news->roots_len }, 1, 1) != TULLE_OK)
		return SVID_MALFORMED;
	if (verifier_new(&v, trust) == TULLE_OK) {
		r = verifier_check(v, chain, n, SVID_ANY_ROLE, &facts);
		verifier_unref(v);
	}
	trust_unref(trust);
	return r;
}

static enum tulle_err
make(const struct node_news *news, const struct key *key, struct identity **ret)
{
	struct buf der = buf_new(4096);
	enum svid_reason why = SVID_OTHER;
	struct identity *id = NULL;
	char node[MEMBER_NODE];
	enum tulle_err e = key_export(key, &der);

	if (e == TULLE_OK)
		e = identity_new(&id, news->chain, news->chain_len, buf_head(&der), buf_len(&der), "node", &why);
	buf_wipe(&der);
	if (e == TULLE_OK) {
		why = member_of_id(id->facts.id, news->td, node) ? verify(id, news) : SVID_UNEXPECTED_ID;
		if (why == SVID_OK) {
			*ret = id;
			return TULLE_OK;
		}
	}
	log_error("the authority's answer is not good", LF_STR("rule", svid_reason_name(why)),
	    LF_STR("reason", svid_reason_phrase(why)));
	identity_unref(id);
	return TULLE_EINVAL;
}

static json_t *
accounts_json(const struct node_news *news)
{
	json_t *list = json_array();

	for (size_t i = 0; i < news->n_accounts; i++)
		(void)json_array_append_new(list, json_string(news->accounts[i]));
	return list;
}

enum tulle_err
node_take(struct node *n, const struct addr *authority, const struct node_news *news, struct key *key, int64_t now_ms)
{
	char AUTO_FREE *path = file(n, "node");
	struct identity *id;
	uint32_t draw = 0;
	int64_t renew;
	enum tulle_err e;

	if (path == NULL)
		return TULLE_ENOMEM;
	if (!spiffe_td_valid(news->td, strlen(news->td)))
		return TULLE_EINVAL;
	e = make(news, key, &id);
	if (e)
		return e;
	(void)crypt_random(&draw, sizeof(draw));
	renew = renew_at(now_ms, id->facts.not_after * 1000, draw);
	e = cache_write(path, n->seal, cache_identity(id, now_ms, renew));
	if (e == TULLE_OK)
		e = set_roots(n, news->roots, news->roots_len);
	if (e) {
		identity_unref(id);
		return e;
	}
	log_notice(n->identity == NULL ? "joined the fleet" : "node certificate renewed", LF_STR("id", id->facts.id),
	    LF_STR("serial", id->facts.serial), LF_INT("not_after", id->facts.not_after));
	identity_unref(n->identity);
	n->identity = id;
	n->issued = now_ms;
	n->renew_at = renew;
	n->authority = *authority;
	set_domain(n, news->td);
	json_decref(n->accounts);
	n->accounts = accounts_json(news);
	e = save_record(n);
	if (e == TULLE_OK)
		n->joined = true;
	return e;
}

enum tulle_err
node_roots(struct node *n, const uint8_t *roots, size_t len)
{
	enum tulle_err e;

	if (len == n->roots.len && memcmp(roots, buf_head(&n->roots), len) == 0)
		return TULLE_OK;
	e = set_roots(n, roots, len);
	return e ? e : save_record(n);
}

/* ---- joining ---- */

static enum tulle_err
saved_join_key(const struct node *n, const char *path, const char *token_id, struct key **ret)
{
	json_t *saved = NULL;
	uint8_t der[4096];
	size_t len = 0;
	const char *text;
	enum tulle_err e = cache_read(path, n->seal, &saved);

	if (e == TULLE_OK && strcmp(value_text(saved, "token"), token_id) != 0)
		e = TULLE_ENOENT;
	if (e == TULLE_OK) {
		text = value_text(saved, "key");
		e = text_unbase64url(text, strlen(text), der, sizeof(der), &len);
	}
	if (e == TULLE_OK)
		e = key_import(ret, der, len);
	explicit_bzero(der, sizeof(der));
	json_decref(saved);
	return e;
}

enum tulle_err
node_join_key(const struct node *n, const char *token_id, struct key **ret)
{
	char AUTO_FREE *path = file(n, "joining");
	struct buf der = buf_new(4096);
	char text[TEXT_BASE64URL(4096)];
	struct key *key;
	enum tulle_err e;

	if (path == NULL)
		return TULLE_ENOMEM;
	if (saved_join_key(n, path, token_id, ret) == TULLE_OK)
		return TULLE_OK;
	e = key_generate(&key);
	if (e)
		return e;
	e = key_export(key, &der);
	if (e == TULLE_OK)
		e = cache_write(path, n->seal,
		    json_pack("{ss ss}", "token", token_id, "key", text_base64url(buf_head(&der), buf_len(&der), text)));
	buf_wipe(&der);
	explicit_bzero(text, sizeof(text));
	if (e) {
		key_unref(key);
		return e;
	}
	*ret = key;
	return TULLE_OK;
}

/* ---- TLS ---- */

static const struct tls_options options = { .alpn = "h2", .exporter = true };

enum tulle_err
node_tls(const struct node *n, bool as_node, struct tls_context **ret)
{
	struct trust *trust;
	struct verifier *v;
	enum tulle_err e =
	    trust_new(&trust, &(struct trust_bundle){ n->td, buf_head(&n->roots), buf_len(&n->roots) }, 1, 1);

	if (e)
		return e;
	e = verifier_new(&v, trust);
	trust_unref(trust);
	if (e)
		return e;
	e = tls_context_mesh_client(ret, as_node ? n->identity : NULL, v, &options);
	verifier_unref(v);
	return e;
}

enum tulle_err
node_join_tls(const uint8_t pin[TOKEN_PIN], struct tls_context **ret)
{
	struct verifier *v;
	enum tulle_err e = verifier_new_pinned(&v, pin);

	if (e)
		return e;
	e = tls_context_mesh_client(ret, NULL, v, &options);
	verifier_unref(v);
	return e;
}
