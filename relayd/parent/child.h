/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * child.h - starting the relay process: a fork of the parent that keeps only
 * the descriptors it needs.
 */
#ifndef TULLE_RELAYD_CHILD_H
#define TULLE_RELAYD_CHILD_H

#include <sys/types.h>

#include "relay/relay.h"

struct child {
	pid_t pid;   /* 0: none */
	int channel; /* to it; owned; -1: none */
};

/* Forks; in the child this does not return.  <start>'s channel is filled in here.  TULLE_ESYS. */
enum tulle_err child_start(struct child *c, const struct relay_start *start, unsigned int nworkers);

/* It is gone: closes the channel.  Also the way to initialise a struct child. */
void child_forget(struct child *c);

#endif
