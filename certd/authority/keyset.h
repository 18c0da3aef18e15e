/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyset.h - the keys of one issuer, from a file or a URL, kept fresh. */
#ifndef TULLE_CERTD_AUTHORITY_KEYSET_H
#define TULLE_CERTD_AUTHORITY_KEYSET_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "io/loop.h"
#include "jwt/jwks.h"
#include "manifest/host.h"

struct keyset;

/* Loads what there is; that nothing can be had is no error here (logged, and in status).  <dir> is lent, <k> only now.  TULLE_ENOMEM. */
enum tulle_err keyset_new(struct keyset **ret, struct loop *l, const char *dir, const struct kubernetes_issuer *k);

/* Takes NULL.  Always returns NULL. */
struct keyset *keyset_free(struct keyset *s);

/* Are these the keys that <k> names? */
bool keyset_is(const struct keyset *s, const struct kubernetes_issuer *k);

/* The keys as they are now; NULL: none could be had yet.  Lent until the loop goes on. */
const struct jwks *keyset_keys(struct keyset *s);

/* A key that is not among them was asked for.  True: newer ones are on their way; ask again later. */
bool keyset_missed(struct keyset *s);

/* {"issuer","jwks","keys","left_out","error"}. */
json_t *keyset_status(const struct keyset *s);

#endif
