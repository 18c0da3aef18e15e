/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/authority.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authority/ca.h"
#include "authority/rollover.h"
#include "authority/ttl.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "tls/issue.h"
#include "tls/spiffe.h"

#define RETRY 60 /* seconds */

struct authority {
	struct store *store; /* lent */
	char *dir;           /* owned: .../ca */
	char td[SPIFFE_TD_MAX + 1];
	char uri[SPIFFE_SCHEME_LEN + SPIFFE_TD_MAX + 1];
	struct ca *root; /* owned; NULL: none yet */
	struct ca *issuing[ISSUING_MAX];
	size_t n;
};

/*
 * Keys that no record names are left by a power cut, or by a removal that it interrupted: removed if <remove>.  Returns
 * how many there are.
 */
static size_t
stray_keys(struct authority *a, bool remove)
{
	DIR *d = opendir(a->dir);
	struct dirent *entry;
	size_t n = 0;

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		char *dot = strrchr(entry->d_name, '.');
		char AUTO_FREE *path = NULL;

		if (dot == NULL || strcmp(dot, ".key") != 0 || asprintf(&path, "%s/%s", a->dir, entry->d_name) == -1)
			continue;
		*dot = '\0';
		if (store_get(a->store, "ca", entry->d_name) != NULL)
			continue;
		n++;
		if (remove)
			(void)unlink(path);
	}
	(void)closedir(d);
	return n;
}

/* A first start that was cut off leaves one key without a record.  More, and no CA at all: the journal was lost. */
static enum tulle_err
check_keys(struct authority *a)
{
	size_t n = a->root == NULL ? stray_keys(a, false) : 0;

	if (n < 2)
		return TULLE_OK;
	log_error("the journal knows no CA, but there are keys of some: it is not the one that was here", LF_STR("keys", a->dir),
	    LF_UINT("n", n));
	return TULLE_EDAMAGED;
}

static enum tulle_err
load(struct authority *a)
{
	const char *id;
	json_t *value;
	/* The API of jansson has no const iteration; nothing is changed. */
	json_t *table = json_deep_copy(store_table(a->store, "ca"));
	enum tulle_err e = TULLE_OK;

	json_object_foreach (table, id, value) {
		struct ca *ca;

		e = ca_load(&ca, a->dir, id, value);
		if (e) {
			log_error("a CA of the state cannot be used", LF_STR("ca", id), LF_ERR(e));
			break;
		}
		if (ca->root && a->root == NULL) {
			a->root = ca;
		} else if (!ca->root && a->n < ISSUING_MAX) {
			a->issuing[a->n++] = ca;
		} else {
			ca_free(ca);
			e = TULLE_EINVAL;
			log_error("the state has more CAs than it can have", LF_STR("ca", id));
			break;
		}
	}
	json_decref(table);
	return e;
}

enum tulle_err
authority_open(struct authority **ret, struct store *store, const char *dir, const char *td)
{
	struct authority *a = calloc(1, sizeof(*a));
	enum tulle_err e;

	if (a == NULL)
		return TULLE_ENOMEM;
	a->store = store;
	(void)snprintf(a->td, sizeof(a->td), "%s", td);
	(void)snprintf(a->uri, sizeof(a->uri), SPIFFE_SCHEME "%s", td);
	if (asprintf(&a->dir, "%s/ca", dir) == -1) {
		a->dir = NULL;
		e = TULLE_ENOMEM;
	} else {
		e = ca_folder(a->dir);
	}
	if (e == TULLE_OK)
		e = load(a);
	if (e == TULLE_OK)
		e = check_keys(a);
	if (e) {
		authority_close(a);
		return e;
	}
	(void)stray_keys(a, true);
	*ret = a;
	return TULLE_OK;
}

struct authority *
authority_close(struct authority *a)
{
	if (a == NULL)
		return NULL;
	ca_free(a->root);
	for (size_t i = 0; i < a->n; i++)
		ca_free(a->issuing[i]);
	free(a->dir);
	free(a);
	return NULL;
}

bool
authority_has_root(const struct authority *a)
{
	return a->root != NULL;
}

static void
log_ca(const char *what, const struct ca *ca)
{
	log_notice(what, LF_STR("tier", ca->root ? "root" : "issuing"), LF_STR("serial", ca->facts.serial),
	    LF_STR("state", ca_state_name(ca->state)), LF_INT("not_after", ca->facts.not_after));
}

enum tulle_err
authority_create(struct authority *a, int64_t now)
{
	struct ca *root;
	enum tulle_err e;

	if (a->root != NULL)
		return TULLE_EEXIST;
	e = ca_make(&root, a->dir,
	    &(struct ca_make){ .uri = a->uri, .begin = now - TTL_BACKDATE, .end = now + TTL_ROOT, .state = CA_ACTIVE });
	if (e)
		return e;
	e = store_put(a->store, "ca", root->id, ca_json(root));
	if (e) {
		ca_free(root);
		return e;
	}
	a->root = root;
	log_ca("root made", root);
	return TULLE_OK;
}

enum tulle_err
authority_root_domain(const char *cert_pem, char ret[SPIFFE_TD_MAX + 1])
{
	struct buf der = buf_new(DER_CERT_MAX);
	struct svid_facts f;
	struct spiffe_id id;
	enum tulle_err e = der_from_pem(&der, cert_pem, strlen(cert_pem));

	if (e == TULLE_OK)
		e = svid_read(&f, buf_head(&der), buf_len(&der));
	buf_free(&der);
	if (e)
		return TULLE_EINVAL;
	ret[0] = '\0';
	if (f.id_len > 0 && spiffe_parse(&id, f.id, f.id_len) == TULLE_OK) {
		memcpy(ret, id.td, id.td_len);
		ret[id.td_len] = '\0';
	}
	return TULLE_OK;
}

/* The new root takes the place of what there is: one record, so that there is never none or two. */
static enum tulle_err
replace_all(struct authority *a, struct ca *root)
{
	struct store_change changes[2 + ISSUING_MAX] = { { "ca", root->id, ca_json(root) } };
	size_t n = 1;
	enum tulle_err e;

	if (changes[0].value == NULL)
		return TULLE_ENOMEM;
	if (a->root != NULL)
		changes[n++] = (struct store_change){ "ca", a->root->id, NULL };
	for (size_t i = 0; i < a->n; i++)
		changes[n++] = (struct store_change){ "ca", a->issuing[i]->id, NULL };
	e = store_commit(a->store, changes, n);
	if (e)
		return e;
	if (a->root != NULL)
		ca_unlink(a->root, a->dir);
	ca_free(a->root);
	a->root = root;
	while (a->n > 0) {
		ca_unlink(a->issuing[--a->n], a->dir);
		ca_free(a->issuing[a->n]);
	}
	return TULLE_OK;
}

enum tulle_err
authority_import(struct authority *a, const char *cert_pem, const char *key_pem, bool replace, int64_t now,
    char why[AUTHORITY_WHY])
{
	struct ca *root;
	enum tulle_err e = ca_import(&root, a->td, cert_pem, key_pem, now, why);

	if (e)
		return e;
	if (a->root != NULL && strcmp(a->root->facts.serial, root->facts.serial) == 0 &&
	    strcmp(a->root->id, root->id) == 0) {
		ca_free(root);
		return TULLE_OK;
	}
	if (a->root != NULL && !replace) {
		ca_free(root);
		return TULLE_EEXIST;
	}
	e = ca_save_key(root, a->dir);
	if (e == TULLE_OK)
		e = replace_all(a, root);
	if (e) {
		ca_free(root);
		return e;
	}
	log_ca("root imported", root);
	return TULLE_OK;
}

/* ---- roll-over ---- */

static enum tulle_err
prepare(struct authority *a, int64_t life, int64_t now)
{
	struct ca *ca;
	int64_t end;
	enum tulle_err e;

	if (a->n == ISSUING_MAX)
		return TULLE_ELIMIT;
	switch (ttl_end(now, life, a->root->facts.not_after, &end)) {
	case TTL_FULL:
		break;
	case TTL_SHORTENED:
		log_warn("the issuing CA is shorter than it should be: its root ends",
		    LF_INT("root_not_after", a->root->facts.not_after));
		break;
	case TTL_REFUSED:
		log_error("no issuing CA can be made: its root ends", LF_INT("root_not_after", a->root->facts.not_after));
		return TULLE_EUNAVAIL;
	}
	e = ca_make(&ca, a->dir,
	    &(struct ca_make){ .uri = a->uri, .begin = ttl_begin(now, a->root->facts.not_before), .end = end,
	        .state = CA_PREPARED, .issuer = a->root });
	if (e)
		return e;
	e = store_put(a->store, "ca", ca->id, ca_json(ca));
	if (e) {
		ca_unlink(ca, a->dir);
		ca_free(ca);
		return e;
	}
	a->issuing[a->n++] = ca;
	log_ca("issuing CA prepared", ca);
	return TULLE_OK;
}

static struct ca *
active(const struct authority *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->issuing[i]->state == CA_ACTIVE)
			return a->issuing[i];
	return NULL;
}

/* Both changes in one record: there is never a moment with two active ones, or with none. */
static enum tulle_err
activate(struct authority *a, struct ca *next, int64_t leaf, int64_t now)
{
	struct ca *before = active(a);
	struct store_change changes[2];
	size_t n = 0;
	enum tulle_err e;

	next->state = CA_ACTIVE;
	changes[n++] = (struct store_change){ "ca", next->id, ca_json(next) };
	if (before != NULL) {
		before->state = CA_OLD;
		before->last_leaf = now + leaf;
		changes[n++] = (struct store_change){ "ca", before->id, ca_json(before) };
	}
	e = store_commit(a->store, changes, n);
	if (e) {
		next->state = CA_PREPARED;
		if (before != NULL)
			before->state = CA_ACTIVE;
		return e;
	}
	log_ca("issuing CA active", next);
	return TULLE_OK;
}

static enum tulle_err
forget(struct authority *a, size_t which)
{
	struct ca *ca = a->issuing[which];
	enum tulle_err e = store_remove(a->store, "ca", ca->id);

	if (e)
		return e;
	ca_unlink(ca, a->dir);
	ca->state = CA_GONE;
	log_ca("issuing CA forgotten", ca);
	ca_free(ca);
	a->issuing[which] = a->issuing[--a->n];
	return TULLE_OK;
}

static enum tulle_err
advance_once(struct authority *a, int64_t leaf, int64_t now, struct rollover *ret)
{
	struct ca_times times[ISSUING_MAX];
	int64_t life = ttl_issuing(authority_root_life(a));
	int64_t root_left = a->root->facts.not_after - now;

	for (size_t i = 0; i < a->n; i++)
		times[i] = (struct ca_times){ a->issuing[i]->state, a->issuing[i]->facts.not_before,
			a->issuing[i]->facts.not_after, a->issuing[i]->last_leaf };
	*ret = rollover_next(times, a->n, root_left < life ? root_left : life, leaf, now);
	switch (ret->what) {
	case ROLLOVER_PREPARE:
		return prepare(a, life, now);
	case ROLLOVER_ACTIVATE:
		return activate(a, a->issuing[ret->which], leaf, now);
	case ROLLOVER_FORGET:
		return forget(a, ret->which);
	case ROLLOVER_WAIT:
		return TULLE_OK;
	}
	return TULLE_EINVAL;
}

int64_t
authority_advance(struct authority *a, int64_t leaf, int64_t now)
{
	struct rollover r;

	for (int i = 0; i < 4 * ISSUING_MAX; i++) {
		enum tulle_err e = advance_once(a, leaf, now, &r);

		if (e) {
			log_error("the roll-over of the issuing CA failed", LF_ERR(e), LF_ERRNO);
			break;
		}
		if (r.what == ROLLOVER_WAIT)
			return r.at;
	}
	return now + RETRY;
}

/* ---- signing ---- */

enum tulle_err
authority_sign(struct authority *a, const struct authority_order *o, int64_t now, struct buf *chain,
    struct svid_facts *ret)
{
	struct ca *issuer = o->node ? a->root : active(a);
	struct spiffe_id id;
	size_t before = chain->len;
	struct svid_facts facts;
	int64_t end;
	enum tulle_err e;

	if (spiffe_parse(&id, o->id, strlen(o->id)) != TULLE_OK || id.path_len == 0 || id.td_len != strlen(a->td) ||
	    memcmp(id.td, a->td, id.td_len) != 0)
		return TULLE_EINVAL;
	if (issuer == NULL)
		return TULLE_EUNAVAIL;
	switch (ttl_end(now, o->ttl, issuer->facts.not_after, &end)) {
	case TTL_FULL:
		break;
	case TTL_SHORTENED:
		log_warn("a certificate is shorter than asked: its issuer ends", LF_STR("id", o->id),
		    LF_INT("asked", o->ttl), LF_INT("given", end - now));
		break;
	case TTL_REFUSED:
		log_error("a certificate was refused: too little is left of its issuer", LF_STR("id", o->id),
		    LF_INT("asked", o->ttl), LF_INT("issuer_not_after", issuer->facts.not_after));
		return TULLE_EUNAVAIL;
	}
	e = issue_cert(chain,
	    &(struct issue){ .uris = { o->id }, .path_len = -1, .usage = ISSUE_LEAF_USAGE,
	        .not_before = ttl_begin(now, issuer->facts.not_before), .not_after = end,
	        .public_key = o->public_key, .public_key_len = o->public_key_len },
	    issuer->cert, issuer->cert_len, issuer->key);
	if (e == TULLE_OK)
		e = svid_read(&facts, buf_head(chain) + before, chain->len - before);
	if (e == TULLE_OK && !issuer->root)
		e = buf_append(chain, issuer->cert, issuer->cert_len);
	if (e == TULLE_OK && o->with_root)
		e = buf_append(chain, a->root->cert, a->root->cert_len);
	if (e) {
		chain->len = before;
		return e;
	}
	log_info("certificate issued", LF_STR("id", facts.id), LF_STR("serial", facts.serial),
	    LF_INT("not_after", facts.not_after), LF_STR("issuer", issuer->facts.serial));
	*ret = facts;
	return TULLE_OK;
}

struct der
authority_roots(const struct authority *a)
{
	return (struct der){ a->root->cert, a->root->cert_len };
}

const struct key *
authority_root_key(const struct authority *a)
{
	return a->root->key;
}

const uint8_t *
authority_pin(const struct authority *a)
{
	return a->root->key_hash;
}

int64_t
authority_root_life(const struct authority *a)
{
	return a->root->facts.not_after - a->root->facts.not_before;
}

int64_t
authority_node_life(const struct authority *a)
{
	int64_t sixth = authority_root_life(a) / TTL_FACTOR;

	return sixth < TTL_NODE ? sixth : TTL_NODE;
}

json_t *
authority_status(const struct authority *a, int64_t now)
{
	json_t *list = json_array();

	for (size_t i = 0; i <= a->n; i++) {
		const struct ca *ca = i == 0 ? a->root : a->issuing[i - 1];

		if (ca != NULL)
			(void)json_array_append_new(list,
			    json_pack("{ss ss ss sI sI sI}", "tier", ca->root ? "root" : "issuing", "state",
			        ca_state_name(ca->state), "serial", ca->facts.serial, "not_before",
			        (json_int_t)ca->facts.not_before, "not_after", (json_int_t)ca->facts.not_after, "remaining",
			        (json_int_t)(ca->facts.not_after - now)));
	}
	return list;
}
