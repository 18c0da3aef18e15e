/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parent's part of a reload, against a relay process that is the other end of a channel. */
#include "parent/supply.h"

#include <string.h>

#include "bundle.h"
#include "parent/lastgood.h"
#include "../root.h"
#include "wire.h"

static struct loop *loop;
static struct callers callers;
static struct supply s;
static struct msg m;
static int relay = -1; /* its end */

static void
nobody_waits(void *arg, struct ctl_call *call, enum wait what)
{
	(void)arg;
	(void)call;
	ck_abort_msg("nobody asked %d", (int)what);
}

static void
setup(const char *manifest)
{
	root_make(manifest);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	callers_init(&callers, loop, nobody_waits, NULL);
	supply_init(&s, loop, &callers);
}

static enum tulle_err
reload(const char *manifest)
{
	char *error = NULL;
	uint64_t ticket;
	enum tulle_err e;

	root_write(manifest);
	e = supply_reload(&s, &ticket, &error);
	free(error);
	return e;
}

static void
process_starts(void)
{
	int pair[2];

	ck_assert_int_eq(msg_pair(pair), TULLE_OK);
	relay = pair[1];
	supply_begin(&s, pair[0]);
}

static void
process_ends(void)
{
	close(s.channel);
	close(relay);
	supply_ended(&s);
}

/* The process is given a configuration that has this text; the result is its generation. */
static uint64_t
given(const char *text)
{
	struct wire_config *c;
	struct bundle b;
	uint64_t generation;
	int fd;

	ck_assert_int_eq(msg_recv(relay, &m), TULLE_OK);
	ck_assert_uint_eq(m.type, WIRE_CONFIG);
	ck_assert_int_eq(wire_take_config(&m, &c), TULLE_OK);
	fd = msg_take_fd(&m, 0);
	ck_assert_int_eq(bundle_unpack(&b, fd), TULLE_OK);
	ck_assert_str_eq(b.files[1].data, text);
	generation = c->generation;
	bundle_free(&b);
	close(fd);
	free(c);
	return generation;
}

static void
nothing_is_given(void)
{
	ck_assert_int_eq(msg_recv(relay, &m), TULLE_AGAIN);
}

static void
answer(uint64_t generation, bool ok, const char *text)
{
	struct wire_result head = { .generation = generation, .ok = ok };

	memcpy(m.body, &head, sizeof(head));
	memcpy(m.body + sizeof(head), text, strlen(text));
	m.len = (uint32_t)(sizeof(head) + strlen(text));
	ck_assert_int_eq(supply_answered(&s, &m), TULLE_OK);
}

START_TEST(files_read_before_there_is_a_process_are_its_first)
{
	setup("");
	ck_assert_int_eq(reload("one"), TULLE_OK);
	process_starts();
	answer(given("one"), true, "");
	nothing_is_given();
	process_ends();
	ck_assert_int_eq(reload("two"), TULLE_OK); /* while there is none */
	process_starts();
	answer(given("one"), true, "");
	answer(given("two"), false, "two is wrong");
	ck_assert_str_eq(s.error, "two is wrong");
	process_ends();
	process_starts();
	answer(given("one"), true, "");
	nothing_is_given();
	ck_assert_str_eq(s.error, "two is wrong"); /* still: the good ones are not the newest */
	root_remove();
}
END_TEST

START_TEST(files_that_a_process_ended_over_are_named)
{
	setup("");
	ck_assert_int_eq(reload("one"), TULLE_OK);
	process_starts();
	answer(given("one"), true, "");
	ck_assert_int_eq(reload("deadly"), TULLE_OK);
	(void)given("deadly");
	process_ends();
	ck_assert_ptr_nonnull(strstr(s.error, "ended while it looked"));
	process_starts();
	answer(given("one"), true, "");
	nothing_is_given();
	root_remove();
}
END_TEST

START_TEST(what_the_channel_has_no_room_for_is_sent_later)
{
	static const uint8_t stuff[MSG_BODY_MAX];

	setup("");
	process_starts();
	while (msg_send(s.channel, WIRE_STATUS, stuff, sizeof(stuff), NULL, 0) == TULLE_OK)
		;
	ck_assert_int_eq(reload("one"), TULLE_OK);
	while (msg_recv(relay, &m) == TULLE_OK)
		ck_assert_uint_eq(m.type, WIRE_STATUS);
	supply_feed(&s);
	answer(given("one"), true, "");
	root_remove();
}
END_TEST

START_TEST(what_is_accepted_is_kept_for_a_start_with_bad_files)
{
	setup("");
	ck_assert_int_eq(reload("one"), TULLE_OK);
	process_starts();
	answer(given("one"), true, "");
	process_ends();
	offer_done(&s.offer);
	supply_init(&s, loop, &callers); /* another run */
	ck_assert_int_eq(reload("bad"), TULLE_OK);
	process_starts();
	answer(given("bad"), false, "bad");
	ck_assert_int_ne(s.last_good, 0);
	answer(given("one"), true, "");
	ck_assert_str_eq(s.error, "bad");
	process_ends();
	process_starts();
	answer(given("one"), true, "");
	ck_assert_int_ne(s.last_good, 0);
	ck_assert_int_eq(reload("two"), TULLE_OK);
	answer(given("two"), true, "");
	ck_assert_int_eq(s.last_good, 0);
	ck_assert_str_eq(s.error, "");
	root_remove();
}
END_TEST

static enum tulle_err
reload_without_folder(char **ret_error)
{
	uint64_t ticket;
	enum tulle_err e;

	ck_assert_int_eq(unlink(paths_etc("mesh.d/a.yaml")), 0);
	ck_assert_int_eq(rmdir(paths_etc("mesh.d")), 0);
	e = supply_reload(&s, &ticket, ret_error);
	ck_assert_int_eq(mkdir(paths_etc("mesh.d"), 0755), 0);
	return e;
}

START_TEST(a_folder_that_vanishes_takes_no_policy_along)
{
	char *error = NULL;

	setup("");
	ck_assert_int_eq(reload_without_folder(&error), TULLE_OK); /* nothing was there ever */
	ck_assert_int_eq(reload("one"), TULLE_OK);
	process_starts();
	answer(given("one"), true, "");
	ck_assert_int_eq(reload_without_folder(&error), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "mesh.d is missing"));
	free(error);
	nothing_is_given();
	process_ends();

	supply_init(&s, loop, &callers); /* another run, which has the last good one */
	root_write("one");
	ck_assert_int_eq(reload_without_folder(&error), TULLE_EINVAL);
	free(error);
	supply_fall_back(&s);
	process_starts();
	answer(given("one"), true, "");
	ck_assert_int_ne(s.last_good, 0);
	root_remove();
}
END_TEST

START_TEST(an_answer_that_is_none_is_told_from_one)
{
	setup("");
	m.len = sizeof(struct wire_result) - 1;
	ck_assert_int_eq(supply_answered(&s, &m), TULLE_EPEER);
	ck_assert_int_eq(reload("one"), TULLE_OK);
	process_starts();
	(void)given("one");
	answer(12345, true, ""); /* of nothing that was asked: nothing is good because of it */
	ck_assert_int_eq(s.offer.good, -1);
	root_remove();
}
END_TEST

UNIT_MAIN("supply", files_read_before_there_is_a_process_are_its_first, files_that_a_process_ended_over_are_named,
    what_the_channel_has_no_room_for_is_sent_later, what_is_accepted_is_kept_for_a_start_with_bad_files,
    a_folder_that_vanishes_takes_no_policy_along, an_answer_that_is_none_is_told_from_one)
