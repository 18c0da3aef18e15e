/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <time.h>

static uint64_t
read_ns(clockid_t which)
{
	struct timespec ts;

	(void)clock_gettime(which, &ts); /* cannot fail for these clocks */
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ns(void)
{
	return read_ns(CLOCK_BOOTTIME);
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_ns() / NS_PER_MS;
}

uint64_t
clock_wall_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

int64_t
clock_wall_sec(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_SEC);
}
