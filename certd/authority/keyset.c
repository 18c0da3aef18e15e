/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/keyset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

struct keyset {
	struct loop *loop; /* lent */
	const char *dir;   /* lent */
	char *issuer, *jwks; /* owned */
	struct jwks *keys; /* owned; NULL: none yet */
	struct stat seen;  /* of the file when it was read last */
	char error[JWT_WHY + 64]; /* why the last reading failed; "" if it did not */
};

/* ---- taking keys ---- */

/* Good ones replace what is there, others do not. */
static void
take(struct keyset *s, const char *text, size_t len)
{
	struct jwks *fresh = NULL;
	char why[JWT_WHY] = "";
	enum tulle_err e = jwks_parse(&fresh, text, len, why);

	if (e) {
		(void)snprintf(s->error, sizeof(s->error), "%s", why[0] != '\0' ? why : tulle_strerror(e));
		log_error("the keys of an issuer cannot be used: what was known before stays", LF_STR("issuer", s->issuer),
		    LF_STR("jwks", s->jwks), LF_STR("reason", s->error));
		return;
	}
	jwks_free(s->keys);
	s->keys = fresh;
	s->error[0] = '\0';
	log_notice("keys of an issuer", LF_STR("issuer", s->issuer), LF_STR("jwks", s->jwks), LF_UINT("keys", jwks_usable(fresh)),
	    LF_UINT("left_out", jwks_left_out(fresh)));
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
	char AUTO_FREE *text = NULL;
	struct stat st;
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
	take(s, text, len);
}

/* ---- all ---- */

enum tulle_err
keyset_new(struct keyset **ret, struct loop *l, const char *dir, const struct kubernetes_issuer *k)
{
	struct keyset *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->dir = dir;
	s->issuer = strdup(k->issuer);
	s->jwks = strdup(k->jwks);
	if (s->issuer == NULL || s->jwks == NULL) {
		keyset_free(s);
		return TULLE_ENOMEM;
	}
	look_at_file(s);
	*ret = s;
	return TULLE_OK;
}

struct keyset *
keyset_free(struct keyset *s)
{
	if (s == NULL)
		return NULL;
	jwks_free(s->keys);
	free(s->issuer);
	free(s->jwks);
	free(s);
	return NULL;
}

bool
keyset_is(const struct keyset *s, const struct kubernetes_issuer *k)
{
	return strcmp(s->issuer, k->issuer) == 0 && strcmp(s->jwks, k->jwks) == 0;
}

const struct jwks *
keyset_keys(struct keyset *s)
{
	look_at_file(s);
	return s->keys;
}

bool
keyset_missed(struct keyset *s)
{
	(void)s;
	return false;
}

json_t *
keyset_status(const struct keyset *s)
{
	return json_pack("{ss ss sI sI ss}", "issuer", s->issuer, "jwks", s->jwks, "keys",
	    (json_int_t)(s->keys != NULL ? jwks_usable(s->keys) : 0), "left_out",
	    (json_int_t)(s->keys != NULL ? jwks_left_out(s->keys) : 0), "error", s->error);
}
