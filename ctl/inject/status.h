/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * status.h - the annotation tulle.mesh/status: what was done to an object,
 * so that it can be undone.
 *
 *   version, sidecar    who did it, and how
 *   made                fields that were not there: to be removed again
 *   was                 fields that had another value, with that value
 *   set                 fields that were given a value that somebody may change since
 *   probes              handlers of probes that were there, by container
 *   size, sha256        of the object's text before, in bytes
 *   undo                [[AT, LENGTH, "WAS"], ...]: the text that was changed.
 *                       AT counts in the text before; LENGTH is of what stands there now,
 *                       -1: of the annotation itself, which follows from all others and <size>.
 *
 * With undo the text comes back to the byte, which sha256 proves.  Where
 * others have changed the text since, or kubectl has written it anew, the
 * first six are enough to take out of the values what was put in.
 */
#ifndef TULLE_CTL_INJECT_STATUS_H
#define TULLE_CTL_INJECT_STATUS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "inject/edit.h"
#include "inject/options.h"

#define STATUS_KEY "tulle.mesh/status"

/* A status without the undo, for the caller to fill and to json_decref().  NULL: out of memory. */
json_t *status_new(const struct inject_options *o, const json_t *probes_were);

/*
 * Writes down the edits from <first> on, which are in order: those of the
 * object whose text is from <start> to <end>.  One of them is <own>.
 * TULLE_ENOMEM.
 */
enum tulle_err status_undo(json_t *status, const struct edits *ed, size_t first, size_t start, size_t end);

/* The status that the text of an annotation is; NULL: it is none, or says nonsense. */
json_t *status_read(const char *text);

/*
 * The text before, of the <len> bytes of <data> which are the object's text
 * now, into <out>.
 *
 *   TULLE_EDAMAGED  it has been changed since: <out> is untouched
 *   TULLE_ENOMEM
 */
enum tulle_err status_restore(const json_t *status, const char *data, size_t len, struct buf *out);

#endif
