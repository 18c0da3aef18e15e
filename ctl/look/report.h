/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report.h - what was found out about this host: one line a finding, in the
 * order in which a reader should mend things.  tulle status and tulle doctor
 * fill one and print it.
 */
#ifndef TULLE_CTL_LOOK_REPORT_H
#define TULLE_CTL_LOOK_REPORT_H

#include <jansson.h>
#include <stddef.h>

/* UNKNOWN: it could not be looked at, which is no fault of the host. */
enum health { WELL, UNKNOWN, WARNING, BROKEN };

struct finding {
	enum health health;
	const char *what; /* static: "rules", "identity" */
	char *text;       /* owned; one sentence: the state, or the cause of what is wrong and what to do */
};

#define REPORT_MAX 400 /* findings; more are counted, not kept */

struct report {
	struct finding *items; /* owned */
	size_t n, cap, dropped;
	enum health worst;
};

/* Adds one; <what> is lent for the life of the report. */
void report_add(struct report *r, enum health h, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Has <what> a finding that is worse than UNKNOWN? */
int report_is_bad(const struct report *r, const char *what);

/* Gives the findings back. */
void report_free(struct report *r);

/* A line each on standard output: mark, what, text.  Controls in texts are escaped. */
void report_print(const struct report *r);

/* [{"health","what","text"}], the caller's. */
json_t *report_json(const struct report *r);

/* "ok", "-", "warn", "FAIL". */
const char *health_mark(enum health h);

/* EXIT_SUCCESS, or EXIT_FAILURE if anything is worse than UNKNOWN. */
int report_status(const struct report *r);

#endif
