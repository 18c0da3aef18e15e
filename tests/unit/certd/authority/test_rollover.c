/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/rollover.h"

#include <string.h>

#include "authority/ttl.h"
#include "unit.h"

#define MAX 8

/* A world of issuing CAs that does what it is told. */
struct world {
	struct ca_times cas[MAX];
	size_t n;
	int64_t root_end;
	int made;
};

static int
count(const struct world *w, enum ca_state state)
{
	int n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += w->cas[i].state == state;
	return n;
}

static int64_t
advance(struct world *w, int64_t life, int64_t leaf, int64_t now)
{
	for (int steps = 0;; steps++) {
		int64_t left = w->root_end - now;
		struct rollover r = rollover_next(w->cas, w->n, left < life ? left : life, leaf, now);

		ck_assert_int_lt(steps, 10);
		switch (r.what) {
		case ROLLOVER_WAIT:
			ck_assert_int_gt(r.at, now);
			return r.at;
		case ROLLOVER_PREPARE:
			ck_assert_uint_lt(w->n, MAX);
			w->cas[w->n++] = (struct ca_times){ CA_PREPARED, now, now + (left < life ? left : life), 0 };
			w->made++;
			break;
		case ROLLOVER_ACTIVATE:
			ck_assert_int_ge(w->cas[r.which].end - now, leaf);
			for (size_t i = 0; i < w->n; i++)
				if (w->cas[i].state == CA_ACTIVE) {
					w->cas[i].state = CA_OLD;
					w->cas[i].last_leaf = now + leaf;
				}
			w->cas[r.which].state = CA_ACTIVE;
			break;
		case ROLLOVER_FORGET:
			w->cas[r.which] = w->cas[--w->n];
			break;
		}
	}
}

/* When the active one ends. */
static int64_t
active_end(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->cas[i].state == CA_ACTIVE)
			return w->cas[i].end;
	ck_abort_msg("none is active");
	return 0;
}

/* Five years: at every moment one CA is active and outlives the longest leaf. */
START_TEST(five_years_of_issuing)
{
	struct world w = { .root_end = TTL_ROOT };
	const int64_t leaf = TTL_ISSUING / TTL_FACTOR;
	int64_t next = 0;

	for (int64_t now = 0; now < TTL_ROOT - TTL_ISSUING; now += 3600) {
		if (now >= next)
			next = advance(&w, TTL_ISSUING, leaf, now);
		ck_assert_int_eq(count(&w, CA_ACTIVE), 1);
		ck_assert_int_le(count(&w, CA_PREPARED), 1);
		ck_assert_int_ge(active_end(&w) - now, leaf);
		ck_assert_uint_le(w.n, 4);
	}
	/* One in twenty days: active for two thirds of its life. */
	ck_assert_int_ge(w.made, 85);
	ck_assert_int_le(w.made, 125);
}
END_TEST

START_TEST(a_host_that_slept_for_months_wakes_up_with_a_good_one)
{
	struct world w = { .root_end = TTL_ROOT };

	(void)advance(&w, TTL_ISSUING, TTL_DAY, 0);
	(void)advance(&w, TTL_ISSUING, TTL_DAY, 100 * TTL_DAY);
	ck_assert_int_eq(count(&w, CA_ACTIVE), 1);
	ck_assert_int_ge(active_end(&w), 100 * TTL_DAY + TTL_ISSUING);
}
END_TEST

START_TEST(one_with_less_left_than_a_leaf_is_never_activated)
{
	struct world w = { .root_end = TTL_ROOT };
	const int64_t leaf = TTL_DAY;

	w.cas[0] = (struct ca_times){ CA_ACTIVE, 0, 3 * TTL_DAY, 0 };
	w.cas[1] = (struct ca_times){ CA_PREPARED, 0, 3 * TTL_DAY + 100, 0 };
	w.n = 2;
	(void)advance(&w, TTL_ISSUING, leaf, 3 * TTL_DAY);
	ck_assert_int_ge(active_end(&w) - 3 * TTL_DAY, leaf);
}
END_TEST

START_TEST(at_the_roots_end_nothing_is_made_that_could_not_serve)
{
	struct world w = { .root_end = 40 * TTL_DAY };
	int64_t now = 0, next = 0;

	for (; now < 40 * TTL_DAY; now += 3600)
		if (now >= next)
			next = advance(&w, TTL_ISSUING, TTL_DAY, now);
	for (size_t i = 0; i < w.n; i++)
		ck_assert_int_le(w.cas[i].end, w.root_end);
}
END_TEST

START_TEST(an_old_one_stays_until_its_last_leaf_is_gone)
{
	struct ca_times cas[] = { { CA_OLD, 0, 1000, 500 }, { CA_ACTIVE, 400, 100000, 0 } };
	struct rollover r = rollover_next(cas, 2, 100000, 10, 499);

	ck_assert_int_eq(r.what, ROLLOVER_WAIT);
	ck_assert_int_eq(r.at, 500);
	r = rollover_next(cas, 2, 100000, 10, 500);
	ck_assert_int_eq(r.what, ROLLOVER_FORGET);
	ck_assert_uint_eq(r.which, 0);
}
END_TEST

/* ---- ttl.h ---- */

START_TEST(lengths_that_do_not_fit_are_refused)
{
	char why[TTL_WHY];

	ck_assert_int_eq(ttl_check(TTL_DAY, TTL_ROOT, why), TULLE_OK);
	ck_assert_int_eq(ttl_check(5 * TTL_DAY, TTL_ROOT, why), TULLE_OK);
	ck_assert_int_eq(ttl_check(5 * TTL_DAY + 1, TTL_ROOT, why), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "432000s"));
	ck_assert_int_eq(ttl_check(10, TTL_ROOT, why), TULLE_OK);
	ck_assert_int_eq(ttl_check(9, TTL_ROOT, why), TULLE_EINVAL);
	/* A borrowed root of thirty days: a sixth of a sixth. */
	ck_assert_int_eq(ttl_issuing(30 * TTL_DAY), 5 * TTL_DAY);
	ck_assert_int_eq(ttl_check(20 * 3600, 30 * TTL_DAY, why), TULLE_OK);
	ck_assert_int_eq(ttl_check(TTL_DAY, 30 * TTL_DAY, why), TULLE_EINVAL);
}
END_TEST

START_TEST(a_certificate_never_outlives_its_issuer)
{
	int64_t end = 0;

	ck_assert_int_eq(ttl_end(0, 100, 100, &end), TTL_FULL);
	ck_assert_int_eq(end, 100);
	ck_assert_int_eq(ttl_end(0, 100, 99, &end), TTL_SHORTENED);
	ck_assert_int_eq(end, 99);
	ck_assert_int_eq(ttl_end(0, 100, 50, &end), TTL_SHORTENED);
	ck_assert_int_eq(ttl_end(0, 100, 49, &end), TTL_REFUSED);
	ck_assert_int_eq(ttl_end(200, 100, 100, &end), TTL_REFUSED);
	ck_assert_int_eq(ttl_begin(1000, 0), 940);
	ck_assert_int_eq(ttl_begin(1000, 970), 970);
}
END_TEST

UNIT_MAIN("certd/rollover", five_years_of_issuing, a_host_that_slept_for_months_wakes_up_with_a_good_one,
    one_with_less_left_than_a_leaf_is_never_activated, at_the_roots_end_nothing_is_made_that_could_not_serve,
    an_old_one_stays_until_its_last_leaf_is_gone, lengths_that_do_not_fit_are_refused,
    a_certificate_never_outlives_its_issuer)
