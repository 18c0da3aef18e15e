/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * issuers.h - clusters whose pods may join: their keys, and the judgement on
 * a token of theirs (authority.kubernetes of tulle.yaml).
 *
 * Keys come from a file, which is looked at again with every token, or from
 * a URL (keyset.h).  New keys that cannot be read never replace good ones.
 */
#ifndef TULLE_CERTD_AUTHORITY_ISSUERS_H
#define TULLE_CERTD_AUTHORITY_ISSUERS_H

#include <jansson.h>
#include <stdint.h>

#include "authority/pods.h"
#include "base/err.h"
#include "io/loop.h"
#include "manifest/host.h"

struct issuers;

/* None yet.  <dir>, for copies of keys, is lent.  TULLE_ENOMEM. */
enum tulle_err issuers_new(struct issuers **ret, struct loop *l, const char *dir);

/* Takes NULL.  Always returns NULL. */
struct issuers *issuers_free(struct issuers *i);

/*
 * From now on these <n> are trusted; <items> is lent until the next call.
 * What is known of the keys of an issuer that stays is kept.  TULLE_ENOMEM:
 * nothing changed.
 */
enum tulle_err issuers_config(struct issuers *i, const struct kubernetes_issuer *items, size_t n);

/*
 * Whose token is it?  <i> NULL: no issuers.
 *
 *   TULLE_OK       *ret is who; its issuer is lent by the configuration
 *   TULLE_EDENIED  it is not good; <why> is for the log and for its bearer
 *   TULLE_AGAIN    it may be: keys are being fetched; <why> says so
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err issuers_judge(struct issuers *i, const char *jwt, size_t len, int64_t now, struct pod *ret,
    char why[MEMBER_WHY]);

/* For status: a list of {"issuer","jwks","keys","error",...}. */
json_t *issuers_status(const struct issuers *i);

#endif
