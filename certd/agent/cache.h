/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cache.h - identities with their keys in one sealed file, AES-256-GCM.
 */
#ifndef TULLE_CERTD_AGENT_CACHE_H
#define TULLE_CERTD_AGENT_CACHE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/identity.h"

/* What the file holds about one identity. */
json_t *cache_identity(const struct identity *id, int64_t issued, int64_t renew_at);

/* Reads that back: identity, issue time and end.  TULLE_EINVAL, TULLE_ENOMEM. */
enum tulle_err cache_identity_read(const json_t *value, struct identity **ret, int64_t *ret_issued, int64_t *ret_renew_at);

/* Seals <value> into <file>; it is taken over, its texts are wiped.  TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err cache_write(const char *file, const uint8_t seal[32], json_t *value);

/* TULLE_ENOENT: no such file.  TULLE_EINVAL: not sealed with this key, or changed.  TULLE_ESYS, TULLE_ENOMEM. */
enum tulle_err cache_read(const char *file, const uint8_t seal[32], json_t **ret);

#endif
