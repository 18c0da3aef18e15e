/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * units.h - the parent's answer to "which systemd unit is this cgroup?".
 *
 * What is in the table is answered at once.  For another one the tree is
 * looked at again, as a unit that has just been started is not in it yet; but
 * ten times a second at most, whoever asks: further questions wait for the
 * next look, and are dropped where too many wait.
 */
#ifndef TULLE_RELAYD_UNITS_H
#define TULLE_RELAYD_UNITS_H

#include "io/loop.h"
#include "msg/msg.h"
#include "owner/cgroups.h"

#define UNITS_LOOK_MS 100
#define UNITS_WAITING 1024

struct units {
	struct loop *loop;
	const char *root;        /* of the hierarchy; NULL: where it is mounted */
	struct cgroups *cgroups; /* as of the last look; NULL: none yet, or it could not be read */
	int channel;             /* to the relay process, lent; -1: there is none now */
	uint64_t looked_ms;      /* when; 0: never */
	bool trouble;            /* the last look failed, which has been told */
	struct timer look;
	size_t n_waiting;
	uint64_t waiting[UNITS_WAITING];
};

/* <loop> and <root> are lent. */
void units_init(struct units *u, struct loop *loop, const char *root);

/* A relay process is there, <channel> is lent until the next call; -1: it is gone, and so are its questions. */
void units_begin(struct units *u, int channel);

/* Its WIRE_UNIT_OF.  TULLE_EPEER. */
enum tulle_err units_asked(struct units *u, const struct msg *m);

#endif
