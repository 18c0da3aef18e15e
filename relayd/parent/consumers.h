/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * consumers.h - where telemetryd attaches to the relay's shared memory.
 */
#ifndef TULLE_RELAYD_CONSUMERS_H
#define TULLE_RELAYD_CONSUMERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "events/attach.h"
#include "io/loop.h"

struct consumers;

/*
 * Offers the segment to whoever connects to <fd> as <uid>, root or this
 * process's own user; everybody else is hung up on.  changed() tells when the
 * first attaches and the last leaves.  Descriptors are lent.  TULLE_ENOMEM, TULLE_ESYS.
 */
enum tulle_err consumers_new(struct consumers **ret, struct loop *l, int fd, uid_t uid, int segment, int doorbell,
    void (*changed)(void *arg, bool attached), void *arg);

bool consumers_attached(const struct consumers *c);

#endif
