/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * download.h - one document from one URL, without making the loop wait: a
 * GET, https with the roots of a file, a bearer token from a file.
 *
 * No redirects: whoever may answer is named in the configuration.
 */
#ifndef TULLE_CERTD_AUTHORITY_DOWNLOAD_H
#define TULLE_CERTD_AUTHORITY_DOWNLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

#define DOWNLOAD_WHY 200

struct download;

/* What to get; lent for download_start(). */
struct download_order {
	const char *url;
	const char *ca_file;    /* PEM; NULL: the system's roots */
	const char *token_file; /* its content is sent as a bearer token; NULL: none */
	size_t max;             /* bytes of the document */
	uint64_t timeout_ms;    /* for all of it; 0: 10 s */
};

/*
 * Asks.  <done> comes once, from the loop, never from within this call: NULL
 * and the document (lent, with a NUL behind it), or what went wrong, for
 * people.  It or anybody later frees the handle.
 *
 *   TULLE_EINVAL  the URL, or a file, is not usable; <why> says so
 *   TULLE_ENOMEM
 */
enum tulle_err download_start(struct download **ret, struct loop *l, const struct download_order *o,
    void (*done)(void *arg, const char *error, const char *text, size_t len), void *arg, char why[DOWNLOAD_WHY]);

/* Gives up if it is still under way.  Takes NULL.  Always returns NULL. */
struct download *download_free(struct download *d);

#endif
