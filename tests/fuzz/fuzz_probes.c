/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: sidecar */
/*
 * The table of probes, and a line of /proc/PID/stat.  Invariants: what is
 * refused says why; what is taken has a path below /app-health/, a port, a
 * bounded timeout, and nothing in it that could end a line of a request.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "others.h"
#include "probes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check(const struct probe *p)
{
	CHECK(strncmp(p->at, "/app-health/", 12) == 0 && p->port != 0);
	CHECK(p->timeout_ms >= 1000 && p->timeout_ms <= 300000);
	CHECK((p->kind == PROBE_HTTP) == (p->path != NULL) && (p->kind == PROBE_GRPC) == (p->service != NULL));
	CHECK(p->path == NULL || (p->path[0] == '/' && strpbrk(p->path, " \r\n") == NULL));
	CHECK(p->headers_n <= PROBE_HEADERS);
	for (size_t i = 0; i < p->headers_n; i++)
		CHECK(strpbrk(p->headers[i].name, ": \r\n") == NULL && strpbrk(p->headers[i].value, "\r\n") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	char why[PROBES_WHY] = "";
	struct probes probes;
	struct other other;
	enum tulle_err e = probes_parse(&probes, text, why);

	if (e == TULLE_OK) {
		for (size_t i = 0; i < probes.n; i++)
			check(&probes.items[i]);
		probes_free(&probes);
	} else {
		CHECK(why[0] != '\0');
	}
	if (other_parse(&other, text))
		CHECK(other.pid > 0 && memchr(other.name, '\0', sizeof(other.name)) != NULL);
	free(text);
	return 0;
}
