/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: nfrules */
/* What iptables writes to standard error: an explanation is one line that fits, or there is none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/lacking.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *said = malloc(size + 1), out[LACKING_TEXT];
	const char *text;

	if (said == NULL)
		return 0;
	memcpy(said, data, size);
	said[size] = '\0';
	text = lacking(said, out);
	if (text != NULL && (text != out || strlen(out) == 0 || strlen(out) >= LACKING_TEXT || strchr(out, '\n') != NULL))
		abort();
	free(said);
	return 0;
}
