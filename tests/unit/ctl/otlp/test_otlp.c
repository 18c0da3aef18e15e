/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_otlp.c - bodies of OTLP as lines of JSON, and what hostile ones meet. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "otlp/otlp.h"
#include "proto/otlp.pb-c.h"
#include "unit.h"

static uint8_t body[1 << 16];
static size_t body_len;
static struct buf out;
static json_t *line;

static const struct otlp_batch batch = { .encoding = "zstd", .wire = 7, .raw = 9 };

/* One line out of <body>, parsed by somebody else's parser. */
static void
one_line(enum otlp_signal signal)
{
	size_t n = 0;
	json_error_t why;

	out = buf_new(1 << 20);
	ck_assert_int_eq(otlp_to_json(&out, signal, body, body_len, &batch, &n), TULLE_OK);
	ck_assert_uint_eq(n, 1);
	line = json_loadb((const char *)buf_head(&out), buf_len(&out), 0, &why);
	ck_assert_msg(line != NULL, "%s: %.*s", why.text, (int)buf_len(&out), (const char *)buf_head(&out));
	ck_assert_uint_eq(buf_head(&out)[buf_len(&out) - 1], '\n');
	buf_free(&out);
}

static void
done(void)
{
	json_decref(line);
	line = NULL;
}

static const char *
text(const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static const char *
text_in(const char *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(line, object), key));
}

#define TEXT_VALUE(name, s)                           \
	Otlp__AnyValue name = OTLP__ANY_VALUE__INIT;  \
	name.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE; \
	name.string_value = (char *)(uintptr_t)(s)
#define ATTRIBUTE(name, k, v)                         \
	Otlp__KeyValue name = OTLP__KEY_VALUE__INIT;  \
	name.key = (char *)(uintptr_t)(k);            \
	name.value = (v)

START_TEST(a_log_record_is_a_line)
{
	Otlp__ExportLogsServiceRequest q = OTLP__EXPORT_LOGS_SERVICE_REQUEST__INIT;
	Otlp__ResourceLogs rl = OTLP__RESOURCE_LOGS__INIT, *rls[] = { &rl };
	Otlp__ScopeLogs sl = OTLP__SCOPE_LOGS__INIT, *sls[] = { &sl };
	Otlp__LogRecord r = OTLP__LOG_RECORD__INIT, *rs[] = { &r };
	Otlp__Resource res = OTLP__RESOURCE__INIT;
	Otlp__InstrumentationScope scope = OTLP__INSTRUMENTATION_SCOPE__INIT;
	uint8_t id[16] = { 0xab, 1 };
	TEXT_VALUE(service, "cart");
	TEXT_VALUE(evil, "a\"b\\c\nd\x1b[31m\xff\xc3\xa9");
	ATTRIBUTE(name, "service.name", &service);
	ATTRIBUTE(odd, "k\"\n", &evil);
	Otlp__KeyValue *res_attrs[] = { &name }, *attrs[] = { &odd };

	res.n_attributes = 1;
	res.attributes = res_attrs;
	scope.name = (char *)(uintptr_t) "tulle.relay";
	rl.resource = &res;
	rl.n_scope_logs = 1;
	rl.scope_logs = sls;
	sl.scope = &scope;
	sl.n_log_records = 1;
	sl.log_records = rs;
	r.has_severity_number = true;
	r.severity_number = 9;
	r.body = &evil;
	r.has_trace_id = true;
	r.trace_id = (ProtobufCBinaryData){ sizeof(id), id };
	r.n_attributes = 1;
	r.attributes = attrs;
	q.n_resource_logs = 1;
	q.resource_logs = rls;
	body_len = otlp__export_logs_service_request__pack(&q, body);

	one_line(OTLP_LOGS);
	ck_assert_str_eq(text("signal"), "log");
	ck_assert_str_eq(text("severity"), "INFO");
	ck_assert_str_eq(text("body"), "a\"b\\c\nd\x1b[31m\xef\xbf\xbd\xc3\xa9");
	ck_assert_str_eq(text("trace_id"), "ab010000000000000000000000000000");
	ck_assert_str_eq(text("scope"), "tulle.relay");
	ck_assert_str_eq(text_in("resource", "service.name"), "cart");
	ck_assert_ptr_nonnull(text_in("attributes", "k\"\n"));
	ck_assert_str_eq(text("encoding"), "zstd");
	ck_assert_int_eq(json_integer_value(json_object_get(line, "wire_bytes")), 7);
	ck_assert_int_eq(json_integer_value(json_object_get(line, "raw_bytes")), 9);
	done();
}
END_TEST

START_TEST(a_span_is_a_line)
{
	Otlp__ExportTraceServiceRequest q = OTLP__EXPORT_TRACE_SERVICE_REQUEST__INIT;
	Otlp__ResourceSpans rsp = OTLP__RESOURCE_SPANS__INIT, *rsps[] = { &rsp };
	Otlp__ScopeSpans ss = OTLP__SCOPE_SPANS__INIT, *sss[] = { &ss };
	Otlp__Span s = OTLP__SPAN__INIT, *spans[] = { &s };
	Otlp__SpanStatus st = OTLP__SPAN_STATUS__INIT;

	rsp.n_scope_spans = 1;
	rsp.scope_spans = sss;
	ss.n_spans = 1;
	ss.spans = spans;
	s.name = (char *)(uintptr_t) "GET /";
	s.has_kind = true;
	s.kind = OTLP__SPAN__SPAN_KIND__SPAN_KIND_CLIENT;
	st.has_code = true;
	st.code = OTLP__SPAN_STATUS__STATUS_CODE__STATUS_CODE_ERROR;
	s.status = &st;
	s.has_start_time_unix_nano = true;
	s.start_time_unix_nano = 1700000000123456789;
	q.n_resource_spans = 1;
	q.resource_spans = rsps;
	body_len = otlp__export_trace_service_request__pack(&q, body);

	one_line(OTLP_TRACES);
	ck_assert_str_eq(text("signal"), "span");
	ck_assert_str_eq(text("kind"), "client");
	ck_assert_str_eq(text("status"), "error");
	ck_assert_int_eq(json_integer_value(json_object_get(line, "start_time_unix_nano")), 1700000000123456789);
	done();
}
END_TEST

static Otlp__Metric metric;

static void
pack_metric(void)
{
	Otlp__ExportMetricsServiceRequest q = OTLP__EXPORT_METRICS_SERVICE_REQUEST__INIT;
	Otlp__ResourceMetrics rm = OTLP__RESOURCE_METRICS__INIT, *rms[] = { &rm };
	Otlp__ScopeMetrics sm = OTLP__SCOPE_METRICS__INIT, *sms[] = { &sm };
	Otlp__Metric *ms[] = { &metric };

	rm.n_scope_metrics = 1;
	rm.scope_metrics = sms;
	sm.n_metrics = 1;
	sm.metrics = ms;
	metric.name = (char *)(uintptr_t) "tulle.connections";
	q.n_resource_metrics = 1;
	q.resource_metrics = rms;
	body_len = otlp__export_metrics_service_request__pack(&q, body);
}

START_TEST(a_data_point_is_a_line)
{
	Otlp__Sum sum = OTLP__SUM__INIT;
	Otlp__NumberDataPoint p = OTLP__NUMBER_DATA_POINT__INIT, *ps[] = { &p };
	Otlp__Gauge gauge = OTLP__GAUGE__INIT;

	metric = (Otlp__Metric)OTLP__METRIC__INIT;
	metric.data_case = OTLP__METRIC__DATA_SUM;
	metric.sum = &sum;
	sum.n_data_points = 1;
	sum.data_points = ps;
	sum.has_is_monotonic = sum.has_aggregation_temporality = true;
	sum.is_monotonic = true;
	sum.aggregation_temporality = OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
	p.value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p.as_int = 0; /* written, although zero */
	pack_metric();
	one_line(OTLP_METRICS);
	ck_assert_str_eq(text("name"), "tulle.connections");
	ck_assert_str_eq(text("type"), "sum");
	ck_assert_str_eq(text("temporality"), "cumulative");
	ck_assert(json_is_true(json_object_get(line, "monotonic")));
	ck_assert(json_is_integer(json_object_get(line, "value")));
	done();

	metric.data_case = OTLP__METRIC__DATA_GAUGE;
	metric.gauge = &gauge;
	gauge.n_data_points = 1;
	gauge.data_points = ps;
	p.value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	p.as_double = 0.0 / 0.0;
	pack_metric();
	one_line(OTLP_METRICS);
	ck_assert_str_eq(text("value"), "NaN");
	done();
}
END_TEST

START_TEST(histograms_are_lines)
{
	Otlp__Histogram h = OTLP__HISTOGRAM__INIT;
	Otlp__HistogramDataPoint hp = OTLP__HISTOGRAM_DATA_POINT__INIT, *hps[] = { &hp };
	Otlp__ExponentialHistogram x = OTLP__EXPONENTIAL_HISTOGRAM__INIT;
	Otlp__ExponentialHistogramDataPoint xp = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__INIT, *xps[] = { &xp };
	Otlp__ExponentialHistogramDataPoint__Buckets b = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__BUCKETS__INIT;
	uint64_t counts[] = { 1, 0, 2 };
	double bounds[] = { 0.5, 10 };

	metric = (Otlp__Metric)OTLP__METRIC__INIT;
	metric.data_case = OTLP__METRIC__DATA_HISTOGRAM;
	metric.histogram = &h;
	h.n_data_points = 1;
	h.data_points = hps;
	hp.has_count = hp.has_sum = true;
	hp.count = 3;
	hp.sum = 0;
	hp.n_bucket_counts = 3;
	hp.bucket_counts = counts;
	hp.n_explicit_bounds = 2;
	hp.explicit_bounds = bounds;
	pack_metric();
	one_line(OTLP_METRICS);
	ck_assert_int_eq(json_integer_value(json_object_get(line, "count")), 3);
	ck_assert_uint_eq(json_array_size(json_object_get(line, "bucket_counts")), 3);
	ck_assert_uint_eq(json_array_size(json_object_get(line, "explicit_bounds")), 2);
	done();

	metric.data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
	metric.exponential_histogram = &x;
	x.n_data_points = 1;
	x.data_points = xps;
	xp.has_scale = true;
	xp.scale = -3;
	xp.positive = &b;
	b.has_offset = true;
	b.offset = -7;
	b.n_bucket_counts = 3;
	b.bucket_counts = counts;
	pack_metric();
	one_line(OTLP_METRICS);
	ck_assert_int_eq(json_integer_value(json_object_get(line, "scale")), -3);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(line, "positive"), "offset")), -7);
	done();
}
END_TEST

START_TEST(an_empty_request_is_fine)
{
	size_t n = 9;

	out = buf_new(100);
	ck_assert_int_eq(otlp_to_json(&out, OTLP_LOGS, "", 0, &batch, &n), TULLE_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(otlp_to_json(&out, OTLP_LOGS, "garbage!", 8, &batch, &n), TULLE_EINVAL);
	buf_free(&out);
}
END_TEST

START_TEST(sl_09_nesting_has_a_bound)
{
	/* AnyValue { array_value { values { array_value ... around a request's field. */
	static uint8_t nested[1 << 20];
	size_t at = sizeof(nested), n, records;
	static const uint8_t path[] = { 0x0a, 0x12, 0x12, 0x2a }; /* resource_logs, scope_logs, log_records, body */

	for (int levels = 20; levels <= 20000; levels *= 1000) {
		at = sizeof(nested);
		for (int i = 0; i < levels * 2 + 4; i++) {
			uint8_t tag = i < levels * 2 ? (i % 2 == 0 ? 0x0a : 0x2a) : path[3 - (i - levels * 2)];
			uint8_t head[6];
			size_t h = 0;

			head[h++] = tag;
			n = sizeof(nested) - at;
			do {
				head[h++] = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
				n >>= 7;
			} while (n > 0);
			ck_assert_uint_ge(at, h);
			at -= h;
			memcpy(nested + at, head, h);
		}
		out = buf_new(1 << 20);
		ck_assert_int_eq(otlp_to_json(&out, OTLP_LOGS, nested + at, sizeof(nested) - at, &batch, &records),
		    levels == 20 ? TULLE_OK : TULLE_EINVAL);
		buf_free(&out);
	}
}
END_TEST

START_TEST(many_empty_messages_do_not_take_all_memory)
{
	size_t n = 4 << 20, records;
	uint8_t *many = malloc(n);

	/* resource_logs of two bytes each: sixty times their size when unpacked */
	for (size_t i = 0; i < n; i += 2) {
		many[i] = 0x0a;
		many[i + 1] = 0;
	}
	out = buf_new(1 << 20);
	ck_assert_int_eq(otlp_to_json(&out, OTLP_LOGS, many, n, &batch, &records), TULLE_ELIMIT);
	buf_free(&out);
	free(many);
}
END_TEST

START_TEST(lines_are_whole_or_not_there)
{
	size_t n;

	metric = (Otlp__Metric)OTLP__METRIC__INIT;
	Otlp__Gauge gauge = OTLP__GAUGE__INIT;
	Otlp__NumberDataPoint p = OTLP__NUMBER_DATA_POINT__INIT, *ps[] = { &p, &p };

	metric.data_case = OTLP__METRIC__DATA_GAUGE;
	metric.gauge = &gauge;
	gauge.n_data_points = 2;
	gauge.data_points = ps;
	pack_metric();
	out = buf_new(300); /* one of the two lines fits */
	ck_assert_int_eq(buf_append(&out, "x", 1), TULLE_OK);
	ck_assert_int_eq(otlp_to_json(&out, OTLP_METRICS, body, body_len, &batch, &n), TULLE_ELIMIT);
	ck_assert_uint_eq(buf_len(&out), 1);
	buf_free(&out);
}
END_TEST

START_TEST(zstd_is_unpacked)
{
	const char *plain = "some text, some text, some text, some text";
	char packed[200];
	size_t n = ZSTD_compress(packed, sizeof(packed), plain, strlen(plain), 3);

	out = buf_new(1000);
	ck_assert_int_eq(otlp_inflate(&out, packed, n), TULLE_OK);
	ck_assert_uint_eq(buf_len(&out), strlen(plain));
	ck_assert_mem_eq(buf_head(&out), plain, strlen(plain));
	buf_free(&out);
	ck_assert_int_eq(otlp_inflate(&out, packed, n - 1), TULLE_EINVAL);
	buf_free(&out);
	ck_assert_int_eq(otlp_inflate(&out, "not zstd", 8), TULLE_EINVAL);
	ck_assert_int_eq(otlp_inflate(&out, "", 0), TULLE_EINVAL);
	buf_free(&out);
	/* exactly as long as the bound, and one byte longer */
	out = buf_new(strlen(plain));
	ck_assert_int_eq(otlp_inflate(&out, packed, n), TULLE_OK);
	buf_free(&out);
	out = buf_new(strlen(plain) - 1);
	ck_assert_int_eq(otlp_inflate(&out, packed, n), TULLE_ELIMIT);
	ck_assert_uint_le(buf_len(&out), strlen(plain) - 1);
	buf_free(&out);
}
END_TEST

START_TEST(sl_08_a_bomb_is_stopped_inside_the_loop)
{
	size_t plain_len = 64 << 20, packed_len = ZSTD_compressBound(plain_len);
	char *plain = calloc(1, plain_len), *packed = malloc(packed_len);
	size_t n = ZSTD_compress(packed, packed_len, plain, plain_len, 3);

	ck_assert_uint_lt(n, 65536);
	out = buf_new(128 << 20); /* the ratio stops it, not the size */
	ck_assert_int_eq(otlp_inflate(&out, packed, n), TULLE_ELIMIT);
	ck_assert_uint_lt(buf_len(&out), OTLP_RATIO_MAX * n + OTLP_RATIO_FREE * 2);
	buf_free(&out);
	out = buf_new(40000); /* the size stops it, not the ratio */
	ck_assert_int_eq(otlp_inflate(&out, packed, n), TULLE_ELIMIT);
	ck_assert_uint_le(buf_len(&out), 40000);
	buf_free(&out);
	free(plain);
	free(packed);
}
END_TEST

UNIT_MAIN("otlp", a_log_record_is_a_line, a_span_is_a_line, a_data_point_is_a_line, histograms_are_lines,
    an_empty_request_is_fine, sl_09_nesting_has_a_bound, many_empty_messages_do_not_take_all_memory,
    lines_are_whole_or_not_there, zstd_is_unpacked, sl_08_a_bomb_is_stopped_inside_the_loop)
