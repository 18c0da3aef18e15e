/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys of an issuer: what is good replaces what was there, what is not good never does. */
#include "authority/keyset.h"

#include <string.h>

#include "../scratch.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/store.h"
#include "tls/context.h"
#include "unit.h"
#include "web.h"

/* Points of RFC 7515 A.3 and RFC 6979 A.2.5: keys of the curve, which is looked at. */
#define EC "{\"kty\":\"EC\",\"crv\":\"P-256\","
#define KEY_A EC "\"kid\":\"a\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define KEY_B EC "\"kid\":\"b\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define SECRET "{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"AAAA\"}"
#define ONE "{\"keys\":[" KEY_A "]}"
#define TWO "{\"keys\":[" KEY_A "," KEY_B "," SECRET "]}"

static struct {
	struct loop *loop;
	struct keyset *set;
	char *dir;
	char file[512];
	struct kubernetes_issuer issuer;
} w;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	memset(&web, 0, sizeof(web));
	w.dir = scratch_new();
	(void)snprintf(w.file, sizeof(w.file), "%s/keys.json", w.dir);
	w.issuer = (struct kubernetes_issuer){ .issuer = "https://issuer", .audience = "tulle", .jwks = w.file };
	ck_assert_int_eq(loop_new(&w.loop), TULLE_OK);
}

static void
tear_down(void)
{
	w.set = keyset_free(w.set);
	ck_assert_ptr_null(w.set);
	web_stop();
	loop_free(w.loop);
	scratch_free(w.dir);
}

static void
start(void)
{
	w.set = keyset_free(w.set);
	ck_assert_int_eq(keyset_new(&w.set, w.loop, w.dir, &w.issuer), TULLE_OK);
}

static void
write_text(const char *path, const char *text)
{
	ck_assert_int_eq(file_replace(path, text, strlen(text), 0600), TULLE_OK);
}

static size_t
usable(void)
{
	const struct jwks *keys = keyset_keys(w.set);

	return keys != NULL ? jwks_usable(keys) : 0;
}

/* What status says is wrong; until the next call. */
static const char *
trouble(void)
{
	static char text[512];
	json_t *o = keyset_status(w.set);

	ck_assert_ptr_nonnull(o);
	(void)snprintf(text, sizeof(text), "%s", value_text(o, "error"));
	json_decref(o);
	return text;
}

static int64_t
status(const char *name)
{
	json_t *o = keyset_status(w.set);
	int64_t n = value_int(o, name);

	json_decref(o);
	return n;
}

/* ---- files ---- */

START_TEST(a_file_is_looked_at_again_and_only_good_keys_replace_others)
{
	const struct jwks *keys;

	set_up();
	start(); /* that there is none yet is no error */
	ck_assert_ptr_null(keyset_keys(w.set));
	ck_assert_str_ne(trouble(), "");
	write_text(w.file, ONE);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_str_eq(trouble(), "");
	keys = keyset_keys(w.set);
	ck_assert_ptr_eq(keyset_keys(w.set), keys); /* the same file is not read twice */
	write_text(w.file, "{\"keys\":[]}");
	ck_assert_ptr_eq(keyset_keys(w.set), keys);
	ck_assert_str_ne(trouble(), "");
	write_text(w.file, "{\"keys\":[" SECRET "]}");
	ck_assert_ptr_eq(keyset_keys(w.set), keys);
	write_text(w.file, "not even JSON");
	ck_assert_ptr_eq(keyset_keys(w.set), keys);
	write_text(w.file, TWO);
	ck_assert_uint_eq(usable(), 2);
	ck_assert_int_eq(status("keys"), 2);
	ck_assert_int_eq(status("left_out"), 1);
	ck_assert_str_eq(trouble(), "");
	tear_down();
}
END_TEST

START_TEST(a_file_that_goes_or_grows_too_large_takes_nothing_away)
{
	char *large = malloc(JWKS_BYTES_MAX + 2);

	set_up();
	write_text(w.file, ONE);
	start();
	ck_assert_uint_eq(usable(), 1);
	ck_assert_int_eq(unlink(w.file), 0);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_str_ne(trouble(), "");
	memset(large, ' ', JWKS_BYTES_MAX + 1);
	large[JWKS_BYTES_MAX + 1] = '\0';
	write_text(w.file, large);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_str_ne(trouble(), "");
	ck_assert_int_eq(unlink(w.file), 0);
	ck_assert_int_eq(mkdir(w.file, 0700), 0);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_str_ne(trouble(), "");
	ck_assert_int_eq(rmdir(w.file), 0);
	write_text(w.file, TWO);
	ck_assert_uint_eq(usable(), 2);
	free(large);
	tear_down();
}
END_TEST

START_TEST(a_file_has_no_newer_keys_under_way)
{
	set_up();
	write_text(w.file, ONE);
	start();
	ck_assert(!keyset_missed(w.set));
	tear_down();
}
END_TEST

START_TEST(what_is_known_belongs_to_one_source)
{
	struct kubernetes_issuer same, other;

	set_up();
	w.issuer.jwks_ca = "/ca.pem";
	start();
	same = other = w.issuer;
	same.audience = "another"; /* has nothing to do with keys */
	ck_assert(keyset_is(w.set, &same));
	other.issuer = "https://other";
	ck_assert(!keyset_is(w.set, &other));
	other = w.issuer;
	other.jwks = "/elsewhere";
	ck_assert(!keyset_is(w.set, &other));
	other = w.issuer;
	other.jwks_ca = NULL;
	ck_assert(!keyset_is(w.set, &other));
	other = w.issuer;
	other.jwks_token_file = "/token";
	ck_assert(!keyset_is(w.set, &other));
	tear_down();
}
END_TEST

/* ---- URLs ---- */

static char url[128];

static void
set_up_url(const char *text)
{
	set_up();
	web_start(w.loop, text);
	(void)snprintf(url, sizeof(url), "%s", web_url("/keys"));
	w.issuer.jwks = url;
}

static void
turn_until(bool (*is)(void))
{
	const uint64_t end = clock_mono_ms() + 5000;

	while (!is()) {
		ck_assert_msg(clock_mono_ms() < end, "%s", trouble());
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	}
}

static bool
is_fetched(void)
{
	return status("fetched") != 0;
}

static bool
is_in_trouble(void)
{
	return trouble()[0] != '\0';
}

START_TEST(keys_are_fetched_and_there_after_a_restart_without_the_server)
{
	set_up_url(TWO);
	start();
	ck_assert_ptr_null(keyset_keys(w.set));
	ck_assert(keyset_missed(w.set)); /* they are on their way */
	turn_until(is_fetched);
	ck_assert_uint_eq(usable(), 2);
	ck_assert_uint_eq(web.asked, 1);
	ck_assert_str_eq(trouble(), "");
	ck_assert(!keyset_missed(w.set)); /* just asked for: whoever sends nonsense does not make us ask more often */
	web_stop();
	start();
	ck_assert_uint_eq(usable(), 2); /* at once, from the last good copy */
	ck_assert(!is_fetched());
	turn_until(is_in_trouble);
	ck_assert_uint_eq(usable(), 2);
	ck_assert(!keyset_missed(w.set));
	tear_down();
}
END_TEST

START_TEST(a_bad_answer_replaces_neither_keys_nor_copy)
{
	set_up_url(ONE);
	start();
	turn_until(is_fetched);
	web.text = "{\"keys\":[" SECRET "]}";
	start();
	turn_until(is_in_trouble);
	ck_assert_uint_eq(usable(), 1);
	web.text = TWO;
	web.status = 503;
	start();
	turn_until(is_in_trouble);
	ck_assert_ptr_nonnull(strstr(trouble(), "503"));
	ck_assert_uint_eq(usable(), 1);
	web.status = 200;
	start();
	turn_until(is_fetched);
	ck_assert_uint_eq(usable(), 2);
	tear_down();
}
END_TEST

START_TEST(a_copy_is_of_one_issuer_and_a_damaged_one_is_nothing)
{
	char command[600];

	set_up_url(ONE);
	start();
	turn_until(is_fetched);
	web_stop();
	w.issuer.issuer = "https://other";
	start();
	ck_assert_ptr_null(keyset_keys(w.set));
	w.issuer.issuer = "https://issuer";
	(void)snprintf(command, sizeof(command), "for f in %s/jwks-*.json; do echo '{' >$f; done", w.dir);
	ck_assert_int_eq(system(command), 0);
	start();
	ck_assert_ptr_null(keyset_keys(w.set));
	tear_down();
}
END_TEST

START_TEST(keys_that_cannot_be_saved_are_used_all_the_same)
{
	char command[600];

	set_up_url(ONE);
	start();
	(void)snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	ck_assert_int_eq(system(command), 0);
	turn_until(is_fetched);
	ck_assert_uint_eq(usable(), 1);
	ck_assert_str_eq(trouble(), "");
	tear_down();
}
END_TEST

START_TEST(what_cannot_be_asked_is_told_and_tried_again)
{
	set_up_url(ONE);
	w.issuer.jwks_token_file = "/no/such/token";
	start();
	turn_until(is_in_trouble);
	ck_assert_ptr_nonnull(strstr(trouble(), "jwksTokenFile"));
	ck_assert_uint_eq(web.asked, 0);
	ck_assert_ptr_null(keyset_keys(w.set));
	tear_down();
}
END_TEST

UNIT_MAIN("certd/keyset", a_file_is_looked_at_again_and_only_good_keys_replace_others,
    a_file_that_goes_or_grows_too_large_takes_nothing_away, a_file_has_no_newer_keys_under_way,
    what_is_known_belongs_to_one_source, keys_are_fetched_and_there_after_a_restart_without_the_server,
    a_bad_answer_replaces_neither_keys_nor_copy, a_copy_is_of_one_issuer_and_a_damaged_one_is_nothing,
    keys_that_cannot_be_saved_are_used_all_the_same, what_cannot_be_asked_is_told_and_tried_again)
