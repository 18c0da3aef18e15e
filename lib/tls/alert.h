/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * alert.h - the names of TLS alerts, RFC 8446 section 6.  Pure.
 */
#ifndef TULLE_TLS_ALERT_H
#define TULLE_TLS_ALERT_H

#include <stdbool.h>

/* "bad_certificate"; never NULL: "unknown_alert" for a number without a name. */
const char *alert_name(int code);

/* Does this alert (by name; NULL: none) mean that the sender refused a certificate? */
bool alert_is_about_certificate(const char *name);

#endif
