/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A member's copy of the manifests: what it takes, what it refuses, and what a start finds. */
#include "agent/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "pki.h"
#include "../scratch.h"
#include "tls/context.h"
#include "unit.h"

#define TD "mesh.test"
#define FROM "192.0.2.1:15012"

static struct {
	char *dir;
	char path[512];
	struct store *store;
	struct pki *root, *other;
	struct copy copy;
	enum tulle_err verdict; /* of the check */
	int checks;
} w;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	w.dir = scratch_new();
	(void)snprintf(w.path, sizeof(w.path), "%s/manifests", w.dir);
	ck_assert_int_eq(store_open(&w.store, w.dir), TULLE_OK);
	w.root = pki_root(TD);
	w.other = pki_root(TD);
	ck_assert_int_eq(copy_open(&w.copy, w.store, w.path), TULLE_OK);
}

static void
tear_down(void)
{
	copy_close(&w.copy);
	store_close(w.store);
	pki_free(w.root);
	pki_free(w.other);
	scratch_free(w.dir);
}

static void
restart(void)
{
	copy_close(&w.copy);
	store_close(w.store);
	ck_assert_int_eq(store_open(&w.store, w.dir), TULLE_OK);
	ck_assert_int_eq(copy_open(&w.copy, w.store, w.path), TULLE_OK);
}

static enum tulle_err
check(void *arg, const struct manifest_files *files, struct buf *problems)
{
	(void)arg;
	w.checks++;
	ck_assert_uint_eq(files->n, 1);
	if (w.verdict != TULLE_OK)
		(void)buf_printf(problems, "authority/a.yaml:3:1: nonsense\nand more\n");
	return w.verdict;
}

static enum tulle_err
take_of(const struct pki *by, uint64_t number, const char *text)
{
	struct manifest_file item = { "a.yaml", text, strlen(text) };
	struct manifest_files files = { &item, 1, strlen(text) };
	struct buf set = buf_new(GENERATION_SIGNED_MAX);
	enum tulle_err e;

	ck_assert_int_eq(generation_sign(&set, TD, number, 1000, &files, by->key), TULLE_OK);
	e = copy_take(&w.copy, buf_head(&set), buf_len(&set), TD, (struct der){ buf_head(&w.root->chain), buf_len(&w.root->chain) },
	    FROM, 2000, check, NULL);
	buf_free(&set);
	return e;
}

static enum tulle_err
take(uint64_t number, const char *text)
{
	return take_of(w.root, number, text);
}

/* What the relay of this host would read. */
static uint64_t
on_disk(void)
{
	char why[GENERATION_WHY];
	struct generation g;
	uint64_t number;
	char *data;
	size_t len;

	ck_assert_int_eq(file_read(w.path, GENERATION_KEPT_MAX, &data, &len), TULLE_OK);
	ck_assert_int_eq(generation_kept_open(&g, NULL, (const uint8_t *)data, len, why), TULLE_OK);
	number = g.number;
	generation_free(&g);
	free(data);
	return number;
}

START_TEST(a_new_generation_is_taken_and_there_after_a_restart)
{
	struct stat st;

	set_up();
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_str_eq(w.copy.trouble, "");
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_uint_eq(w.copy.number, 10);
	ck_assert_int_eq(stat(w.path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0644); /* for the relay, another user */
	ck_assert_int_eq(take(11, "two"), TULLE_OK);
	ck_assert_int_eq(take(11, "two"), TULLE_OK); /* again */
	ck_assert_int_eq(w.checks, 2);
	restart();
	ck_assert_uint_eq(w.copy.number, 11);
	ck_assert_str_eq(w.copy.about.authority, FROM);
	ck_assert_int_eq(w.copy.about.since, 2000);
	ck_assert_str_eq(w.copy.trouble, "");
	tear_down();
}
END_TEST

START_TEST(an_older_generation_is_refused_also_after_a_restart)
{
	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_int_eq(take(11, "two"), TULLE_OK);
	ck_assert_int_eq(take(10, "one"), TULLE_EDENIED);
	ck_assert_ptr_nonnull(strstr(w.copy.trouble, "was it restored from a backup?"));
	restart();
	ck_assert_int_eq(take(10, "one"), TULLE_EDENIED);
	ck_assert_int_eq(unlink(w.path), 0); /* nor is it enough to lose the copy */
	restart();
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_int_eq(take(10, "one"), TULLE_EDENIED);
	ck_assert_int_eq(take(11, "two"), TULLE_OK);
	ck_assert_str_eq(w.copy.trouble, "");
	tear_down();
}
END_TEST

START_TEST(one_number_has_one_content)
{
	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_int_eq(take(10, "two"), TULLE_EDENIED);
	ck_assert_int_eq(w.checks, 1);
	tear_down();
}
END_TEST

START_TEST(what_is_not_signed_by_our_root_changes_nothing)
{
	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_int_eq(take_of(w.other, 11, "two"), TULLE_EDENIED);
	ck_assert_str_eq(w.copy.trouble, "it is not signed by the root of this trust domain");
	ck_assert_uint_eq(w.copy.number, 10);
	ck_assert_uint_eq(on_disk(), 10);
	ck_assert_int_eq(copy_take(&w.copy, (const uint8_t *)"x", 1, TD, (struct der){ NULL, 0 }, FROM, 1, check, NULL), TULLE_EPEER);
	ck_assert_uint_eq(w.copy.number, 10);
	tear_down();
}
END_TEST

START_TEST(what_does_not_load_changes_nothing)
{
	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	w.verdict = TULLE_EINVAL;
	ck_assert_int_eq(take(11, "two"), TULLE_EINVAL);
	ck_assert_str_eq(w.copy.trouble, "generation 11 does not load: authority/a.yaml:3:1: nonsense");
	ck_assert_uint_eq(w.copy.offered, 11);
	ck_assert_uint_eq(on_disk(), 10);
	w.verdict = TULLE_OK;
	ck_assert_int_eq(take(11, "two"), TULLE_OK); /* an upgrade may have mended that */
	ck_assert_str_eq(w.copy.trouble, "");
	tear_down();
}
END_TEST

START_TEST(what_cannot_be_written_changes_nothing)
{
	struct copy away;

	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	copy_close(&w.copy);
	ck_assert_int_eq(copy_open(&away, w.store, "/nonexistent/manifests"), TULLE_OK); /* the record is there, the file is not */
	ck_assert_ptr_nonnull(strstr(away.trouble, "it is gone"));
	w.copy = away;
	ck_assert_int_eq(take(11, "two"), TULLE_ESYS);
	ck_assert_ptr_nonnull(strstr(w.copy.trouble, "No such file or directory: generation 11 cannot be written to /nonexistent/manifests"));
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_int_eq(value_int(store_get(w.store, "self", "manifests"), "number"), 10);
	tear_down();
}
END_TEST

static void
spoil(void)
{
	int fd = open(w.path, O_RDWR);
	char c;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, 40), 1);
	c ^= 1;
	ck_assert_int_eq(pwrite(fd, &c, 1, 40), 1);
	close(fd);
}

START_TEST(a_copy_that_was_changed_is_moved_aside_and_fetched_again)
{
	char aside[600];

	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	spoil();
	restart();
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_ptr_nonnull(strstr(w.copy.trouble, "the copy on disk was refused"));
	ck_assert_int_eq(access(w.path, F_OK), -1);
	(void)snprintf(aside, sizeof(aside), "%s.refused", w.path);
	ck_assert_int_eq(access(aside, F_OK), 0);
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_str_eq(w.copy.trouble, "");
	tear_down();
}
END_TEST

START_TEST(an_old_copy_that_was_put_back_is_refused)
{
	char *old;
	size_t len;

	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_int_eq(file_read(w.path, GENERATION_KEPT_MAX, &old, &len), TULLE_OK);
	ck_assert_int_eq(take(11, "two"), TULLE_OK);
	ck_assert_int_eq(file_replace(w.path, old, len, 0644), TULLE_OK);
	free(old);
	restart();
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_ptr_nonnull(strstr(w.copy.trouble, "somebody put an old one there"));
	tear_down();
}
END_TEST

START_TEST(a_cut_between_file_and_record_is_healed)
{
	char *newer;
	size_t len;

	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	ck_assert_int_eq(take(11, "two"), TULLE_OK);
	ck_assert_int_eq(file_read(w.path, GENERATION_KEPT_MAX, &newer, &len), TULLE_OK);
	ck_assert_int_eq(store_put(w.store, "self", "manifests", json_pack("{sI ss}", "number", (json_int_t)10, "digest", "")), TULLE_OK);
	restart();
	ck_assert_uint_eq(w.copy.number, 11);
	ck_assert_int_eq(value_int(store_get(w.store, "self", "manifests"), "number"), 11);
	free(newer);
	tear_down();
}
END_TEST

START_TEST(of_another_fleet_nothing_stays)
{
	set_up();
	ck_assert_int_eq(take(10, "one"), TULLE_OK);
	copy_forget(&w.copy);
	ck_assert_int_eq(access(w.path, F_OK), -1);
	ck_assert_uint_eq(w.copy.number, 0);
	ck_assert_int_eq(take(5, "of the other"), TULLE_OK);
	tear_down();
}
END_TEST

UNIT_MAIN("copy", a_new_generation_is_taken_and_there_after_a_restart, an_older_generation_is_refused_also_after_a_restart,
    one_number_has_one_content, what_is_not_signed_by_our_root_changes_nothing, what_does_not_load_changes_nothing,
    what_cannot_be_written_changes_nothing, a_copy_that_was_changed_is_moved_aside_and_fetched_again,
    an_old_copy_that_was_put_back_is_refused, a_cut_between_file_and_record_is_healed, of_another_fleet_nothing_stays)
