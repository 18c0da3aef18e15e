/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/journal.h"

#include <fcntl.h>
#include <string.h>

#include "../scratch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "store/crypt.h"
#include "store/record.h"
#include "store/store.h"
#include "unit.h"

struct seen {
	int n;
	json_int_t last;
};

static enum tulle_err
count(void *arg, const json_t *record)
{
	struct seen *s = arg;

	s->n++;
	s->last = json_integer_value(json_object_get(record, "i"));
	return TULLE_OK;
}

static void
write_records(const char *dir, int n)
{
	struct journal *j;
	struct seen s = { 0 };

	ck_assert_int_eq(journal_open(&j, dir, count, &s), TULLE_OK);
	for (int i = 1; i <= n; i++)
		ck_assert_int_eq(journal_append(j, json_pack("{si ss}", "i", i, "text", "a \"quoted\"\nline")), TULLE_OK);
	journal_close(j);
}

START_TEST(what_was_appended_is_replayed_in_order)
{
	char *dir = scratch_new();
	struct journal *j;
	struct seen s = { 0 };

	write_records(dir, 5);
	ck_assert_int_eq(journal_open(&j, dir, count, &s), TULLE_OK);
	ck_assert_int_eq(s.n, 5);
	ck_assert_int_eq((int)s.last, 5);
	journal_close(j);
	scratch_free(dir);
}
END_TEST

/* A power cut may leave any prefix of the file: each gives the whole records before the cut, and can be written on. */
START_TEST(a_cut_at_every_byte_loses_only_the_record_that_was_cut)
{
	char *dir = scratch_new(), *data, *path;
	size_t len;

	log_set_threshold(LOG_LVL_ERROR + 1);
	write_records(dir, 4);
	path = strdup(scratch_path(dir, "journal"));
	ck_assert_int_eq(file_read(path, 1 << 20, &data, &len), TULLE_OK);
	for (size_t cut = 0; cut <= len; cut++) {
		struct journal *j;
		struct seen s = { 0 }, again = { 0 };
		int whole = 0;

		for (size_t i = 0; i < cut; i++)
			whole += data[i] == '\n';
		ck_assert_int_eq(file_replace(path, data, cut, 0600), TULLE_OK);
		ck_assert_int_eq(journal_open(&j, dir, count, &s), TULLE_OK);
		ck_assert_int_eq(s.n, whole);
			ck_assert_int_eq(journal_append(j, json_pack("{si}", "i", 99)), TULLE_OK);
		journal_close(j);
		ck_assert_int_eq(journal_open(&j, dir, count, &again), TULLE_OK);
		ck_assert_int_eq(again.n, whole + 1);
		ck_assert_int_eq((int)again.last, 99);
		journal_close(j);
	}
	free(data);
	free(path);
	scratch_free(dir);
}
END_TEST

/* Whichever byte it is, the last newline included: all that was promised is still there for whoever can mend it. */
START_TEST(any_changed_byte_is_refused_and_the_file_is_left_alone)
{
	char *dir = scratch_new(), *data, *path, *after;
	size_t len, after_len;

	write_records(dir, 3);
	path = strdup(scratch_path(dir, "journal"));
	ck_assert_int_eq(file_read(path, 1 << 20, &data, &len), TULLE_OK);
	log_set_threshold(LOG_LVL_ERROR + 1);
	for (size_t i = 0; i < len; i++) {
		struct journal *j;
		struct seen s = { 0 };

		data[i] ^= 1;
		ck_assert_int_eq(file_replace(path, data, len, 0600), TULLE_OK);
		ck_assert_msg(journal_open(&j, dir, count, &s) == TULLE_EDAMAGED, "byte %zu of %zu", i, len);
		ck_assert_int_eq(file_read(path, 1 << 20, &after, &after_len), TULLE_OK);
		ck_assert_uint_eq(after_len, len);
		ck_assert_mem_eq(after, data, len);
		free(after);
		data[i] ^= 1;
	}
	free(data);
	free(path);
	scratch_free(dir);
}
END_TEST

START_TEST(a_second_one_is_kept_out)
{
	char *dir = scratch_new();
	struct journal *j, *other;
	struct seen s = { 0 };

	ck_assert_int_eq(journal_open(&j, dir, count, &s), TULLE_OK);
	ck_assert_int_eq(journal_open(&other, dir, count, &s), TULLE_EBUSY);
	journal_close(j);
	ck_assert_int_eq(journal_open(&other, dir, count, &s), TULLE_OK);
	journal_close(other);
	scratch_free(dir);
}
END_TEST

START_TEST(a_snapshot_gives_the_same_state)
{
	char *dir = scratch_new(), key[16];
	struct store *s;

	ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i % 10);
		ck_assert_int_eq(store_put(s, "t", key, json_pack("{si}", "i", i)), TULLE_OK);
	}
	ck_assert_int_eq(store_remove(s, "t", "k3"), TULLE_OK);
	store_close(s);
	ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
	ck_assert_uint_eq(json_object_size(store_table(s, "t")), 9);
	ck_assert_ptr_null(store_get(s, "t", "k3"));
	ck_assert_int_eq((int)value_int(store_get(s, "t", "k9"), "i"), 2999);
	store_close(s);
	{
		struct journal *j;
		struct seen seen = { 0 };

		ck_assert_int_eq(journal_open(&j, dir, count, &seen), TULLE_OK);
		ck_assert_int_lt(seen.n, 2 * JOURNAL_COMPACT); /* it has been shortened */
		journal_close(j);
	}
	scratch_free(dir);
}
END_TEST

START_TEST(changes_that_belong_together_are_one_record)
{
	char *dir = scratch_new(), *data, *path;
	struct store *s;
	size_t len;

	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
	ck_assert_int_eq(store_commit(s,
	                     (struct store_change[]){ { "a", "x", json_integer(1) }, { "b", "y", json_integer(2) } }, 2),
	    TULLE_OK);
	store_close(s);
	path = strdup(scratch_path(dir, "journal"));
	ck_assert_int_eq(file_read(path, 1 << 20, &data, &len), TULLE_OK);
	for (size_t cut = 0; cut <= len; cut++) { /* both or neither, wherever it was cut */
		ck_assert_int_eq(file_replace(path, data, cut, 0600), TULLE_OK);
		ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
		ck_assert_int_eq(store_get(s, "a", "x") != NULL, store_get(s, "b", "y") != NULL);
		ck_assert_int_eq(store_get(s, "a", "x") != NULL, cut == len);
		store_close(s);
	}
	free(data);
	free(path);
	scratch_free(dir);
}
END_TEST

START_TEST(a_change_that_cannot_be_written_is_not_made)
{
	char *dir = scratch_new();
	struct store *s;
	char AUTO_FREE *big = malloc(RECORD_MAX);

	memset(big, 'x', RECORD_MAX - 1);
	big[RECORD_MAX - 1] = '\0';
	ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
	ck_assert_int_eq(store_put(s, "t", "k", json_string(big)), TULLE_ELIMIT);
	ck_assert_ptr_null(store_get(s, "t", "k"));
	ck_assert_int_eq(store_put(s, "t", "k", json_string("small")), TULLE_OK);
	store_close(s);
	ck_assert_int_eq(store_open(&s, dir), TULLE_OK);
	ck_assert_str_eq(json_string_value(store_get(s, "t", "k")), "small");
	store_close(s);
	scratch_free(dir);
}
END_TEST

START_TEST(a_sealed_file_opens_only_with_its_key_and_label)
{
	uint8_t key[CRYPT_KEY] = { 1 }, other[CRYPT_KEY] = { 2 };
	struct buf sealed = buf_new(1000), plain = buf_new(1000);

	ck_assert_int_eq(crypt_seal(&sealed, key, "label", "secret", 6), TULLE_OK);
	ck_assert_uint_eq(buf_len(&sealed), 6 + CRYPT_OVERHEAD);
	ck_assert_int_eq(crypt_open(&plain, key, "label", buf_head(&sealed), buf_len(&sealed)), TULLE_OK);
	ck_assert_mem_eq(buf_head(&plain), "secret", 6);
	ck_assert_int_eq(crypt_open(&plain, other, "label", buf_head(&sealed), buf_len(&sealed)), TULLE_EINVAL);
	ck_assert_int_eq(crypt_open(&plain, key, "lapel", buf_head(&sealed), buf_len(&sealed)), TULLE_EINVAL);
	for (size_t i = 0; i < buf_len(&sealed); i++) {
		sealed.data[sealed.off + i] ^= 0x40;
		ck_assert_int_eq(crypt_open(&plain, key, "label", buf_head(&sealed), buf_len(&sealed)), TULLE_EINVAL);
		sealed.data[sealed.off + i] ^= 0x40;
	}
	buf_free(&sealed);
	buf_free(&plain);
}
END_TEST

UNIT_MAIN("certd/store", what_was_appended_is_replayed_in_order,
    a_cut_at_every_byte_loses_only_the_record_that_was_cut, any_changed_byte_is_refused_and_the_file_is_left_alone,
    a_second_one_is_kept_out, a_snapshot_gives_the_same_state, changes_that_belong_together_are_one_record,
    a_change_that_cannot_be_written_is_not_made, a_sealed_file_opens_only_with_its_key_and_label)
