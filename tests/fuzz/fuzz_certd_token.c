/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: certd */
/* Token texts: what is taken for one can be written again, and reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authority/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);
	char out[TOKEN_TEXT];
	struct token t, again;
	const char *why = NULL;

	if (token_parse(&t, text, &why) != TULLE_OK) {
		if (why == NULL || *why == '\0')
			abort();
	} else {
		if (!token_id_valid(t.id) || t.authority.port == 0)
			abort();
		if (token_parse(&again, token_format(&t, out), &why) != TULLE_OK || memcmp(t.secret, again.secret, sizeof(t.secret)) != 0 ||
		    memcmp(t.pin, again.pin, sizeof(t.pin)) != 0 || strcmp(t.id, again.id) != 0 ||
		    !addr_equal(&t.authority, &again.authority))
			abort();
	}
	free(text);
	return 0;
}
