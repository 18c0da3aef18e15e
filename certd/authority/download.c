/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "http/client.h"
#include "http/url.h"
#include "tls/context.h"

#define BEARER "Bearer "
#define TOKEN_MAX 16384
#define TIMEOUT_MS 10000

struct download {
	struct http_client *client; /* owned */
	void (*done)(void *arg, const char *error, const char *text, size_t len);
	void *arg;
};

static void
answered(void *arg, enum tulle_err e, const struct http_response *r)
{
	struct download *d = arg;
	char why[DOWNLOAD_WHY];

	if (e == TULLE_OK && r->status == 200) {
		d->done(d->arg, NULL, (const char *)r->body, r->len);
		return;
	}
	if (e == TULLE_OK)
		(void)snprintf(why, sizeof(why), "the server answers %u, not 200", r->status);
	else
		(void)snprintf(why, sizeof(why), "%s", http_client_error(d->client));
	d->done(d->arg, why, NULL, 0);
}

static enum tulle_err
cannot(char why[DOWNLOAD_WHY], const char *what, const char *file, enum tulle_err e)
{
	if (e != TULLE_ENOMEM)
		(void)snprintf(why, DOWNLOAD_WHY, "%s %.100s: %s", what, file, e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
	return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
}

/* "Bearer ...", the caller's to wipe and free(). */
static enum tulle_err
authorization(char **ret, const char *file, char why[DOWNLOAD_WHY])
{
	char *token, *out = NULL;
	size_t len;
	enum tulle_err e = file_read(file, TOKEN_MAX, &token, &len);

	if (e)
		return cannot(why, "jwksTokenFile", file, e);
	token[strcspn(token, " \t\r\n")] = '\0';
	if (asprintf(&out, BEARER "%s", token) == -1)
		e = TULLE_ENOMEM;
	explicit_bzero(token, len);
	free(token);
	if (e == TULLE_OK)
		*ret = out;
	return e;
}

static enum tulle_err
send_request(struct download *d, const struct http_url *where, const char *bearer, uint64_t timeout_ms)
{
	const struct http1_field fields[] = {
		{ .name = HTTP1_TEXT("user-agent"), .value = HTTP1_TEXT("tulle-certd/" TULLE_VERSION) },
		{ .name = HTTP1_TEXT("accept"), .value = HTTP1_TEXT("application/json, application/jwk-set+json") },
		{ .name = HTTP1_TEXT("authorization"), .value = { bearer, bearer != NULL ? strlen(bearer) : 0 } },
	};

	return http_client_send(d->client,
	    &(struct http_request){ .method = "GET", .path = where->path[0] != '\0' ? "" : "/", .fields = fields,
	        .n = bearer != NULL ? 3 : 2, .timeout_ms = timeout_ms },
	    answered, d);
}

enum tulle_err
download_start(struct download **ret, struct loop *l, const struct download_order *o,
    void (*done)(void *arg, const char *error, const char *text, size_t len), void *arg, char why[DOWNLOAD_WHY])
{
	const uint64_t timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS;
	struct http_client_options options = { .connect_ms = timeout_ms, .response_max = o->max };
	struct download *d = calloc(1, sizeof(*d));
	const char *problem = "";
	char *bearer = NULL;
	struct http_url where;
	enum tulle_err e;

	if (d == NULL)
		return TULLE_ENOMEM;
	d->done = done;
	d->arg = arg;
	e = http_url_parse(&where, o->url, &problem);
	if (e)
		(void)snprintf(why, DOWNLOAD_WHY, "jwks: %s", problem);
	if (e == TULLE_OK && o->token_file != NULL)
		e = authorization(&bearer, o->token_file, why);
	if (e == TULLE_OK && where.tls) {
		e = tls_context_https_client(&options.tls, o->ca_file, NULL);
		if (e)
			e = cannot(why, "jwksCA", o->ca_file != NULL ? o->ca_file : "(the system's)", e);
	}
	if (e == TULLE_OK)
		e = http_client_new(&d->client, l, &where, &options);
	if (e == TULLE_OK)
		e = send_request(d, &where, bearer, timeout_ms);
	tls_context_unref(options.tls);
	if (bearer != NULL)
		explicit_bzero(bearer, strlen(bearer));
	free(bearer);
	if (e) {
		download_free(d);
		return e;
	}
	*ret = d;
	return TULLE_OK;
}

struct download *
download_free(struct download *d)
{
	if (d == NULL)
		return NULL;
	http_client_free(d->client);
	free(d);
	return NULL;
}
