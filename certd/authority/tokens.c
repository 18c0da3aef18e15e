/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Join tokens as the authority remembers them; the other half of members.h is members.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authority/members.h"
#include "base/log.h"
#include "base/text.h"

/* "NS/SA", both legal segments. */
static bool
account_valid(const char *account)
{
	const char *slash = strchr(account, '/');

	return slash != NULL && strlen(account) <= 512 && spiffe_segment_valid(account, (size_t)(slash - account)) &&
	    spiffe_segment_valid(slash + 1, strlen(slash + 1));
}

static enum tulle_err
check(const struct token_order *o, char why[MEMBER_WHY])
{
	if (o->n_accounts == 0 || o->n_accounts > MEMBER_ACCOUNTS_MAX) {
		(void)snprintf(why, MEMBER_WHY, "a token allows 1 to %d accounts, not %zu", MEMBER_ACCOUNTS_MAX,
		    o->n_accounts);
		return TULLE_EINVAL;
	}
	for (size_t i = 0; i < o->n_accounts; i++)
		if (!account_valid(o->accounts[i])) {
			(void)snprintf(why, MEMBER_WHY, "\"%.100s\" is no account: NAMESPACE/SERVICE-ACCOUNT is",
			    o->accounts[i]);
			return TULLE_EINVAL;
		}
	if (o->ttl < TOKEN_TTL_MIN || o->ttl > TOKEN_TTL_MAX) {
		(void)snprintf(why, MEMBER_WHY, "a token is good for %d seconds to 7 days, not for %" PRId64 " seconds",
		    TOKEN_TTL_MIN, o->ttl);
		return TULLE_EINVAL;
	}
	if (o->uses < 1 || o->uses > TOKEN_USES_MAX) {
		(void)snprintf(why, MEMBER_WHY, "a token has 1 to %d uses, not %" PRId64, TOKEN_USES_MAX, o->uses);
		return TULLE_EINVAL;
	}
	if (o->authority.family == 0 || o->authority.port == 0 || addr_is_any(&o->authority)) {
		(void)snprintf(why, MEMBER_WHY, "the token needs this host's address as the new host sees it: IP:PORT");
		return TULLE_EINVAL;
	}
	return TULLE_OK;
}

enum tulle_err
token_create(struct store *s, const struct token_order *o, const uint8_t pin[TOKEN_PIN], int64_t now,
    struct token *ret, char why[MEMBER_WHY])
{
	enum tulle_err e = check(o, why);
	uint8_t key[TOKEN_KEY];
	char hex[2 * TOKEN_KEY + 1];
	json_t *accounts;
	struct token t;

	if (e)
		return e;
	(void)tokens_expire(s, now);
	if (json_object_size(store_table(s, "token")) >= TOKENS_MAX) {
		(void)snprintf(why, MEMBER_WHY, "%d tokens are open: revoke some", TOKENS_MAX);
		return TULLE_ELIMIT;
	}
	why[0] = '\0';
	e = token_new(&t, pin, &o->authority, now + o->ttl);
	if (e == TULLE_OK)
		e = token_key(key, &t);
	if (e)
		return e;
	accounts = json_array();
	for (size_t i = 0; i < o->n_accounts; i++)
		(void)json_array_append_new(accounts, json_string(o->accounts[i]));
	e = store_put(s, "token", t.id,
	    json_pack("{ss so sI sI sI sI s[]}", "key", text_hex(key, sizeof(key), hex), "accounts", accounts, "expires",
	        (json_int_t)(now + o->ttl), "uses", (json_int_t)o->uses, "created", (json_int_t)now, "creator",
	        (json_int_t)o->creator, "redeemed"));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	if (e == TULLE_OK) {
		log_notice("join token made", LF_STR("token", t.id), LF_INT("expires", now + o->ttl),
		    LF_UINT("creator_uid", o->creator), LF_UINT("accounts", o->n_accounts));
		*ret = t;
	}
	explicit_bzero(&t, sizeof(t));
	return e;
}

enum tulle_err
token_revoke(struct store *s, const char *id)
{
	enum tulle_err e = store_get(s, "token", id) == NULL ? TULLE_ENOENT : store_remove(s, "token", id);

	if (e == TULLE_OK)
		log_notice("join token revoked", LF_STR("token", id));
	return e;
}

/* One that has expired, and when the next one does. */
static bool
find_expired(const struct store *s, int64_t now, char id[TOKEN_ID], int64_t *ret_next)
{
	void *it, *table = json_deep_copy(store_table(s, "token"));
	bool found = false;

	*ret_next = INT64_MAX;
	for (it = json_object_iter(table); it != NULL && !found; it = json_object_iter_next(table, it)) {
		int64_t expires = value_int(json_object_iter_value(it), "expires");

		found = expires <= now;
		if (found)
			(void)snprintf(id, TOKEN_ID, "%s", json_object_iter_key(it));
		else if (expires < *ret_next)
			*ret_next = expires;
	}
	json_decref(table);
	return found;
}

int64_t
tokens_expire(struct store *s, int64_t now)
{
	char id[TOKEN_ID];
	int64_t next;

	while (find_expired(s, now, id, &next)) {
		if (store_remove(s, "token", id) != TULLE_OK)
			return now + 60; /* the disk is full; an expired token is refused all the same */
		log_info("join token expired", LF_STR("token", id));
	}
	return next;
}

json_t *
tokens_status(const struct store *s, int64_t now)
{
	json_t *list = json_array(), *copy = json_deep_copy(store_table(s, "token")), *t;
	const char *id;

	json_object_foreach (copy, id, t) {
		(void)json_object_del(t, "key");
		(void)json_object_set_new(t, "id", json_string(id));
		(void)json_object_set_new(t, "remaining", json_integer(value_int(t, "expires") - now));
		(void)json_array_append(list, t);
	}
	json_decref(copy);
	return list;
}
