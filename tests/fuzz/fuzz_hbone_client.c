/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: relayd */
/* Bytes of a peer's server to our client of tunnels: no crash, no leak, every stream that was asked for hears how it went. */
#include "hbone_fuzz.h"

static unsigned int closed;

static void
tunnel_closed(struct hbone *h, enum tulle_err e)
{
	(void)h;
	assert(e != TULLE_OK);
	closed++;
}

static const struct hbone_events events = { .closed = tunnel_closed };

static void
open_stream(struct hbone *h)
{
	struct app *a;

	if (hbone_free_streams(h) == 0 || (a = app_new()) == NULL)
		return;
	if (hstream_open(&a->tunnel, h, "10.0.0.2:9000", &tunnel_events) != TULLE_OK) {
		a->open = false;
		return;
	}
	assert(h->nstreams <= HBONE_STREAMS_CLIENT);
	a->has = 1000;
	app_pull(a);
}

static void
extra(struct hbone *h, uint8_t what)
{
	if (what == STEP_OPEN)
		open_stream(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct addr to = { .family = AF_INET, .port = 15008 };
	static struct hbone h;

	begin();
	closed = 0;
	assert(hbone_connect(&h, &thread, &to, NULL, NULL, &events) == TULLE_OK);
	for (int i = 0; i < 2; i++)
		open_stream(&h); /* before it is up */
	conn->events->ready(conn);
	hbone_flush_all(&thread);
	steps(&h, data, size, extra);
	hbone_fail(&h, TULLE_EUNAVAIL);
	assert(closed == 1 && conn == NULL);
	apps_free();
	return 0;
}
