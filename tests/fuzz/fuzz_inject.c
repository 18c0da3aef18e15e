/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: ctl */
/*
 * Any text through inject and uninject, native and classic.  Either there is
 * an error with its file, on one clean line, and no output; or the output is YAML
 * that is refused a second time and comes back to the byte.  As uninject gets
 * the text as well, it takes whatever stands in tulle.mesh/status.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inject/inject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_problems(enum tulle_err e, const struct problems *p, const struct buf *out)
{
	assert(e == TULLE_OK || e == TULLE_EINVAL);
	assert((e == TULLE_EINVAL) == (p->errors > 0));
	assert(e == TULLE_OK || buf_len(out) == 0);
	for (size_t i = 0; i < p->n; i++) {
		assert(strncmp(p->list[i].line, "m.yaml:", 7) == 0);
		for (const char *c = p->list[i].line; *c != '\0'; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
}

static void
there_and_back(const uint8_t *data, size_t size, bool classic)
{
	struct buf out = buf_new(INJECT_OUT_MAX), back = buf_new(INJECT_OUT_MAX), notes = buf_new(1 << 20);
	struct inject_options o = inject_defaults;
	struct problems problems;
	struct inject_done done;
	enum tulle_err e;

	problems_init(&problems);
	o.classic = classic;
	e = inject_text(&out, &notes, &done, "m.yaml", (const char *)data, size, &o, &problems);
	check_problems(e, &problems, &out);
	if (e == TULLE_OK && done.changed > 0) {
		size_t changed = done.changed;

		if (uninject_text(&back, &notes, &done, "m.yaml", (const char *)buf_head(&out), buf_len(&out), &problems) != TULLE_OK)
			abort();
		assert(done.changed == changed);
		assert(buf_len(&back) == size && memcmp(buf_head(&back), data, size) == 0);
		e = inject_text(&back, &notes, &done, "m.yaml", (const char *)buf_head(&out), buf_len(&out), &o, &problems);
		assert(e == TULLE_EINVAL);
	} else if (e == TULLE_OK) {
		assert(buf_len(&out) == size && (size == 0 || memcmp(buf_head(&out), data, size) == 0));
	}
	problems_free(&problems);
	buf_free(&out);
	buf_free(&back);
	buf_free(&notes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = buf_new(INJECT_OUT_MAX), notes = buf_new(1 << 20);
	struct problems problems;
	struct inject_done done;

	there_and_back(data, size, false);
	there_and_back(data, size, true);
	problems_init(&problems);
	check_problems(uninject_text(&out, &notes, &done, "m.yaml", (const char *)data, size, &problems), &problems, &out);
	problems_free(&problems);
	buf_free(&out);
	buf_free(&notes);
	return 0;
}
