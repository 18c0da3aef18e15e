/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/status.h"

#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "base/text.h"
#include "inject/tree.h"

#define DIGEST 32
#define DIGEST_TEXT (2 * DIGEST + 1)

static bool
digest(const void *data, size_t len, char out[DIGEST_TEXT])
{
	byte raw[DIGEST];
	wc_Sha256 sha;

	if (wc_InitSha256(&sha) != 0 || wc_Sha256Update(&sha, data, (word32)len) != 0 || wc_Sha256Final(&sha, raw) != 0)
		return false;
	(void)text_hex(raw, sizeof(raw), out);
	return true;
}

json_t *
status_new(const struct inject_options *o, const json_t *probes_were)
{
	return json_pack("{s:s, s:s, s:[], s:{}, s:{}, s:O}", "version", o->version, "sidecar", o->classic ? "classic" : "native", "made",
	    "was", "set", "probes", probes_were);
}

enum tulle_err
status_undo(json_t *status, const struct edits *ed, size_t first, size_t start, size_t end)
{
	char sha[DIGEST_TEXT];
	json_t *undo = json_array();

	if (undo == NULL || !digest(ed->data + start, end - start, sha))
		return TULLE_ENOMEM;
	for (size_t i = first; i < ed->n; i++) {
		const struct edit *one = &ed->list[i];

		if (json_array_append_new(undo,
			json_pack("[I, I, s%]", (json_int_t)(one->at - start), one->own ? (json_int_t)-1 : (json_int_t)one->text_len,
			    ed->data + one->at, one->len)) != 0) {
			json_decref(undo);
			return TULLE_ENOMEM;
		}
	}
	if (json_object_set_new(status, "size", json_integer((json_int_t)(end - start))) != 0 ||
	    json_object_set_new(status, "sha256", json_string(sha)) != 0 || json_object_set_new(status, "undo", undo) != 0)
		return TULLE_ENOMEM;
	return TULLE_OK;
}

json_t *
status_read(const char *text)
{
	json_t *s = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(s) && json_is_string(json_object_get(s, "version")) && json_is_array(json_object_get(s, "made")) &&
	    json_is_object(json_object_get(s, "was")) && json_is_object(json_object_get(s, "probes")))
		return s;
	json_decref(s);
	return NULL;
}

/* One step of undo: AT, LENGTH and WAS; false: that is none. */
static bool
read_step(json_t *step, json_int_t *at, json_int_t *length, const char **was, size_t *was_len)
{
	json_t *text = json_array_get(step, 2);

	if (!json_is_integer(json_array_get(step, 0)) || !json_is_integer(json_array_get(step, 1)) || !json_is_string(text))
		return false;
	*at = json_integer_value(json_array_get(step, 0));
	*length = json_integer_value(json_array_get(step, 1));
	*was = json_string_value(text);
	*was_len = json_string_length(text);
	return *at >= 0 && *at <= TREE_MAX_BYTES && *length >= -1 && *length <= TREE_MAX_BYTES;
}

/* How long the annotation's own piece is: what all others leave of <len>. */
static bool
own_length(json_t *undo, json_int_t size, size_t len, json_int_t *ret)
{
	json_int_t rest = (json_int_t)len - size, at, length;
	size_t i, was_len, owns = 0;
	const char *was;
	json_t *step;

	json_array_foreach (undo, i, step) {
		if (!read_step(step, &at, &length, &was, &was_len))
			return false;
		owns += length == -1;
		rest += (json_int_t)was_len - (length != -1 ? length : 0);
	}
	*ret = rest;
	return owns == 1 && rest >= 0;
}

static enum tulle_err
rewind_text(json_t *undo, json_int_t own, const char *data, size_t len, struct buf *out)
{
	json_int_t before = 0, at, length; /* <before>: how far the text before has come */
	size_t i, was_len = 0, now = 0;    /* <now>: the text as it is */
	const char *was = NULL;
	enum tulle_err e;
	json_t *step;

	json_array_foreach (undo, i, step) {
		if (!read_step(step, &at, &length, &was, &was_len) || at < before || (size_t)(at - before) > len - now)
			return TULLE_EDAMAGED;
		e = buf_append(out, data + now, (size_t)(at - before));
		if (e == TULLE_OK)
			e = buf_append(out, was, was_len);
		if (e != TULLE_OK)
			return e;
		now += (size_t)(at - before);
		if (length == -1)
			length = own;
		if ((size_t)length > len - now)
			return TULLE_EDAMAGED;
		now += (size_t)length;
		before = at + (json_int_t)was_len;
	}
	return buf_append(out, data + now, len - now);
}

enum tulle_err
status_restore(const json_t *status, const char *data, size_t len, struct buf *out)
{
	json_t *undo = json_object_get(status, "undo");
	const char *sha = json_string_value(json_object_get(status, "sha256"));
	struct buf text = buf_new(2 * TREE_MAX_BYTES);
	char now[DIGEST_TEXT];
	json_int_t own;
	enum tulle_err e;

	if (sha == NULL || !json_is_integer(json_object_get(status, "size")) ||
	    !own_length(undo, json_integer_value(json_object_get(status, "size")), len, &own))
		return TULLE_EDAMAGED;
	e = rewind_text(undo, own, data, len, &text);
	if (e == TULLE_ELIMIT)
		e = TULLE_EDAMAGED;
	if (e == TULLE_OK && (!digest(buf_head(&text), buf_len(&text), now) || strcmp(now, sha) != 0))
		e = TULLE_EDAMAGED;
	if (e == TULLE_OK)
		e = buf_append(out, buf_head(&text), buf_len(&text));
	buf_free(&text);
	return e;
}
