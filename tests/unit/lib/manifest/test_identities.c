/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/identities.h"

#include <string.h>

#include "unit.h"

static void
refused(const char *text, const char *line)
{
	struct identities *ids = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(identities_parse(&ids, "identities.yaml", text, strlen(text), &p), TULLE_EINVAL);
	ck_assert_ptr_null(ids);
	ck_assert_str_eq(p.list[0].line, line);
	problems_free(&p);
}

START_TEST(entries_are_read)
{
	const char *text = "- {serviceAccount: shop/cart, match: {unit: cart.service}, ttl: 1h}\n"
	                   "- serviceAccount: default/web-1\n"
	                   "  match: {uid: 33, unit: nginx.service}\n";
	struct identities *ids = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(identities_parse(&ids, "identities.yaml", text, strlen(text), &p), TULLE_OK);
	ck_assert_uint_eq(ids->n, 2);
	ck_assert_str_eq(ids->items[0].service_account, "shop/cart");
	ck_assert_str_eq(ids->items[0].namespace, "shop");
	ck_assert_str_eq(ids->items[0].account, "cart");
	ck_assert_str_eq(ids->items[0].match.unit, "cart.service");
	ck_assert_ptr_null(ids->items[0].match.uid);
	ck_assert_uint_eq(ids->items[0].ttl_ms, 3600 * 1000);
	ck_assert_str_eq(ids->items[1].match.uid, "33");
	ck_assert_str_eq(ids->items[1].match.unit, "nginx.service");
	ck_assert_uint_eq(ids->items[1].ttl_ms, 0);
	ck_assert_uint_eq(ids->items[1].place.line, 2);
	ck_assert_str_eq(ids->items[1].place.file, "identities.yaml");
	identities_free(ids);
	problems_free(&p);
}
END_TEST

/* Where entries of pods stood among the others they would fit every process. */
START_TEST(sockets_of_pods_are_apart)
{
	const char *text = "- {serviceAccount: shop/db, match: {socket: d1}}\n"
	                   "- {serviceAccount: shop/cart, match: {uid: 1}}\n";
	struct identities *ids = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(identities_parse(&ids, "identities.yaml", text, strlen(text), &p), TULLE_OK);
	ck_assert_uint_eq(ids->n, 1);
	ck_assert_str_eq(ids->items[0].account, "cart");
	ck_assert_uint_eq(ids->n_pods, 1);
	ck_assert_str_eq(ids->pods[0].account, "db");
	ck_assert_str_eq(ids->pods[0].match.socket, "d1");
	identities_free(ids);
	problems_free(&p);
	refused("- {serviceAccount: a/b, match: {socket: x, unit: a.service}}\n",
	    "identities.yaml:1:3: match.socket: stands alone: who calls there is in a pod, where unit and uid of this host mean nothing");
	refused("- {serviceAccount: a/b, match: {socket: x}}\n- {serviceAccount: a/c, match: {socket: x}}\n",
	    "identities.yaml:2:3: match.socket: \"x\" is the socket of line 1 already");
}
END_TEST

START_TEST(an_empty_or_missing_file_is_an_empty_list)
{
	struct identities *ids = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(identities_parse(&ids, "i", "", 0, &p), TULLE_OK);
	ck_assert_uint_eq(ids->n, 0);
	ids = identities_free(ids);
	ck_assert_int_eq(identities_read(&ids, "/nonexistent/identities.yaml", &p), TULLE_OK);
	ck_assert_uint_eq(ids->n, 0);
	ids = identities_free(ids);
	ck_assert_int_eq(identities_read(&ids, "/", &p), TULLE_EINVAL);
	problems_free(&p);
}
END_TEST

START_TEST(mistakes_are_named)
{
	refused("a: 1\n", "identities.yaml:1:1: is a mapping; a list of {serviceAccount, match, ttl} is needed");
	refused("- {serviceAccount: cart, match: {uid: 1}}\n",
	    "identities.yaml:1:20: [0].serviceAccount: is \"cart\"; NAMESPACE/SERVICEACCOUNT is needed");
	refused("- {match: {uid: 1}}\n",
	    "identities.yaml:1:3: [0].serviceAccount: is missing; NAMESPACE/SERVICEACCOUNT is needed");
	refused("- {serviceAccount: a/b}\n", "identities.yaml:1:3: [0].match: is missing; a mapping is needed");
	refused("- {serviceAccount: a/b, match: {}}\n",
	    "identities.yaml:1:32: [0].match: is empty; match needs at least one field");
	refused("- {serviceAccount: a/b, match: {unit: cart}}\n",
	    "identities.yaml:1:39: [0].match.unit: is \"cart\"; the name of a systemd unit, such as cart.service is needed");
	refused("- {serviceAccount: a/b, match: {uid: 33, binary: /usr/sbin/nginx}}\n",
	    "identities.yaml:1:42: [0].match.binary: known, but not carried out: certd has no right to read it, and a process can "
	    "choose what it shows; use unit or uid");
	refused("- {serviceAccount: a/b, match: {cgroup: x}}\n",
	    "identities.yaml:1:33: [0].match.cgroup: unknown field; known here: unit, uid, socket");
	refused("- a\n- b\n", "identities.yaml:1:3: [0]: is a text, \"a\"; a mapping is needed");
	refused("- {serviceAccount: a/b, match: {uid: 1}, ttl: 1s}\n",
	    "identities.yaml:1:47: [0].ttl: is \"1s\"; a duration of at least 10s, such as 24h is needed");
	refused("[]\n---\n[]\n",
	    "identities.yaml:3:1: a second document; this file holds one, remove the --- before it");
}
END_TEST

UNIT_MAIN("identities", entries_are_read, sockets_of_pods_are_apart, an_empty_or_missing_file_is_an_empty_list, mistakes_are_named)
