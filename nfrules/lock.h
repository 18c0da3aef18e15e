/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lock.h - one tulle-nfrules at a time for a root. */
#ifndef TULLE_NFRULES_LOCK_H
#define TULLE_NFRULES_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LOCK_WAIT_SEC 20

/*
 * Takes the lock for as long as *ret_fd, which the caller closes, is open.
 * What another user made in its place is put away: whoever may write to
 * /run/tulle could else keep root from changing the rules.
 * Where /run/tulle is on a read-only file system (an init container's)
 * there is none to take: that is said, *ret_fd is -1, and what guards is
 * that a change is read back after it was made.  Every other failure is an
 * error: two at once could undo each other.
 *
 *   TULLE_EBUSY   another one is at work for more than LOCK_WAIT_SEC
 *   TULLE_ESYS    the file cannot be made, opened or locked, or another user puts his there without end
 *   TULLE_ENOMEM
 *
 * Each has been said, and *ret_fd is untouched.
 */
enum tulle_err lock_take(int *ret_fd);

/*
 * Writes into the lock's file whether the rules of this root should be there
 * from now on, and since when: so that check, repair and tulle doctor can
 * tell rules that somebody else flushed from rules that were never there or
 * were removed on purpose.  <fd> is
 * lock_take()'s; -1 and failures do no harm but that.
 */
void lock_note(int fd, bool steering);

/* Was that they should be there the last note?  *ret_sec: since when, wall clock; left alone if not. */
bool lock_noted(int64_t *ret_sec);

#endif
