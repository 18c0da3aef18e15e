/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * slot.h - one identity of this host: what is wanted, what is there, and how
 * getting it goes.  Nothing here reads a clock; times are milliseconds since
 * the epoch.
 */
#ifndef TULLE_CERTD_AGENT_SLOT_H
#define TULLE_CERTD_AGENT_SLOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "issue/renew.h"
#include "base/err.h"
#include "tls/identity.h"

/* Read only for all but the keeper. */
struct slot {
	char *ns, *sa;
	char *id; /* SPIFFE ID */
	int64_t ttl;
	struct identity *current; /* a reference; NULL: none yet */
	int64_t issued, end;      /* milliseconds since the epoch */
	int64_t renew_at;
	struct key *next_key; /* of the order under way */
	int64_t retry_at;
	unsigned int failures;
	char failure[160]; /* the last one's reason, "" after a success */
	bool ordered;
	int64_t ordered_at;
	enum renew_alarm alarm;
};

struct keeper_wanted {
	const char *ns, *sa; /* copied */
	int64_t ttl;         /* seconds */
};

/*
 * An empty slot for <w> in trust domain <td>; texts are copied.
 * TULLE_EINVAL: not a SPIFFE ID.  TULLE_ENOMEM.  Also then to be cleared.
 */
enum tulle_err slot_init(struct slot *s, const char *td, const struct keeper_wanted *w);

/* Frees what it has and leaves zeros. */
void slot_clear(struct slot *s);

/* Takes over what an old slot of the same identity has.  Another ttl is a reason to renew at once. */
void slot_inherit(struct slot *s, struct slot *old);

/* Is there a certificate that has not expired? */
bool slot_usable(const struct slot *s, int64_t now_ms);

/* For status; the caller's. */
json_t *slot_status(const struct slot *s, int64_t now_ms);

#endif
