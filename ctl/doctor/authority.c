/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority.c - can this member reach its authority? */
#include <stdio.h>
#include <string.h>

#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "doctor/verdict.h"

#define AUTHORITY_MS 3000

void
check_authority(struct doctor *d)
{
	const json_t *member = json_object_get(d->answers.status[CERTD], "member");
	const char *where = answer_text(member, "authority", "");
	struct probe p = { .end = PROBE_FAILED };
	struct verdict v;

	if (!json_is_true(json_object_get(member, "joined")) || addr_parse(&p.to, where) != TULLE_OK)
		return;
	probe_all(&p, 1, AUTHORITY_MS);
	verdict_authority(&v, &p, d->local, d->n_local);
	report_add(&d->report, v.health, "authority", "%s", v.text);
}
