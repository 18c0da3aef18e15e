/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which number the next generation gets, in simulated time. */
#include "authority/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "../scratch.h"
#include "tls/context.h"
#include "unit.h"

#define TD "mesh.test"

static struct {
	char *dir;
	struct store *store;
	struct authority *authority;
	struct published p;
	char why[GENERATION_WHY];
} w;

static void
begin(void)
{
	ck_assert_int_eq(store_open(&w.store, w.dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&w.authority, w.store, w.dir, TD), TULLE_OK);
	if (!authority_has_root(w.authority))
		ck_assert_int_eq(authority_create(w.authority, clock_wall_sec()), TULLE_OK);
	ck_assert_int_eq(publish_open(&w.p, w.store, w.authority, w.dir, TD), TULLE_OK);
}

static void
end(void)
{
	publish_close(&w.p);
	authority_close(w.authority);
	store_close(w.store);
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	w.dir = scratch_new();
	begin();
}

static void
tear_down(void)
{
	end();
	scratch_free(w.dir);
}

/* Whether there is a new generation. */
static bool
publish(const char *text, int64_t now)
{
	struct manifest_file item = { "/etc/tulle/mesh.d/a.yaml", text, strlen(text) };
	struct manifest_files files = { &item, 1, strlen(text) };
	bool changed = false;

	ck_assert_int_eq(publish_files(&w.p, &files, now, &changed, w.why), TULLE_OK);
	return changed;
}

START_TEST(the_number_is_the_time_and_only_rises)
{
	set_up();
	ck_assert_uint_eq(w.p.number, 0);
	ck_assert(publish("one", 1000));
	ck_assert_uint_eq(w.p.number, 1000);
	ck_assert(!publish("one", 2000)); /* the same */
	ck_assert_uint_eq(w.p.number, 1000);
	ck_assert(publish("two", 1000)); /* within a second */
	ck_assert_uint_eq(w.p.number, 1001);
	ck_assert(publish("one", 500)); /* the clock was set back */
	ck_assert_uint_eq(w.p.number, 1002);
	ck_assert(publish("two", -5));
	ck_assert_uint_eq(w.p.number, 1003);
	tear_down();
}
END_TEST

START_TEST(a_restart_publishes_what_was_published)
{
	struct buf before = buf_new(GENERATION_SIGNED_MAX);

	set_up();
	ck_assert(publish("one", 1000));
	ck_assert_int_eq(buf_append(&before, buf_head(&w.p.message), buf_len(&w.p.message)), TULLE_OK);
	end();
	begin();
	ck_assert_uint_eq(w.p.number, 1000);
	ck_assert_uint_eq(buf_len(&before), buf_len(&w.p.message));
	ck_assert_mem_eq(buf_head(&before), buf_head(&w.p.message), buf_len(&before));
	ck_assert(!publish("one", 2000));
	buf_free(&before);
	tear_down();
}
END_TEST

START_TEST(no_number_is_given_twice_even_if_the_file_is_lost)
{
	set_up();
	ck_assert(publish("one", 1000));
	end();
	ck_assert_int_eq(unlink(scratch_path(w.dir, "published")), 0);
	begin();
	ck_assert_uint_eq(w.p.number, 0);
	ck_assert(publish("two", 900));
	ck_assert_uint_eq(w.p.number, 1001);
	tear_down();
}
END_TEST

START_TEST(a_member_that_has_more_makes_the_next_reload_publish)
{
	set_up();
	ck_assert(publish("one", 1000));
	publish_seen(&w.p, 1000);
	ck_assert(!publish("one", 3000));
	publish_seen(&w.p, 2000); /* it was given that before the backup was put back */
	ck_assert(publish("one", 3000));
	ck_assert_uint_eq(w.p.number, 3000);
	ck_assert(!publish("one", 4000));
	tear_down();
}
END_TEST

START_TEST(what_is_too_much_is_not_published)
{
	struct manifest_file item = { "a.yaml", "", GENERATION_BYTES_MAX };
	struct manifest_files files = { &item, 1, GENERATION_BYTES_MAX };
	bool changed = false;

	set_up();
	ck_assert(publish("one", 1000));
	ck_assert_int_eq(publish_files(&w.p, &files, 2000, &changed, w.why), TULLE_ELIMIT);
	ck_assert_ptr_nonnull(strstr(w.why, "members are sent at most"));
	ck_assert_uint_eq(w.p.number, 1000);
	tear_down();
}
END_TEST

UNIT_MAIN("publish", the_number_is_the_time_and_only_rises, a_restart_publishes_what_was_published,
    no_number_is_given_twice_even_if_the_file_is_lost, a_member_that_has_more_makes_the_next_reload_publish,
    what_is_too_much_is_not_published)
