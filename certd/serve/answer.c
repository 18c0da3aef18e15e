/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/answer.h"

#include <stdio.h>
#include <string.h>

/* Each once: two rules may give the same identity. */
static void
add(struct answer *a, const struct slot *s, int64_t now)
{
	if (s == NULL || !slot_usable(s, now))
		return;
	for (size_t i = 0; i < a->n; i++)
		if (a->slots[i] == s)
			return;
	if (a->n < IDENTITIES_MAX)
		a->slots[a->n++] = s;
}

static void
not_there(struct answer *a)
{
	a->kind = ANSWER_UNAVAILABLE;
	(void)snprintf(a->why, sizeof(a->why), "its certificate is not there yet, or has expired");
}

static void
nothing(struct answer *a, const struct config *c, enum match_result last, uint32_t line)
{
	if (c->n_rules == 0)
		(void)snprintf(a->why, sizeof(a->why), "identities.yaml has no entries");
	else
		(void)snprintf(a->why, sizeof(a->why), "none of %zu entries of identities.yaml fits; of the one in line %u: %s",
		    c->n_rules, line, match_phrase(last));
}

void
answer_choose(struct answer *ret, const struct config *c, const struct keeper *k, const struct facts *f, int64_t now_ms)
{
	enum match_result last = MATCH_NOTHING_ASKED;
	uint32_t line = 0;
	bool fits = false;

	ret->n = 0;
	ret->why[0] = '\0';
	if (c->relay_known && f->uid == (uint32_t)c->relay_uid) {
		fits = c->n_own > 0 || c->host->identity.default_only; /* which it is, joining will tell */
		for (size_t i = 0; i < c->n_own; i++)
			add(ret, keeper_find(k, c->wanted[i].ns, c->wanted[i].sa), now_ms);
	}
	for (size_t i = 0; i < c->n_rules; i++) {
		enum match_result m = match(&c->rules[i].match, f);

		if (m == MATCH_YES) {
			fits = true;
			add(ret, keeper_find(k, c->rules[i].ns, c->rules[i].sa), now_ms);
		} else if (line == 0 || m > last) { /* the nearest miss says most */
			last = m;
			line = c->rules[i].line;
		}
	}
	if (ret->n > 0) {
		ret->kind = ANSWER_SVIDS;
	} else if (fits) {
		not_there(ret);
	} else {
		ret->kind = ANSWER_DENIED;
		nothing(ret, c, last, line);
	}
}

void
answer_pod(struct answer *ret, const struct config *c, const struct keeper *k, const char *name, int64_t now_ms)
{
	ret->n = 0;
	ret->why[0] = '\0';
	ret->kind = ANSWER_DENIED;
	(void)snprintf(ret->why, sizeof(ret->why), "identities.yaml names this socket no more");
	for (size_t i = 0; i < c->ids->n_pods; i++) {
		const struct identity_entry *e = &c->ids->pods[i];

		if (strcmp(e->match.socket, name) != 0)
			continue;
		add(ret, keeper_find(k, e->namespace, e->account), now_ms);
		if (ret->n > 0)
			ret->kind = ANSWER_SVIDS;
		else
			not_there(ret);
	}
}
