/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/mailbox.h"

static void
woken(void *arg)
{
	struct mailbox *m = arg;
	STAILQ_HEAD(, job) jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct job *j;

	(void)pthread_mutex_lock(&m->lock);
	STAILQ_CONCAT(&jobs, &m->jobs);
	(void)pthread_mutex_unlock(&m->lock);
	while ((j = STAILQ_FIRST(&jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&jobs, link);
		j->run(m->owner, j);
	}
}

enum tulle_err
mailbox_init(struct mailbox *m, struct loop *loop, void *owner)
{
	(void)pthread_mutex_init(&m->lock, NULL); /* cannot fail for a default mutex */
	STAILQ_INIT(&m->jobs);
	m->loop = loop;
	m->owner = owner;
	return loop_on_wake(loop, woken, m);
}

void
mailbox_post(struct mailbox *m, struct job *j)
{
	(void)pthread_mutex_lock(&m->lock);
	STAILQ_INSERT_TAIL(&m->jobs, j, link);
	(void)pthread_mutex_unlock(&m->lock);
	loop_wake(m->loop);
}
