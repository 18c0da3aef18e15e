/* SPDX-License-Identifier: GPL-3.0-or-later */
/* proof.h - that inject changed what it meant to change, and nothing else; asked before anything is printed. */
#ifndef TULLE_CTL_INJECT_PROOF_H
#define TULLE_CTL_INJECT_PROOF_H

#include "base/buf.h"
#include "base/err.h"
#include "inject/edit.h"
#include "inject/tree.h"
#include "manifest/problem.h"

/* What the edits, which are in order, change does not stand for something else as well.  TULLE_EINVAL: it does, see <problems>. */
enum tulle_err proof_shared(const struct edits *ed, const struct tree *t, struct problems *problems);

/*
 * <made>, which the edits made of their text, is YAML; without what was put
 * in it has the values of <was>, and uninject gives the text back to the
 * byte.  TULLE_EINVAL: not so, see <problems>.
 */
enum tulle_err proof_back(const struct edits *ed, const char *name, const struct tree *was, const struct buf *made,
    struct problems *problems);

#endif
