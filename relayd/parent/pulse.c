/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/pulse.h"

void
pulse_start(struct pulse *p)
{
	p->asked = false; /* the number goes on: an answer of the last process is nobody's */
}

bool
pulse_round(struct pulse *p, bool busy, uint64_t *ret_id)
{
	if (!p->asked) {
		p->asked = true;
		p->waits = 0;
		p->id++;
	} else if (++p->waits >= (busy ? PULSE_ROUNDS_BUSY : PULSE_ROUNDS)) {
		return false;
	}
	*ret_id = p->id;
	return true;
}

void
pulse_answered(struct pulse *p, uint64_t id)
{
	if (id == p->id)
		p->asked = false;
}
