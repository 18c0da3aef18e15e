/* fuzz-links: relayd */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the relay process takes from its parent: nothing in it may make it read beyond its end. */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "msg/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle b, again;
	int fd, packed;

	if (msg_seal(&fd, data, size) != TULLE_OK)
		return 0;
	if (bundle_unpack(&b, fd) == TULLE_OK) {
		for (size_t i = 0; i < b.n; i++) /* names and contents are whole, ended by a NUL */
			assert(strlen(b.files[i].name) < size && b.files[i].data[b.files[i].len] == '\0');
		if (b.n > 0 && bundle_pack(&packed, b.files, b.n) == TULLE_OK) {
			assert(bundle_unpack(&again, packed) == TULLE_OK && again.n == b.n);
			bundle_free(&again);
			close(packed);
		}
		bundle_free(&b);
	}
	close(fd);
	return 0;
}
