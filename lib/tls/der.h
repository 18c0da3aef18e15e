/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * der.h - rows of DER certificates, and PEM.
 *
 * The Workload API, chains and bundles all carry certificates one after the
 * other without anything between.  wolfSSL loads only the first of such a
 * row as a root and says nothing, so they are split here, within bounds.  Pure.
 */
#ifndef TULLE_TLS_DER_H
#define TULLE_TLS_DER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DER_CERT_MAX 16384    /* bytes of one certificate */
#define DER_CHAIN_MAX 65536   /* bytes of a chain */
#define DER_CHAIN_CERTS 4     /* certificates of a chain, the leaf included */
#define DER_BUNDLE_MAX 1048576 /* bytes of a trust domain's roots */
#define DER_BUNDLE_CERTS 64   /* roots of a trust domain */

/* One element; lent. */
struct der {
	const uint8_t *p;
	size_t len;
};

/*
 * Splits <len> bytes into SEQUENCEs with definite, minimal lengths.  What
 * is inside them is not looked at.
 *
 *   TULLE_OK      out[0] to out[*ret_n - 1] point into <blob>; at least one
 *   TULLE_EINVAL  empty, or not a row of SEQUENCEs that ends where <len> ends
 *   TULLE_ELIMIT  more than <max> of them, or one above DER_CERT_MAX
 */
enum tulle_err der_split(const uint8_t *blob, size_t len, struct der *out, size_t max, size_t *ret_n);

/*
 * Appends the DER of every CERTIFICATE block of <pem> to <out>; text around
 * and other blocks between them are skipped.
 *
 *   TULLE_EINVAL  there is none, or one is broken; <out> may have grown
 *   TULLE_ELIMIT, TULLE_ENOMEM  <out> cannot take it
 */
enum tulle_err der_from_pem(struct buf *out, const char *pem, size_t len);

/* Appends a CERTIFICATE block for every certificate of a row.  Errors as der_split() and buf_append(). */
enum tulle_err der_to_pem(struct buf *out, const uint8_t *blob, size_t len);

#endif
