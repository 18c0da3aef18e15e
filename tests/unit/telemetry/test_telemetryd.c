/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole daemon in one loop with a relay that is a segment and a
 * collector that counts.
 */
#include "telemetryd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "events/attach.h"
#include "events/write.h"
#include "export/prometheus.h"
#include "http/client.h"
#include "io/sock.h"
#include "proto/otlp.pb-c.h"
#include "unit.h"

static struct telemetryd t;
static char root[64];

/* ---- the collector --------------------------------------------------------- */

static struct {
	struct http_server *server;
	uint16_t port;
	unsigned int status; /* to answer with */
	unsigned int probes, requests, zstd;
	size_t logs, spans, points;
	char last_source[128]; /* tulle.source.principal of the last log */
	double opened;         /* tulle.connection.opened.count, all series */
} collector;

static size_t
body_of(struct http_exchange *x, uint8_t out[1 << 20])
{
	const struct http1_field *coding = http1_find(http_exchange_head(x), "content-encoding");
	size_t n;
	const uint8_t *body = http_exchange_body(x, &n);

	collector.requests++;
	if (coding == NULL) {
		memcpy(out, body, n);
		return n;
	}
	ck_assert(http1_text_is(coding->value, "zstd"));
	collector.zstd++;
	n = ZSTD_decompress(out, 1 << 20, body, n);
	ck_assert(!ZSTD_isError(n));
	return n;
}

static bool
answered(struct http_exchange *x, size_t n)
{
	if (n == 0)
		collector.probes++;
	http_reply(x, collector.status, "application/x-protobuf", NULL, 0);
	return collector.status == 200 && n > 0;
}

static void
take_logs(void *arg, struct http_exchange *x)
{
	static uint8_t raw[1 << 20];
	size_t n = body_of(x, raw);
	Otlp__ExportLogsServiceRequest *m;

	(void)arg;
	if (!answered(x, n))
		return;
	m = otlp__export_logs_service_request__unpack(NULL, n, raw);
	ck_assert_ptr_nonnull(m);
	for (size_t i = 0; i < m->resource_logs[0]->scope_logs[0]->n_log_records; i++) {
		const Otlp__LogRecord *r = m->resource_logs[0]->scope_logs[0]->log_records[i];

		collector.logs++;
		for (size_t k = 0; k < r->n_attributes; k++)
			if (strcmp(r->attributes[k]->key, "tulle.source.principal") == 0)
				(void)snprintf(collector.last_source, sizeof(collector.last_source), "%s",
				    r->attributes[k]->value->string_value);
	}
	otlp__export_logs_service_request__free_unpacked(m, NULL);
}

static void
take_spans(void *arg, struct http_exchange *x)
{
	static uint8_t raw[1 << 20];
	size_t n = body_of(x, raw);
	Otlp__ExportTraceServiceRequest *m;

	(void)arg;
	if (!answered(x, n))
		return;
	m = otlp__export_trace_service_request__unpack(NULL, n, raw);
	ck_assert_ptr_nonnull(m);
	collector.spans += m->resource_spans[0]->scope_spans[0]->n_spans;
	otlp__export_trace_service_request__free_unpacked(m, NULL);
}

static void
take_metrics(void *arg, struct http_exchange *x)
{
	static uint8_t raw[1 << 20];
	size_t n = body_of(x, raw);
	Otlp__ExportMetricsServiceRequest *m;

	(void)arg;
	if (!answered(x, n))
		return;
	m = otlp__export_metrics_service_request__unpack(NULL, n, raw);
	ck_assert_ptr_nonnull(m);
	for (size_t i = 0; i < m->resource_metrics[0]->scope_metrics[0]->n_metrics; i++) {
		const Otlp__Metric *metric = m->resource_metrics[0]->scope_metrics[0]->metrics[i];

		collector.points++;
		if (strcmp(metric->name, "tulle.connection.opened.count") == 0) {
			collector.opened = 0;
			for (size_t k = 0; k < metric->sum->n_data_points; k++)
				collector.opened += metric->sum->data_points[k]->as_double;
		}
	}
	otlp__export_metrics_service_request__free_unpacked(m, NULL);
}

static const struct http_route collector_routes[] = {
	{ "POST", "/v1/logs", take_logs },
	{ "POST", "/v1/traces", take_spans },
	{ "POST", "/v1/metrics", take_metrics },
	{ NULL, NULL, NULL },
};

/* ---- the relay ------------------------------------------------------------- */

static struct relay {
	int segment, bell, listener, client;
	struct watch watch;
	struct events *events;
	struct events_writer *w;
} relay;

static void
relay_accept(struct watch *watch, uint32_t events)
{
	struct relay *r = CONTAINER_OF(watch, struct relay, watch);

	(void)events;
	r->client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ne(r->client, -1);
	ck_assert_int_eq(events_offer(r->client, r->segment, r->bell, -1), TULLE_OK);
}

static void
relay_start(void)
{
	relay.client = -1;
	relay.watch = (struct watch)WATCH_INIT;
	ck_assert_int_eq(events_create(&relay.segment, 2), TULLE_OK);
	ck_assert_int_eq(events_doorbell(&relay.bell), TULLE_OK);
	ck_assert_int_eq(events_attach(&relay.events, relay.segment, relay.bell, 0, 2), TULLE_OK);
	relay.w = events_writer(relay.events, 0);
	ck_assert_int_eq(sock_listen_unix(&relay.listener, paths_run(EVENTS_SOCKET), 0660), TULLE_OK);
	ck_assert_int_eq(loop_add(t.loop, &relay.watch, relay.listener, EPOLLIN, relay_accept), TULLE_OK);
}

/* As if all of it had been killed: telemetryd is left with the mapping. */
static void
relay_stop(void)
{
	loop_del(t.loop, &relay.watch);
	(void)close(relay.client);
	(void)close(relay.listener);
	(void)close(relay.segment);
	(void)close(relay.bell);
	relay.events = events_detach(relay.events);
}

static void
relay_connection(const char *source, enum event_outcome outcome)
{
	struct series_labels labels = { .direction = EVENT_INBOUND, .tls = EVENT_TLS_MUTUAL };
	struct conn_event ev = { .kind = EVENT_CLOSE, .outcome = (uint8_t)outcome, .start_wall_ns = clock_wall_ns() };
	struct series *s;

	labels.source = ev.source = events_intern(relay.w, source);
	s = events_series(relay.w, &labels);
	events_series_opened(s);
	events_series_bytes(s, 80, 1000);
	events_series_closed(s, outcome, 3000000);
	(void)events_push(relay.w, &ev);
}

/* ---- set-up ---------------------------------------------------------------- */

static uint16_t
free_port(int *ret_fd)
{
	struct addr at = { .family = AF_INET, .ip = { 127, 0, 0, 1 } }, got;
	int fd = -1;

	ck_assert_int_eq(sock_listen(&fd, &at, 16, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &got), TULLE_OK);
	if (ret_fd != NULL)
		*ret_fd = fd;
	else
		(void)close(fd);
	return got.port;
}

static void
write_settings(const char *access, const char *more)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
	    "telemetry: {destinations: [{otlp: \"http://127.0.0.1:%u\"}], metrics: \"127.0.0.1:%u\", access: %s}\n%s",
	    collector.port, t.settings != NULL ? t.settings->scrape.at.port : free_port(NULL), access, more);
	ck_assert_int_eq(file_replace(paths_etc("tulle.yaml"), text, strlen(text), 0644), TULLE_OK);
}

static void
start(const char *access)
{
	struct problems problems;
	struct settings *s = NULL;
	char dir[128];
	int control = -1, fd = -1;

	log_set_threshold(LOG_LVL_ERROR);
	(void)setenv("OTEL_METRIC_EXPORT_INTERVAL", "300", 1);
	(void)snprintf(root, sizeof(root), "/tmp/tulle-telemetryd-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(paths_init(root), TULLE_OK);
	(void)snprintf(dir, sizeof(dir), "%s/etc/tulle", root);
	ck_assert_int_eq(file_mkdirs(dir, 0755), TULLE_OK);
	(void)snprintf(dir, sizeof(dir), "%s/run/tulle", root);
	ck_assert_int_eq(file_mkdirs(dir, 0755), TULLE_OK);
	collector.status = 200;
	collector.port = free_port(&fd);
	write_settings(access, "logLevel: error\n");
	problems_init(&problems);
	ck_assert_int_eq(settings_read(&s, "test", &problems), TULLE_OK);
	problems_free(&problems);
	ck_assert_int_eq(sock_listen_unix(&control, paths_run("telemetryd.sock"), 0666), TULLE_OK);
	ck_assert_int_eq(telemetryd_start(&t, s, control), TULLE_OK);
	ck_assert_int_eq(http_server_new(&collector.server, t.loop, collector_routes, NULL,
	                     &(struct http_server_options){ .body_max = 1 << 20 }),
	    TULLE_OK);
	ck_assert_int_eq(http_server_listen(collector.server, fd), TULLE_OK);
	relay_start();
}

static void
finish(void)
{
	char command[128];

	relay_stop();
	collector.server = http_server_free(collector.server);
	telemetryd_free(&t);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

/* Ticks until <cond>, ten seconds at most. */
#define UNTIL(cond)                                                                 \
	do {                                                                        \
		uint64_t end_ = clock_mono_ms() + 10000;                            \
		while (!(cond)) {                                                   \
			ck_assert_msg(clock_mono_ms() < end_, "never: %s", #cond);  \
			ck_assert_int_eq(loop_tick(t.loop, 20), TULLE_OK);          \
		}                                                                   \
	} while (0)

static void
check_books(void)
{
	for (int k = 0; k < SIGNALS; k++) {
		struct stage_status st;
		struct lane_status l;

		pipeline_stage(t.pipeline, (enum signal)k, &st);
		ck_assert(stage_account_holds(&st.account, st.in_batch));
		if (pipeline_senders(t.pipeline) == 0)
			continue;
		sender_status(pipeline_sender(t.pipeline, 0), (enum signal)k, &l);
		ck_assert(lane_account_holds(&l.account, l.queued));
		ck_assert_uint_eq(l.account.accepted, st.account.handed_on);
	}
}

static uint64_t
delivered(enum signal signal)
{
	struct lane_status l;

	sender_status(pipeline_sender(t.pipeline, 0), signal, &l);
	return l.account.delivered;
}

/* ---- tests ----------------------------------------------------------------- */

START_TEST(connections_reach_the_collector_as_logs_spans_and_metrics)
{
	start("all");
	UNTIL(source_attached(t.source));
	for (int i = 0; i < 10; i++)
		relay_connection("mesh.example/ns/shop/sa/web", i == 0 ? EVENT_DENIED : EVENT_SUCCESS);
	UNTIL(collector.logs == 10 && collector.spans == 1 && collector.opened == 10);
	ck_assert_str_eq(collector.last_source, "mesh.example/ns/shop/sa/web");
	ck_assert_uint_eq(collector.zstd, collector.requests);
	UNTIL(delivered(SIGNAL_LOGS) == 10);
	check_books();
	finish();
}
END_TEST

START_TEST(level_errors_logs_only_what_went_wrong)
{
	struct stage_status st;

	start("errors");
	UNTIL(source_attached(t.source));
	for (int i = 0; i < 5; i++)
		relay_connection("mesh.example/ns/shop/sa/web", i == 0 ? EVENT_FAILED : EVENT_SUCCESS);
	UNTIL(collector.logs == 1);
	pipeline_stage(t.pipeline, SIGNAL_LOGS, &st);
	ck_assert_uint_eq(st.account.dropped[DROP_SAMPLED_OUT], 4);
	check_books();
	finish();
}
END_TEST

START_TEST(a_relay_that_dies_is_drained_and_its_successor_is_found)
{
	struct source_counts c;

	start("all");
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/old", EVENT_SUCCESS);
	relay_stop(); /* before telemetryd has looked */
	UNTIL(!source_attached(t.source));
	relay_start();
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/new", EVENT_SUCCESS);
	UNTIL(collector.logs == 2);
	ck_assert_str_eq(collector.last_source, "mesh.example/ns/shop/sa/new");
	UNTIL(collector.opened == 1); /* counters of the new segment start at zero */
	source_counts(t.source, &c);
	ck_assert_uint_eq(c.attached, 2);
	ck_assert_uint_eq(c.taken, 2);
	ck_assert_uint_eq(c.corrupt, 0);
	finish();
}
END_TEST

START_TEST(what_an_orphaned_relay_still_writes_is_not_lost)
{
	struct relay orphan;

	start("all");
	UNTIL(source_attached(t.source));
	/* The parent is gone, its relay process goes on for a while. */
	loop_del(t.loop, &relay.watch);
	(void)close(relay.client);
	(void)close(relay.listener);
	UNTIL(!source_attached(t.source));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_tick(t.loop, 10), TULLE_OK);
	relay_connection("mesh.example/ns/shop/sa/orphan", EVENT_SUCCESS);
	orphan = relay;
	relay_start();
	UNTIL(source_attached(t.source));
	UNTIL(collector.logs == 1);
	ck_assert_str_eq(collector.last_source, "mesh.example/ns/shop/sa/orphan");
	events_detach(orphan.events);
	(void)close(orphan.segment);
	(void)close(orphan.bell);
	finish();
}
END_TEST

START_TEST(a_cut_connection_to_the_same_relay_loses_and_doubles_nothing)
{
	start("all");
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/a", EVENT_SUCCESS);
	UNTIL(collector.logs == 1);
	(void)close(relay.client);
	UNTIL(!source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/b", EVENT_SUCCESS);
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/c", EVENT_SUCCESS);
	UNTIL(collector.logs == 3);
	UNTIL(collector.opened == 3);
	finish();
}
END_TEST

START_TEST(a_stop_sends_what_is_in_rings_and_batches)
{
	start("all");
	UNTIL(source_attached(t.source));
	for (int i = 0; i < 100; i++)
		relay_connection("mesh.example/ns/shop/sa/web", EVENT_SUCCESS);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(loop_run(t.loop), TULLE_OK); /* ends by itself */
	ck_assert_uint_eq(collector.logs, 100);
	ck_assert(pipeline_empty(t.pipeline));
	check_books();
	finish();
}
END_TEST

START_TEST(a_stop_with_a_dead_collector_takes_five_seconds_at_most)
{
	uint64_t begin;

	start("all");
	collector.status = 503;
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/web", EVENT_SUCCESS);
	begin = clock_mono_ms();
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(loop_run(t.loop), TULLE_OK);
	ck_assert_uint_ge(clock_mono_ms() - begin, 4500);
	ck_assert_uint_le(clock_mono_ms() - begin, 6500);
	check_books();
	finish();
}
END_TEST

START_TEST(a_bad_file_changes_nothing_and_a_good_one_does)
{
	start("all");
	UNTIL(source_attached(t.source));
	write_settings("everything", "logLevel: error\n");
	log_set_threshold(LOG_LVL_ERROR + 1); /* what it has to say is meant for people */
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(loop_tick(t.loop, 100), TULLE_OK);
	ck_assert_int_eq(t.settings->access, LEVEL_ALL);
	relay_connection("mesh.example/ns/shop/sa/web", EVENT_SUCCESS);
	UNTIL(collector.logs == 1);
	write_settings("off", "logLevel: error\n");
	ck_assert_int_eq(raise(SIGHUP), 0);
	UNTIL(t.settings->access == LEVEL_OFF);
	ck_assert_uint_eq(delivered(SIGNAL_LOGS), 1); /* the sender was kept */
	finish();
}
END_TEST

/* Sends <command> to the control socket; the line that comes back. */
static const char *
control(const char *command)
{
	static char answer[64 * 1024];
	size_t n = 0;
	int fd = -1;

	ck_assert_int_eq(sock_connect_unix(&fd, paths_run("telemetryd.sock")), TULLE_OK);
	ck_assert_int_eq(write(fd, command, strlen(command)), (ssize_t)strlen(command));
	while (n == 0 || answer[n - 1] != '\n') {
		ssize_t got;

		ck_assert_int_eq(loop_tick(t.loop, 20), TULLE_OK);
		got = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT);
		ck_assert(got > 0 || (got == -1 && errno == EAGAIN));
		n += got > 0 ? (size_t)got : 0;
	}
	answer[n] = '\0';
	(void)close(fd);
	return answer;
}

START_TEST(a_reload_tells_who_asked_everything_that_is_wrong)
{
	const char *said;

	start("all");
	log_set_threshold(LOG_LVL_ERROR + 1);
	write_settings("everything", "logLevel: loud\nusers: {telemetryd: [\"a\"]}\n");
	said = control("{\"command\":\"reload\"}\n");
	ck_assert_ptr_nonnull(strstr(said, "\"ok\":false"));
	ck_assert_msg(strstr(said, "telemetry.access") != NULL && strstr(said, "logLevel") != NULL &&
	        strstr(said, "users.telemetryd") != NULL && strstr(said, "\\n\"") == NULL,
	    "%s", said);
	write_settings("off", "logLevel: error\n");
	ck_assert_ptr_nonnull(strstr(control("{\"command\":\"reload\"}\n"), "\"warnings\":\"\""));
	ck_assert_int_eq(t.settings->access, LEVEL_OFF);
	finish();
}
END_TEST

static struct {
	unsigned int status;
	char type[128];
	char body[256 * 1024];
} scraped;

static void
scrape_done(void *arg, enum tulle_err e, const struct http_response *r)
{
	const struct http1_field *type;

	(void)arg;
	ck_assert_int_eq(e, TULLE_OK);
	scraped.status = r->status;
	type = http1_find(r->head, "content-type");
	(void)snprintf(scraped.type, sizeof(scraped.type), "%.*s", (int)type->value.n, type->value.p);
	ck_assert_uint_lt(r->len, sizeof(scraped.body));
	memcpy(scraped.body, r->body, r->len);
	scraped.body[r->len] = '\0';
}

static void
scrape(const char *path, const char *accept)
{
	struct http_client *client = NULL;
	struct http_url url;
	const char *why;
	char text[64];
	const struct http1_field field = { .name = HTTP1_TEXT("accept"), .value = { accept, strlen(accept) } };

	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%u", t.settings->scrape.at.port);
	ck_assert_int_eq(http_url_parse(&url, text, &why), TULLE_OK);
	ck_assert_int_eq(http_client_new(&client, t.loop, &url, NULL), TULLE_OK);
	scraped.status = 0;
	ck_assert_int_eq(http_client_send(client,
	                     &(struct http_request){ .method = "GET", .path = path, .fields = &field, .n = 1 },
	                     scrape_done, NULL),
	    TULLE_OK);
	UNTIL(scraped.status != 0);
	http_client_free(client);
}

START_TEST(scrapes_are_answered_in_the_format_that_was_asked_for)
{
	start("all");
	scrape("/readyz", "*/*");
	ck_assert(scraped.status == 503 || scraped.status == 200);
	UNTIL(source_attached(t.source));
	scrape("/readyz", "*/*");
	ck_assert_uint_eq(scraped.status, 200);
	scrape("/healthz", "*/*");
	ck_assert_uint_eq(scraped.status, 200);
	relay_connection("mesh.example/ns/shop/sa/web", EVENT_SUCCESS);
	scrape("/metrics", "text/plain");
	ck_assert_str_eq(scraped.type, PROMETHEUS_TYPE);
	ck_assert_ptr_nonnull(strstr(scraped.body,
	    "\ntulle_connection_count_total{direction=\"inbound\",tulle_tls_mode=\"mutual\","
	    "tulle_source_principal=\"mesh.example/ns/shop/sa/web\",tulle_source_namespace=\"shop\","
	    "tulle_source_workload=\"web\",outcome=\"success\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(scraped.body, "\ntulle_process_cpu_time_seconds_total{process_name=\"tulle-telemetryd\"}"));
	ck_assert_ptr_nonnull(strstr(scraped.body, "\ntulle_process_memory_usage_bytes{process_name=\"tulle-telemetryd\"}"));
	scrape("/metrics", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5");
	ck_assert_str_eq(scraped.type, OPENMETRICS_TYPE);
	ck_assert_str_eq(scraped.body + strlen(scraped.body) - 6, "# EOF\n");
	scrape("/nothing", "*/*");
	ck_assert_uint_eq(scraped.status, 404);
	finish();
}
END_TEST

START_TEST(the_status_tells_of_every_stage)
{
	json_t *s;

	start("all");
	UNTIL(source_attached(t.source));
	relay_connection("mesh.example/ns/shop/sa/web", EVENT_SUCCESS);
	UNTIL(delivered(SIGNAL_LOGS) == 1);
	s = telemetryd_status(&t);
	ck_assert_ptr_nonnull(s);
	ck_assert(json_is_true(json_object_get(s, "attached")));
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(s, "events"), "taken")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json_object_get(s, "signals"), "logs"),
	                     "emitted")),
	    1);
	ck_assert_str_eq(json_string_value(json_object_get(
	                     json_object_get(json_object_get(json_array_get(json_object_get(s, "destinations"), 0), "signals"),
	                         "logs"),
	                     "compression")),
	    "zstd");
	json_decref(s);
	finish();
}
END_TEST

UNIT_MAIN("telemetryd", connections_reach_the_collector_as_logs_spans_and_metrics,
    level_errors_logs_only_what_went_wrong, a_relay_that_dies_is_drained_and_its_successor_is_found,
    what_an_orphaned_relay_still_writes_is_not_lost, a_cut_connection_to_the_same_relay_loses_and_doubles_nothing, a_stop_sends_what_is_in_rings_and_batches,
    a_stop_with_a_dead_collector_takes_five_seconds_at_most, a_bad_file_changes_nothing_and_a_good_one_does,
    a_reload_tells_who_asked_everything_that_is_wrong,
    scrapes_are_answered_in_the_format_that_was_asked_for, the_status_tells_of_every_stage)
