/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mailbox.h - work that one thread asks another to do.  The only lock in the
 * relay, and never on the path of a byte.
 */
#ifndef TULLE_RELAYD_MAILBOX_H
#define TULLE_RELAYD_MAILBOX_H

#include <pthread.h>
#include <sys/queue.h>

#include "io/loop.h"

struct job {
	STAILQ_ENTRY(job) link;
	void (*run)(void *owner, struct job *j); /* in the thread that owns the mailbox; frees the job */
};

struct mailbox {
	pthread_mutex_t lock;
	STAILQ_HEAD(, job) jobs;
	struct loop *loop;
	void *owner;
};

/* <owner> is what jobs get.  Uses the loop's wake-up.  TULLE_ESYS. */
enum tulle_err mailbox_init(struct mailbox *m, struct loop *loop, void *owner);

/* From any thread; takes the job over. */
void mailbox_post(struct mailbox *m, struct job *j);

#endif
