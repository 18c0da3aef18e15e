/* SPDX-License-Identifier: GPL-3.0-or-later */
/* records.c - from a request of OTLP to one line of JSON a record. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "otlp/json.h"
#include "otlp/nesting.h"
#include "otlp/otlp.h"
#include "proto/otlp.pb-c.h"

/* What the lines of one scope have in common. */
struct lines {
	struct json json;
	const struct otlp_batch *batch;
	struct buf resource;        /* its attributes as JSON, made once */
	const char *scope, *version;
	size_t n;
};

/* ---- values ------------------------------------------------------------------ */

static void write_attributes(struct json *j, Otlp__KeyValue *const *kv, size_t n);

/* Depth is bounded by nesting_within(). */
static void
write_value(struct json *j, const Otlp__AnyValue *v)
{
	switch (v != NULL ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		json_text(j, v->string_value);
		return;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		json_bool(j, v->bool_value);
		return;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		json_int(j, v->int_value);
		return;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		json_double(j, v->double_value);
		return;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
		json_hex(j, v->bytes_value.data, v->bytes_value.len);
		return;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
		json_open(j, '[');
		for (size_t i = 0; i < v->array_value->n_values; i++)
			write_value(j, v->array_value->values[i]);
		json_close(j, ']');
		return;
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
		write_attributes(j, v->kvlist_value->values, v->kvlist_value->n_values);
		return;
	case OTLP__ANY_VALUE__VALUE__NOT_SET:
	case _OTLP__ANY_VALUE__VALUE__CASE_IS_INT_SIZE:
		break;
	}
	json_text(j, NULL);
}

static void
write_attributes(struct json *j, Otlp__KeyValue *const *kv, size_t n)
{
	json_open(j, '{');
	for (size_t i = 0; i < n; i++) {
		json_key(j, kv[i]->key);
		write_value(j, kv[i]->value);
	}
	json_close(j, '}');
}

#define KEY_TEXT(j, k, v) (json_key(j, k), json_text(j, v))
#define KEY_UINT(j, k, v) (json_key(j, k), json_uint(j, v))
#define KEY_DOUBLE(j, k, v) (json_key(j, k), json_double(j, v))
#define KEY_ID(j, k, v) (json_key(j, k), json_hex(j, (v).data, (v).len))

/* ---- lines ------------------------------------------------------------------- */

static void
line_begin(struct lines *l, const char *signal)
{
	l->json.comma = false;
	json_open(&l->json, '{');
	KEY_TEXT(&l->json, "signal", signal);
}

static void
line_end(struct lines *l, Otlp__KeyValue *const *attributes, size_t n)
{
	struct json *j = &l->json;

	json_key(j, "attributes");
	write_attributes(j, attributes, n);
	json_key(j, "resource");
	json_raw(j, buf_head(&l->resource), buf_len(&l->resource));
	KEY_TEXT(j, "scope", l->scope);
	if (l->version != NULL)
		KEY_TEXT(j, "scope_version", l->version);
	KEY_TEXT(j, "encoding", l->batch->encoding);
	KEY_UINT(j, "wire_bytes", l->batch->wire);
	KEY_UINT(j, "raw_bytes", l->batch->raw);
	json_close(j, '}');
	j->comma = false;
	json_raw(j, "\n", 1);
	l->n++;
}

static void
begin_resource(struct lines *l, const Otlp__Resource *r)
{
	struct json j = { .out = &l->resource };

	buf_consume(&l->resource, buf_len(&l->resource));
	write_attributes(&j, r != NULL ? r->attributes : NULL, r != NULL ? r->n_attributes : 0);
	if (l->json.e == TULLE_OK)
		l->json.e = j.e;
}

static void
begin_scope(struct lines *l, const Otlp__InstrumentationScope *s)
{
	l->scope = s != NULL ? s->name : NULL;
	l->version = s != NULL ? s->version : NULL;
}

/* ---- logs -------------------------------------------------------------------- */

static void
write_log(struct lines *l, const Otlp__LogRecord *r)
{
	static const char *const levels[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" };
	struct json *j = &l->json;
	int32_t severity = r->severity_number;

	line_begin(l, "log");
	KEY_UINT(j, "time_unix_nano", r->time_unix_nano);
	if (r->has_observed_time_unix_nano)
		KEY_UINT(j, "observed_time_unix_nano", r->observed_time_unix_nano);
	if (r->severity_text != NULL)
		KEY_TEXT(j, "severity", r->severity_text);
	else if (severity >= 1 && severity <= 24)
		KEY_TEXT(j, "severity", levels[(severity - 1) / 4]);
	if (r->has_severity_number) {
		json_key(j, "severity_number");
		json_int(j, severity);
	}
	if (r->event_name != NULL)
		KEY_TEXT(j, "event_name", r->event_name);
	json_key(j, "body");
	write_value(j, r->body);
	if (r->has_trace_id)
		KEY_ID(j, "trace_id", r->trace_id);
	if (r->has_span_id)
		KEY_ID(j, "span_id", r->span_id);
	line_end(l, r->attributes, r->n_attributes);
}

static void
write_logs(struct lines *l, const ProtobufCMessage *m)
{
	const Otlp__ExportLogsServiceRequest *q = (const void *)m;

	for (size_t i = 0; i < q->n_resource_logs; i++) {
		const Otlp__ResourceLogs *r = q->resource_logs[i];

		begin_resource(l, r->resource);
		for (size_t k = 0; k < r->n_scope_logs; k++) {
			begin_scope(l, r->scope_logs[k]->scope);
			for (size_t m_ = 0; m_ < r->scope_logs[k]->n_log_records && l->json.e == TULLE_OK; m_++)
				write_log(l, r->scope_logs[k]->log_records[m_]);
		}
	}
}

/* ---- spans ------------------------------------------------------------------- */

static void
write_span(struct lines *l, const Otlp__Span *s)
{
	static const char *const kinds[] = { "unspecified", "internal", "server", "client", "producer", "consumer" };
	static const char *const codes[] = { "unset", "ok", "error" };
	struct json *j = &l->json;
	unsigned int kind = (unsigned int)s->kind, code = s->status != NULL ? (unsigned int)s->status->code : 0;

	line_begin(l, "span");
	KEY_TEXT(j, "name", s->name);
	KEY_TEXT(j, "kind", kind < ARRAY_LEN(kinds) ? kinds[kind] : "unknown");
	KEY_ID(j, "trace_id", s->trace_id);
	KEY_ID(j, "span_id", s->span_id);
	if (s->has_parent_span_id)
		KEY_ID(j, "parent_span_id", s->parent_span_id);
	KEY_UINT(j, "start_time_unix_nano", s->start_time_unix_nano);
	KEY_UINT(j, "end_time_unix_nano", s->end_time_unix_nano);
	KEY_TEXT(j, "status", code < ARRAY_LEN(codes) ? codes[code] : "unknown");
	if (s->status != NULL && s->status->message != NULL)
		KEY_TEXT(j, "status_message", s->status->message);
	if (s->n_events > 0) {
		json_key(j, "events");
		json_open(j, '[');
		for (size_t i = 0; i < s->n_events; i++) {
			json_open(j, '{');
			KEY_UINT(j, "time_unix_nano", s->events[i]->time_unix_nano);
			KEY_TEXT(j, "name", s->events[i]->name);
			json_key(j, "attributes");
			write_attributes(j, s->events[i]->attributes, s->events[i]->n_attributes);
			json_close(j, '}');
		}
		json_close(j, ']');
	}
	line_end(l, s->attributes, s->n_attributes);
}

static void
write_spans(struct lines *l, const ProtobufCMessage *m)
{
	const Otlp__ExportTraceServiceRequest *q = (const void *)m;

	for (size_t i = 0; i < q->n_resource_spans; i++) {
		const Otlp__ResourceSpans *r = q->resource_spans[i];

		begin_resource(l, r->resource);
		for (size_t k = 0; k < r->n_scope_spans; k++) {
			begin_scope(l, r->scope_spans[k]->scope);
			for (size_t s = 0; s < r->scope_spans[k]->n_spans && l->json.e == TULLE_OK; s++)
				write_span(l, r->scope_spans[k]->spans[s]);
		}
	}
}

/* ---- metrics ------------------------------------------------------------------ */

static void
point_begin(struct lines *l, const Otlp__Metric *m, const char *type, uint64_t start, uint64_t time)
{
	struct json *j = &l->json;

	line_begin(l, "metric");
	KEY_TEXT(j, "name", m->name);
	if (m->unit != NULL)
		KEY_TEXT(j, "unit", m->unit);
	KEY_TEXT(j, "type", type);
	KEY_UINT(j, "start_time_unix_nano", start);
	KEY_UINT(j, "time_unix_nano", time);
}

static void
write_temporality(struct json *j, Otlp__AggregationTemporality t)
{
	KEY_TEXT(j, "temporality",
	    t == OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA          ? "delta"
		: t == OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE ? "cumulative"
											 : "unspecified");
}

static void
write_number(struct lines *l, const Otlp__Metric *m, const Otlp__NumberDataPoint *p, const Otlp__Sum *sum)
{
	struct json *j = &l->json;

	point_begin(l, m, sum != NULL ? "sum" : "gauge", p->start_time_unix_nano, p->time_unix_nano);
	if (sum != NULL) {
		write_temporality(j, sum->aggregation_temporality);
		json_key(j, "monotonic");
		json_bool(j, sum->is_monotonic);
	}
	json_key(j, "value");
	if (p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT)
		json_int(j, p->as_int);
	else if (p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE)
		json_double(j, p->as_double);
	else
		json_text(j, NULL);
	line_end(l, p->attributes, p->n_attributes);
}

static void
write_counts(struct json *j, const char *key, const uint64_t *v, size_t n)
{
	json_key(j, key);
	json_open(j, '[');
	for (size_t i = 0; i < n; i++)
		json_uint(j, v[i]);
	json_close(j, ']');
}

static void
write_histogram(struct lines *l, const Otlp__Metric *m, const Otlp__HistogramDataPoint *p)
{
	struct json *j = &l->json;

	point_begin(l, m, "histogram", p->start_time_unix_nano, p->time_unix_nano);
	write_temporality(j, m->histogram->aggregation_temporality);
	KEY_UINT(j, "count", p->count);
	if (p->has_sum)
		KEY_DOUBLE(j, "sum", p->sum);
	if (p->has_min)
		KEY_DOUBLE(j, "min", p->min);
	if (p->has_max)
		KEY_DOUBLE(j, "max", p->max);
	write_counts(j, "bucket_counts", p->bucket_counts, p->n_bucket_counts);
	json_key(j, "explicit_bounds");
	json_open(j, '[');
	for (size_t i = 0; i < p->n_explicit_bounds; i++)
		json_double(j, p->explicit_bounds[i]);
	json_close(j, ']');
	line_end(l, p->attributes, p->n_attributes);
}

static void
write_buckets(struct json *j, const char *key, const Otlp__ExponentialHistogramDataPoint__Buckets *b)
{
	if (b == NULL)
		return;
	json_key(j, key);
	json_open(j, '{');
	json_key(j, "offset");
	json_int(j, b->offset);
	write_counts(j, "bucket_counts", b->bucket_counts, b->n_bucket_counts);
	json_close(j, '}');
}

static void
write_exponential(struct lines *l, const Otlp__Metric *m, const Otlp__ExponentialHistogramDataPoint *p)
{
	struct json *j = &l->json;

	point_begin(l, m, "exponential_histogram", p->start_time_unix_nano, p->time_unix_nano);
	write_temporality(j, m->exponential_histogram->aggregation_temporality);
	KEY_UINT(j, "count", p->count);
	if (p->has_sum)
		KEY_DOUBLE(j, "sum", p->sum);
	if (p->has_min)
		KEY_DOUBLE(j, "min", p->min);
	if (p->has_max)
		KEY_DOUBLE(j, "max", p->max);
	json_key(j, "scale");
	json_int(j, p->scale);
	KEY_UINT(j, "zero_count", p->zero_count);
	write_buckets(j, "positive", p->positive);
	write_buckets(j, "negative", p->negative);
	line_end(l, p->attributes, p->n_attributes);
}

static void
write_summary(struct lines *l, const Otlp__Metric *m, const Otlp__SummaryDataPoint *p)
{
	struct json *j = &l->json;

	point_begin(l, m, "summary", p->start_time_unix_nano, p->time_unix_nano);
	KEY_UINT(j, "count", p->count);
	KEY_DOUBLE(j, "sum", p->sum);
	json_key(j, "quantiles");
	json_open(j, '[');
	for (size_t i = 0; i < p->n_quantile_values; i++) {
		json_open(j, '{');
		KEY_DOUBLE(j, "quantile", p->quantile_values[i]->quantile);
		KEY_DOUBLE(j, "value", p->quantile_values[i]->value);
		json_close(j, '}');
	}
	json_close(j, ']');
	line_end(l, p->attributes, p->n_attributes);
}

#define EACH_POINT(l, set, write)                                                          \
	for (size_t i = 0; i < (set)->n_data_points && (l)->json.e == TULLE_OK; i++)       \
		write

static void
write_metric(struct lines *l, const Otlp__Metric *m)
{
	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		EACH_POINT(l, m->gauge, write_number(l, m, m->gauge->data_points[i], NULL));
		break;
	case OTLP__METRIC__DATA_SUM:
		EACH_POINT(l, m->sum, write_number(l, m, m->sum->data_points[i], m->sum));
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		EACH_POINT(l, m->histogram, write_histogram(l, m, m->histogram->data_points[i]));
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		EACH_POINT(l, m->exponential_histogram, write_exponential(l, m, m->exponential_histogram->data_points[i]));
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		EACH_POINT(l, m->summary, write_summary(l, m, m->summary->data_points[i]));
		break;
	case OTLP__METRIC__DATA__NOT_SET:
	case _OTLP__METRIC__DATA__CASE_IS_INT_SIZE:
		break;
	}
}

static void
write_metrics(struct lines *l, const ProtobufCMessage *m)
{
	const Otlp__ExportMetricsServiceRequest *q = (const void *)m;

	for (size_t i = 0; i < q->n_resource_metrics; i++) {
		const Otlp__ResourceMetrics *r = q->resource_metrics[i];

		begin_resource(l, r->resource);
		for (size_t k = 0; k < r->n_scope_metrics; k++) {
			begin_scope(l, r->scope_metrics[k]->scope);
			for (size_t s = 0; s < r->scope_metrics[k]->n_metrics && l->json.e == TULLE_OK; s++)
				write_metric(l, r->scope_metrics[k]->metrics[s]);
		}
	}
}

/* ---- a request ----------------------------------------------------------------- */

static const struct {
	const ProtobufCMessageDescriptor *type;
	void (*write)(struct lines *l, const ProtobufCMessage *m);
} signals[] = {
	[OTLP_TRACES] = { &otlp__export_trace_service_request__descriptor, write_spans },
	[OTLP_METRICS] = { &otlp__export_metrics_service_request__descriptor, write_metrics },
	[OTLP_LOGS] = { &otlp__export_logs_service_request__descriptor, write_logs },
};

/* An empty message takes two bytes of the body and a hundred of memory: so memory is counted. */
struct budget {
	size_t left;
	bool exceeded;
};

static void *
budget_alloc(void *arg, size_t n)
{
	struct budget *b = arg;

	if (n > b->left) {
		b->exceeded = true;
		return NULL;
	}
	b->left -= n;
	return malloc(n);
}

static void
budget_free(void *arg, void *p)
{
	(void)arg;
	free(p);
}

enum tulle_err
otlp_to_json(struct buf *out, enum otlp_signal signal, const void *p, size_t n, const struct otlp_batch *batch,
    size_t *ret_records)
{
	struct budget budget = { .left = OTLP_MEMORY_MAX };
	ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
	struct lines l = { .json.out = out, .batch = batch, .resource = buf_new(out->max) };
	size_t before = buf_len(out);
	ProtobufCMessage *m;

	if (!nesting_within(signals[signal].type, p, n, OTLP_NESTING_MAX))
		return TULLE_EINVAL;
	m = protobuf_c_message_unpack(signals[signal].type, &allocator, n, p);
	if (m == NULL)
		return budget.exceeded ? TULLE_ELIMIT : TULLE_EINVAL;
	signals[signal].write(&l, m);
	protobuf_c_message_free_unpacked(m, &allocator);
	buf_free(&l.resource);
	if (l.json.e != TULLE_OK) {
		out->len = before; /* lines are whole or not there */
		return l.json.e;
	}
	*ret_records = l.n;
	return TULLE_OK;
}
