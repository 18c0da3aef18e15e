/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct wire_config) + WIRE_LOCAL_MAX * sizeof(struct addr) <= MSG_BODY_MAX,
    "all addresses go into one message");

enum tulle_err
wire_take(const struct msg *m, void *ret, size_t size)
{
	if (m->len != size)
		return TULLE_EPEER;
	memcpy(ret, m->body, size);
	return TULLE_OK;
}

enum tulle_err
wire_take_text(const struct msg *m, void *ret_head, size_t size, char **ret_text, size_t *ret_len)
{
	char *text;

	if (m->len < size)
		return TULLE_EPEER;
	text = malloc(m->len - size + 1);
	if (text == NULL)
		return TULLE_ENOMEM;
	memcpy(text, m->body + size, m->len - size);
	text[m->len - size] = '\0';
	memcpy(ret_head, m->body, size);
	*ret_text = text;
	*ret_len = m->len - size;
	return TULLE_OK;
}

enum tulle_err
wire_take_config(const struct msg *m, struct wire_config **ret)
{
	struct wire_config head, *copy;

	if (m->len < sizeof(head))
		return TULLE_EPEER;
	memcpy(&head, m->body, sizeof(head));
	if (head.n_local > WIRE_LOCAL_MAX || m->len != sizeof(head) + head.n_local * sizeof(head.local[0]))
		return TULLE_EPEER;
	copy = malloc(m->len);
	if (copy == NULL)
		return TULLE_ENOMEM;
	memcpy(copy, m->body, m->len);
	*ret = copy;
	return TULLE_OK;
}
