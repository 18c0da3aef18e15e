/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: ctl */
/*
 * What a relay process, which may be somebody else by now, says of who talks
 * to whom: taken or refused as a whole, and no sum of it is negative or more
 * than all.
 */
#include <stdlib.h>

#include "rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(const struct rows *r, bool inbound)
{
	struct rows_sum s = rows_sum(r, inbound);
	int share = rows_share(&s);

	if (s.carried < 0 || s.mutual > s.carried || s.plaintext > s.carried || s.denied < 0 || share < -1 || share > 1001)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer = json_loadb((const char *)data, size, 0, NULL);
	struct rows now, before;
	size_t n;

	if (answer == NULL)
		return 0;
	if (rows_take(&before, json_deep_copy(answer)) != TULLE_OK) {
		json_decref(answer);
		return 0;
	}
	if (rows_take(&now, answer) != TULLE_OK)
		abort();
	rows_sort(&before);
	look(&before, true);
	look(&before, false);
	rows_free(&before);
	if (rows_take(&before, json_deep_copy(now.answer)) != TULLE_OK)
		abort();
	n = now.n;
	rows_subtract(&now, &before); /* nothing happened: only what is open is left */
	for (size_t i = 0; i < now.n; i++)
		if (now.list[i].active == 0 || now.list[i].connections != 0)
			abort();
	if (now.n > n)
		abort();
	rows_free(&now);
	rows_free(&before);
	return 0;
}
