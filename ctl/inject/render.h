/* SPDX-License-Identifier: GPL-3.0-or-later */
/* render.h - JSON values as YAML, in block style at some indent or in brackets. */
#ifndef TULLE_CTL_INJECT_RENDER_H
#define TULLE_CTL_INJECT_RENDER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct render {
	struct buf *out;
	const char *line_break;
	unsigned int indent; /* spaces before each line */
};

/*
 * A mapping or list that is not empty, a line for each entry, each with its
 * line break.  <first>: also the first line is indented.  What looks like a
 * number or a boolean and is a text gets quotes.  Errors as buf_append().
 */
enum tulle_err render_block(const struct render *r, const json_t *value, bool first);

/* A line's indent alone. */
enum tulle_err render_indent(const struct render *r);

/* As JSON, on one line. */
enum tulle_err render_flow(struct buf *out, const json_t *value);

#endif
