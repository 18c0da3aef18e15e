/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * callers.h - callers of the control socket who wait for the relay process:
 * each is answered once, by it, by its end, or when it takes too long.
 */
#ifndef TULLE_RELAYD_CALLERS_H
#define TULLE_RELAYD_CALLERS_H

#include <jansson.h>
#include <sys/queue.h>

#include "io/ctlsock.h"
#include "io/loop.h"

enum wait { WAIT_STATUS, WAIT_PROCESS, WAIT_TRAFFIC, WAIT_RELOAD };

struct waiting;

/* Called when an answer takes too long, to give one all the same. */
typedef void callers_late_fn(void *arg, struct ctl_call *call, enum wait what);

struct callers {
	LIST_HEAD(, waiting) list;
	struct loop *loop;
	callers_late_fn *late;
	void *arg;
};

void callers_init(struct callers *c, struct loop *loop, callers_late_fn *late, void *arg);

/* <call> waits for the answer number <id>, <ms> at most.  Takes the call over. */
void callers_wait(struct callers *c, struct ctl_call *call, enum wait what, uint64_t id, uint64_t ms);

/* Who waits for just this: the caller's to answer.  NULL: nobody (any more). */
struct ctl_call *callers_take(struct callers *c, enum wait what, uint64_t id);

/*
 * Answers everybody who waits for files up to number <ticket> (offer.h):
 * newer files were read after theirs were written, so the answer is theirs,
 * too.  <result> is lent, NULL: refused, and <error> says why.
 */
void callers_reloaded(struct callers *c, uint64_t ticket, json_t *result, const char *error);

/* Tells everybody who asked a question, not who waits for a reload, that there will be no answer. */
void callers_give_up(struct callers *c, const char *error);

#endif
