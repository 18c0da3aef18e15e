/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle collect - a small receiving end for telemetry, for trying things
 * out: speaks OTLP/HTTP like a collector and prints one line of JSON for
 * each log record, span and metric data point.  It keeps nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/sock.h"
#include "otlp/otlp.h"
#include "proto/otlp.pb-c.h"
#include "verbs.h"

#define BODY_MAX (20u << 20)  /* of a request, before and after decompression: the OpenTelemetry Collector's */
#define LINES_MAX (64u << 20) /* of JSON out of one request */
#define PROTOBUF "application/x-protobuf"

/* Codes of google.rpc.Code that we answer with. */
enum { RPC_INVALID_ARGUMENT = 3, RPC_RESOURCE_EXHAUSTED = 8, RPC_UNIMPLEMENTED = 12, RPC_UNAVAILABLE = 14 };

static const char usage_text[] =
    "Usage: tulle collect [--listen ADDRESS:PORT] [--out FILE]\n"
    "\n"
    "Receives OTLP over HTTP (protobuf, plain or zstd) and prints one line of JSON for\n"
    "each log record, span and metric data point, until it gets SIGTERM or SIGINT.\n"
    "For trying things out; for production use an OpenTelemetry Collector.\n"
    "\n"
    "  --listen ADDRESS:PORT  where to receive; 127.0.0.1:4318 unless said otherwise\n"
    "  --out FILE             append the lines to FILE instead of printing them\n"
    "  --root DIR, --json     accepted as everywhere; they change nothing here\n"
    "  --help\n";

struct collect {
	struct loop *loop;          /* owned */
	struct http_server *server; /* owned */
	int out;                    /* where lines go; standard output is lent */
	uint64_t batches;
	uint64_t records;
	uint64_t refused;
};

/* ---- answers ----------------------------------------------------------------- */

/* A google.rpc.Status, as collectors do. */
static void
refuse(struct collect *c, struct http_exchange *x, unsigned int status, int code, const char *text)
{
	/* RFC 9110 12.5.3: what would have been understood. */
	const struct http1_field accept = { .name = HTTP1_TEXT("Accept-Encoding"), .value = HTTP1_TEXT("zstd, identity") };
	Otlp__RpcStatus s = OTLP__RPC_STATUS__INIT;
	uint8_t body[512];
	char message[200];

	c->refused++;
	log_warn("batch refused", LF_UINT("status", status), LF_STR("reason", text));
	(void)snprintf(message, sizeof(message), "%s", text);
	s.has_code = true;
	s.code = code;
	s.message = message;
	http_reply_with(x, status, PROTOBUF, &accept, status == 415 ? 1 : 0, body, otlp__rpc_status__pack(&s, body));
}

/* The answer to a failure to read the body. */
static void
refuse_error(struct collect *c, struct http_exchange *x, enum tulle_err e, const char *wrong, const char *large)
{
	if (e == TULLE_ELIMIT)
		refuse(c, x, 413, RPC_RESOURCE_EXHAUSTED, large);
	else if (e == TULLE_ENOMEM)
		refuse(c, x, 503, RPC_UNAVAILABLE, "out of memory");
	else
		refuse(c, x, 400, RPC_INVALID_ARGUMENT, wrong);
}

/* ---- requests ------------------------------------------------------------------ */

/* Is the media type of the request <type>, whatever parameters follow? */
static bool
is_type(const struct http1_head *h, const char *type)
{
	const struct http1_field *f = http1_find(h, "content-type");
	struct http1_text t;

	if (f == NULL)
		return false;
	t = f->value;
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] == ';')
			t.n = i;
	while (t.n > 0 && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return http1_text_is_nocase(t, type);
}

enum encoding { ENC_IDENTITY, ENC_ZSTD, ENC_OTHER };

static enum encoding
encoding_of(const struct http1_head *h)
{
	enum encoding e = ENC_IDENTITY;
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (!http1_text_is_nocase(h->fields[i].name, "content-encoding"))
			continue;
		if (++n > 1)
			return ENC_OTHER; /* one on top of the other */
		e = http1_text_is_nocase(h->fields[i].value, "zstd")       ? ENC_ZSTD
		    : http1_text_is_nocase(h->fields[i].value, "identity") ? ENC_IDENTITY
									    : ENC_OTHER;
	}
	return e;
}

/* The body as protobuf: *ret_p lies in the request or in <raw>. */
static bool
decode_body(struct collect *c, struct http_exchange *x, struct buf *raw, struct otlp_batch *batch, const uint8_t **ret_p)
{
	enum encoding enc = encoding_of(http_exchange_head(x));
	const uint8_t *body = http_exchange_body(x, &batch->wire);
	enum tulle_err e;

	if (!is_type(http_exchange_head(x), PROTOBUF)) {
		refuse(c, x, 415, RPC_INVALID_ARGUMENT, "Content-Type must be " PROTOBUF);
		return false;
	}
	if (enc == ENC_OTHER) {
		refuse(c, x, 415, RPC_UNIMPLEMENTED, "Content-Encoding must be zstd or identity");
		return false;
	}
	batch->encoding = enc == ENC_ZSTD ? "zstd" : "identity";
	if (enc == ENC_IDENTITY) {
		batch->raw = batch->wire;
		*ret_p = body;
		return true;
	}
	e = otlp_inflate(raw, body, batch->wire);
	if (e != TULLE_OK) {
		refuse_error(c, x, e, "the body is not zstd", "the decompressed body is too large");
		return false;
	}
	batch->raw = buf_len(raw);
	*ret_p = batch->raw > 0 ? buf_head(raw) : body; /* an empty buffer has no memory to point to */
	return true;
}

static void
write_lines(struct collect *c, struct http_exchange *x, struct buf *lines, size_t records)
{
	if (buf_len(lines) > 0 && file_write_all(c->out, buf_head(lines), buf_len(lines)) != TULLE_OK) {
		if (errno == EPIPE)
			loop_stop(c->loop); /* nobody reads them any more */
		log_error("cannot write the lines", LF_ERRNO);
		refuse(c, x, 503, RPC_UNAVAILABLE, "the records could not be written");
		return;
	}
	c->batches++;
	c->records += records;
	http_reply(x, 200, PROTOBUF, NULL, 0); /* an Export...Response with nothing to complain about */
}

static void
take_batch(struct collect *c, struct http_exchange *x, enum otlp_signal signal)
{
	struct buf raw = buf_new(BODY_MAX), lines = buf_new(LINES_MAX);
	struct otlp_batch batch;
	const uint8_t *p;
	size_t records = 0;
	enum tulle_err e;

	if (decode_body(c, x, &raw, &batch, &p)) {
		e = otlp_to_json(&lines, signal, p, batch.raw, &batch, &records);
		if (e != TULLE_OK)
			refuse_error(c, x, e, "the body is not an OTLP request of this signal", "the records are too large");
		else
			write_lines(c, x, &lines, records);
	}
	buf_free(&raw);
	buf_free(&lines);
}

static void
take_traces(void *arg, struct http_exchange *x)
{
	take_batch(arg, x, OTLP_TRACES);
}

static void
take_metrics(void *arg, struct http_exchange *x)
{
	take_batch(arg, x, OTLP_METRICS);
}

static void
take_logs(void *arg, struct http_exchange *x)
{
	take_batch(arg, x, OTLP_LOGS);
}

static const struct http_route routes[] = {
	{ "POST", "/v1/traces", take_traces },
	{ "POST", "/v1/metrics", take_metrics },
	{ "POST", "/v1/logs", take_logs },
	{ NULL, NULL, NULL },
};

/* ---- the verb -------------------------------------------------------------------- */

static void
on_stop(void *arg, int signo)
{
	(void)signo;
	loop_stop(((struct collect *)arg)->loop);
}

static int
serve(struct collect *c, const struct addr *at)
{
	const struct http_server_options o = { .body_max = BODY_MAX };
	struct addr bound = *at;
	char text[ADDR_TEXT];
	int AUTO_FD fd = -1;
	enum tulle_err e;

	e = sock_listen(&fd, at, 64, false);
	if (e != TULLE_OK) {
		(void)fprintf(stderr, "tulle collect: cannot listen on %s: %s\n", addr_format(at, text), strerror(errno));
		return EXIT_FAILURE;
	}
	(void)sock_local(fd, &bound);
	e = http_server_new(&c->server, c->loop, routes, c, &o);
	if (e == TULLE_OK)
		e = http_server_listen(c->server, fd);
	if (e == TULLE_OK) {
		(void)fd_take(&fd);
		e = loop_on_signal(c->loop, SIGTERM, on_stop, c);
	}
	if (e == TULLE_OK)
		e = loop_on_signal(c->loop, SIGINT, on_stop, c);
	if (e == TULLE_OK) {
		log_notice("receiving OTLP", LF_STR("address", addr_format(&bound, text)));
		e = loop_run(c->loop);
	}
	if (e != TULLE_OK) {
		(void)fprintf(stderr, "tulle collect: %s\n", tulle_strerror(e));
		return EXIT_FAILURE;
	}
	log_notice("stopped", LF_UINT("batches", c->batches), LF_UINT("records", c->records),
	    LF_UINT("refused", c->refused));
	return EXIT_SUCCESS;
}

static int
run(const struct addr *at, const char *path)
{
	struct collect c = { .out = STDOUT_FILENO };
	int AUTO_FD file = -1;
	int status = EXIT_FAILURE;

	if (path != NULL) {
		file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (file == -1) {
			(void)fprintf(stderr, "tulle collect: cannot open %s: %s\n", path, strerror(errno));
			return EXIT_FAILURE;
		}
		c.out = file;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (loop_new(&c.loop) == TULLE_OK)
		status = serve(&c, at);
	c.server = http_server_free(c.server);
	c.loop = loop_free(c.loop);
	return status;
}

int
collect_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "out", required_argument, NULL, 'o' },
		{ "root", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *listen = "127.0.0.1:4318", *out = NULL;
	struct addr at;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			listen = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 'r': /* of no use here, but all verbs know them */
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]);
	if (addr_parse(&at, listen) != TULLE_OK) {
		(void)fprintf(stderr, "tulle collect: --listen: '%s' is not ADDRESS:PORT, like 127.0.0.1:4318 or [::1]:4318\n",
		    listen);
		return 2;
	}
	return run(&at, out);
}
