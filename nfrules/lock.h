/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lock.h - one tulle-nfrules at a time for a root. */
#ifndef TULLE_NFRULES_LOCK_H
#define TULLE_NFRULES_LOCK_H

#include "base/err.h"

#define LOCK_WAIT_SEC 20

/*
 * Takes the lock for as long as *ret_fd, which the caller closes, is open.
 * Where /run/tulle cannot be written to (a read-only container) there is
 * none to take: *ret_fd is -1, and what guards is that a change is checked
 * after it was made.
 *
 * TULLE_EBUSY: another one is at work for more than LOCK_WAIT_SEC; said.
 */
enum tulle_err lock_take(int *ret_fd);

#endif
