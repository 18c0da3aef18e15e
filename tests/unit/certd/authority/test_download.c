/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One document from one URL, and all that may go wrong on the way. */
#include "authority/download.h"

#include <string.h>

#include "../scratch.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "tls/context.h"
#include "unit.h"
#include "web.h"

static struct {
	struct loop *loop;
	struct download *download;
	char *dir;
	int done;
	char error[DOWNLOAD_WHY], text[4096];
	char why[DOWNLOAD_WHY];
} w;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	w.dir = scratch_new();
	ck_assert_int_eq(loop_new(&w.loop), TULLE_OK);
	web_start(w.loop, "{\"keys\":[]}");
}

static void
tear_down(void)
{
	w.download = download_free(w.download);
	web_stop();
	loop_free(w.loop);
	scratch_free(w.dir);
}

static void
done(void *arg, const char *error, const char *text, size_t len)
{
	ck_assert_ptr_eq(arg, &w);
	ck_assert((error == NULL) != (text == NULL));
	w.done++;
	(void)snprintf(w.error, sizeof(w.error), "%s", error != NULL ? error : "");
	(void)snprintf(w.text, sizeof(w.text), "%.*s", (int)len, text != NULL ? text : "");
	if (text != NULL)
		ck_assert_int_eq(text[len], '\0');
}

static enum tulle_err
start(const struct download_order *o)
{
	w.download = download_free(w.download);
	w.done = 0;
	w.why[0] = '\0';
	return download_start(&w.download, w.loop, o, done, &w, w.why);
}

/* Gets it, or why not: w.text, w.error. */
static void
get(const struct download_order *o)
{
	const uint64_t end = clock_mono_ms() + 5000;

	ck_assert_msg(start(o) == TULLE_OK, "%s", w.why);
	ck_assert_int_eq(w.done, 0); /* never from within the call */
	while (w.done == 0) {
		ck_assert(clock_mono_ms() < end);
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	}
	ck_assert_int_eq(w.done, 1);
}

static void
fails(const struct download_order *o, const char *says)
{
	get(o);
	ck_assert_msg(strstr(w.error, says) != NULL, "\"%s\", not \"%s\"", w.error, says);
}

START_TEST(a_document_arrives_whole)
{
	set_up();
	get(&(struct download_order){ .url = web_url("/keys"), .max = 100 });
	ck_assert_str_eq(w.error, "");
	ck_assert_str_eq(w.text, "{\"keys\":[]}");
	ck_assert_str_eq(web.bearer, "");
	get(&(struct download_order){ .url = web_url("/keys"), .max = 11 }); /* to the byte */
	ck_assert_str_eq(w.text, "{\"keys\":[]}");
	tear_down();
}
END_TEST

START_TEST(only_200_is_an_answer_and_nobody_sends_us_elsewhere)
{
	set_up();
	web.status = 500;
	fails(&(struct download_order){ .url = web_url("/keys"), .max = 100 }, "the server answers 500, not 200");
	web.status = 203;
	fails(&(struct download_order){ .url = web_url("/keys"), .max = 100 }, "203");
	web.asked = 0;
	fails(&(struct download_order){ .url = web_url("/moved"), .max = 100 }, "302");
	ck_assert_uint_eq(web.asked, 0);
	fails(&(struct download_order){ .url = web_url("/none"), .max = 100 }, "404");
	fails(&(struct download_order){ .url = web_url(""), .max = 100 }, "404"); /* asks for "/" */
	tear_down();
}
END_TEST

START_TEST(too_much_too_late_and_nobody_there_are_told_apart)
{
	uint64_t began;
	char url[128];

	set_up();
	get(&(struct download_order){ .url = web_url("/keys"), .max = 10 });
	ck_assert_str_ne(w.error, "");
	began = clock_mono_ms();
	get(&(struct download_order){ .url = web_url("/silent"), .max = 100, .timeout_ms = 150 });
	ck_assert_str_ne(w.error, "");
	ck_assert_uint_ge(clock_mono_ms() - began, 140);
	(void)snprintf(url, sizeof(url), "%s", web_url("/keys"));
	web_stop();
	get(&(struct download_order){ .url = url, .max = 100 });
	ck_assert_str_ne(w.error, "");
	tear_down();
}
END_TEST

START_TEST(a_token_is_shown_without_the_white_space_around_it)
{
	char file[512];

	set_up();
	(void)snprintf(file, sizeof(file), "%s", scratch_path(w.dir, "token"));
	ck_assert_int_eq(file_replace(file, "ey.J.x \r\n", 9, 0600), TULLE_OK);
	get(&(struct download_order){ .url = web_url("/keys"), .token_file = file, .max = 100 });
	ck_assert_str_eq(w.error, "");
	ck_assert_str_eq(web.bearer, "Bearer ey.J.x");
	tear_down();
}
END_TEST

START_TEST(what_cannot_be_asked_for_is_said_at_once)
{
	char file[512], *large = calloc(1, 20000);

	set_up();
	ck_assert_int_eq(start(&(struct download_order){ .url = "ftp://x/y", .max = 10 }), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(w.why, "jwks: "));
	ck_assert_int_eq(start(&(struct download_order){ .url = web_url("/keys"), .token_file = "/no/such/file", .max = 10 }), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(w.why, "jwksTokenFile /no/such/file: "));
	(void)snprintf(file, sizeof(file), "%s", scratch_path(w.dir, "large"));
	memset(large, 'x', 20000);
	ck_assert_int_eq(file_replace(file, large, 20000, 0600), TULLE_OK);
	ck_assert_int_eq(start(&(struct download_order){ .url = web_url("/keys"), .token_file = file, .max = 10 }), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(w.why, "jwksTokenFile"));
	ck_assert_int_eq(start(&(struct download_order){ .url = "https://127.0.0.1:1/", .ca_file = "/no/such/ca", .max = 10 }), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(w.why, "jwksCA /no/such/ca: "));
	ck_assert_int_eq(start(&(struct download_order){ .url = "https://127.0.0.1:1/", .ca_file = file, .max = 10 }), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(w.why, "jwksCA"));
	ck_assert_ptr_null(w.download);
	ck_assert_uint_eq(web.asked, 0);
	free(large);
	tear_down();
}
END_TEST

START_TEST(who_gives_up_hears_nothing)
{
	uint64_t end;

	set_up();
	ck_assert_int_eq(start(&(struct download_order){ .url = web_url("/keys"), .max = 100 }), TULLE_OK);
	w.download = download_free(w.download);
	end = clock_mono_ms() + 100;
	while (clock_mono_ms() < end)
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	ck_assert_int_eq(w.done, 0);
	tear_down();
}
END_TEST

UNIT_MAIN("certd/download", a_document_arrives_whole, only_200_is_an_answer_and_nobody_sends_us_elsewhere,
    too_much_too_late_and_nobody_there_are_told_apart, a_token_is_shown_without_the_white_space_around_it,
    what_cannot_be_asked_for_is_said_at_once, who_gives_up_hears_nothing)
