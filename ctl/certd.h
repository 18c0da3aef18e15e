/* SPDX-License-Identifier: GPL-3.0-or-later */
/* certd.h - what the verbs that talk to tulle-certd have in common. */
#ifndef TULLE_CTL_CERTD_H
#define TULLE_CTL_CERTD_H

#include <jansson.h>

/*
 * Asks certd; <args> is taken over.  NULL: it did not work, and why is on
 * standard error, behind "tulle VERB: ".  Joining may take a while: <timeout_ms>.
 */
json_t *certd_call(const char *verb, const char *command, json_t *args, int timeout_ms);

/* A text of an answer, "" if it is not there.  Lent. */
const char *certd_text(const json_t *o, const char *field);

#endif
