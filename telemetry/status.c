/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telemetryd.h"

static json_t *
dropped_object(const uint64_t dropped[DROP_REASONS])
{
	json_t *o = json_object();

	for (int r = 0; r < DROP_REASONS; r++)
		if (dropped[r] > 0)
			(void)json_object_set_new(o, drop_name((enum drop_reason)r), json_integer((json_int_t)dropped[r]));
	return o;
}

static json_t *
lane_object(const struct sender *sender, enum signal signal)
{
	static const char *const states[] = { [LANE_IDLE] = "idle", [LANE_PROBING] = "probing",
		[LANE_SENDING] = "sending", [LANE_WAITING] = "waiting" };
	static const char *const codings[] = { [CODING_UNKNOWN] = "unknown", [CODING_ZSTD] = "zstd",
		[CODING_NONE] = "none" };
	struct lane_status l;

	sender_status(sender, signal, &l);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:b, s:s, s:I, s:I, s:o}", "state",
	    states[l.state], "compression", codings[l.coding], "accepted", (json_int_t)l.account.accepted, "delivered",
	    (json_int_t)l.account.delivered, "rejected", (json_int_t)l.account.rejected, "queued",
	    (json_int_t)l.queued, "queued_bytes", (json_int_t)l.queued_bytes, "attempts", (json_int_t)l.attempts,
	    "failures", (int)l.failures, "fault", l.fault ? 1 : 0, "last_error", l.last_error, "last_error_ns",
	    (json_int_t)l.last_error_ns, "last_success_ns", (json_int_t)l.last_success_ns, "dropped",
	    dropped_object(l.account.dropped));
}

static json_t *
stage_object(const struct pipeline *p, enum signal signal)
{
	struct stage_status st;

	pipeline_stage(p, signal, &st);
	return json_pack("{s:I, s:I, s:I, s:o}", "emitted", (json_int_t)st.account.emitted, "in_batch",
	    (json_int_t)st.in_batch, "handed_on", (json_int_t)st.account.handed_on, "dropped",
	    dropped_object(st.account.dropped));
}

static json_t *
events_object(struct telemetryd *t)
{
	struct events_reader *r = source_reader(t->source);
	struct source_counts c;

	source_counts(t->source, &c);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "taken", (json_int_t)c.taken, "corrupt",
	    (json_int_t)c.corrupt, "segments_refused", (json_int_t)c.refused, "in_ring",
	    (json_int_t)(r != NULL ? events_reader_waiting(r) : 0), "emitted",
	    (json_int_t)(r != NULL ? events_reader_emitted(r) : 0), "ring_full",
	    (json_int_t)(r != NULL ? events_reader_counter(r, COUNT_EVENT_RING_FULL) : 0), "no_consumer",
	    (json_int_t)(r != NULL ? events_reader_counter(r, COUNT_EVENT_NO_CONSUMER) : 0));
}

json_t *
telemetryd_status(struct telemetryd *t)
{
	json_t *destinations = json_array(), *stages = json_object();

	for (size_t i = 0; i < pipeline_senders(t->pipeline); i++) {
		const struct sender *sender = pipeline_sender(t->pipeline, i);
		json_t *signals = json_object();

		for (int k = 0; k < SIGNALS; k++)
			(void)json_object_set_new(signals, signal_name((enum signal)k), lane_object(sender, (enum signal)k));
		(void)json_array_append_new(destinations,
		    json_pack("{s:s, s:o}", "otlp", sender_url(sender), "signals", signals));
	}
	for (int k = 0; k < SIGNALS; k++)
		(void)json_object_set_new(stages, signal_name((enum signal)k), stage_object(t->pipeline, (enum signal)k));
	return json_pack("{s:b, s:b, s:I, s:o, s:o, s:o}", "attached", source_attached(t->source) ? 1 : 0, "stopping",
	    t->stop_at_ms != 0 ? 1 : 0, "series", (json_int_t)t->series, "events", events_object(t), "signals", stages,
	    "destinations", destinations);
}
