/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pipeline's own metrics, and all that there is in one set. */
#include "base/clock.h"
#include "collect/gather.h"
#include "telemetryd.h"

static struct metric_family *
self_family(struct telemetryd *t, struct metric_set *s, const char *name, enum metric_type type, const char *unit,
    const char *help)
{
	return metric_family_add(s, name, type, unit, help, SCOPE_SELF, type == METRIC_GAUGE ? 0 : t->start_ns);
}

/* A point for one lane of one destination. */
static void
put_lane(struct metric_set *s, struct metric_family *f, const struct sender *sender, enum signal signal,
    const char *reason, double v)
{
	struct metric_point *p = metric_point_add(s, f);

	if (p == NULL)
		return;
	metric_label(p, "signal", signal_name(signal));
	metric_label(p, "destination", sender_url(sender));
	if (reason != NULL)
		metric_label(p, "reason", reason);
	p->value = v;
}

enum lane_number { LANE_DELIVERED, LANE_REJECTED, LANE_QUEUED, LANE_BYTES, LANE_ATTEMPTS, LANE_FAULT, LANE_AGE };

static double
lane_number(const struct lane_status *l, enum lane_number what, uint64_t now_ns)
{
	switch (what) {
	case LANE_DELIVERED:
		return (double)l->account.delivered;
	case LANE_REJECTED:
		return (double)l->account.rejected;
	case LANE_QUEUED:
		return (double)l->queued;
	case LANE_BYTES:
		return (double)l->queued_bytes;
	case LANE_ATTEMPTS:
		return (double)l->attempts;
	case LANE_FAULT:
		return l->fault ? 1 : 0;
	case LANE_AGE:
		return now_ns > l->last_success_ns ? (double)(now_ns - l->last_success_ns) / 1e9 : 0;
	}
	return 0;
}

static const struct {
	const char *name;
	enum metric_type type;
	enum lane_number what;
	const char *unit, *help;
} lane_metrics[] = {
	{ "tulle.telemetry.delivered", METRIC_COUNTER, LANE_DELIVERED, "{record}", "Records that a destination took." },
	{ "tulle.telemetry.rejected", METRIC_COUNTER, LANE_REJECTED, "{record}", "Records that a destination refused." },
	{ "tulle.telemetry.queue.records", METRIC_LEVEL, LANE_QUEUED, "{record}", "Records waiting to be sent." },
	{ "tulle.telemetry.queue", METRIC_LEVEL, LANE_BYTES, "By", "Compressed bytes waiting to be sent." },
	{ "tulle.telemetry.export.attempts", METRIC_COUNTER, LANE_ATTEMPTS, "{request}", "Requests sent, probes included." },
	{ "tulle.telemetry.fault", METRIC_GAUGE, LANE_FAULT, "1",
	    "1: the destination refuses in a way that needs mending (address, token, certificate)." },
	{ "tulle.telemetry.export.last_success_age", METRIC_GAUGE, LANE_AGE, "s", "Since the last success." },
};

static void
gather_lanes(struct telemetryd *t, struct metric_set *s)
{
	for (size_t m = 0; m < ARRAY_LEN(lane_metrics); m++) {
		struct metric_family *f = self_family(t, s, lane_metrics[m].name, lane_metrics[m].type,
		    lane_metrics[m].unit, lane_metrics[m].help);

		for (size_t i = 0; i < pipeline_senders(t->pipeline); i++)
			for (int k = 0; k < SIGNALS; k++) {
				const struct sender *sender = pipeline_sender(t->pipeline, i);
				struct lane_status l;

				sender_status(sender, (enum signal)k, &l);
				/* No age before the first success. */
				if (lane_metrics[m].what != LANE_AGE || l.last_success_ns != 0)
					put_lane(s, f, sender, (enum signal)k, NULL,
					    lane_number(&l, lane_metrics[m].what, s->now_ns));
			}
	}
}

static void
gather_stages(struct telemetryd *t, struct metric_set *s)
{
	struct metric_family *f = self_family(t, s, "tulle.telemetry.emitted", METRIC_COUNTER, "{record}",
	    "Candidates for a record: each connection event is one for a log record and one for a span.");
	struct stage_status st;

	for (int k = 0; k < SIGNALS; k++) {
		pipeline_stage(t->pipeline, (enum signal)k, &st);
		metric_simple(s, f, "signal", signal_name((enum signal)k), (double)st.account.emitted);
	}
	f = self_family(t, s, "tulle.telemetry.dropped", METRIC_COUNTER, "{record}",
	    "Records that went nowhere, by reason; with a destination: after they were queued for it.");
	for (int k = 0; k < SIGNALS; k++) {
		pipeline_stage(t->pipeline, (enum signal)k, &st);
		for (int r = 0; r < DROP_REASONS; r++) {
			struct metric_point *p = st.account.dropped[r] > 0 ? metric_point_add(s, f) : NULL;

			if (p == NULL)
				continue;
			metric_label(p, "signal", signal_name((enum signal)k));
			metric_label(p, "reason", drop_name((enum drop_reason)r));
			p->value = (double)st.account.dropped[r];
		}
		for (size_t i = 0; i < pipeline_senders(t->pipeline); i++) {
			struct lane_status l;

			sender_status(pipeline_sender(t->pipeline, i), (enum signal)k, &l);
			for (int r = 0; r < DROP_REASONS; r++)
				if (l.account.dropped[r] > 0)
					put_lane(s, f, pipeline_sender(t->pipeline, i), (enum signal)k,
					    drop_name((enum drop_reason)r), (double)l.account.dropped[r]);
		}
	}
}

static void
gather_source(struct telemetryd *t, struct metric_set *s)
{
	struct events_reader *r = source_reader(t->source);
	struct source_counts c;

	source_counts(t->source, &c);
	metric_simple(s, self_family(t, s, "tulle.telemetry.attached", METRIC_GAUGE, "1", "1: the relay is there."), NULL,
	    NULL, source_attached(t->source) ? 1 : 0);
	metric_simple(s, self_family(t, s, "tulle.telemetry.event.taken", METRIC_COUNTER, "{event}",
	                     "Events taken from the relay's rings."),
	    NULL, NULL, (double)c.taken);
	metric_simple(s, self_family(t, s, "tulle.telemetry.event.corrupt", METRIC_COUNTER, "{event}",
	                     "Places in a ring that made no sense."),
	    NULL, NULL, (double)c.corrupt);
	metric_simple(s, self_family(t, s, "tulle.telemetry.segment.refused", METRIC_COUNTER, "{segment}",
	                     "Segments that were not understood: a relay of another version."),
	    NULL, NULL, (double)c.refused);
	metric_simple(s, self_family(t, s, "tulle.telemetry.ring.used", METRIC_GAUGE, "{event}", "Events in the rings."), NULL,
	    NULL, r != NULL ? (double)events_reader_waiting(r) : 0);
	metric_simple(s, self_family(t, s, "tulle.telemetry.series", METRIC_GAUGE, "{series}",
	                     "Different sets of labels of connections."),
	    NULL, NULL, (double)t->series);
}

void
telemetryd_gather(struct telemetryd *t, struct metric_set *ret)
{
	struct events_reader *r = source_reader(t->source);

	metric_set_init(ret, clock_wall_ns());
	if (r != NULL)
		t->series = gather_relay(ret, r);
	processes_gather(ret, t->processes);
	gather_source(t, ret);
	gather_stages(t, ret);
	gather_lanes(t, ret);
}
