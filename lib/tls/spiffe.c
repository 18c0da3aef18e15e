/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/spiffe.h"

#include <stdio.h>
#include <string.h>

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* What both a trust domain and a path segment may contain besides letters. */
static bool
is_common(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool
spiffe_td_valid(const char *td, size_t len)
{
	if (len == 0 || len > SPIFFE_TD_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower(td[i]) && !is_common(td[i]))
			return false;
	}
	return true;
}

bool
spiffe_segment_valid(const char *s, size_t len)
{
	if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower(s[i]) && !is_upper(s[i]) && !is_common(s[i]))
			return false;
	}
	return true;
}

/* Every segment of a path that starts with a slash. */
static bool
path_valid(const char *path, size_t len)
{
	const char *end = path + len, *slash;

	while (path < end) {
		path++; /* the slash before the segment */
		slash = memchr(path, '/', (size_t)(end - path));
		if (slash == NULL)
			slash = end;
		if (!spiffe_segment_valid(path, (size_t)(slash - path)))
			return false;
		path = slash;
	}
	return true;
}

enum tulle_err
spiffe_parse(struct spiffe_id *ret, const char *text, size_t len)
{
	const char *td, *path, *end = text + len;

	if (len > SPIFFE_ID_MAX || len <= SPIFFE_SCHEME_LEN || memcmp(text, SPIFFE_SCHEME, SPIFFE_SCHEME_LEN) != 0)
		return TULLE_EINVAL;
	td = text + SPIFFE_SCHEME_LEN;
	path = memchr(td, '/', (size_t)(end - td));
	if (path == NULL)
		path = end;
	if (!spiffe_td_valid(td, (size_t)(path - td)) || !path_valid(path, (size_t)(end - path)))
		return TULLE_EINVAL;
	*ret = (struct spiffe_id){
		.text = text,
		.len = len,
		.td = td,
		.td_len = (size_t)(path - td),
		.path = path,
		.path_len = (size_t)(end - path),
	};
	return TULLE_OK;
}

bool
spiffe_account(struct spiffe_account *ret, const struct spiffe_id *id)
{
	const char *ns, *sa, *end = id->path + id->path_len;

	if (id->path_len < 4 || memcmp(id->path, "/ns/", 4) != 0)
		return false;
	ns = id->path + 4;
	sa = memchr(ns, '/', (size_t)(end - ns));
	if (sa == NULL || end - sa < 5 || memcmp(sa, "/sa/", 4) != 0 || memchr(sa + 4, '/', (size_t)(end - sa - 4)) != NULL)
		return false;
	*ret = (struct spiffe_account){
		.ns = ns,
		.ns_len = (size_t)(sa - ns),
		.sa = sa + 4,
		.sa_len = (size_t)(end - sa - 4),
	};
	return true;
}

enum tulle_err
spiffe_build(char *out, size_t size, const char *td, const char *ns, const char *sa)
{
	size_t need = SPIFFE_SCHEME_LEN + strlen(td) + 4 + strlen(ns) + 4 + strlen(sa);

	if (!spiffe_td_valid(td, strlen(td)) || !spiffe_segment_valid(ns, strlen(ns)) ||
	    !spiffe_segment_valid(sa, strlen(sa)))
		return TULLE_EINVAL;
	if (need > SPIFFE_ID_MAX || need >= size)
		return TULLE_ELIMIT;
	(void)snprintf(out, size, SPIFFE_SCHEME "%s/ns/%s/sa/%s", td, ns, sa);
	return TULLE_OK;
}

const char *
spiffe_principal(const char *id)
{
	return strncmp(id, SPIFFE_SCHEME, SPIFFE_SCHEME_LEN) == 0 ? id + SPIFFE_SCHEME_LEN : id;
}

enum tulle_err
spiffe_sni(char out[SPIFFE_SNI], const struct spiffe_id *id)
{
	struct spiffe_account a;

	if (!spiffe_account(&a, id))
		return TULLE_EINVAL;
	if (a.sa_len + 1 + a.ns_len + 4 + id->td_len >= SPIFFE_SNI)
		return TULLE_ELIMIT;
	(void)snprintf(out, SPIFFE_SNI, "%.*s.%.*s.sa.%.*s", (int)a.sa_len, a.sa, (int)a.ns_len, a.ns,
	    (int)id->td_len, id->td);
	return TULLE_OK;
}

bool
spiffe_sni_matches(const struct spiffe_id *id, const char *name, size_t len)
{
	char own[SPIFFE_SNI];

	return spiffe_sni(own, id) == TULLE_OK && strlen(own) == len && memcmp(own, name, len) == 0;
}
