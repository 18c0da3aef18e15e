/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: certd */
/* Files under /proc: a unit is one component with a right ending, and stands in the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);
	char unit[UNIT_MAX];
	uint64_t start;
	uint32_t uid, gid;

	(void)procfs_start_time(text, &start);
	(void)procfs_ids(text, &uid, &gid);
	if (procfs_unit(text, unit) == TULLE_OK) {
		size_t n = strlen(unit);

		if (n < 7 || strchr(unit, '/') != NULL || strchr(unit, '\n') != NULL || strstr(text, unit) == NULL)
			abort();
		if (strcmp(unit + n - 6, ".scope") != 0 && (n < 9 || strcmp(unit + n - 8, ".service") != 0))
			abort();
	}
	free(text);
	return 0;
}
