/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * clock.h - the only reader of clocks.  Pure code gets the time as an
 * argument; loops read it once per tick (io/loop.h).
 */
#ifndef TULLE_BASE_CLOCK_H
#define TULLE_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Nanoseconds of a clock that never goes back and counts suspended time too (CLOCK_BOOTTIME). */
uint64_t clock_mono_ns(void);

/* The same in milliseconds. */
uint64_t clock_mono_ms(void);

/* Nanoseconds since the epoch, as the wall clock has it. */
uint64_t clock_wall_ns(void);

/* Seconds since the epoch, as the wall clock has it. */
int64_t clock_wall_sec(void);

#endif
