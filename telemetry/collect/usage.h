/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage.h - what a daemon's answer to "process" says that it costs (pure).
 * The answer comes from another program and is believed in nothing but its
 * numbers.
 */
#ifndef TULLE_TELEMETRY_COLLECT_USAGE_H
#define TULLE_TELEMETRY_COLLECT_USAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USAGE_SHOWN 4 /* of one daemon: itself and its children */

struct usage {
	char name[48]; /* printable ASCII */
	double cpu_seconds, rss_bytes, fds;
	uint64_t started_ns;
};

/* One process, as ctl_process() tells of it.  False: it is not such an object. */
bool usage_read(struct usage *ret, const json_t *o);

/*
 * All of an answer: <daemon> itself, then its children as "DAEMON/NAME", each
 * name once.  How many; 0: it makes no sense.
 */
size_t usage_answer(struct usage ret[USAGE_SHOWN], const char *daemon, const char *answer, size_t len);

#endif
