/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fields.h - header fields as nghttp2 takes and gives them, for client and server. */
#ifndef TULLE_GRPC_FIELDS_H
#define TULLE_GRPC_FIELDS_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Both texts are lent; nghttp2 copies them. */
static inline nghttp2_nv
grpc_nv(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

static inline bool
grpc_is(const uint8_t *name, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(name, want, len) == 0;
}

#endif
