/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fleet_auto.c - a host that joins by itself, with what a file holds: a pod's token, or a join token. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "issue/renew.h"
#include "jwt/jwt.h"
#include "store/crypt.h"

#define AGAIN_MS 5000 /* two with one name would take turns: not faster than this */
#define JOIN_TOKEN "tulle1." /* how one begins; a JSON Web Token begins with {" in base64url */

/* ---- the file ---- */

static bool
is_join_token(const char *text)
{
	return strncmp(text, JOIN_TOKEN, strlen(JOIN_TOKEN)) == 0;
}

/* What is in it now, without white space at its end; the caller's.  NULL: nothing, <why> says what is wrong. */
static char *
read_token(const struct fleet *f, char why[FLEET_WHY])
{
	char *text;
	size_t len;
	enum tulle_err e = file_read(f->self.file, JWT_BYTES_MAX + 64, &text, &len);

	if (e) {
		(void)snprintf(why, FLEET_WHY, "identity.join.tokenFile %.150s: %s", f->self.file,
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return NULL;
	}
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	if (len > 0 && strlen(text) == len)
		return text;
	(void)snprintf(why, FLEET_WHY, "identity.join.tokenFile %.150s: %s", f->self.file,
	    len == 0 ? "it is empty" : "it is not a text");
	free(text);
	return NULL;
}

char *
fleet_auto_jwt(const struct fleet *f)
{
	char why[FLEET_WHY];
	char *text = f->self.host != NULL ? read_token(f, why) : NULL;

	if (text == NULL || !is_join_token(text))
		return text;
	explicit_bzero(text, strlen(text));
	free(text);
	return NULL;
}

/* ---- joining ---- */

static void
failed(struct fleet *f, const char *why)
{
	uint32_t draw = 0;
	int64_t wait;

	(void)crypt_random(&draw, sizeof(draw));
	f->self.failures++;
	wait = renew_retry(f->self.failures, 0, 0, draw);
	f->self.at = fleet_now_ms() + wait;
	(void)snprintf(f->self.failure, sizeof(f->self.failure), "%s", why);
	LOG_AT(renew_worth_saying(f->self.failures) ? LOG_LVL_WARN : LOG_LVL_DEBUG, "this host cannot join yet",
	    LF_STR("reason", why), LF_UINT("failures", f->self.failures), LF_INT("retry_ms", wait));
	fleet_soon(f);
	f->handler->waiting(f->arg, why);
}

static void
done(void *arg, const char *error)
{
	struct fleet *f = arg;

	if (error != NULL) {
		failed(f, error);
		return;
	}
	f->self.failures = 0;
	f->self.failure[0] = '\0';
	f->self.again = false;
	f->self.at = fleet_now_ms() + AGAIN_MS;
}

/* The authority is at <at>: with a token that names another root, nothing is sent. */
static void
join_at(struct fleet *f, const struct addr *at)
{
	const char *why = "", *td = f->self.td[0] != '\0' ? f->self.td : NULL;
	char problem[FLEET_WHY] = "";
	char *text = read_token(f, problem);
	struct token t = { .authority = *at };
	enum tulle_err e;

	if (text == NULL) {
		failed(f, problem);
		return;
	}
	memcpy(t.pin, f->self.pin, sizeof(t.pin));
	if (!is_join_token(text)) {
		e = fleet_join_jwt(f, &t, text, td, done, f);
	} else {
		e = token_parse(&t, text, &why);
		if (e == TULLE_OK && memcmp(t.pin, f->self.pin, sizeof(t.pin)) != 0) {
			e = TULLE_EINVAL;
			why = "it names another root than identity.join.root";
		}
		t.authority = *at;
		if (e == TULLE_OK)
			e = fleet_join(f, &t, td, done, f);
		else
			(void)snprintf(problem, sizeof(problem), "identity.join.tokenFile: not a join token: %s", why);
	}
	explicit_bzero(&t, sizeof(t));
	explicit_bzero(text, strlen(text));
	free(text);
	if (e)
		failed(f, problem[0] != '\0' ? problem : tulle_strerror(e));
}

static void
resolved(void *arg, enum tulle_err e, const struct addr *addrs, size_t n)
{
	struct fleet *f = arg;
	struct addr at = { 0 };
	char why[FLEET_WHY];

	/* One after the other, a failure at a time. */
	if (e == TULLE_OK)
		at = addrs[f->self.failures % n];
	f->self.resolve = resolve_free(f->self.resolve);
	if (e == TULLE_OK) {
		join_at(f, &at);
		return;
	}
	(void)snprintf(why, sizeof(why), "identity.join.address: there is no address of %.150s", f->self.host);
	failed(f, why);
}

bool
fleet_auto_due(const struct fleet *f, int64_t now)
{
	if (f->self.host == NULL || f->joining || f->renewing || f->self.resolve != NULL || now < f->self.at)
		return false;
	return !f->node.joined || f->self.again;
}

void
fleet_auto_start(struct fleet *f)
{
	enum tulle_err e = resolve_start(&f->self.resolve, f->loop, f->self.host, f->self.port, resolved, f);

	if (e)
		failed(f, tulle_strerror(e));
}

void
fleet_auto_again(struct fleet *f)
{
	if (f->self.host == NULL || f->self.again)
		return;
	f->self.again = true;
	fleet_soon(f);
}

/* ---- settings ---- */

void
fleet_auto_clear(struct fleet *f)
{
	f->self.resolve = resolve_free(f->self.resolve);
	free(f->self.host);
	free(f->self.file);
	f->self.host = f->self.file = NULL;
	f->self.again = false;
	f->self.at = 0;
}

/* "HOST:PORT", which has been checked. */
static bool
split(struct fleet *f, const char *address)
{
	const char *colon = strrchr(address, ':');
	const size_t bracket = address[0] == '[';

	if (colon == NULL)
		return false;
	f->self.host = strndup(address + bracket, (size_t)(colon - address) - 2 * bracket);
	f->self.port = (uint16_t)strtoul(colon + 1, NULL, 10);
	return f->self.host != NULL;
}

enum tulle_err
fleet_join_by_itself(struct fleet *f, const struct fleet_auto *a)
{
	fleet_auto_clear(f);
	if (a == NULL)
		return TULLE_OK;
	f->self.file = strdup(a->token_file);
	if (f->self.file == NULL || !split(f, a->address)) {
		fleet_auto_clear(f);
		return TULLE_ENOMEM;
	}
	memcpy(f->self.pin, a->pin, sizeof(f->self.pin));
	(void)snprintf(f->self.td, sizeof(f->self.td), "%s", a->td != NULL ? a->td : "");
	fleet_soon(f);
	return TULLE_OK;
}
