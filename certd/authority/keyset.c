/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/keyset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "authority/download.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"

#define REFRESH_MS 300000 /* how often a URL is asked without a reason */
#define RETRY_MS 10000    /* after a failure, and at most so often for keys that are missed */

struct keyset {
	struct loop *loop; /* lent */
	char *issuer, *jwks, *ca, *token_file; /* owned; the last two may be NULL */
	struct jwks *keys; /* owned; NULL: none yet */
	struct stat seen;  /* of the file when it was read last */
	char error[JWT_WHY + 64]; /* why the last reading failed; "" if it did not */

	/* From a URL only. */
	char *copy;        /* owned: the file with what was good last; NULL: the keys are in a file anyway */
	struct download *download; /* under way */
	struct timer timer;
	uint64_t asked;    /* loop_now() of the last download; 0: none yet */
	int64_t fetched;   /* seconds since the epoch: of the last good answer; 0: none in this life */
};

/* ---- taking keys ---- */

/* Good ones replace what is there, others do not.  Were they good? */
static bool
take(struct keyset *s, const char *text, size_t len)
{
	struct jwks *fresh = NULL;
	char why[JWT_WHY] = "";
	enum tulle_err e = jwks_parse(&fresh, text, len, why);

	if (e) {
		(void)snprintf(s->error, sizeof(s->error), "%s", why[0] != '\0' ? why : tulle_strerror(e));
		log_error("the keys of an issuer cannot be used: what was known before stays", LF_STR("issuer", s->issuer),
		    LF_STR("jwks", s->jwks), LF_STR("reason", s->error));
		return false;
	}
	jwks_free(s->keys);
	s->keys = fresh;
	s->error[0] = '\0';
	LOG_AT(s->copy == NULL || s->fetched == 0 ? LOG_LVL_NOTICE : LOG_LVL_DEBUG, "keys of an issuer", LF_STR("issuer", s->issuer),
	    LF_STR("jwks", s->jwks), LF_UINT("keys", jwks_usable(fresh)), LF_UINT("left_out", jwks_left_out(fresh)));
	return true;
}

/* ---- from a file ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
not_read(struct keyset *s, const char *why)
{
	if (strcmp(s->error, why) == 0)
		return; /* said already */
	(void)snprintf(s->error, sizeof(s->error), "%s", why);
	log_error("the keys of an issuer cannot be read: what was known before stays", LF_STR("issuer", s->issuer),
	    LF_STR("jwks", s->jwks), LF_STR("reason", why));
}

/* Looks at the file, and reads it if it is another one than before. */
static void
look_at_file(struct keyset *s)
{
	struct stat st;
	char *text;
	size_t len;
	enum tulle_err e;

	if (stat(s->jwks, &st) == -1) {
		not_read(s, log_errno_text(errno));
		s->seen = (struct stat){ 0 };
		return;
	}
	if (same_file(&st, &s->seen))
		return;
	e = file_read(s->jwks, JWKS_BYTES_MAX, &text, &len);
	if (e) {
		not_read(s, e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return;
	}
	s->seen = st;
	(void)take(s, text, len);
	free(text);
}

/* ---- from a URL ---- */

static void ask(struct keyset *s);

static void
due(struct timer *t)
{
	ask(CONTAINER_OF(t, struct keyset, timer));
}

static void
ask_in(struct keyset *s, uint64_t ms)
{
	timer_set(s->loop, &s->timer, ms, due);
}

static void
downloaded(void *arg, const char *error, const char *text, size_t len)
{
	struct keyset *s = arg;
	bool good = false;

	if (error != NULL)
		not_read(s, error);
	else
		good = take(s, text, len);
	if (good) {
		s->fetched = clock_wall_sec();
		if (file_replace(s->copy, text, len, 0600) != TULLE_OK)
			log_warn("the keys of an issuer could not be saved: a restart while it is away will have none",
			    LF_STR("issuer", s->issuer), LF_STR("file", s->copy), LF_ERRNO);
	}
	s->download = download_free(s->download); /* and with it <text> */
	ask_in(s, good ? REFRESH_MS : RETRY_MS);
}

static void
ask(struct keyset *s)
{
	char why[DOWNLOAD_WHY] = "";
	enum tulle_err e;

	if (s->download != NULL)
		return;
	s->asked = loop_now(s->loop) + 1;
	e = download_start(&s->download, s->loop,
	    &(struct download_order){ .url = s->jwks, .ca_file = s->ca, .token_file = s->token_file, .max = JWKS_BYTES_MAX },
	    downloaded, s, why);
	if (e) {
		not_read(s, why[0] != '\0' ? why : tulle_strerror(e));
		ask_in(s, RETRY_MS);
	}
}

/* What was good the last time: the cluster may be away when this host starts. */
static enum tulle_err
begin_url(struct keyset *s, const char *dir)
{
	uint8_t hash[CRYPT_HASH];
	char hex[2 * CRYPT_HASH + 1];
	char *text;
	size_t len;
	enum tulle_err e = crypt_hash(hash, s->issuer, strlen(s->issuer));

	if (e)
		return e;
	if (asprintf(&s->copy, "%s/jwks-%.16s.json", dir, text_hex(hash, sizeof(hash), hex)) == -1) {
		s->copy = NULL;
		return TULLE_ENOMEM;
	}
	if (file_read(s->copy, JWKS_BYTES_MAX, &text, &len) == TULLE_OK) {
		(void)take(s, text, len);
		free(text);
	}
	ask_in(s, 1);
	return TULLE_OK;
}

/* ---- all ---- */

static bool
copy_text(char **ret, const char *text)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL;
}

enum tulle_err
keyset_new(struct keyset **ret, struct loop *l, const char *dir, const struct kubernetes_issuer *k)
{
	struct keyset *s = calloc(1, sizeof(*s));
	enum tulle_err e = TULLE_OK;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	if (!copy_text(&s->issuer, k->issuer) || !copy_text(&s->jwks, k->jwks) || !copy_text(&s->ca, k->jwks_ca) ||
	    !copy_text(&s->token_file, k->jwks_token_file) || s->issuer == NULL || s->jwks == NULL)
		e = TULLE_ENOMEM;
	else if (s->jwks[0] != '/')
		e = begin_url(s, dir);
	else
		look_at_file(s);
	if (e) {
		keyset_free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct keyset *
keyset_free(struct keyset *s)
{
	if (s == NULL)
		return NULL;
	timer_clear(s->loop, &s->timer);
	download_free(s->download);
	jwks_free(s->keys);
	free(s->issuer);
	free(s->jwks);
	free(s->ca);
	free(s->token_file);
	free(s->copy);
	free(s);
	return NULL;
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
keyset_is(const struct keyset *s, const struct kubernetes_issuer *k)
{
	return same(s->issuer, k->issuer) && same(s->jwks, k->jwks) && same(s->ca, k->jwks_ca) &&
	    same(s->token_file, k->jwks_token_file);
}

const struct jwks *
keyset_keys(struct keyset *s)
{
	if (s->copy == NULL)
		look_at_file(s);
	return s->keys;
}

bool
keyset_missed(struct keyset *s)
{
	if (s->copy == NULL)
		return false;
	if (s->download == NULL && (s->asked == 0 || loop_now(s->loop) >= s->asked + RETRY_MS))
		ask_in(s, 1);
	else if (s->download == NULL)
		return false; /* they have just been asked for */
	return true;
}

json_t *
keyset_status(const struct keyset *s)
{
	return json_pack("{ss ss sI sI ss sI}", "issuer", s->issuer, "jwks", s->jwks, "keys",
	    (json_int_t)(s->keys != NULL ? jwks_usable(s->keys) : 0), "left_out",
	    (json_int_t)(s->keys != NULL ? jwks_left_out(s->keys) : 0), "error", s->error, "fetched", (json_int_t)s->fetched);
}
