/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: certd */
/* Token texts: what is taken for one can be written again, and reads the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/token.h"
#include "base/text.h"
#include "store/crypt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
try(const char *text)
{
	char out[TOKEN_TEXT];
	struct token t, again;
	const char *why = NULL;

	if (token_parse(&t, text, &why) != TULLE_OK) {
		if (why == NULL || *why == '\0')
			abort();
		return;
	}
	if (!token_id_valid(t.id) || t.authority.port == 0)
		abort();
	if (token_parse(&again, token_format(&t, out), &why) != TULLE_OK || memcmp(t.secret, again.secret, sizeof(t.secret)) != 0 ||
	    memcmp(t.pin, again.pin, sizeof(t.pin)) != 0 || strcmp(t.id, again.id) != 0 ||
	    !addr_equal(&t.authority, &again.authority) || t.expires != again.expires)
		abort();
}

/* The same with check characters that fit: what stands before them is what is to be read. */
static void
try_whole(const char *text)
{
	uint8_t hash[CRYPT_HASH];
	char check[TEXT_BASE64URL(3)], *whole;

	if (crypt_hash(hash, text, strlen(text)) != TULLE_OK ||
	    asprintf(&whole, "%s.%s", text, text_base64url(hash, 3, check)) == -1)
		abort();
	try(whole);
	free(whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);

	try(text);
	try_whole(text);
	free(text);
	return 0;
}
