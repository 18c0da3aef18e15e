/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/mailbox.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "unit.h"

#define SENDERS 4
#define EACH 5000

struct box {
	struct mailbox m;
	struct loop *loop;
	unsigned int last[SENDERS]; /* what each sender's last job was */
	unsigned int n;
};

struct note {
	struct job job;
	unsigned int sender, number;
};

static struct box box;

static void
post(unsigned int sender, unsigned int number, void (*run)(void *owner, struct job *job))
{
	struct note *n = calloc(1, sizeof(*n));

	*n = (struct note){ .job.run = run, .sender = sender, .number = number };
	mailbox_post(&box.m, &n->job);
}

static void
setup(void)
{
	box = (struct box){ 0 };
	ck_assert_int_eq(loop_new(&box.loop), TULLE_OK);
	ck_assert_int_eq(mailbox_init(&box.m, box.loop, &box), TULLE_OK);
}

static void
arrived(void *owner, struct job *job)
{
	struct note *n = CONTAINER_OF(job, struct note, job);
	struct box *b = owner;

	ck_assert_uint_eq(n->number, b->last[n->sender] + 1); /* in the order of its sender */
	b->last[n->sender] = n->number;
	b->n++;
	free(n);
}

static void *
sender(void *arg)
{
	unsigned int *number = arg;

	for (unsigned int i = 1; i <= EACH; i++)
		post(*number, i, arrived);
	return NULL;
}

START_TEST(jobs_of_several_threads_all_run_in_the_order_of_each)
{
	unsigned int numbers[SENDERS];
	pthread_t threads[SENDERS];

	setup();
	for (unsigned int i = 0; i < SENDERS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sender, &numbers[i]), 0);
	}
	while (box.n < SENDERS * EACH)
		ck_assert_int_eq(loop_tick(box.loop, 1000), TULLE_OK);
	for (unsigned int i = 0; i < SENDERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	box.loop = loop_free(box.loop);
}
END_TEST

static void
post_another(void *owner, struct job *job)
{
	arrived(owner, job);
	post(0, 2, arrived);
}

START_TEST(a_job_may_post_another)
{
	setup();
	post(0, 1, post_another);
	while (box.n < 2)
		ck_assert_int_eq(loop_tick(box.loop, 1000), TULLE_OK);
	box.loop = loop_free(box.loop);
}
END_TEST

UNIT_MAIN("mailbox", jobs_of_several_threads_all_run_in_the_order_of_each, a_job_may_post_another)
