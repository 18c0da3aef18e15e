/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * self.h - what the relay process uses, told by itself: behind its filter it
 * cannot open files, so what it needs of /proc is opened before.
 */
#ifndef TULLE_RELAYD_SELF_H
#define TULLE_RELAYD_SELF_H

#include <dirent.h>
#include <jansson.h>
#include <stdint.h>

struct self {
	int statm;
	DIR *fds;
	uint64_t started_ns;
};

/* Call in the process that is meant, before its filter is set. */
void self_open(struct self *s);

/* Bytes in memory (resident); -1: not known. */
int64_t self_resident(const struct self *s);

/* The object that "process" of a control socket answers (io/ctlsock.h). */
json_t *own_process_json(const struct self *s);

#endif
