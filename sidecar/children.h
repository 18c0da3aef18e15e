/* SPDX-License-Identifier: GPL-3.0-or-later */
/* children.h - the daemons as processes: started, told, buried. */
#ifndef TULLE_SIDECAR_CHILDREN_H
#define TULLE_SIDECAR_CHILDREN_H

#include <sys/types.h>

#include "supervise.h"

struct children {
	const char *folder;  /* of the programs; lent */
	const char *root;    /* --root for them; "" for none; lent */
	pid_t pid[MEMBERS];  /* 0: does not run */
};

const char *member_name(enum member m);

/*
 * Starts <m>.  It gets SIGTERM when this process dies, however: in a pod
 * whose processes are shared nobody else would end it.  False: it could not
 * be forked; one that could not be executed ends with status 127.
 */
bool children_start(struct children *c, enum member m);

void children_signal(const struct children *c, enum member m, int signo);

/*
 * Takes the next process that has ended, ours or one that became ours
 * because its parent died.  Returns false when there is none; *ret_m is
 * MEMBERS for a stranger.
 */
bool children_reap(struct children *c, enum member *ret_m, int *ret_status);

#endif
