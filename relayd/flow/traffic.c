/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One worker's answer to "tulle traffic": its talks in words, the bytes of open connections included. */
#include "flow/flow.h"

struct answer {
	const struct events_writer *texts;
	json_t *list;
};

/* Left out where there is none: half of the fields of a talk are empty, and there may be thousands. */
static void
put_text(json_t *o, const char *name, const struct answer *a, uint32_t number)
{
	size_t len;
	const char *text = events_text(a->texts, number, &len);

	if (len > 0)
		(void)json_object_set_new_nocheck(o, name, json_stringn(text, len));
}

static void
put_key(json_t *o, const struct answer *a, const struct talk_key *key)
{
	char address[ADDR_TEXT];

	(void)json_object_set_new_nocheck(o, "port", json_integer(key->port));
	if (key->address.family != 0)
		(void)json_object_set_new_nocheck(o, "address", json_string(addr_format_ip(&key->address, address)));
	put_text(o, "source", a, key->source);
	put_text(o, "destination", a, key->destination);
	put_text(o, "service", a, key->service);
	put_text(o, "workload", a, key->workload);
}

static void
put_talk(void *arg, const struct talk_key *key, enum event_direction direction, enum talk_how how,
    const struct talk_counts *n)
{
	struct answer *a = arg;
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "direction", event_direction_name(direction),
	    "how", talk_how_name(how), "connections", (json_int_t)n->connections, "denied", (json_int_t)n->denied, "failed",
	    (json_int_t)n->failed, "audited", (json_int_t)n->audited, "active", (json_int_t)n->active, "received",
	    (json_int_t)n->rx, "sent", (json_int_t)n->tx, "last", (json_int_t)n->last_sec);

	if (key != NULL)
		put_key(o, a, key);
	else
		(void)json_object_set_new_nocheck(o, "others", json_true());
	(void)json_array_append_new(a->list, o);
}

json_t *
flows_traffic(struct flows *fs)
{
	struct answer a = { .texts = fs->events, .list = json_array() };
	const struct flow *f;

	TAILQ_FOREACH(f, &fs->all, link)
		if (f->talk != NULL)
			talk_live(f->talk, f->event.rx_bytes, f->event.tx_bytes);
	talks_each(fs->talks, put_talk, &a);
	return a.list;
}
