/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inject.h - a manifest with Tulle's containers in its pods, and back.
 *
 * Only the pieces of text that have to change are touched: comments, order,
 * quotes and line breaks of all else stay, to the byte.  The result is
 * parsed again and taken back before anybody sees it: what does not become
 * what it was is refused.
 *
 * Nothing is read or written here but the buffers.
 */
#ifndef TULLE_CTL_INJECT_INJECT_H
#define TULLE_CTL_INJECT_INJECT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "inject/options.h"
#include "manifest/problem.h"

#define INJECT_OUT_MAX (64u << 20) /* what <out> should hold */

struct inject_done {
	size_t changed, left; /* pods */
};

/*
 * Takes every pod of the <len> bytes of the file called <name> into the mesh.
 * The new manifest goes to <out>, what is worth knowing to <notes>, a line
 * each.  <o> has passed inject_options_check().
 *
 *   TULLE_EINVAL  there are errors in <problems>; <out> is untouched
 *   TULLE_ELIMIT  <out> is too small
 *   TULLE_ENOMEM
 */
enum tulle_err inject_text(struct buf *out, struct buf *notes, struct inject_done *ret, const char *name, const char *data, size_t len,
    const struct inject_options *o, struct problems *problems);

/* Takes every pod out again that inject_text() took in.  Errors as there. */
enum tulle_err uninject_text(struct buf *out, struct buf *notes, struct inject_done *ret, const char *name, const char *data, size_t len,
    struct problems *problems);

#endif
