/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "portlist.h"

#include <ctype.h>
#include <stdlib.h>

/* One number at *s, which is moved behind it. */
static enum tulle_err
port(const char **s, uint32_t *ret)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)**s))
		return TULLE_EINVAL;
	v = strtoul(*s, &end, 10);
	if (v < 1 || v > UINT16_MAX)
		return TULLE_EINVAL;
	*s = end;
	*ret = (uint32_t)v;
	return TULLE_OK;
}

static void
spaces(const char **s)
{
	while (**s == ' ')
		(*s)++;
}

enum tulle_err
portlist_parse(struct port_range *ret, size_t max, size_t *ret_n, const char *text)
{
	size_t n = 0;

	for (;;) {
		uint32_t from = 0, to;
		enum tulle_err e;

		spaces(&text);
		e = port(&text, &from);
		to = from;
		if (e == TULLE_OK && *text == '-') {
			text++;
			e = port(&text, &to);
		}
		if (e != TULLE_OK || to < from)
			return TULLE_EINVAL;
		if (n == max)
			return TULLE_ELIMIT;
		ret[n++] = (struct port_range){ (uint16_t)from, (uint16_t)to };
		spaces(&text);
		if (*text == '\0')
			break;
		if (*text++ != ',')
			return TULLE_EINVAL;
	}
	*ret_n = n;
	return TULLE_OK;
}
