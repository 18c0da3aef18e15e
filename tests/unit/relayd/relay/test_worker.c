/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workers with their own threads, no listeners: what the main thread asks of them, and what it hears. */
#include "relay/worker.h"

#include <semaphore.h>
#include <string.h>

#include "relay/report.h"
#include "unit.h"

#define N 2

struct main_thread {
	struct loop *loop;
	struct mailbox box;
	struct worker *workers[N];
	struct reporter reporter;
	struct budget budget;
	struct host_config *config; /* workers never end, so neither do these */
	struct events *events;
	atomic_uint drained;
	json_t *parts; /* of the last report */
	uint64_t reported, turned;
};

static struct main_thread m;

static void
drained(void *arg)
{
	(void)arg;
	atomic_fetch_add(&m.drained, 1);
	loop_wake(m.loop);
}

static void
reported(void *arg, uint64_t id, json_t *parts)
{
	ck_assert_ptr_eq(arg, &m);
	json_decref(m.parts);
	m.parts = parts;
	m.reported = id;
}

static void
turned(void *arg, uint64_t id)
{
	ck_assert_ptr_eq(arg, &m);
	m.turned = id;
}

static void
setup(void)
{
	static const struct worker_sockets none = { -1, -1, -1 };
	struct problems problems;
	int segment;

	problems_init(&problems);
	ck_assert_int_eq(host_config_parse(&m.config, "tulle.yaml", "relay: {workers: 2}\n", 20, &problems), TULLE_OK);
	ck_assert_int_eq(events_create(&segment, N), TULLE_OK);
	ck_assert_int_eq(events_attach(&m.events, segment, -1, 0, N), TULLE_OK);
	problems_free(&problems);
	ck_assert_int_eq(loop_new(&m.loop), TULLE_OK);
	ck_assert_int_eq(mailbox_init(&m.box, m.loop, &m), TULLE_OK);
	budget_init(&m.budget, 100);
	for (unsigned int i = 0; i < N; i++) {
		const struct worker_start start = { .config = m.config, .sockets = &none, .events = events_writer(m.events, i),
			.budget = &m.budget, .drained = drained, .arg = &m };

		ck_assert_int_eq(worker_start(&m.workers[i], i, &start), TULLE_OK);
	}
	m.reporter = (struct reporter){ .workers = m.workers, .n = N, .box = &m.box, .report = reported, .turned = turned };
}

#define UNTIL(condition) \
	for (int ticks_ = 0; !(condition); ticks_++) { \
		ck_assert_int_lt(ticks_, 2000);        \
		ck_assert_int_eq(loop_tick(m.loop, 10), TULLE_OK); \
	}

/* The part of worker <i> in the last report. */
static const json_t *
part(int i)
{
	size_t k;
	json_t *p;

	json_array_foreach(m.parts, k, p)
		if (json_integer_value(json_object_get(p, "worker")) == i)
			return p;
	ck_abort_msg("worker %d did not answer", i);
	return NULL;
}

START_TEST(all_workers_answer_status_and_ping)
{
	setup();
	reporter_status(&m.reporter, 5);
	reporter_ping(&m.reporter, 6);
	UNTIL(m.reported == 5 && m.turned == 6);
	ck_assert_uint_eq(json_array_size(m.parts), N);
	for (int i = 0; i < N; i++)
		ck_assert(json_is_false(json_object_get(part(i), "draining")));
}
END_TEST

static sem_t stuck, go_on;

/* In the worker's thread: it hangs. */
static void
hang(void *arg, json_t *result)
{
	(void)arg;
	json_decref(result);
	(void)sem_post(&stuck);
	(void)sem_wait(&go_on);
}

START_TEST(one_worker_that_hangs_keeps_the_answer_back)
{
	setup();
	ck_assert_int_eq(sem_init(&stuck, 0, 0) | sem_init(&go_on, 0, 0), 0);
	worker_report(m.workers[1], hang, NULL);
	(void)sem_wait(&stuck);
	reporter_ping(&m.reporter, 1);
	reporter_status(&m.reporter, 9);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(loop_tick(m.loop, 5), TULLE_OK);
		reporter_ping(&m.reporter, 1); /* asked again: nothing piles up */
	}
	ck_assert_uint_eq(m.turned, 0);
	ck_assert_uint_eq(m.reported, 0);
	(void)sem_post(&go_on);
	UNTIL(m.turned == 1 && m.reported == 9);
	reporter_ping(&m.reporter, 2);
	UNTIL(m.turned == 2);
}
END_TEST

START_TEST(a_worker_that_has_drained_still_answers)
{
	setup();
	worker_drain(m.workers[0], 60000);
	UNTIL(atomic_load(&m.drained) == 1);
	reporter_status(&m.reporter, 3);
	reporter_ping(&m.reporter, 4);
	UNTIL(m.reported == 3 && m.turned == 4);
	ck_assert(json_is_true(json_object_get(part(0), "draining")));
	ck_assert(json_is_false(json_object_get(part(1), "draining")));
	ck_assert_uint_eq(atomic_load(&m.drained), 1); /* and says so once */
}
END_TEST

START_TEST(what_is_handed_over_is_released_again)
{
	struct host_config *host;
	struct problems problems;
	struct snapshot *s;

	setup();
	problems_init(&problems);
	ck_assert_int_eq(host_config_parse(&host, "tulle.yaml", "", 0, &problems), TULLE_OK);
	for (uint64_t i = 1; i <= 10; i++) {
		struct snapshot_input in = { .host = host, .generation = i };

		ck_assert_int_eq(snapshot_load(&s, &in, &problems), TULLE_OK);
		for (unsigned int k = 0; k < N; k++)
			worker_configure(m.workers[k], s);
		(void)snapshot_unref(s); /* the leak checker counts the rest */
	}
	(void)host_config_free(host);
	problems_free(&problems);
	reporter_ping(&m.reporter, 1);
	UNTIL(m.turned == 1);
}
END_TEST

UNIT_MAIN("worker", all_workers_answer_status_and_ping, one_worker_that_hangs_keeps_the_answer_back,
    a_worker_that_has_drained_still_answers, what_is_handed_over_is_released_again)
