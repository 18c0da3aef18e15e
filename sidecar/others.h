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

/* Pure.  Is one of the <n> processes the application's, seen by the process <self>? */
bool others_judge(const struct other *list, size_t n, pid_t self);

/* Looks into /proc.  What cannot be read counts as nobody. */
bool others_look(pid_t self);

#endif
