/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the encoder writes, read back by somebody else's parser (libprotoc's,
 * through protoc-c --decode) and compared with the files in golden/.
 * UPDATE_GOLDEN=1 in the environment writes them anew.
 */
#include "export/otlp.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "export/payload.h"
#include "unit.h"

#define GOLDEN "tests/unit/telemetry/golden/"

static struct zstd *z;
static struct batch batch;

static void
start(void)
{
	ck_assert_int_eq(zstd_new(&z), TULLE_OK);
	batch_init(&batch);
}

static void
stop(void)
{
	batch_free(&batch);
	z = zstd_free(z);
}

static struct record
some_record(void)
{
	struct record r = { .source = "mesh.example/ns/shop/sa/web", .destination = "mesh.example/ns/shop/sa/cart",
		.service = "cart.shop.svc.cluster.local", .workload = "cart-1", .policy = "shop/allow-web[0]", .reason = "" };
	struct conn_event *ev = &r.ev;

	ev->conn_id = 77;
	memset(ev->trace_id, 0xab, 16);
	memset(ev->span_id, 0xcd, 8);
	ev->start_wall_ns = UINT64_C(1790000000000000000);
	ev->duration_ns = 1500000;
	ev->connect_us = 210;
	ev->tunnel_us = 0; /* zero inside a oneof must be written */
	ev->rx_bytes = 80;
	ev->tx_bytes = UINT64_C(5000000000);
	ev->kind = EVENT_CLOSE;
	ev->direction = EVENT_OUTBOUND;
	ev->detail = EVENT_DETAIL_ENDED;
	ev->tls = EVENT_TLS_MUTUAL;
	ev->sampled = 1;
	ck_assert_int_eq(addr_parse(&ev->peer, "10.0.0.1:40000"), TULLE_OK);
	ck_assert_int_eq(addr_parse(&ev->original, "10.96.0.9:80"), TULLE_OK);
	ck_assert_int_eq(addr_parse(&ev->upstream, "[fd00::2]:15008"), TULLE_OK);
	return r;
}

/* The batch as a finished, decompressed request of <signal>. */
static uint8_t *
request(enum signal signal, size_t *ret_len)
{
	const struct otlp_attribute resource[] = { { "service.name", "web" }, { "host.name", "h\xc3\xa9" } };
	struct envelope around = { 0 };
	uint8_t *res, *scope, *raw = NULL;
	struct payload *p = NULL;

	ck_assert_int_eq(otlp_resource(resource, 2, &res, &around.resource_len), TULLE_OK);
	ck_assert_int_eq(otlp_scope("tulle.relay", "1.2.3", &scope, &around.scope_len), TULLE_OK);
	around.resource = res;
	around.scope = scope;
	ck_assert_int_eq(payload_new(&p, z, signal, &around, buf_head(&batch.bytes), buf_len(&batch.bytes), batch.n),
	    TULLE_OK);
	ck_assert_int_eq(payload_raw(p, z, &raw, ret_len), TULLE_OK);
	payload_unref(p);
	free(res);
	free(scope);
	return raw;
}

/* Runs the independent parser over <raw> and compares with a golden file. */
static void
compare(const uint8_t *raw, size_t len, const char *message, const char *name)
{
	char in[] = "/tmp/tulle-otlp-XXXXXX", command[512], path[256];
	int fd = mkstemp(in);
	char *text = NULL, *golden = NULL;
	size_t n, k;
	FILE *f;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(file_write_all(fd, raw, len), TULLE_OK);
	(void)snprintf(command, sizeof(command), "protoc-c --decode=otlp.%s --proto_path=lib/proto lib/proto/otlp.proto <%s",
	    message, in);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(file_read_fd(fileno(f), 1 << 20, &text, &n), TULLE_OK);
	ck_assert_int_eq(pclose(f), 0);
	(void)close(fd);
	(void)unlink(in);
	(void)snprintf(path, sizeof(path), GOLDEN "%s", name);
	if (getenv("UPDATE_GOLDEN") != NULL)
		ck_assert_int_eq(file_replace(path, text, n, 0644), TULLE_OK);
	ck_assert_int_eq(file_read(path, 1 << 20, &golden, &k), TULLE_OK);
	ck_assert_str_eq(text, golden);
	free(text);
	free(golden);
}

START_TEST(logs_are_what_the_golden_file_says)
{
	struct record r = some_record();
	uint8_t *raw;
	size_t n;

	start();
	ck_assert_int_eq(otlp_log(&batch, &r, 1790000000002000000), TULLE_OK);
	r.ev.outcome = EVENT_DENIED;
	r.ev.flag = EVENT_FLAG_UAEX;
	r.ev.detail = EVENT_DETAIL_DENIED_BY_POLICY;
	r.ev.direction = EVENT_INBOUND;
	memset(r.ev.trace_id, 0, 16);
	r.ev.upstream = (struct addr){ 0 };
	r.destination = r.service = r.workload = "";
	r.reason = "no rule allows it";
	ck_assert_int_eq(otlp_log(&batch, &r, 1790000000002000000), TULLE_OK);
	ck_assert_uint_eq(batch.n, 2);
	raw = request(SIGNAL_LOGS, &n);
	compare(raw, n, "ExportLogsServiceRequest", "logs.txt");
	free(raw);
	stop();
}
END_TEST

START_TEST(spans_are_what_the_golden_file_says)
{
	struct record r = some_record();
	uint8_t *raw;
	size_t n;

	start();
	ck_assert_int_eq(otlp_span(&batch, &r), TULLE_OK);
	r.tail_hint = true;
	r.ev.outcome = EVENT_FAILED;
	r.ev.flag = EVENT_FLAG_UF;
	r.ev.detail = EVENT_DETAIL_CONNECT_REFUSED;
	ck_assert_int_eq(otlp_span(&batch, &r), TULLE_OK);
	raw = request(SIGNAL_TRACES, &n);
	compare(raw, n, "ExportTraceServiceRequest", "spans.txt");
	free(raw);
	stop();
}
END_TEST

START_TEST(metrics_are_what_the_golden_file_says)
{
	static const double bounds[] = { 0.5, 1 };
	static const uint64_t buckets[] = { 1, 0, 2 };
	struct metric_set s;
	struct metric_family *f;
	struct metric_point *p;
	uint8_t *raw;
	size_t n;

	start();
	metric_set_init(&s, 1790000000000000000);
	f = metric_family_add(&s, "tulle.connection.count", METRIC_COUNTER, "{connection}", "Connections.", SCOPE_RELAY,
	    1780000000000000000);
	metric_simple(&s, f, "outcome", "success", 0); /* zero is a value */
	metric_simple(&s, f, "outcome", "denied", 3);
	f = metric_family_add(&s, "tulle.connection.active", METRIC_LEVEL, "{connection}", "Open.", SCOPE_RELAY,
	    1780000000000000000);
	metric_simple(&s, f, NULL, NULL, 2);
	f = metric_family_add(&s, "tulle.certificate.expiry", METRIC_GAUGE, "s", "Left.", SCOPE_RELAY, 0);
	metric_simple(&s, f, NULL, NULL, -1.5);
	f = metric_family_add(&s, "tulle.connection.duration", METRIC_HISTOGRAM, "s", "Long.", SCOPE_RELAY,
	    1780000000000000000);
	f->bounds = bounds;
	f->n_bounds = 2;
	p = metric_point_add(&s, f);
	p->buckets = buckets;
	p->count = 3;
	for (size_t i = 0; i < s.n; i++)
		ck_assert_int_eq(otlp_metric(&batch, &s, &s.families[i], 0, 1000), TULLE_OK);
	ck_assert_uint_eq(batch.n, 5);
	raw = request(SIGNAL_METRICS, &n);
	compare(raw, n, "ExportMetricsServiceRequest", "metrics.txt");
	free(raw);
	metric_set_free(&s);
	stop();
}
END_TEST

/* Field numbers and wire types against opentelemetry-proto's, without any .proto file. */
START_TEST(the_first_bytes_are_those_of_the_protocol)
{
	struct record r = some_record();
	const uint8_t *p;

	start();
	ck_assert_int_eq(otlp_span(&batch, &r), TULLE_OK);
	p = buf_head(&batch.bytes);
	ck_assert_uint_eq(p[0], 0x12); /* ScopeSpans.spans */
	p += 3;                        /* a length of two bytes */
	ck_assert_mem_eq(p, "\x0a\x10\xab", 3);     /* trace_id */
	ck_assert_mem_eq(p + 18, "\x12\x08\xcd", 3); /* span_id */
	ck_assert_mem_eq(p + 28, "\x2a\x10tulle.connection\x30\x03\x39", 21); /* name, kind, start */
	batch_clear(&batch);
	ck_assert_int_eq(otlp_log(&batch, &r, 1), TULLE_OK);
	p = buf_head(&batch.bytes) + 3;
	ck_assert_uint_eq(p[0], 0x09);                         /* time */
	ck_assert_mem_eq(p + 9, "\x10\x09\x1a\x04INFO\x2a", 9); /* severity, its text, body */
	stop();
}
END_TEST

START_TEST(a_span_without_ids_gets_random_ones)
{
	struct record r = some_record();
	uint8_t first[24];

	start();
	memset(r.ev.trace_id, 0, 16);
	ck_assert_int_eq(otlp_span(&batch, &r), TULLE_OK);
	memcpy(first, buf_head(&batch.bytes) + 5, 24);
	batch_clear(&batch);
	ck_assert_int_eq(otlp_span(&batch, &r), TULLE_OK);
	ck_assert_mem_ne(first, buf_head(&batch.bytes) + 5, 24);
	stop();
}
END_TEST

START_TEST(a_batch_closes_at_its_records_or_bytes)
{
	struct record r = some_record();

	start();
	while (!batch_full(&batch))
		ck_assert_int_eq(otlp_log(&batch, &r, 1), TULLE_OK);
	ck_assert(batch.n == BATCH_RECORDS || buf_len(&batch.bytes) >= BATCH_RAW);
	stop();
}
END_TEST

START_TEST(halves_of_a_payload_are_whole_requests)
{
	struct record r = some_record();
	struct payload *p = NULL, *a = NULL, *b = NULL;
	const struct envelope around = { (const uint8_t *)"\x0a\x00", 2, (const uint8_t *)"", 0 };
	uint8_t *whole, *half;
	size_t n, k;

	start();
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(otlp_log(&batch, &r, 1), TULLE_OK);
	ck_assert_int_eq(payload_new(&p, z, SIGNAL_LOGS, &around, buf_head(&batch.bytes), buf_len(&batch.bytes), 7),
	    TULLE_OK);
	ck_assert_int_eq(payload_split(p, z, &a, &b), TULLE_OK);
	ck_assert_uint_eq(a->records, 4);
	ck_assert_uint_eq(b->records, 3);
	ck_assert_int_eq(payload_raw(p, z, &whole, &n), TULLE_OK);
	ck_assert_int_eq(payload_raw(b, z, &half, &k), TULLE_OK);
	ck_assert_mem_eq(whole + n - 100, half + k - 100, 100);
	free(whole);
	free(half);
	payload_unref(a);
	payload_unref(b);
	payload_unref(p);
	stop();
}
END_TEST

START_TEST(the_probe_is_an_empty_zstd_frame)
{
	size_t n;
	const uint8_t *probe = payload_probe(&n);
	uint8_t out[8];

	ck_assert_uint_eq(ZSTD_decompress(out, sizeof(out), probe, n), 0);
}
END_TEST

UNIT_MAIN("otlp", logs_are_what_the_golden_file_says, spans_are_what_the_golden_file_says,
    metrics_are_what_the_golden_file_says, the_first_bytes_are_those_of_the_protocol,
    a_span_without_ids_gets_random_ones, a_batch_closes_at_its_records_or_bytes,
    halves_of_a_payload_are_whole_requests, the_probe_is_an_empty_zstd_frame)
