/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * renew.h - when a certificate is renewed, how often a failure is tried
 * again, and when it becomes an alarm (pure).
 *
 * Times in milliseconds since the epoch.  <draw> is a random number, drawn
 * once per certificate or attempt and handed in.
 */
#ifndef TULLE_CERTD_ISSUE_RENEW_H
#define TULLE_CERTD_ISSUE_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#define RENEW_RETRY_MIN 1000
#define RENEW_RETRY_MAX 60000

/* Half of the life that counts from the issue, not from the back-dated start, plus or minus a tenth of it. */
int64_t renew_at(int64_t issued, int64_t end, uint32_t draw);

/*
 * How long to wait after failure number <failures> (from 1): up to one second
 * doubling to 60, anything of it (full jitter), never more than a twentieth
 * of what is left to live (once nothing is: of the whole life), never less
 * than 100 ms.  <life> 0: there is no certificate yet.
 */
int64_t renew_retry(unsigned int failures, int64_t life, int64_t left, uint32_t draw);

/* Is this failure worth a line in the log?  The first, second, fourth, eighth... are. */
bool renew_worth_saying(unsigned int failures);

enum renew_alarm { RENEW_FINE, RENEW_33, RENEW_20, RENEW_10, RENEW_5, RENEW_EXPIRED };

/* How little is left of a certificate that should have been renewed by now. */
enum renew_alarm renew_alarm(int64_t issued, int64_t end, int64_t now);

/* When renew_alarm() changes next; INT64_MAX: it has expired. */
int64_t renew_alarm_next(int64_t issued, int64_t end, int64_t now);

/* "a third of its life is left", for a log; NULL: fine. */
const char *renew_alarm_text(enum renew_alarm a);

#endif
