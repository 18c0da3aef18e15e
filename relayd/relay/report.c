/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/report.h"

#include <stdlib.h>

#include "base/clock.h"

#define LOCAL_TOLD 4 /* endpoints of a port on this host: it is hardly ever more than one of each family */

/* ---- status ----------------------------------------------------------------- */

struct report {
	struct reporter *reporter;
	uint64_t id;
	report_fn *answer; /* once all have answered */
	unsigned int left; /* workers that have not answered yet */
	json_t *parts;
};

/* One worker's answer, on its way to the main thread. */
struct part {
	struct job job;
	struct reporter *reporter;
	struct report *whole; /* NULL: a ping's */
	json_t *result;
};

/* In the main thread: one worker has answered. */
static void
report_arrived(void *owner, struct job *job)
{
	struct part *part = CONTAINER_OF(job, struct part, job);
	struct report *whole = part->whole;

	(void)json_array_append_new(whole->parts, part->result);
	free(part);
	if (--whole->left > 0)
		return;
	whole->answer(owner, whole->id, whole->parts);
	free(whole);
}

/* In the main thread: one worker has turned. */
static void
turn_arrived(void *owner, struct job *job)
{
	struct part *part = CONTAINER_OF(job, struct part, job);
	struct reporter *r = part->reporter;

	free(part);
	if (--r->turning == 0)
		r->turned(owner, r->ping);
}

/* In the worker's thread. */
static void
worker_answered(void *arg, json_t *result)
{
	struct part *part = arg;

	part->result = result;
	part->job.run = part->whole != NULL ? report_arrived : turn_arrived;
	mailbox_post(part->reporter->box, &part->job);
}

static struct part *
part_new(struct reporter *r, struct report *whole)
{
	struct part *part = calloc(1, sizeof(*part));

	if (part == NULL) /* a few bytes: nothing in this process would work any more */
		abort();
	part->reporter = r;
	part->whole = whole;
	return part;
}

static void
ask_all(struct reporter *r, uint64_t id, report_fn *answer,
    void (*ask)(struct worker *w, void (*done)(void *arg, json_t *result), void *arg))
{
	struct report *whole = r->n > 0 ? calloc(1, sizeof(*whole)) : NULL;

	if (whole == NULL)
		return;
	*whole = (struct report){ .reporter = r, .id = id, .answer = answer, .left = r->n, .parts = json_array() };
	for (unsigned int i = 0; i < r->n; i++)
		ask(r->workers[i], worker_answered, part_new(r, whole));
}

void
reporter_status(struct reporter *r, uint64_t id)
{
	ask_all(r, id, r->report, worker_report);
}

void
reporter_traffic(struct reporter *r, uint64_t id)
{
	ask_all(r, id, r->traffic, worker_traffic);
}

void
reporter_ping(struct reporter *r, uint64_t id)
{
	if (r->turning > 0)
		return;
	r->ping = id;
	r->turning = r->n;
	for (unsigned int i = 0; i < r->n; i++)
		worker_turn(r->workers[i], worker_answered, part_new(r, NULL));
}

/* ---- what needs no worker ------------------------------------------------------ */

json_t *
report_identities(const struct identity_set *set)
{
	json_t *all = json_array();

	for (size_t i = 0; set != NULL && i < set->n; i++) {
		const struct svid_facts *f = &set->items[i]->facts;

		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "id", f->id, "serial", f->serial,
		    "default", set->items[i] == identity_set_default(set), "not_before", (json_int_t)f->not_before, "not_after", (json_int_t)f->not_after, "remaining",
		    (json_int_t)(f->not_after - clock_wall_sec())));
	}
	return all;
}

json_t *
report_services(const struct snapshot *s)
{
	json_t *all = json_array();

	for (size_t i = 0; i < s->n_services; i++) {
		const struct service *v = &s->services[i];
		json_t *ports = json_array();

		for (size_t p = 0; p < v->n_ports; p++) {
			json_t *local = json_array();
			size_t meshed = 0, resting = 0;

			for (size_t k = 0; k < v->ports[p].n_endpoints; k++) {
				char text[ADDR_TEXT];

				if (v->ports[p].endpoints[k]->local && json_array_size(local) < LOCAL_TOLD)
					(void)json_array_append_new(local, json_string(addr_format(&v->ports[p].endpoints[k]->addr, text)));
				meshed += v->ports[p].endpoints[k]->meshed;
				resting += atomic_load_explicit(&v->ports[p].endpoints[k]->state->rest_until_ms,
				               memory_order_relaxed) > clock_mono_ms();
			}
			(void)json_array_append_new(ports, json_pack("{s:i, s:i, s:i, s:i, s:o}", "port", (int)v->ports[p].port,
			    "endpoints", (int)v->ports[p].n_endpoints, "meshed", (int)meshed, "resting", (int)resting, "local",
			    local));
		}
		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:o}", "namespace", v->namespace, "name", v->name, "ports",
		    ports));
	}
	return all;
}
