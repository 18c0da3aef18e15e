/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * others.h - is there a process of the application in this pod?
 *
 * Only a pod with shareProcessNamespace shows them.  What does not count:
 * our own descendants, the first process (the pod's pause, or we ourselves),
 * those that have ended, and what somebody runs of Tulle in this container
 * (the --wait of postStart comes before any application, and must not pass
 * for one).
 */
#ifndef TULLE_SIDECAR_OTHERS_H
#define TULLE_SIDECAR_OTHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define OTHERS_NAME 64

struct other {
	pid_t pid, parent;
	char state;
	char name[OTHERS_NAME];
};

/* Pure.  One line of /proc/PID/stat; the name may have spaces and brackets in it.  False: it is none. */
bool other_parse(struct other *ret, const char *line);

/* Pure.  The last process number that was given out, of a line of /proc/loadavg; 0: it is none. */
pid_t others_last(const char *line);

/* What is kept between two looks. */
struct others {
	pid_t self;
	pid_t last;    /* the last process number at the last look; 0: none yet */
	pid_t starter; /* a container runtime's process that is about to become somebody; 0: none */
	bool busy;     /* the last look saw somebody: look at the processes again */
};

/*
 * Pure.  What the <n> processes of a look say.  A runtime's own process is
 * in a pod before its program is: it becomes the application, or a tool of
 * ours that is executed in this container, and counts when that is known; if
 * it is gone at the next look, it has been the application, for tools of
 * ours stay for some looks.
 */
bool others_judge(struct others *o, const struct other *list, size_t n);

/* Looks into /proc; cheap while no process is new.  What cannot be read counts as nobody. */
bool others_look(struct others *o);

#endif
