/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of protobuf-c are filled with texts that are lent for the call
 * and packed at once; nothing of them outlives it.
 */
#include "export/otlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "export/payload.h"
#include "proto/otlp.pb-c.h"

void
batch_init(struct batch *b)
{
	*b = (struct batch){ .bytes = buf_new(PAYLOAD_RAW_MAX) };
}

void
batch_free(struct batch *b)
{
	buf_free(&b->bytes);
	b->n = 0;
}

void
batch_clear(struct batch *b)
{
	batch_free(b);
}

bool
batch_full(const struct batch *b)
{
	return b->n >= BATCH_RECORDS || buf_len(&b->bytes) >= BATCH_RAW;
}

/* protobuf-c has "char *" where it only reads. */
static char *
lent(const char *s)
{
	union {
		const char *c;
		char *m;
	} u = { .c = s };

	return u.m;
}

static ProtobufCBinaryData
lent_bytes(const uint8_t *p, size_t n)
{
	union {
		const uint8_t *c;
		uint8_t *m;
	} u = { .c = p };

	return (ProtobufCBinaryData){ .len = n, .data = u.m };
}

/* Packs <m> behind the batch, counted as <n> records. */
static enum tulle_err
batch_pack(struct batch *b, const ProtobufCMessage *m, uint64_t n)
{
	size_t size = protobuf_c_message_get_packed_size(m), head;
	uint8_t *p;

	if (buf_reserve(&b->bytes, PAYLOAD_RECORD_HEAD + size, &p) != TULLE_OK)
		return TULLE_ENOMEM;
	head = payload_record_head(p, size);
	(void)protobuf_c_message_pack(m, p + head);
	buf_commit(&b->bytes, head + size);
	b->n += n;
	return TULLE_OK;
}

/* ---- attributes ------------------------------------------------------------ */

#define ATTRIBUTES 40

struct attributes {
	Otlp__KeyValue kv[ATTRIBUTES];
	Otlp__AnyValue value[ATTRIBUTES];
	Otlp__KeyValue *list[ATTRIBUTES];
	size_t n;
	char text[3][ADDR_TEXT];         /* addresses */
	char names[4][EVENTS_TEXT_LEN + 1]; /* parts of principals */
};

static Otlp__AnyValue *
attribute(struct attributes *a, const char *key)
{
	Otlp__KeyValue *kv = &a->kv[a->n];
	Otlp__AnyValue *v = &a->value[a->n];

	otlp__key_value__init(kv);
	otlp__any_value__init(v);
	kv->key = lent(key);
	kv->value = v;
	a->list[a->n++] = kv;
	return v;
}

static void
put_text(struct attributes *a, const char *key, const char *text)
{
	Otlp__AnyValue *v;

	if (text[0] == '\0')
		return;
	v = attribute(a, key);
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v->string_value = lent(text);
}

static void
put_int(struct attributes *a, const char *key, uint64_t number)
{
	Otlp__AnyValue *v = attribute(a, key);

	v->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	v->int_value = number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

/* Address and port under two names; <slot> is the place for the text. */
static void
put_addr(struct attributes *a, const char *address, const char *port, const struct addr *addr, int slot)
{
	if (addr->family == 0)
		return;
	put_text(a, address, addr_format_ip(addr, a->text[slot]));
	if (addr->port != 0)
		put_int(a, port, addr->port);
}

static void
put_principal(struct attributes *a, const char *const keys[3], const char *principal, int slot)
{
	struct principal p = principal_parse(principal);

	put_text(a, keys[0], principal);
	(void)snprintf(a->names[slot], sizeof(a->names[slot]), "%.*s", (int)p.namespace.n, p.namespace.p);
	put_text(a, keys[1], a->names[slot]);
	(void)snprintf(a->names[slot + 1], sizeof(a->names[slot + 1]), "%.*s", (int)p.workload.n, p.workload.p);
	if (keys[2] != NULL)
		put_text(a, keys[2], a->names[slot + 1]);
}

/* What logs and spans of a connection have in common. */
static void
put_connection(struct attributes *a, const struct record *r)
{
	static const char *const source[3] = { "tulle.source.principal", "tulle.source.namespace",
		"tulle.source.workload" };
	static const char *const destination[3] = { "tulle.destination.principal", "tulle.destination.namespace", NULL };
	const struct conn_event *ev = &r->ev;
	const char *workload = r->workload;

	put_text(a, "tulle.direction", event_direction_name(ev->direction));
	put_text(a, "tulle.outcome", event_outcome_name(ev->outcome));
	put_text(a, "tulle.response_flag", event_flag_name(ev->flag));
	put_text(a, "tulle.response_detail", event_detail_name(ev->detail));
	put_text(a, "tulle.tls.mode", event_tls_name(ev->tls));
	put_text(a, "network.transport", "tcp");
	put_addr(a, "network.peer.address", "network.peer.port", &ev->peer, 0);
	put_addr(a, "destination.address", "destination.port", &ev->original, 1);
	put_addr(a, "tulle.upstream.address", "tulle.upstream.port", &ev->upstream, 2);
	put_principal(a, source, r->source, 0);
	put_principal(a, destination, r->destination, 2);
	put_text(a, "tulle.destination.service", r->service);
	put_text(a, "tulle.destination.workload", workload[0] != '\0' ? workload : a->names[3]);
	put_text(a, "tulle.authz.policy", r->policy);
	put_text(a, "tulle.reason", r->reason);
	put_int(a, "tulle.rx_bytes", ev->rx_bytes);
	put_int(a, "tulle.tx_bytes", ev->tx_bytes);
	put_int(a, "tulle.connect_us", ev->connect_us);
	put_int(a, "tulle.tunnel_us", ev->tunnel_us);
	if (ev->attempts > 1)
		put_int(a, "tulle.upstream.attempts", ev->attempts);
	put_int(a, "tulle.connection.id", ev->conn_id);
}

/* ---- logs ------------------------------------------------------------------ */

static const char *
log_phrase(const struct conn_event *ev)
{
	if (ev->kind == EVENT_OPEN)
		return "connection opened";
	if (ev->kind == EVENT_PROGRESS)
		return "connection still open";
	switch ((enum event_outcome)ev->outcome) {
	case EVENT_SUCCESS:
		return "connection closed";
	case EVENT_DENIED:
		return "connection denied";
	case EVENT_FAILED:
		return "connection failed";
	case EVENT_ABORTED:
		return "connection broken off";
	case EVENT_OUTCOMES:
		break;
	}
	return "connection closed";
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

enum tulle_err
otlp_log(struct batch *b, const struct record *r, uint64_t observed_ns)
{
	Otlp__LogRecord m = OTLP__LOG_RECORD__INIT;
	Otlp__AnyValue body = OTLP__ANY_VALUE__INIT;
	const struct conn_event *ev = &r->ev;
	struct attributes a;

	a.n = 0;
	put_connection(&a, r);
	put_int(&a, "tulle.duration_us", ev->duration_ns / 1000);
	m.has_time_unix_nano = m.has_observed_time_unix_nano = m.has_severity_number = 1;
	m.time_unix_nano = ev->start_wall_ns + ev->duration_ns;
	m.observed_time_unix_nano = observed_ns;
	if (ev->kind == EVENT_OPEN) {
		m.severity_number = 5;
		m.severity_text = lent("DEBUG");
	} else if (ev->kind == EVENT_CLOSE && ev->outcome != EVENT_SUCCESS) {
		m.severity_number = 13;
		m.severity_text = lent("WARN");
	} else {
		m.severity_number = 9;
		m.severity_text = lent("INFO");
	}
	body.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	body.string_value = lent(log_phrase(ev));
	m.body = &body;
	m.event_name = lent("tulle.access.tcp");
	m.attributes = a.list;
	m.n_attributes = a.n;
	if (!all_zero(ev->trace_id, 16) && !all_zero(ev->span_id, 8)) {
		m.has_trace_id = m.has_span_id = m.has_flags = 1;
		m.trace_id = lent_bytes(ev->trace_id, 16);
		m.span_id = lent_bytes(ev->span_id, 8);
		m.flags = ev->sampled;
	}
	return batch_pack(b, &m.base, 1);
}

/* ---- spans ----------------------------------------------------------------- */

#define FLAG_SAMPLED 0x01u
#define FLAG_RANDOM 0x02u
#define FLAG_REMOTE_KNOWN 0x100u

enum tulle_err
otlp_span(struct batch *b, const struct record *r)
{
	Otlp__Span m = OTLP__SPAN__INIT;
	Otlp__SpanStatus status = OTLP__SPAN_STATUS__INIT;
	const struct conn_event *ev = &r->ev;
	uint8_t ids[24];
	struct attributes a;

	memcpy(ids, ev->trace_id, 16);
	memcpy(ids + 16, ev->span_id, 8);
	if ((all_zero(ids, 16) || all_zero(ids + 16, 8)) && getrandom(ids, sizeof(ids), 0) != sizeof(ids))
		return TULLE_ENOMEM;
	a.n = 0;
	put_connection(&a, r);
	if (ev->outcome != EVENT_SUCCESS)
		put_text(&a, "error.type", event_detail_name(ev->detail));
	if (r->tail_hint)
		put_text(&a, "tulle.sampling.reason", "error");
	m.has_trace_id = m.has_span_id = m.has_kind = m.has_flags = 1;
	m.has_start_time_unix_nano = m.has_end_time_unix_nano = 1;
	m.trace_id = lent_bytes(ids, 16);
	m.span_id = lent_bytes(ids + 16, 8);
	m.name = lent("tulle.connection");
	m.kind = ev->direction == EVENT_OUTBOUND ? OTLP__SPAN__SPAN_KIND__SPAN_KIND_CLIENT :
						   OTLP__SPAN__SPAN_KIND__SPAN_KIND_INTERNAL;
	m.start_time_unix_nano = ev->start_wall_ns;
	m.end_time_unix_nano = ev->start_wall_ns + ev->duration_ns;
	m.flags = (r->tail_hint ? 0 : FLAG_SAMPLED) | FLAG_RANDOM | FLAG_REMOTE_KNOWN;
	m.attributes = a.list;
	m.n_attributes = a.n;
	if (ev->outcome != EVENT_SUCCESS) {
		status.has_code = 1;
		status.code = OTLP__SPAN_STATUS__STATUS_CODE__STATUS_CODE_ERROR;
		status.message = lent(event_detail_name(ev->detail));
		m.status = &status;
	}
	return batch_pack(b, &m.base, 1);
}

/* ---- resource and scope ---------------------------------------------------- */

static enum tulle_err
packed(const ProtobufCMessage *m, uint8_t **ret, size_t *ret_len)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *p = malloc(n + 1);

	if (p == NULL)
		return TULLE_ENOMEM;
	*ret_len = protobuf_c_message_pack(m, p);
	*ret = p;
	return TULLE_OK;
}

enum tulle_err
otlp_resource(const struct otlp_attribute *attributes, size_t n, uint8_t **ret, size_t *ret_len)
{
	Otlp__Resource m = OTLP__RESOURCE__INIT;
	struct attributes a;

	a.n = 0;
	for (size_t i = 0; i < n && i < ATTRIBUTES; i++)
		put_text(&a, attributes[i].key, attributes[i].value);
	m.attributes = a.list;
	m.n_attributes = a.n;
	return packed(&m.base, ret, ret_len);
}

enum tulle_err
otlp_scope(const char *name, const char *version, uint8_t **ret, size_t *ret_len)
{
	Otlp__InstrumentationScope m = OTLP__INSTRUMENTATION_SCOPE__INIT;

	m.name = lent(name);
	m.version = lent(version);
	return packed(&m.base, ret, ret_len);
}

/* ---- metrics --------------------------------------------------------------- */

/* Memory for one Metric: labels of all its points. */
struct point_attributes {
	Otlp__KeyValue kv[METRIC_LABELS];
	Otlp__AnyValue value[METRIC_LABELS];
	Otlp__KeyValue *list[METRIC_LABELS];
};

static void
labels_fill(struct point_attributes *to, const struct metric_point *p)
{
	for (size_t i = 0; i < p->n_labels; i++) {
		otlp__key_value__init(&to->kv[i]);
		otlp__any_value__init(&to->value[i]);
		to->value[i].value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		to->value[i].string_value = lent(p->labels[i].value);
		to->kv[i].key = lent(p->labels[i].key);
		to->kv[i].value = &to->value[i];
		to->list[i] = &to->kv[i];
	}
}

/* Packs <m> and takes its data, which are its caller's locals, out of it again. */
static enum tulle_err
metric_pack(struct batch *b, Otlp__Metric *m, uint64_t n)
{
	enum tulle_err e = batch_pack(b, &m->base, n);

	m->data_case = OTLP__METRIC__DATA__NOT_SET;
	m->sum = NULL;
	return e;
}

static enum tulle_err
pack_numbers(struct batch *b, Otlp__Metric *m, const struct metric_set *s, const struct metric_family *f, size_t first,
    size_t n, struct arena *arena)
{
	Otlp__NumberDataPoint **list = arena_array(arena, n, sizeof(struct Otlp__NumberDataPoint *));
	Otlp__NumberDataPoint *points = arena_array(arena, n, sizeof(*points));
	struct point_attributes *attrs = arena_array(arena, n, sizeof(*attrs));
	Otlp__Sum sum = OTLP__SUM__INIT;
	Otlp__Gauge gauge = OTLP__GAUGE__INIT;

	if (list == NULL || points == NULL || attrs == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct metric_point *p = &f->points[first + i];
		Otlp__NumberDataPoint *d = list[i] = &points[i];

		otlp__number_data_point__init(d);
		labels_fill(&attrs[i], p);
		d->attributes = attrs[i].list;
		d->n_attributes = p->n_labels;
		d->has_time_unix_nano = 1;
		d->time_unix_nano = s->now_ns;
		if (f->type != METRIC_GAUGE && f->start_ns != 0) {
			d->has_start_time_unix_nano = 1;
			d->start_time_unix_nano = f->start_ns;
		}
		d->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		d->as_double = p->value;
	}
	if (f->type == METRIC_GAUGE) {
		gauge.data_points = list;
		gauge.n_data_points = n;
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		m->gauge = &gauge;
	} else {
		sum.data_points = list;
		sum.n_data_points = n;
		sum.has_aggregation_temporality = sum.has_is_monotonic = 1;
		sum.aggregation_temporality = OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
		sum.is_monotonic = f->type == METRIC_COUNTER;
		m->data_case = OTLP__METRIC__DATA_SUM;
		m->sum = &sum;
	}
	return metric_pack(b, m, n);
}

static enum tulle_err
pack_histograms(struct batch *b, Otlp__Metric *m, const struct metric_set *s, const struct metric_family *f,
    size_t first, size_t n, struct arena *arena)
{
	Otlp__HistogramDataPoint **list = arena_array(arena, n, sizeof(struct Otlp__HistogramDataPoint *));
	Otlp__HistogramDataPoint *points = arena_array(arena, n, sizeof(*points));
	struct point_attributes *attrs = arena_array(arena, n, sizeof(*attrs));
	double *bounds = arena_array(arena, f->n_bounds, sizeof(*bounds));
	uint64_t *buckets = arena_array(arena, n * (f->n_bounds + 1), sizeof(*buckets));
	Otlp__Histogram histogram = OTLP__HISTOGRAM__INIT;

	if (list == NULL || points == NULL || attrs == NULL || bounds == NULL || buckets == NULL)
		return TULLE_ENOMEM;
	memcpy(bounds, f->bounds, f->n_bounds * sizeof(*bounds));
	for (size_t i = 0; i < n; i++) {
		const struct metric_point *p = &f->points[first + i];
		Otlp__HistogramDataPoint *d = list[i] = &points[i];

		otlp__histogram_data_point__init(d);
		labels_fill(&attrs[i], p);
		d->attributes = attrs[i].list;
		d->n_attributes = p->n_labels;
		d->has_time_unix_nano = d->has_count = d->has_sum = 1;
		d->time_unix_nano = s->now_ns;
		d->has_start_time_unix_nano = f->start_ns != 0;
		d->start_time_unix_nano = f->start_ns;
		d->count = p->count;
		d->sum = p->value;
		d->explicit_bounds = bounds;
		d->n_explicit_bounds = f->n_bounds;
		d->bucket_counts = buckets + i * (f->n_bounds + 1);
		d->n_bucket_counts = f->n_bounds + 1;
		memcpy(d->bucket_counts, p->buckets, d->n_bucket_counts * sizeof(*buckets));
	}
	histogram.data_points = list;
	histogram.n_data_points = n;
	histogram.has_aggregation_temporality = 1;
	histogram.aggregation_temporality = OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
	m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
	m->histogram = &histogram;
	return metric_pack(b, m, n);
}

enum tulle_err
otlp_metric(struct batch *b, const struct metric_set *s, const struct metric_family *f, size_t first, size_t max)
{
	struct arena arena = arena_new(METRIC_SET_MAX);
	Otlp__Metric m = OTLP__METRIC__INIT;
	size_t n = f->n > first ? f->n - first : 0;
	enum tulle_err e;

	n = n < max ? n : max;
	if (n == 0)
		return TULLE_OK;
	m.name = lent(f->name);
	m.description = lent(f->help);
	m.unit = lent(f->unit);
	if (f->type == METRIC_HISTOGRAM)
		e = pack_histograms(b, &m, s, f, first, n, &arena);
	else
		e = pack_numbers(b, &m, s, f, first, n, &arena);
	arena_free(&arena);
	return e;
}
