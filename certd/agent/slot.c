/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/slot.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/spiffe.h"

enum tulle_err
slot_init(struct slot *s, const char *td, const struct keeper_wanted *w)
{
	char id[SPIFFE_ID_MAX + 1];
	enum tulle_err e = spiffe_build(id, sizeof(id), td, w->ns, w->sa);

	if (e)
		return TULLE_EINVAL;
	s->ns = strdup(w->ns);
	s->sa = strdup(w->sa);
	s->id = strdup(id);
	s->ttl = w->ttl;
	return s->ns == NULL || s->sa == NULL || s->id == NULL ? TULLE_ENOMEM : TULLE_OK;
}

void
slot_inherit(struct slot *s, struct slot *old)
{
	s->current = PTR_TAKE(old->current);
	s->next_key = PTR_TAKE(old->next_key);
	s->issued = old->issued;
	s->end = old->end;
	s->renew_at = s->ttl == old->ttl ? old->renew_at : 0; /* another length: at once */
	s->retry_at = old->retry_at;
	s->failures = old->failures;
	memcpy(s->failure, old->failure, sizeof(s->failure));
	s->ordered = old->ordered;
	s->ordered_at = old->ordered_at;
	s->alarm = old->alarm;
}

void
slot_clear(struct slot *s)
{
	identity_unref(s->current);
	key_unref(s->next_key);
	free(s->ns);
	free(s->sa);
	free(s->id);
	memset(s, 0, sizeof(*s));
}

bool
slot_usable(const struct slot *s, int64_t now)
{
	return s->current != NULL && s->end > now;
}

json_t *
slot_status(const struct slot *s, int64_t now)
{
	json_t *o = json_pack("{ss sb si ss}", "id", s->id, "usable", slot_usable(s, now), "failures",
	    (int)s->failures, "failure", s->failure);

	if (s->current != NULL)
		(void)json_object_update_new(o,
		    json_pack("{ss sI sI sI sI ss*}", "serial", s->current->facts.serial, "not_after",
		        (json_int_t)(s->end / 1000), "remaining", (json_int_t)((s->end - now) / 1000), "issued",
		        (json_int_t)(s->issued / 1000), "renew_in", (json_int_t)((s->renew_at - now) / 1000), "alarm",
		        renew_alarm_text(s->alarm)));
	return o;
}
