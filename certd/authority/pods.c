/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/pods.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"
#include "tls/spiffe.h"

#define SUBJECT "system:serviceaccount:"

static enum tulle_err deny(char why[MEMBER_WHY], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum tulle_err
deny(char why[MEMBER_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, MEMBER_WHY, fmt, ap);
	va_end(ap);
	return TULLE_EDENIED;
}

/* ---- what a token says ---- */

/* Copies a name that may stand in a SPIFFE ID and before people's eyes.  False: it is not there, or no such name. */
static bool
take(const json_t *o, const char *field, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, field));

	if (text == NULL || strlen(text) >= size || !spiffe_segment_valid(text, strlen(text)))
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

/* An object with "name" and "uid"; neither being there is <optional>. */
static bool
take_ref(const json_t *k, const char *field, bool optional, char *name, size_t name_size, char uid[POD_UID])
{
	const json_t *ref = json_object_get(k, field);

	if (ref == NULL)
		return optional;
	return take(ref, "name", name, name_size) && (uid == NULL || take(ref, "uid", uid, POD_UID));
}

enum tulle_err
pod_read(struct pod *ret, const json_t *claims, char why[MEMBER_WHY])
{
	const json_t *k = json_object_get(claims, "kubernetes.io");
	const char *sub = json_string_value(json_object_get(claims, "sub"));
	char wanted[sizeof(SUBJECT) + POD_NAMESPACE + POD_NAME];
	struct pod p = { 0 };

	if (sub == NULL || strncmp(sub, SUBJECT, strlen(SUBJECT)) != 0)
		return deny(why, "its subject is \"%.60s\": it is not the token of a service account", sub != NULL ? sub : "");
	if (!json_is_object(k))
		return deny(why, "it has no \"kubernetes.io\": it is not a token that a cluster made for a pod");
	if (!take(k, "namespace", p.namespace, sizeof(p.namespace)) ||
	    !take_ref(k, "serviceaccount", false, p.account, sizeof(p.account), p.account_uid) ||
	    !take_ref(k, "pod", true, p.name, sizeof(p.name), p.uid) || !take_ref(k, "node", true, p.node, sizeof(p.node), NULL))
		return deny(why, "its \"kubernetes.io\" is not what a cluster writes: namespace, serviceaccount {name, uid}, pod {name, uid}");
	(void)snprintf(wanted, sizeof(wanted), SUBJECT "%s:%s", p.namespace, p.account);
	if (strcmp(sub, wanted) != 0)
		return deny(why, "its subject and its \"kubernetes.io\" name different accounts");
	*ret = p;
	return TULLE_OK;
}

/* ---- records ---- */

/* The name of the member that a pod is: not of its key, but where there is nothing else. */
static enum tulle_err
node_of(const struct pod *p, const struct issue_request *r, char ret[MEMBER_NODE])
{
	static const uint8_t no_key[CRYPT_KEY];
	const bool bound = p->uid[0] != '\0';
	const char *uid = bound ? p->uid : p->account_uid;
	uint8_t hash[CRYPT_HASH];
	enum tulle_err e;

	/* With the NULs between them. */
	e = crypt_mac(hash, no_key,
	    (const struct crypt_piece[]){ { p->issuer, strlen(p->issuer) + 1 }, { p->namespace, strlen(p->namespace) + 1 },
	        { p->account, strlen(p->account) + 1 }, { uid, strlen(uid) + 1 },
	        { r->public_key, bound ? 0 : r->public_key_len } },
	    5);
	if (e == TULLE_OK)
		(void)text_hex(hash, (MEMBER_NODE - 1) / 2, ret);
	return e;
}

static const json_t *
record_of(const struct store *s, const char *node)
{
	return json_object_get(store_get(s, "member", node), "kubernetes");
}

bool
member_is_pod(const struct store *s, const char *node)
{
	return record_of(s, node) != NULL;
}

enum tulle_err
pod_is(const struct store *s, const char *node, const struct pod *p, char why[MEMBER_WHY])
{
	const json_t *k = record_of(s, node);

	if (strcmp(value_text(k, "issuer"), p->issuer) != 0 || strcmp(value_text(k, "namespace"), p->namespace) != 0 ||
	    strcmp(value_text(k, "account"), p->account) != 0 || strcmp(value_text(k, "uid"), p->uid) != 0)
		return deny(why, "the token is another pod's than the member");
	return TULLE_OK;
}

/* To go through, which changes nothing: the API has no const iteration. */
static json_t *
members(const struct store *s)
{
	return (json_t *)(uintptr_t)store_table(s, "member");
}

static size_t
count_pods(const struct store *s)
{
	const char *node;
	size_t n = 0;
	json_t *m;

	json_object_foreach (members(s), node, m)
		n += json_object_get(m, "kubernetes") != NULL;
	return n;
}

static bool
has_room(const struct store *s)
{
	return json_object_size(store_table(s, "member")) < MEMBERS_MAX && count_pods(s) < PODS_MAX;
}

static enum tulle_err
room_for_one(struct store *s, int64_t now, char why[MEMBER_WHY])
{
	if (has_room(s))
		return TULLE_OK;
	(void)pods_expire(s, now);
	if (has_room(s))
		return TULLE_OK;
	(void)snprintf(why, MEMBER_WHY, "there are %d pods, or %d members, already", PODS_MAX, MEMBERS_MAX);
	log_error("a pod cannot join: there are too many members", LF_UINT("pods_max", PODS_MAX));
	return TULLE_ELIMIT;
}

static json_t *
new_record(const struct pod_join *j, int64_t now)
{
	const struct pod *p = j->pod;
	char host[MEMBER_HOST], account[POD_NAMESPACE + POD_NAME + 1];

	member_plain_host(host, p->name[0] != '\0' ? p->name : j->host);
	(void)snprintf(account, sizeof(account), "%s/%s", p->namespace, p->account);
	return json_pack("{ss s[s] ss sI sb sI sI s{ss ss ss ss ss ss}}", "token", "", "accounts", account, "host", host, "joined",
	    (json_int_t)now, "banned", 0, "ttl", (json_int_t)p->ttl, "rejoins", (json_int_t)0, "kubernetes", "issuer", p->issuer, "namespace", p->namespace,
	    "account", p->account, "pod", p->name, "uid", p->uid, "node", p->node);
}

/* It was a member, and is it again. */
static enum tulle_err
come_back(struct store *s, const json_t *old, const char *node, const char *key, int64_t now)
{
	json_t *m = json_deep_copy(old);
	const int64_t n = value_int(old, "rejoins") + 1;

	if (m == NULL)
		return TULLE_ENOMEM;
	if (strcmp(value_text(old, "key"), key) != 0 && value_int(old, "not_after") > now)
		log_warn("a pod joins again with another key: its container was started anew, or its token is used twice",
		    LF_STR("node", node), LF_STR("pod", value_text(old, "host")), LF_INT("times", n));
	(void)json_object_set_new(m, "rejoins", json_integer(n));
	(void)json_object_set_new(m, "joined", json_integer(now));
	return store_put(s, "member", node, m);
}

enum tulle_err
pod_join(struct store *s, const struct pod_join *j, int64_t now, char ret_node[MEMBER_NODE],
    struct issue_request *ret_request, char why[MEMBER_WHY])
{
	uint8_t hash[CRYPT_HASH];
	char node[MEMBER_NODE], key[2 * CRYPT_HASH + 1];
	const json_t *old;
	enum tulle_err e = issue_request_read(ret_request, j->csr, j->csr_len);

	if (e) {
		(void)snprintf(why, MEMBER_WHY, "the certificate request is not good");
		return e;
	}
	e = crypt_hash(hash, ret_request->public_key, ret_request->public_key_len);
	if (e == TULLE_OK)
		e = node_of(j->pod, ret_request, node);
	if (e)
		return e;
	(void)text_hex(hash, sizeof(hash), key);
	old = store_get(s, "member", node);
	if (old == NULL) {
		e = room_for_one(s, now, why);
		if (e == TULLE_OK)
			e = store_put(s, "member", node, new_record(j, now));
	} else if (json_is_true(json_object_get(old, "banned"))) {
		return deny(why, "the member is banned");
	} else {
		e = pod_is(s, node, j->pod, why);
		if (e == TULLE_OK)
			e = come_back(s, old, node, key, now);
	}
	if (e == TULLE_OK)
		memcpy(ret_node, node, MEMBER_NODE);
	return e;
}

/* ---- pods go ---- */

/* When the record of this member is not needed any more. */
static int64_t
end_of(const json_t *m)
{
	const int64_t given = value_int(m, "next_not_after"), last = value_int(m, "not_after");
	const int64_t end = given > last ? given : last;
	const bool banned = json_is_true(json_object_get(m, "banned"));

	const int64_t ttl = value_int(m, "ttl"), grace = ttl < PODS_GRACE ? ttl : PODS_GRACE;

	/* One that got no certificate after all goes too.  A ban is kept for as long as that of a host could matter. */
	return (end > 0 ? end : value_int(m, "joined")) + (banned ? MEMBER_GRACE : grace);
}

/* Those that have gone, at most PODS_TURN of them, and when the next one of the others does. */
struct gone {
	struct store_change change[PODS_TURN];
	char node[PODS_TURN][MEMBER_NODE]; /* their keys */
	json_t *record[PODS_TURN];         /* a reference each */
	size_t n;
	int64_t next; /* <now> or earlier: there are more */
};

static void
find_gone(const struct store *s, int64_t now, struct gone *ret)
{
	const char *key;
	json_t *m;

	ret->n = 0;
	ret->next = INT64_MAX;
	json_object_foreach (members(s), key, m) {
		const int64_t end = json_object_get(m, "kubernetes") != NULL ? end_of(m) : INT64_MAX;

		if (end > now || ret->n == PODS_TURN) {
			if (end < ret->next)
				ret->next = end;
			continue;
		}
		(void)snprintf(ret->node[ret->n], MEMBER_NODE, "%s", key);
		ret->change[ret->n] = (struct store_change){ .table = "member", .key = ret->node[ret->n] };
		ret->record[ret->n++] = json_incref(m);
	}
}

int64_t
pods_expire(struct store *s, int64_t now)
{
	struct gone gone;
	enum tulle_err e = TULLE_OK;

	find_gone(s, now, &gone);
	if (gone.n > 0)
		e = store_commit(s, gone.change, gone.n);
	for (size_t i = 0; i < gone.n; i++) {
		if (e == TULLE_OK)
			log_info("pod forgotten: its certificate ended", LF_STR("node", gone.node[i]),
			    LF_STR("pod", value_text(gone.record[i], "host")));
		json_decref(gone.record[i]);
	}
	if (e)
		return now + 60; /* the disk is full; their certificates have ended all the same */
	return gone.next > now ? gone.next : now;
}
