/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/authority.h"

#include <string.h>
#include <sys/stat.h>

#include "../scratch.h"
#include "authority/ca.h"
#include "authority/ttl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/file.h"
#include "base/log.h"
#include "tls/context.h"
#include "tls/issue.h"
#include "tls/trust.h"
#include "unit.h"

#define TD "mesh.example"
#define ID "spiffe://" TD "/ns/shop/sa/cart"

static struct store *store;
static struct authority *authority;
static char *dir;
static int64_t now;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	now = clock_wall_sec();
	dir = scratch_new();
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&authority, store, dir, TD), TULLE_OK);
}

static void
reopen(void)
{
	authority_close(authority);
	store_close(store);
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&authority, store, dir, TD), TULLE_OK);
}

static void
tear_down(void)
{
	authority_close(authority);
	store_close(store);
	scratch_free(dir);
}

static enum tulle_err
sign(const char *id, bool node, bool with_root, int64_t ttl, struct buf *chain, struct svid_facts *f)
{
	struct key *key;
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX);
	enum tulle_err e;

	ck_assert_int_eq(key_generate(&key), TULLE_OK);
	ck_assert_int_eq(key_public(key, &public), TULLE_OK);
	e = authority_sign(authority,
	    &(struct authority_order){ .id = id, .public_key = buf_head(&public), .public_key_len = buf_len(&public), .ttl = ttl,
	        .node = node, .with_root = with_root },
	    now, chain, f);
	buf_free(&public);
	key_unref(key);
	return e;
}

static void
write_pem(const char *name, const uint8_t *der, size_t len)
{
	struct buf pem = buf_new(1 << 20);

	ck_assert_int_eq(der_to_pem(&pem, der, len), TULLE_OK);
	ck_assert_int_eq(file_replace(scratch_path(dir, name), buf_head(&pem), buf_len(&pem), 0600), TULLE_OK);
	buf_free(&pem);
}

/* openssl's opinion: the strictest that is at hand. */
static void
openssl_verifies(const struct buf *chain, const char *options)
{
	struct der parts[DER_CHAIN_CERTS];
	struct der roots = authority_roots(authority);
	char command[2048];
	size_t n;

	ck_assert_int_eq(der_split(buf_head(chain), buf_len(chain), parts, DER_CHAIN_CERTS, &n), TULLE_OK);
	write_pem("leaf.pem", parts[0].p, parts[0].len);
	write_pem("chain.pem", buf_head(chain), buf_len(chain));
	write_pem("root.pem", roots.p, roots.len);
	(void)snprintf(command, sizeof(command),
	    "openssl verify -x509_strict %s -CAfile %s/root.pem -untrusted %s/chain.pem %s/leaf.pem >%s/out 2>&1 || { cat %s/out; false; }",
	    options, dir, dir, dir, dir, dir);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void
start(void)
{
	ck_assert_int_eq(authority_create(authority, now), TULLE_OK);
	(void)authority_advance(authority, TTL_DAY, now);
}

START_TEST(openssl_accepts_every_kind_of_certificate)
{
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct svid_facts f;
	char id[SPIFFE_ID_MAX + 1];

	set_up();
	start();
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY, &chain, &f), TULLE_OK);
	ck_assert_str_eq(f.id, ID);
	ck_assert_int_eq(f.not_after, now + TTL_DAY);
	ck_assert_int_ge(f.not_before, now - TTL_BACKDATE);
	ck_assert(!f.is_ca && f.digital_signature && !f.key_cert_sign && f.server_auth && f.client_auth);
	openssl_verifies(&chain, "-purpose sslserver");
	openssl_verifies(&chain, "-purpose sslclient");
	buf_free(&chain);

	ck_assert_int_eq(sign("spiffe://" TD "/tulle/node/00", true, true, TTL_NODE, &chain, &f), TULLE_OK);
	openssl_verifies(&chain, "-purpose sslclient");
	buf_free(&chain);

	/* The longest name that there may be. */
	memset(id, 'x', SPIFFE_ID_MAX);
	memcpy(id, "spiffe://" TD "/", strlen("spiffe://" TD "/"));
	id[SPIFFE_ID_MAX] = '\0';
	ck_assert_int_eq(sign(id, false, false, TTL_DAY, &chain, &f), TULLE_OK);
	openssl_verifies(&chain, "-purpose sslserver");
	buf_free(&chain);
	tear_down();
}
END_TEST

START_TEST(the_extensions_are_what_spiffe_wants)
{
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct der parts[DER_CHAIN_CERTS];
	struct svid_facts f;
	char command[1024];
	size_t n;

	set_up();
	start();
	ck_assert_int_eq(sign(ID, false, true, TTL_DAY, &chain, &f), TULLE_OK);
	ck_assert_int_eq(der_split(buf_head(&chain), buf_len(&chain), parts, DER_CHAIN_CERTS, &n), TULLE_OK);
	ck_assert_uint_eq(n, 3);
	for (size_t i = 0; i < n; i++) {
		static const char *const must[] = {
			"Subject Alternative Name: critical\\s+URI:" ID "$",
			"CA:TRUE, pathlen:0$",
			"CA:TRUE, pathlen:1$",
		};

		write_pem("one.pem", parts[i].p, parts[i].len);
		(void)snprintf(command, sizeof(command),
		    "cd %s && openssl x509 -in one.pem -noout -text >text && "
		    "grep -Pzoq '(?m)%s' text && grep -q 'Subject Key Identifier' text && grep -q 'Key Usage: critical' text && "
		    "grep -q 'Basic Constraints: critical' text && "
		    "case %zu in 0) grep -q 'Digital Signature$' text && grep -q 'Authority Key' text;; "
		    "1) grep -q 'URI:spiffe://" TD "$' text && grep -q 'Certificate Sign, CRL Sign' text && grep -q 'Authority Key' text "
		    "&& ! grep -q Extended text;; "
		    "*) grep -q 'Certificate Sign, CRL Sign' text && ! grep -q Extended text;; esac || { cat text; false; }",
		    dir, must[i], i);
		ck_assert_msg(system(command) == 0, "certificate %zu", i);
	}
	buf_free(&chain);
	tear_down();
}
END_TEST

START_TEST(a_restart_finds_root_issuing_ca_and_keys_again)
{
	struct buf chain = buf_new(DER_CHAIN_MAX), again = buf_new(DER_CHAIN_MAX);
	struct svid_facts f;
	uint8_t pin[32];

	set_up();
	start();
	memcpy(pin, authority_pin(authority), sizeof(pin));
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY, &chain, &f), TULLE_OK);
	reopen();
	ck_assert(authority_has_root(authority));
	ck_assert_mem_eq(authority_pin(authority), pin, sizeof(pin));
	(void)authority_advance(authority, TTL_DAY, now);
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY, &again, &f), TULLE_OK);
	openssl_verifies(&again, "");
	openssl_verifies(&chain, "");
	ck_assert_int_eq(authority_create(authority, now), TULLE_EEXIST);
	buf_free(&chain);
	buf_free(&again);
	tear_down();
}
END_TEST

START_TEST(keys_are_for_their_owner_alone)
{
	struct stat st;
	char command[512];

	set_up();
	start();
	ck_assert_int_eq(stat(scratch_path(dir, "ca"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	(void)snprintf(command, sizeof(command), "test $(find %s/ca -name '*.key' -perm 0600 | wc -l) = 2 && test $(ls %s/ca | wc -l) = 2",
	    dir, dir);
	ck_assert_int_eq(system(command), 0);
	/* A key that no record names is left-over. */
	ck_assert_int_eq(file_replace(scratch_path(dir, "ca/00112233445566778899aabbccddeeff.key"), "x", 1, 0600), TULLE_OK);
	reopen();
	ck_assert_int_eq(system(command), 0);
	tear_down();
}
END_TEST

/* Every roll-over of five years, with the leaf of before still good after it. */
START_TEST(leaves_stay_good_over_roll_overs)
{
	struct buf before = buf_new(DER_CHAIN_MAX), after = buf_new(DER_CHAIN_MAX);
	struct svid_facts f;
	int64_t start_of_all, next;
	int serials = 0;
	char issuer[64] = "";
	json_t *status, *ca;
	size_t i;

	set_up();
	start();
	start_of_all = now;
	for (next = now; now < start_of_all + 120 * TTL_DAY; now += TTL_DAY / 2) {
		if (now >= next)
			next = authority_advance(authority, TTL_DAY, now);
		buf_free(&before);
		ck_assert_int_eq(sign(ID, false, false, TTL_DAY, &before, &f), TULLE_OK);
		status = authority_status(authority, now);
		json_array_foreach (status, i, ca)
			if (strcmp(value_text(ca, "tier"), "issuing") == 0 && strcmp(value_text(ca, "state"), "active") == 0 &&
			    strcmp(value_text(ca, "serial"), issuer) != 0) {
				(void)snprintf(issuer, sizeof(issuer), "%s", value_text(ca, "serial"));
				serials++;
			}
		ck_assert_uint_le(json_array_size(status), 4);
		json_decref(status);
	}
	ck_assert_int_ge(serials, 5);
	ck_assert_int_le(serials, 8);
	buf_free(&before);
	buf_free(&after);
	tear_down();
}
END_TEST

START_TEST(only_ids_of_the_trust_domain_are_signed)
{
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct svid_facts f;

	set_up();
	ck_assert_int_eq(authority_create(authority, now), TULLE_OK);
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY, &chain, &f), TULLE_EUNAVAIL); /* no issuing CA yet */
	(void)authority_advance(authority, TTL_DAY, now);
	ck_assert_int_eq(sign("spiffe://other.example/ns/shop/sa/cart", false, false, TTL_DAY, &chain, &f), TULLE_EINVAL);
	ck_assert_int_eq(sign("spiffe://" TD, false, false, TTL_DAY, &chain, &f), TULLE_EINVAL);
	ck_assert_int_eq(sign("spiffe://" TD "/", false, false, TTL_DAY, &chain, &f), TULLE_EINVAL);
	ck_assert_int_eq(sign("spiffe://" TD ".evil/x", false, false, TTL_DAY, &chain, &f), TULLE_EINVAL);
	ck_assert_int_eq(sign("nonsense", false, false, TTL_DAY, &chain, &f), TULLE_EINVAL);
	ck_assert_uint_eq(buf_len(&chain), 0);
	buf_free(&chain);
	tear_down();
}
END_TEST

/* ---- import ---- */

static char *
slurp(const char *name)
{
	char *data;
	size_t len;

	ck_assert_int_eq(file_read(scratch_path(dir, name), 1 << 20, &data, &len), TULLE_OK);
	return data;
}

static void
openssl_root(const char *name, const char *days, const char *uri, const char *ca)
{
	char command[1024];

	(void)snprintf(command, sizeof(command),
	    "cd %s && openssl ecparam -name prime256v1 -genkey -noout -out %s.key 2>/dev/null && openssl req -x509 -new -key %s.key "
	    "-days %s -sha256 -subj '/O=x/CN=%s' -out %s.pem -addext basicConstraints=critical,CA:%s "
	    "-addext keyUsage=critical,keyCertSign,cRLSign -addext subjectAltName=URI:%s 2>/dev/null",
	    dir, name, name, days, name, name, ca, uri);
	ck_assert_int_eq(system(command), 0);
}

static enum tulle_err
import(const char *cert_name, const char *key_name, bool replace, char why[AUTHORITY_WHY])
{
	char *cert, *key;
	enum tulle_err e;

	cert = slurp(cert_name);
	key = slurp(key_name);
	e = authority_import(authority, cert, key, replace, now, why);
	free(cert);
	free(key);
	return e;
}

START_TEST(a_root_made_by_openssl_is_taken_and_used)
{
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct svid_facts f;
	char why[AUTHORITY_WHY] = "", td[SPIFFE_TD_MAX + 1], *pem;

	set_up();
	openssl_root("good", "30", "spiffe://" TD, "TRUE");
	openssl_root("other", "30", "spiffe://" TD, "TRUE");
	openssl_root("foreign", "30", "spiffe://foreign.example", "TRUE");
	openssl_root("leaf", "30", "spiffe://" TD, "FALSE");
	now = clock_wall_sec() + 1;
	pem = slurp("foreign.pem");
	ck_assert_int_eq(authority_root_domain(pem, td), TULLE_OK);
	ck_assert_str_eq(td, "foreign.example");
	free(pem);
	ck_assert_int_eq(import("foreign.pem", "foreign.key", false, why), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "another trust domain"));
	ck_assert_int_eq(import("leaf.pem", "leaf.key", false, why), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "not a CA"));
	ck_assert_int_eq(import("good.pem", "other.key", false, why), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "not the certificate's"));
	ck_assert_int_eq(import("good.key", "good.key", false, why), TULLE_EINVAL);
	ck_assert_int_eq(import("good.pem", "good.pem", false, why), TULLE_EINVAL);
	ck_assert(!authority_has_root(authority));

	ck_assert_int_eq(import("good.pem", "good.key", false, why), TULLE_OK);
	ck_assert_int_eq(import("good.pem", "good.key", false, why), TULLE_OK); /* again */
	ck_assert_int_eq(import("other.pem", "other.key", false, why), TULLE_EEXIST);
	(void)authority_advance(authority, TTL_DAY / 2, now);
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY / 2, &chain, &f), TULLE_OK);
	openssl_verifies(&chain, "-purpose sslserver");
	ck_assert_int_eq(authority_node_life(authority), authority_root_life(authority) / 6);
	reopen();
	ck_assert(authority_has_root(authority));
	ck_assert_int_eq(import("other.pem", "other.key", true, why), TULLE_OK);
	reopen();
	buf_free(&chain);
	(void)authority_advance(authority, TTL_DAY / 2, now);
	ck_assert_int_eq(sign(ID, false, false, TTL_DAY / 2, &chain, &f), TULLE_OK);
	openssl_verifies(&chain, "");
	buf_free(&chain);
	tear_down();
}
END_TEST

/* A journal that is gone or empty says "no root"; the keys beside it know better. */
START_TEST(keys_without_a_journal_are_neither_swept_nor_followed_by_a_new_root)
{
	char *journal;
	struct authority *other;
	struct store *empty;

	set_up();
	ck_assert_int_eq(authority_create(authority, now), TULLE_OK);
	(void)authority_advance(authority, 3600, now);
	authority = authority_close(authority);
	store = store_close(store);
	journal = strdup(scratch_path(dir, "journal"));
	ck_assert_int_eq(rename(journal, scratch_path(dir, "journal.kept")), 0);
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(store_open(&empty, dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&other, empty, dir, TD), TULLE_EDAMAGED);
	store_close(empty);
	ck_assert_int_eq(rename(scratch_path(dir, "journal.kept"), journal), 0);
	free(journal);
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&authority, store, dir, TD), TULLE_OK);
	ck_assert(authority_has_root(authority));
	tear_down();
}
END_TEST

UNIT_MAIN("certd/authority", openssl_accepts_every_kind_of_certificate, the_extensions_are_what_spiffe_wants,
    a_restart_finds_root_issuing_ca_and_keys_again, keys_are_for_their_owner_alone, leaves_stay_good_over_roll_overs,
    only_ids_of_the_trust_domain_are_signed, a_root_made_by_openssl_is_taken_and_used,
    keys_without_a_journal_are_neither_swept_nor_followed_by_a_new_root)
