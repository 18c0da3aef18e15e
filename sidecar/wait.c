/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wait - for postStart: kubelet starts the next container when this ends. */
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "io/loop.h"
#include "pod.h"
#include "run.h"
#include "serve.h"

#define AGAIN_MS 200
#define STAY_MS 100 /* so that the sidecar, which looks for an application, sees who this was: others.h */

struct waiting {
	struct loop *loop;
	struct probe probe;
	struct timer again;
	uint64_t until;
	int status;
	char why[200];
};

static void ask(struct timer *t);

static void
leave(struct timer *t)
{
	loop_stop(CONTAINER_OF(t, struct waiting, again)->loop);
}

static void
answered(void *arg, bool well, const char *why)
{
	struct waiting *w = arg;

	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	if (well)
		w->status = EXIT_SUCCESS;
	if (well || clock_mono_ms() >= w->until)
		timer_set(w->loop, &w->again, STAY_MS, leave);
	else
		timer_set(w->loop, &w->again, AGAIN_MS, ask);
}

static void
ask(struct timer *t)
{
	struct waiting *w = CONTAINER_OF(t, struct waiting, again);
	struct addr here;

	(void)addr_parse_ip(&here, "127.0.0.1");
	if (run_start(w->loop, &w->probe, &here, NULL, answered, w) == NULL)
		loop_stop(w->loop);
}

int
pod_wait(unsigned int seconds)
{
	static char path[] = "/healthz/ready";
	struct waiting w = { .probe = { .kind = PROBE_HTTP, .port = SERVE_PORT, .timeout_ms = 2000, .path = path },
		.until = clock_mono_ms() + (uint64_t)seconds * 1000, .status = EXIT_FAILURE };

	if (loop_new(&w.loop) != TULLE_OK)
		return EXIT_FAILURE;
	timer_set(w.loop, &w.again, 0, ask);
	if (loop_run(w.loop) != TULLE_OK)
		w.status = EXIT_FAILURE;
	(void)loop_free(w.loop);
	if (w.status != EXIT_SUCCESS)
		(void)fprintf(stderr, "tulle-sidecar: not ready after %u s: %s\n", seconds, w.why);
	return w.status;
}
