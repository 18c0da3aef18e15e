/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * syscalls.h - what the relay process may ask of the kernel.
 *
 * The list is in syscalls.c; tests/check-syscalls compares it with what the
 * program and its libraries call.
 */
#ifndef TULLE_RELAYD_SYSCALLS_H
#define TULLE_RELAYD_SYSCALLS_H

#include "base/err.h"

/* From here on only those work; threads made later inherit it.  As privileges_syscalls(). */
enum tulle_err syscalls_restrict(void);

#endif
