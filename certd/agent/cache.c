/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "store/crypt.h"
#include "store/store.h"

#define CACHE_MAX (16u << 20)
#define KEY_MAX 4096
#define LABEL "tulle certd cache 1"

static json_t *
bytes_json(const uint8_t *p, size_t n)
{
	char AUTO_FREE *text = malloc(TEXT_BASE64URL(n));
	json_t *json;

	if (text == NULL)
		return NULL;
	json = json_string(text_base64url(p, n, text));
	explicit_bzero(text, strlen(text));
	return json;
}

json_t *
cache_identity(const struct identity *id, int64_t issued, int64_t renew)
{
	struct buf key = buf_new(KEY_MAX);
	json_t *json = NULL;

	if (key_export(id->key, &key) == TULLE_OK)
		json = json_pack("{ss so so sI sI}", "hint", id->hint, "chain",
		    bytes_json(id->chain, id->chain_len), "key", bytes_json(buf_head(&key), buf_len(&key)),
		    "issued", (json_int_t)issued, "renew_at", (json_int_t)renew);
	buf_wipe(&key);
	return json;
}

enum tulle_err
cache_identity_read(const json_t *value, struct identity **ret, int64_t *ret_issued, int64_t *ret_renew_at)
{
	const char *chain_text = value_text(value, "chain"), *key_text = value_text(value, "key");
	uint8_t key[KEY_MAX];
	uint8_t AUTO_FREE *chain = malloc(DER_CHAIN_MAX);
	size_t chain_len, key_len = 0;
	enum tulle_err e = chain == NULL ? TULLE_ENOMEM : TULLE_OK;

	if (e == TULLE_OK)
		e = text_unbase64url(chain_text, strlen(chain_text), chain, DER_CHAIN_MAX, &chain_len);
	if (e == TULLE_OK)
		e = text_unbase64url(key_text, strlen(key_text), key, sizeof(key), &key_len);
	if (e == TULLE_OK)
		e = identity_new(ret, chain, chain_len, key, key_len, value_text(value, "hint"), NULL);
	explicit_bzero(key, sizeof(key));
	if (e)
		return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
	*ret_issued = value_int(value, "issued");
	*ret_renew_at = value_int(value, "renew_at");
	return TULLE_OK;
}

enum tulle_err
cache_write(const char *file, const uint8_t seal[32], json_t *value)
{
	struct buf sealed = buf_new(CACHE_MAX);
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
	enum tulle_err e;

	json_decref(value);
	if (text == NULL)
		return TULLE_ENOMEM;
	e = crypt_seal(&sealed, seal, LABEL, text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
	if (e == TULLE_OK)
		e = file_replace(file, buf_head(&sealed), buf_len(&sealed), 0600);
	buf_free(&sealed);
	return e;
}

enum tulle_err
cache_read(const char *file, const uint8_t seal[32], json_t **ret)
{
	struct buf plain = buf_new(CACHE_MAX);
	char AUTO_FREE *data = NULL;
	size_t len;
	json_t *json = NULL;
	enum tulle_err e = file_read(file, CACHE_MAX, &data, &len);

	if (e == TULLE_OK)
		e = crypt_open(&plain, seal, LABEL, data, len);
	if (e == TULLE_OK) {
		json = json_loadb((const char *)buf_head(&plain), buf_len(&plain), JSON_REJECT_DUPLICATES, NULL);
		e = json_is_object(json) ? TULLE_OK : TULLE_EINVAL;
	}
	buf_wipe(&plain);
	if (e) {
		json_decref(json);
		return e;
	}
	*ret = json;
	return TULLE_OK;
}
