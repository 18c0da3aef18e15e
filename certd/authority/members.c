/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/members.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"

char *
member_id(char out[SPIFFE_ID_MAX + 1], const char *td, const char *node)
{
	(void)snprintf(out, SPIFFE_ID_MAX + 1, SPIFFE_SCHEME "%s" MEMBER_NODE_PATH "%s", td, node);
	return out;
}

bool
member_of_id(const char *id, const char *td, char ret_node[MEMBER_NODE])
{
	struct spiffe_id parsed;
	const size_t prefix = sizeof(MEMBER_NODE_PATH) - 1;
	uint8_t bytes[(MEMBER_NODE - 1) / 2];
	char node[MEMBER_NODE];

	if (id == NULL || spiffe_parse(&parsed, id, strlen(id)) != TULLE_OK || parsed.td_len != strlen(td) ||
	    memcmp(parsed.td, td, parsed.td_len) != 0)
		return false;
	if (parsed.path_len != prefix + MEMBER_NODE - 1 || memcmp(parsed.path, MEMBER_NODE_PATH, prefix) != 0)
		return false;
	memcpy(node, parsed.path + prefix, MEMBER_NODE - 1);
	node[MEMBER_NODE - 1] = '\0';
	if (text_unhex(node, bytes, sizeof(bytes)) != TULLE_OK)
		return false;
	memcpy(ret_node, node, MEMBER_NODE);
	return true;
}

/* ---- joining ---- */

static enum tulle_err
deny(char why[MEMBER_WHY], const char *text)
{
	(void)snprintf(why, MEMBER_WHY, "%s", text);
	return TULLE_EDENIED;
}

static bool
proof_good(const json_t *token, const struct join *j)
{
	uint8_t key[TOKEN_KEY], proof[CRYPT_HASH];
	bool good = text_unhex(value_text(token, "key"), key, sizeof(key)) == TULLE_OK &&
	    token_proof(proof, key, j->token_id, j->csr, j->csr_len, j->exporter) == TULLE_OK &&
	    j->proof_len == sizeof(proof) && crypt_equal(proof, j->proof, sizeof(proof));

	explicit_bzero(key, sizeof(key));
	return good;
}

static bool
has_redeemed(const json_t *token, const char *node)
{
	json_t *list = json_object_get(token, "redeemed"), *one;
	size_t i;

	json_array_foreach (list, i, one)
		if (strcmp(json_string_value(one), node) == 0)
			return true;
	return false;
}

void
member_plain_host(char out[MEMBER_HOST], const char *host)
{
	size_t n = 0;

	for (; host != NULL && *host != '\0' && n < MEMBER_HOST - 1; host++)
		out[n++] = (*host >= '0' && *host <= '9') || (*host >= 'a' && *host <= 'z') ||
		        (*host >= 'A' && *host <= 'Z') || *host == '.' || *host == '-'
		    ? *host
		    : '?';
	out[n] = '\0';
}

/* The token is spent and the member there in one record: nothing in between. */
static enum tulle_err
redeem(struct store *s, const struct join *j, const json_t *token, const char *node, int64_t now)
{
	json_t *spent = json_deep_copy(token);
	char host[MEMBER_HOST];

	member_plain_host(host, j->host);
	(void)json_array_append_new(json_object_get(spent, "redeemed"), json_string(node));
	return store_commit(s,
	    (struct store_change[]){ { "token", j->token_id, spent },
	        { "member", node,
	            json_pack("{ss sO ss sI sb}", "token", j->token_id, "accounts", json_object_get(token, "accounts"), "host",
	                host, "joined", (json_int_t)now, "banned", 0) } },
	    2);
}

enum tulle_err
member_join(struct store *s, const struct join *j, int64_t now, char ret_node[MEMBER_NODE],
    struct issue_request *ret_request, char why[MEMBER_WHY])
{
	const json_t *token;
	uint8_t hash[CRYPT_HASH];
	char node[MEMBER_NODE];
	enum tulle_err e;

	if (!token_id_valid(j->token_id) || (token = store_get(s, "token", j->token_id)) == NULL)
		return deny(why, "no such token");
	if (value_int(token, "expires") <= now)
		return deny(why, "the token has expired");
	if (!proof_good(token, j))
		return deny(why, "the proof is wrong: not the token's secret, or not this connection");
	e = issue_request_read(ret_request, j->csr, j->csr_len);
	if (e) {
		(void)snprintf(why, MEMBER_WHY, "the certificate request is not good");
		return e;
	}
	e = crypt_hash(hash, ret_request->public_key, ret_request->public_key_len);
	if (e)
		return e;
	(void)text_hex(hash, (MEMBER_NODE - 1) / 2, node);
	if (json_is_true(json_object_get(store_get(s, "member", node), "banned")))
		return deny(why, "the member is banned");
	if (!has_redeemed(token, node)) {
		if ((int64_t)json_array_size(json_object_get(token, "redeemed")) >= value_int(token, "uses")) {
			log_error("a spent join token was presented by another host", LF_STR("token", j->token_id));
			(void)deny(why, "the token is spent: another key has redeemed it");
			return TULLE_EEXIST;
		}
		if (json_object_size(store_table(s, "member")) >= MEMBERS_MAX) {
			(void)snprintf(why, MEMBER_WHY, "there are %d members already", MEMBERS_MAX);
			return TULLE_ELIMIT;
		}
		e = redeem(s, j, token, node, now);
		if (e)
			return e;
	} else if (store_get(s, "member", node) == NULL) {
		return deny(why, "the member was forgotten on purpose");
	}
	memcpy(ret_node, node, MEMBER_NODE);
	return TULLE_OK;
}

/* ---- the two phases of a renewal ---- */

/* The record with changed fields; NULL: out of memory. */
static json_t *
with(const json_t *member, json_t *changes)
{
	json_t *copy = json_deep_copy(member);

	if (copy == NULL || changes == NULL || json_object_update(copy, changes) == -1) {
		json_decref(copy);
		copy = NULL;
	}
	json_decref(changes);
	return copy;
}

enum tulle_err
member_given(struct store *s, const char *node, const char *serial, int64_t not_after,
    const uint8_t key_hash[SVID_HASH])
{
	const json_t *m = store_get(s, "member", node);
	char hex[2 * SVID_HASH + 1];

	if (m == NULL)
		return TULLE_ENOENT;
	return store_put(s, "member", node,
	    with(m, json_pack("{ss sI ss}", "next_serial", serial, "next_not_after", (json_int_t)not_after, "next_key",
	                text_hex(key_hash, SVID_HASH, hex))));
}

enum tulle_err
member_admitted(struct store *s, const char *node, const char *serial, int64_t not_after,
    const uint8_t key_hash[SVID_HASH])
{
	const json_t *m = store_get(s, "member", node);
	char hex[2 * SVID_HASH + 1];

	if (m == NULL)
		return TULLE_ENOENT;
	return store_put(s, "member", node,
	    with(m, json_pack("{ss sI ss ss sI ss}", "serial", serial, "not_after", (json_int_t)not_after, "key",
	                text_hex(key_hash, SVID_HASH, hex), "next_serial", "", "next_not_after", (json_int_t)0, "next_key",
	                "")));
}

static const json_t *
live(const struct store *s, const char *node, char why[MEMBER_WHY])
{
	const json_t *m = store_get(s, "member", node);

	if (m == NULL) {
		(void)deny(why, "no such member");
		return NULL;
	}
	if (json_is_true(json_object_get(m, "banned"))) {
		(void)deny(why, "the member is banned");
		return NULL;
	}
	return m;
}

bool
member_is_live(const struct store *s, const char *node, char why[MEMBER_WHY])
{
	return live(s, node, why) != NULL;
}

enum tulle_err
member_seen(struct store *s, const char *node, const char *serial, char why[MEMBER_WHY])
{
	const json_t *m = live(s, node, why);

	if (m == NULL)
		return TULLE_EDENIED;
	if (*serial == '\0')
		return deny(why, "no certificate");
	if (strcmp(value_text(m, "serial"), serial) == 0)
		return TULLE_OK;
	if (strcmp(value_text(m, "next_serial"), serial) == 0)
		return store_put(s, "member", node,
		    with(m, json_pack("{ss sI ss ss sI ss}", "serial", serial, "not_after",
		                (json_int_t)value_int(m, "next_not_after"), "key", value_text(m, "next_key"), "next_serial", "",
		                "next_not_after", (json_int_t)0, "next_key", "")));
	log_error("a superseded certificate of a member came back: is its disk in two hosts?", LF_STR("node", node),
	    LF_STR("serial", serial));
	return deny(why, "the certificate is superseded");
}

enum tulle_err
member_late(struct store *s, const char *node, const uint8_t key_hash[SVID_HASH], int64_t now, char why[MEMBER_WHY])
{
	const json_t *m = live(s, node, why);
	char hex[2 * SVID_HASH + 1];
	int64_t end;

	if (m == NULL)
		return TULLE_EDENIED;
	if (json_object_get(m, "kubernetes") != NULL)
		return deny(why, "a pod joins again with its token, it does not renew late");
	(void)text_hex(key_hash, SVID_HASH, hex);
	if (strcmp(value_text(m, "key"), hex) == 0)
		end = value_int(m, "not_after");
	else if (strcmp(value_text(m, "next_key"), hex) == 0)
		end = value_int(m, "next_not_after");
	else
		return deny(why, "the key is not the member's");
	if (end + MEMBER_GRACE <= now)
		return deny(why, "its certificate expired too long ago: it needs a new token");
	log_warn("late renewal", LF_STR("node", node), LF_INT("expired_for", now - end));
	return TULLE_OK;
}

bool
member_may(const struct store *s, const char *node, const char *ns, const char *sa)
{
	json_t *accounts = json_object_get(store_get(s, "member", node), "accounts"), *one;
	size_t i, n = strlen(ns);

	json_array_foreach (accounts, i, one) {
		const char *text = json_string_value(one);

		if (strncmp(text, ns, n) == 0 && text[n] == '/' && strcmp(text + n + 1, sa) == 0)
			return true;
	}
	return false;
}

enum tulle_err
member_ban(struct store *s, const char *node, bool banned)
{
	const json_t *m = store_get(s, "member", node);
	enum tulle_err e;

	if (m == NULL)
		return TULLE_ENOENT;
	e = store_put(s, "member", node, with(m, json_pack("{sb}", "banned", banned)));
	if (e == TULLE_OK)
		log_notice(banned ? "member banned" : "member no longer banned", LF_STR("node", node));
	return e;
}

enum tulle_err
member_forget(struct store *s, const char *node)
{
	enum tulle_err e = store_get(s, "member", node) == NULL ? TULLE_ENOENT : store_remove(s, "member", node);

	if (e == TULLE_OK)
		log_notice("member forgotten", LF_STR("node", node));
	return e;
}

json_t *
members_status(const struct store *s, int64_t now)
{
	json_t *list = json_array(), *copy = json_deep_copy(store_table(s, "member")), *m;
	const char *node;

	json_object_foreach (copy, node, m) {
		json_t *one =
		    json_pack("{ss ss sO ss sI sI sb}", "node", node, "host", value_text(m, "host"), "accounts",
		        json_object_get(m, "accounts"), "serial", value_text(m, "serial"), "joined",
		        (json_int_t)value_int(m, "joined"), "remaining",
		        (json_int_t)(value_int(m, "not_after") - now), "banned",
		        json_is_true(json_object_get(m, "banned")));

		if (json_object_get(m, "kubernetes") != NULL) {
			(void)json_object_set(one, "kubernetes", json_object_get(m, "kubernetes"));
			(void)json_object_set(one, "rejoins", json_object_get(m, "rejoins"));
		}
		(void)json_array_append_new(list, one);
	}
	json_decref(copy);
	return list;
}
