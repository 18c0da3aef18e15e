/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mesh.h - manifests as texts in a test, loaded into a snapshot. */
#ifndef TULLE_TESTS_MESH_H
#define TULLE_TESTS_MESH_H

#include <check.h>
#include <string.h>

#include "manifest/snapshot.h"

/* The host of these tests lives at 10.0.0.1 and fd00::1. */
static inline enum tulle_err
mesh_load_from(struct snapshot **ret, const char *text, const struct snapshot *previous, struct problems *problems)
{
	const struct manifest_file file = { "mesh.yaml", text, strlen(text) };
	struct snapshot_input in = { .files = &file, .n_files = 1, .previous = previous, .generation = 7 };
	struct host_config *host = NULL;
	struct addr local[2];
	enum tulle_err e;

	ck_assert_int_eq(host_config_parse(&host, "tulle.yaml", "", 0, problems), TULLE_OK);
	ck_assert_int_eq(addr_parse_ip(&local[0], "10.0.0.1"), TULLE_OK);
	ck_assert_int_eq(addr_parse_ip(&local[1], "fd00::1"), TULLE_OK);
	in.local = local;
	in.n_local = 2;
	in.host = host;
	e = snapshot_load(ret, &in, problems);
	host_config_free(host);
	return e;
}

static inline enum tulle_err
mesh_load(struct snapshot **ret, const char *text, struct problems *problems)
{
	return mesh_load_from(ret, text, NULL, problems);
}

/* A snapshot of <text>, which must be good and free of warnings. */
static inline struct snapshot *
mesh(const char *text)
{
	struct snapshot *s = NULL;
	struct problems p;
	enum tulle_err e;

	problems_init(&p);
	e = mesh_load(&s, text, &p);
	ck_assert_msg(p.n == 0, "%s", p.n > 0 ? p.list[0].line : "");
	ck_assert_int_eq(e, TULLE_OK);
	problems_free(&p);
	return s;
}

/* The only problem of loading <text> is <line>. */
static inline void
mesh_says(const char *text, const char *line, bool warning)
{
	struct snapshot *s = NULL;
	struct problems p;
	enum tulle_err e;

	problems_init(&p);
	e = mesh_load(&s, text, &p);
	ck_assert_uint_ge(p.n, 1);
	ck_assert_str_eq(p.list[0].line, line);
	ck_assert_uint_eq(p.n, 1);
	ck_assert(p.list[0].warning == warning);
	ck_assert_int_eq(e, warning ? TULLE_OK : TULLE_EINVAL);
	ck_assert_ptr_nonnull(p.list[0].place.file);
	ck_assert(warning == (s != NULL));
	snapshot_unref(s);
	problems_free(&p);
}

static inline struct addr
ip_port(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse(&a, text) == TULLE_OK, "%s", text);
	return a;
}

#endif
