/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sender.h - one destination: three lanes, each with a connection of its
 * own, so that a server that knows no logs does not hold up metrics.
 */
#ifndef TULLE_TELEMETRY_EXPORT_SENDER_H
#define TULLE_TELEMETRY_EXPORT_SENDER_H

#include "export/lane.h"
#include "http/url.h"
#include "io/loop.h"

struct sender;

/* What all destinations have in common; lent for the senders' lives. */
struct sender_options {
	bool compress;
	uint64_t timeout_ms;        /* one request, from start to answer */
	const char *const *headers; /* "name", "value", ... NULL: for authorization */
	const char *ca_file;        /* roots for https; NULL: the system's */
};

/*
 * A sender for <url>, e.g. "http://127.0.0.1:4318" (copied).
 *   TULLE_EINVAL  *ret_why (never NULL) says what would be right
 *   TULLE_ENOENT  https, and there are no roots
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err sender_new(struct sender **ret, struct loop *l, const char *url, const struct sender_options *o,
    struct zstd *z, const char **ret_why);

/* What is queued is dropped for <why> and logged.  Takes NULL, returns NULL. */
struct sender *sender_free(struct sender *s, enum drop_reason why);

/* From now on <o>, which says the same as the options before; lent. */
void sender_options_set(struct sender *s, const struct sender_options *o);

const char *sender_url(const struct sender *s);
void sender_push(struct sender *s, struct payload *p);
bool sender_empty(const struct sender *s);
void sender_status(const struct sender *s, enum signal signal, struct lane_status *ret);

#endif
