/* fuzz-links: relayd */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What parent and relay process take from each other's messages.  The first
 * byte chooses the type, so that every reader sees every length.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The largest fixed body. */
union fixed {
	struct wire_identity identity;
	struct wire_status status;
	struct wire_ping ping;
	struct wire_drain drain;
	struct wire_flag flag;
};

static void
fixed(const struct msg *m, size_t size)
{
	union fixed body, before;
	enum tulle_err e;

	memset(&body, 0xa5, sizeof(body));
	before = body;
	e = wire_take(m, &body, size);
	assert((e == TULLE_OK) == (m->len == size));
	assert(memcmp(&body, e == TULLE_OK ? (const void *)m->body : (const void *)&before, size) == 0);
}

static void
text(const struct msg *m, size_t head_size)
{
	struct wire_result head;
	char *body = NULL;
	size_t len = 0;

	assert(head_size <= sizeof(head));
	if (wire_take_text(m, &head, head_size, &body, &len) != TULLE_OK) {
		assert(m->len < head_size && body == NULL);
		return;
	}
	assert(len == m->len - head_size && body[len] == '\0' && strlen(body) <= len);
	free(body);
}

static void
config(const struct msg *m)
{
	struct wire_config *c;
	unsigned int sum = 0;

	if (wire_take_config(m, &c) != TULLE_OK)
		return;
	assert(c->n_local <= WIRE_LOCAL_MAX && m->len == sizeof(*c) + c->n_local * sizeof(c->local[0]));
	for (uint32_t i = 0; i < c->n_local; i++)
		sum += c->local[i].ip[15]; /* the sanitizer looks whether they are there */
	assert(sum <= 255u * WIRE_LOCAL_MAX);
	free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg *m;

	if (size < 1 || size - 1 > MSG_BODY_MAX)
		return 0;
	/* Just so long as it is: reading on is found. */
	m = malloc(offsetof(struct msg, body) + size - 1);
	if (m == NULL)
		return 0;
	m->type = data[0];
	m->len = (uint32_t)(size - 1);
	memcpy(m->body, data + 1, size - 1);
	switch (m->type) {
	case WIRE_CONFIG:
		config(m);
		break;
	case WIRE_IDENTITY:
		fixed(m, sizeof(struct wire_identity));
		break;
	case WIRE_STATUS:
		fixed(m, sizeof(struct wire_status));
		break;
	case WIRE_DRAIN:
		fixed(m, sizeof(struct wire_drain));
		break;
	case WIRE_CONSUMER:
	case WIRE_READY:
		fixed(m, sizeof(struct wire_flag));
		break;
	case WIRE_PING:
	case WIRE_PONG:
		fixed(m, sizeof(struct wire_ping));
		break;
	case WIRE_CONFIG_RESULT:
		text(m, sizeof(struct wire_result));
		break;
	case WIRE_STATUS_REPLY:
		text(m, sizeof(struct wire_status));
		break;
	default:
		break;
	}
	free(m);
	return 0;
}
