/* SPDX-License-Identifier: GPL-3.0-or-later */
/* answers.h - what the daemons and tulle-nfrules say of themselves. */
#ifndef TULLE_CTL_LOOK_ANSWERS_H
#define TULLE_CTL_LOOK_ANSWERS_H

#include <jansson.h>

enum daemon { CERTD, RELAYD, TELEMETRYD, DAEMONS };

struct answers {
	json_t *status[DAEMONS];  /* NULL: did not answer */
	json_t *process[DAEMONS]; /* "process" of those that did; may be NULL */
	char *why[DAEMONS];       /* why there is no answer; owned */
	int rules;                /* exit status of tulle-nfrules check; -1: not run */
	json_t *rules_said;       /* what it said; may be NULL */
};

/* "certd", "relayd", "telemetryd". */
const char *daemon_name(enum daemon d);

/* Asks all of them, a few seconds at most each; to be given back with answers_free(). */
void answers_get(struct answers *a);
void answers_free(struct answers *a);

/* Fields of an answer: NULL objects and missing fields give <otherwise> and 0.  Lent. */
const char *answer_text(const json_t *o, const char *key, const char *otherwise);
json_int_t answer_num(const json_t *o, const char *key);

#endif
