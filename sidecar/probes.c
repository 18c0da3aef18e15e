/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "probes.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"

#define PREFIX "/app-health/"
#define TIMEOUT_MAX_SEC 300

static void __attribute__((format(printf, 2, 3)))
say(char why[PROBES_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, PROBES_WHY, fmt, ap);
	va_end(ap);
}

/* An expression, so that analysers see that it is never TULLE_OK. */
#define complain(...) (say(__VA_ARGS__), TULLE_EINVAL)

/* Text that may stand in a line of a request: printable, no spaces. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static bool
is_value(const char *s)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static bool
is_token(const char *s)
{
	return *s != '\0' && strspn(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == strlen(s);
}

static enum tulle_err
copy(char **ret, const char *s)
{
	char *c = strdup(s);

	if (c == NULL)
		return TULLE_ENOMEM;
	*ret = c;
	return TULLE_OK;
}

/* A field of text; <otherwise> (may be NULL: left alone) if it is not there. */
static enum tulle_err
read_text(char **ret, const json_t *o, const char *field, const char *otherwise, const struct probe *p, char why[PROBES_WHY])
{
	const json_t *v = json_object_get(o, field);

	if (v == NULL || json_is_null(v))
		return otherwise != NULL ? copy(ret, otherwise) : TULLE_OK;
	if (!json_is_string(v) || !is_plain(json_string_value(v)))
		return complain(why, "%s: %s must be text without spaces", p->at, field);
	return copy(ret, json_string_value(v));
}

static enum tulle_err
read_port(struct probe *p, const json_t *o, char why[PROBES_WHY])
{
	const json_t *v = json_object_get(o, "port");

	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 65535)
		return complain(why, "%s: port must be a number from 1 to 65535%s", p->at,
		    json_is_string(v) ? "; the name of a port is looked up by who writes this table" : "");
	p->port = (uint16_t)json_integer_value(v);
	return TULLE_OK;
}

static enum tulle_err
read_header(struct probe *p, const json_t *o, char why[PROBES_WHY])
{
	const char *name = json_string_value(json_object_get(o, "name")), *value = json_string_value(json_object_get(o, "value"));
	struct probe_header *h = &p->headers[p->headers_n];
	enum tulle_err e;

	if (name == NULL || !is_token(name))
		return complain(why, "%s: httpHeaders: name must be the name of a header field", p->at);
	if (value == NULL || !is_value(value))
		return complain(why, "%s: httpHeaders: value must be text on one line", p->at);
	p->headers_n++;
	e = copy(&h->name, name);
	return e == TULLE_OK ? copy(&h->value, value) : e;
}

static enum tulle_err
read_http(struct probe *p, const json_t *o, char why[PROBES_WHY])
{
	const json_t *scheme = json_object_get(o, "scheme"), *headers = json_object_get(o, "httpHeaders");
	enum tulle_err e = read_text(&p->path, o, "path", "/", p, why);

	if (e == TULLE_OK && p->path != NULL && *p->path != '/') { /* as kubelet does */
		char *path = NULL;

		if (asprintf(&path, "/%s", p->path) == -1)
			return TULLE_ENOMEM;
		free(p->path);
		p->path = path;
	}
	if (e == TULLE_OK)
		e = read_text(&p->host, o, "host", NULL, p, why);
	if (e != TULLE_OK)
		return e;
	if (scheme != NULL) {
		const char *s = json_string_value(scheme);

		p->tls = s != NULL && strcasecmp(s, "HTTPS") == 0;
		if (s == NULL || (!p->tls && strcasecmp(s, "HTTP") != 0))
			return complain(why, "%s: scheme must be HTTP or HTTPS", p->at);
	}
	if (headers != NULL && (!json_is_array(headers) || json_array_size(headers) > PROBE_HEADERS))
		return complain(why, "%s: httpHeaders must be a list of at most %d", p->at, PROBE_HEADERS);
	for (size_t i = 0; e == TULLE_OK && i < json_array_size(headers); i++)
		e = read_header(p, json_array_get(headers, i), why);
	return e;
}

static enum tulle_err
read_timeout(struct probe *p, const json_t *o, char why[PROBES_WHY])
{
	const json_t *v = json_object_get(o, "timeoutSeconds");

	p->timeout_ms = 1000;
	if (v == NULL || json_is_null(v))
		return TULLE_OK;
	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > TIMEOUT_MAX_SEC)
		return complain(why, "%s: timeoutSeconds must be a number from 1 to %d", p->at, TIMEOUT_MAX_SEC);
	p->timeout_ms = (uint64_t)json_integer_value(v) * 1000;
	return TULLE_OK;
}

static enum tulle_err
read_probe(struct probe *p, const char *at, const json_t *o, char why[PROBES_WHY])
{
	const json_t *http = json_object_get(o, "httpGet"), *tcp = json_object_get(o, "tcpSocket"), *grpc = json_object_get(o, "grpc");
	const json_t *what = http != NULL ? http : tcp != NULL ? tcp : grpc;
	struct addr a;
	enum tulle_err e;

	if (strncmp(at, PREFIX, strlen(PREFIX)) != 0 || !is_plain(at) || strpbrk(at, "?#") != NULL)
		return complain(why, "a key of the table must be a path such as \"" PREFIX "CONTAINER/livez\"");
	e = copy(&p->at, at);
	if (e != TULLE_OK)
		return e;
	if ((http != NULL) + (tcp != NULL) + (grpc != NULL) != 1 || !json_is_object(what))
		return complain(why, "%.200s: one of httpGet, tcpSocket and grpc is needed, with its fields", at);
	e = read_port(p, what, why);
	if (e == TULLE_OK)
		e = read_timeout(p, o, why);
	if (e != TULLE_OK)
		return e;
	p->kind = http != NULL ? PROBE_HTTP : tcp != NULL ? PROBE_TCP : PROBE_GRPC;
	if (http != NULL)
		return read_http(p, what, why);
	if (grpc != NULL) {
		e = read_text(&p->service, what, "service", "", p, why);
		if (e == TULLE_OK && p->service != NULL && strlen(p->service) > PROBE_SERVICE_MAX)
			return complain(why, "%s: service is longer than %d bytes", p->at, PROBE_SERVICE_MAX);
		return e;
	}
	e = read_text(&p->host, what, "host", NULL, p, why);
	if (e == TULLE_OK && p->host != NULL && addr_parse_ip(&a, p->host) != TULLE_OK)
		return complain(why, "%s: host must be an IP address, or not there: the pod's own", p->at);
	return e;
}

enum tulle_err
probes_parse(struct probes *ret, const char *text, char why[PROBES_WHY])
{
	struct probes probes = { 0 };
	json_error_t error;
	json_t *table;
	const char *at;
	json_t *o;
	enum tulle_err e = TULLE_OK;

	if (text == NULL || *text == '\0') {
		*ret = probes;
		return TULLE_OK;
	}
	if (strlen(text) > PROBES_TEXT_MAX)
		return complain(why, "the table is longer than %u bytes", PROBES_TEXT_MAX);
	table = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (table == NULL)
		return complain(why, "not JSON: %s at character %d", error.text, error.position);
	if (!json_is_object(table) || json_object_size(table) > PROBES_MAX)
		e = complain(why, "an object of at most %d probes is needed", PROBES_MAX);
	else if ((probes.items = calloc(json_object_size(table) + 1, sizeof(*probes.items))) == NULL)
		e = TULLE_ENOMEM;
	if (e == TULLE_OK)
		json_object_foreach (table, at, o) {
			e = read_probe(&probes.items[probes.n++], at, o, why);
			if (e != TULLE_OK)
				break;
		}
	json_decref(table);
	if (e != TULLE_OK) {
		probes_free(&probes);
		return e;
	}
	*ret = probes;
	return TULLE_OK;
}

void
probes_free(struct probes *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct probe *q = &p->items[i];

		for (size_t k = 0; k < q->headers_n; k++) {
			free(q->headers[k].name);
			free(q->headers[k].value);
		}
		free(q->at);
		free(q->host);
		free(q->path);
		free(q->service);
	}
	free(p->items);
	*p = (struct probes){ 0 };
}
