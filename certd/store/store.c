/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store.h"

#include <stdlib.h>

#include "base/log.h"
#include "store/journal.h"

struct store {
	struct journal *journal; /* owned */
	json_t *tables;          /* owned: table -> key -> value */
};

/* A record is an array of [table, key, value], or [table, key] for a removal.  Looks first, then changes. */
static bool
record_valid(const json_t *record)
{
	size_t i;
	json_t *change;

	if (!json_is_array(record))
		return false;
	json_array_foreach (record, i, change)
		if (!json_is_array(change) || json_array_size(change) < 2 || json_array_size(change) > 3 ||
		    !json_is_string(json_array_get(change, 0)) || !json_is_string(json_array_get(change, 1)))
			return false;
	return true;
}

static enum tulle_err
apply(void *arg, const json_t *record)
{
	struct store *s = arg;
	size_t i;
	json_t *change;

	if (!record_valid(record))
		return TULLE_EINVAL;
	json_array_foreach (record, i, change) {
		const char *table = json_string_value(json_array_get(change, 0));
		const char *key = json_string_value(json_array_get(change, 1));
		json_t *value = json_array_get(change, 2);
		json_t *t = json_object_get(s->tables, table);

		if (t == NULL) {
			t = json_object();
			if (t == NULL || json_object_set_new(s->tables, table, t) == -1)
				return TULLE_ENOMEM;
		}
		if (value == NULL)
			(void)json_object_del(t, key);
		else if (json_object_set(t, key, value) == -1)
			return TULLE_ENOMEM;
	}
	return TULLE_OK;
}

enum tulle_err
store_open(struct store **ret, const char *dir)
{
	struct store *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->tables = json_object();
	e = s->tables == NULL ? TULLE_ENOMEM : journal_open(&s->journal, dir, apply, s);
	if (e) {
		int saved = errno;

		store_close(s);
		errno = saved;
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct store *
store_close(struct store *s)
{
	if (s == NULL)
		return NULL;
	journal_close(s->journal);
	json_decref(s->tables);
	free(s);
	return NULL;
}

const json_t *
store_get(const struct store *s, const char *table, const char *key)
{
	return json_object_get(json_object_get(s->tables, table), key);
}

const json_t *
store_table(const struct store *s, const char *table)
{
	return json_object_get(s->tables, table);
}

static json_t *
change_json(const struct store_change *c)
{
	if (c->value == NULL)
		return json_pack("[ss]", c->table, c->key);
	return json_pack("[ssO]", c->table, c->key, c->value);
}

/* Records that give what is there now: one for each value. */
static void
compact(struct store *s)
{
	json_t *records = json_array(), *table, *value;
	const char *name, *key;
	enum tulle_err e;

	json_object_foreach (s->tables, name, table)
		json_object_foreach (table, key, value)
			(void)json_array_append_new(records, json_pack("[[ssO]]", name, key, value));
	e = journal_replace(s->journal, records);
	if (e) /* the long journal is as good, only longer */
		log_warn("the journal could not be shortened", LF_ERR(e), LF_ERRNO);
}

enum tulle_err
store_commit(struct store *s, struct store_change *changes, size_t n)
{
	json_t *record = json_array();
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < n; i++) {
		if (record != NULL && json_array_append_new(record, change_json(&changes[i])) == -1) {
			json_decref(record);
			record = NULL;
		}
		json_decref(changes[i].value);
		changes[i].value = NULL;
	}
	if (record == NULL)
		return TULLE_ENOMEM;
	e = journal_append(s->journal, json_incref(record));
	if (e == TULLE_OK)
		e = apply(s, record);
	json_decref(record);
	if (e == TULLE_OK && journal_is_long(s->journal))
		compact(s);
	return e;
}

enum tulle_err
store_put(struct store *s, const char *table, const char *key, json_t *value)
{
	if (value == NULL)
		return TULLE_ENOMEM;
	return store_commit(s, &(struct store_change){ table, key, value }, 1);
}

enum tulle_err
store_remove(struct store *s, const char *table, const char *key)
{
	return store_commit(s, &(struct store_change){ table, key, NULL }, 1);
}

const char *
value_text(const json_t *value, const char *field)
{
	const char *text = json_string_value(json_object_get(value, field));

	return text != NULL ? text : "";
}

int64_t
value_int(const json_t *value, const char *field)
{
	return json_integer_value(json_object_get(value, field));
}
