/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * match.h - does an entry of identities.yaml fit an attested caller (pure)?
 */
#ifndef TULLE_CERTD_SERVE_MATCH_H
#define TULLE_CERTD_SERVE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/procfs.h"

/* What is known of a caller.  "" where a fact could not be had. */
struct facts {
	int32_t pid;
	uint32_t uid, gid;
	char unit[UNIT_MAX];
};

/* One rule, names already looked up. */
struct match_rule {
	bool has_uid;
	uint32_t uid;
	const char *unit; /* lent; NULL: any */
};

enum match_result { MATCH_YES, MATCH_UID, MATCH_UNIT, MATCH_NOTHING_ASKED };

/* MATCH_YES, or the first field that does not fit. */
enum match_result match(const struct match_rule *r, const struct facts *f);

/* "its uid is another": for people. */
const char *match_phrase(enum match_result r);

#endif
