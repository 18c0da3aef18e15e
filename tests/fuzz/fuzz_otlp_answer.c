/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: telemetry */
/* What a collector, or whoever sits at its address, may answer; and texts of the environment and of principals. */
#include <stdlib.h>
#include <string.h>

#include "collect/record.h"
#include "export/result.h"
#include "settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answer(const uint8_t *data, size_t size)
{
	static const unsigned int codes[] = { 200, 400, 401, 413, 429, 503 };
	struct export_result r;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		export_judge(&r, TULLE_OK, codes[i], data, size);
		if (strlen(r.text) >= EXPORT_TEXT || (r.verdict != EXPORT_DELIVERED && r.rejected != 0) ||
		    r.rejected > INT64_MAX)
			abort();
		for (const char *s = r.text; *s != '\0'; s++)
			if (*s < 0x20 || *s > 0x7e)
				abort();
		if ((r.verdict == EXPORT_DELIVERED) != (codes[i] == 200))
			abort(); /* no body changes a verdict */
	}
}

static void
texts(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct otlp_attribute pairs[4];
	struct arena arena = arena_new(1 << 20);
	struct principal p;
	size_t n;

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	n = settings_pairs(&arena, text, pairs, 4);
	for (size_t i = 0; i < n; i++)
		if (pairs[i].key[0] == '\0' || strlen(pairs[i].value) > size)
			abort();
	p = principal_parse(text);
	if ((p.namespace.n == 0) != (p.workload.n == 0) || p.namespace.n + p.workload.n > size)
		abort();
	arena_free(&arena);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	answer(data, size);
	texts(data, size);
	return 0;
}
