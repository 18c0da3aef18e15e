/* fuzz-links: telemetry */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The answer of a daemon to "process", as telemetryd reads it.  Invariants:
 * the first is the daemon, all others stand behind it and differ, every name
 * is printable ASCII, no number is none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collect/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAEMON "tulle-relayd"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usage all[USAGE_SHOWN];
	size_t n = usage_answer(all, DAEMON, (const char *)data, size);

	CHECK(n <= USAGE_SHOWN);
	for (size_t i = 0; i < n; i++) {
		const struct usage *u = &all[i];

		CHECK(memchr(u->name, '\0', sizeof(u->name)) != NULL);
		for (const char *c = u->name; *c != '\0'; c++)
			CHECK(*c >= ' ' && *c <= '~');
		CHECK(i == 0 ? strcmp(u->name, DAEMON) == 0 : strncmp(u->name, DAEMON "/", sizeof(DAEMON)) == 0);
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(all[k].name, u->name) != 0);
		CHECK(isfinite(u->cpu_seconds) && isfinite(u->rss_bytes) && isfinite(u->fds));
		CHECK(u->started_ns <= INT64_MAX);
	}
	return 0;
}
