/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message.h - the messages of the Workload API, out of the keeper's state.
 */
#ifndef TULLE_CERTD_SERVE_MESSAGE_H
#define TULLE_CERTD_SERVE_MESSAGE_H

#include "agent/keeper.h"
#include "base/buf.h"
#include "base/err.h"
#include "serve/answer.h"

#define MESSAGE_MAX (4u << 20) /* what clients take by default */

/*
 * Appends an X509SVIDResponse with the identities of <a>, in their order.
 * It holds private keys: buf_wipe().  Errors as buf_append(), TULLE_ECRYPTO.
 */
enum tulle_err message_svids(struct buf *out, const struct answer *a, const struct keeper *k);

/* Appends an X509BundlesResponse.  Errors as buf_append(). */
enum tulle_err message_bundles(struct buf *out, const struct keeper *k);

#endif
