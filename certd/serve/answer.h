/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * answer.h - which identities a caller gets.
 *
 * The relay's user gets every identity of this host, the default one first.
 * Those of its pods are not the host's.  Anybody else gets the identity of each entry of identities.yaml that fits.
 */
#ifndef TULLE_CERTD_SERVE_ANSWER_H
#define TULLE_CERTD_SERVE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/keeper.h"
#include "config.h"
#include "serve/match.h"

#define ANSWER_WHY 160

enum answer_kind {
	ANSWER_SVIDS,       /* at least one */
	ANSWER_DENIED,      /* nothing is for this caller */
	ANSWER_UNAVAILABLE, /* something is, but it is not there yet, or has expired */
};

struct answer {
	enum answer_kind kind;
	size_t n;
	const struct slot *slots[IDENTITIES_MAX]; /* lent: until the keeper changes */
	char why[ANSWER_WHY];                     /* unless ANSWER_SVIDS: for the log */
};

void answer_choose(struct answer *ret, const struct config *c, const struct keeper *k, const struct facts *f,
    int64_t now_ms);

/* The same at the socket of the pod <name>: its own identity, whoever asks. */
void answer_pod(struct answer *ret, const struct config *c, const struct keeper *k, const char *name, int64_t now_ms);

#endif
