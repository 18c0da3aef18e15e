/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Certificates as bytes: rows and PEM, facts, keys, requests. */
#include "pki.h"
#include "tls/svid.h"
#include "unit.h"

#define ID "spiffe://mesh.test/ns/shop/sa/cart"

START_TEST(a_row_is_split_and_bounds_hold)
{
	static const uint8_t two[] = { 0x30, 0x01, 0x00, 0x30, 0x81, 0x80 };
	struct pki *root = pki_root("mesh.test"), *ca = pki_intermediate(root, "mesh.test"), *leaf = pki_leaf(ca, ID);
	struct der out[4];
	uint8_t *big = calloc(1, DER_CERT_MAX + 10);
	size_t n;

	ck_assert_int_eq(der_split(buf_head(&leaf->chain), buf_len(&leaf->chain), out, 4, &n), TULLE_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(out[0].len, leaf->cert_len);
	ck_assert_uint_eq(out[1].len, ca->cert_len);
	ck_assert_mem_eq(out[1].p, buf_head(&ca->chain), ca->cert_len);
	ck_assert_int_eq(der_split(buf_head(&leaf->chain), buf_len(&leaf->chain), out, 1, &n), TULLE_ELIMIT);
	ck_assert_int_eq(der_split(buf_head(&leaf->chain), buf_len(&leaf->chain) - 1, out, 4, &n), TULLE_EINVAL);
	ck_assert_int_eq(der_split(NULL, 0, out, 4, &n), TULLE_EINVAL);
	ck_assert_int_eq(der_split(two, sizeof(two), out, 4, &n), TULLE_EINVAL);
	ck_assert_int_eq(der_split(two, 3, out, 4, &n), TULLE_OK);
	ck_assert_int_eq(der_split((const uint8_t[]){ 0x30, 0x81, 0x01, 0 }, 4, out, 4, &n), TULLE_EINVAL);
	ck_assert_int_eq(der_split((const uint8_t[]){ 0x30, 0x80, 0, 0 }, 4, out, 4, &n), TULLE_EINVAL);
	ck_assert_int_eq(der_split((const uint8_t[]){ 0x31, 0x00 }, 2, out, 4, &n), TULLE_EINVAL);
	memcpy(big, "\x30\x82\x40\x00", 4);
	ck_assert_int_eq(der_split(big, DER_CERT_MAX + 4, out, 4, &n), TULLE_ELIMIT);
	free(big);
	pki_free(leaf), pki_free(ca), pki_free(root);
}
END_TEST

START_TEST(pem_and_back)
{
	struct pki *root = pki_root("mesh.test"), *ca = pki_intermediate(root, "mesh.test"), *leaf = pki_leaf(ca, ID);
	struct buf pem = buf_new(1 << 16), der = buf_new(1 << 16);

	ck_assert_int_eq(buf_append(&pem, "some text\n", 10), TULLE_OK);
	ck_assert_int_eq(der_to_pem(&pem, buf_head(&leaf->chain), buf_len(&leaf->chain)), TULLE_OK);
	ck_assert_int_eq(buf_append(&pem, "more\n", 5), TULLE_OK);
	ck_assert_int_eq(der_from_pem(&der, (const char *)buf_head(&pem), buf_len(&pem)), TULLE_OK);
	ck_assert_uint_eq(buf_len(&der), buf_len(&leaf->chain));
	ck_assert_mem_eq(buf_head(&der), buf_head(&leaf->chain), buf_len(&der));
	ck_assert_int_eq(der_from_pem(&der, "nothing", 7), TULLE_EINVAL);
	ck_assert_int_eq(der_from_pem(&der, (const char *)buf_head(&pem), buf_len(&pem) - 40), TULLE_EINVAL);
	buf_free(&pem), buf_free(&der);
	pki_free(leaf), pki_free(ca), pki_free(root);
}
END_TEST

START_TEST(facts_of_a_leaf_and_of_a_root)
{
	struct issue what = pki_leaf_body(ID);
	struct svid_facts f, r;
	struct pki *root = pki_root("mesh.test"), *leaf;
	uint8_t h1[SVID_HASH], h2[SVID_HASH];

	what.dns = "cart.shop";
	leaf = pki_issue(root, &what);
	ck_assert_int_eq(svid_read(&f, buf_head(&leaf->chain), leaf->cert_len), TULLE_OK);
	ck_assert_str_eq(f.id, ID);
	ck_assert_uint_eq(f.id_len, strlen(ID));
	ck_assert_uint_eq(f.uri_sans, 1);
	ck_assert_int_eq(f.not_before, what.not_before);
	ck_assert_int_eq(f.not_after, what.not_after);
	ck_assert(!f.is_ca && f.has_key_usage && f.digital_signature && !f.key_cert_sign && !f.crl_sign);
	ck_assert(f.has_eku && f.server_auth && f.client_auth);
	ck_assert_uint_eq(strlen(f.serial), 32);
	ck_assert_int_eq(svid_check_leaf(&f, SVID_TLS_CLIENT, pki_now()), SVID_OK);
	ck_assert_int_eq(svid_read(&r, buf_head(&root->chain), root->cert_len), TULLE_OK);
	ck_assert(r.is_ca && r.key_cert_sign && !r.digital_signature && !r.has_eku);
	ck_assert_str_eq(r.id, "spiffe://mesh.test");
	ck_assert_int_eq(svid_key_hash(buf_head(&leaf->chain), leaf->cert_len, h1), TULLE_OK);
	ck_assert_int_eq(svid_key_hash(buf_head(&root->chain), root->cert_len, h2), TULLE_OK);
	ck_assert_mem_ne(h1, h2, SVID_HASH);
	ck_assert_int_eq(svid_read(&f, buf_head(&leaf->chain), leaf->cert_len - 1), TULLE_EINVAL);
	ck_assert_int_eq(svid_key_hash((const uint8_t *)"0\0", 2, h1), TULLE_EINVAL);
	pki_free(leaf), pki_free(root);
}
END_TEST

START_TEST(dates_beyond_2049_and_long_ids_are_read)
{
	struct issue what = pki_ca_body("spiffe://mesh.test", "far");
	struct pki *root, *leaf;
	struct svid_facts f;
	char id[SPIFFE_ID_MAX + 1];

	what.not_after = INT64_C(4102444800); /* 2100 */
	root = pki_issue(NULL, &what);
	ck_assert_int_eq(svid_read(&f, buf_head(&root->chain), root->cert_len), TULLE_OK);
	ck_assert_int_eq(f.not_after, INT64_C(4102444800));
	memset(id, 'x', sizeof(id));
	memcpy(id, "spiffe://td/", 12);
	id[SPIFFE_ID_MAX] = '\0';
	leaf = pki_leaf(root, id);
	ck_assert_int_eq(svid_read(&f, buf_head(&leaf->chain), leaf->cert_len), TULLE_OK);
	ck_assert_str_eq(f.id, id);
	pki_free(leaf), pki_free(root);
}
END_TEST

/* One rule each, over facts: no certificate needed. */
START_TEST(the_leaf_rules)
{
	static const struct svid_facts good = { .id = ID, .id_len = sizeof(ID) - 1, .uri_sans = 1, .not_before = 100,
		.not_after = 200, .has_key_usage = true, .digital_signature = true, .has_eku = true, .server_auth = true,
		.client_auth = true };
	struct svid_facts f = good;

	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 100), SVID_OK);
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 200), SVID_OK);
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 99), SVID_NOT_YET_VALID);
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 201), SVID_EXPIRED);
	f.uri_sans = 0;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_NO_URI_SAN);
	f.uri_sans = 2;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_TWO_URI_SANS);
	f = good, f.is_ca = true;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_IS_CA);
	f = good, f.key_cert_sign = true;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_KEY_USAGE);
	f = good, f.crl_sign = true;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_KEY_USAGE);
	f = good, f.digital_signature = false;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_KEY_USAGE);
	f.has_key_usage = false;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_OK);
	f = good, f.id[0] = 'S';
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_BAD_ID);
	f = good, f.id_len = 18;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_ANY_ROLE, 150), SVID_ROOT_PATH);
	f = good, f.client_auth = false;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_TLS_CLIENT, 150), SVID_EKU);
	ck_assert_int_eq(svid_check_leaf(&f, SVID_TLS_SERVER, 150), SVID_OK);
	f.server_auth = false;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_TLS_SERVER, 150), SVID_EKU);
	f.has_eku = false;
	ck_assert_int_eq(svid_check_leaf(&f, SVID_TLS_SERVER, 150), SVID_OK);
	for (unsigned int r = 0; r < SVID_REASONS; r++) {
		ck_assert_str_ne(svid_reason_name((enum svid_reason)r), "");
		ck_assert_str_ne(svid_reason_phrase((enum svid_reason)r), "");
	}
	ck_assert_str_eq(svid_reason_name((enum svid_reason)999), "other");
}
END_TEST

START_TEST(keys_go_out_and_come_back)
{
	struct buf der = buf_new(4096), pub = buf_new(4096), pub2 = buf_new(4096);
	struct pki *root = pki_root("mesh.test"), *leaf = pki_leaf(root, ID);
	struct key *k = NULL;

	ck_assert_int_eq(key_export(leaf->key, &der), TULLE_OK);
	ck_assert_uint_eq(buf_len(&der), 138); /* PKCS#8 with the public half */
	ck_assert_int_eq(key_import(&k, buf_head(&der), buf_len(&der)), TULLE_OK);
	ck_assert_int_eq(key_kind(k), KEY_P256);
	ck_assert_int_eq(key_public(k, &pub), TULLE_OK);
	ck_assert_int_eq(key_public(leaf->key, &pub2), TULLE_OK);
	ck_assert_mem_eq(buf_head(&pub), buf_head(&pub2), buf_len(&pub));
	ck_assert(key_matches(k, buf_head(&leaf->chain), leaf->cert_len));
	ck_assert(!key_matches(k, buf_head(&root->chain), root->cert_len));
	k = key_unref(k);
	for (size_t cut = 0; cut < buf_len(&der); cut += 7) {
		if (key_import(&k, buf_head(&der), cut) == TULLE_OK)
			k = key_unref(k);
		ck_assert_ptr_null(k);
	}
	buf_wipe(&der), buf_free(&pub), buf_free(&pub2);
	pki_free(leaf), pki_free(root);
}
END_TEST

/* Made with the openssl command: the kinds that only foreign files bring. */
static const char rsa_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC89W4tYiPVh/Om\n"
    "EUOZcaU874bD7DtQrkU1aEGBipmkpJoPJCEAmJ1+Sb4mXxyup99JxmfvtwqQXiZ4\n"
    "7cibJehRxQw7gwwPsm0tYoVZb/FP63OhH5Sx6dLJt6uaQ+iyNtSxiDXVrTEzqzyF\n"
    "hM81orxS9hivOwvkggv5/Q5WNIGYy20IQ56pGLwAeTy7eUlEX7g7O7D5y8eY5Ajf\n"
    "clrGAlOu0Y8tQKVaweB9ROHq69t3aDr2VrYMwqu2Ia4K5KFxIb1+ZVXDBQyjQiOO\n"
    "mWWPYvrBBvxKisLFmwd2QwlWnh0xk03CzX+xnr/wYAfpPo0K+1PptWgF6spO7MeS\n"
    "zrlkaE4JAgMBAAECggEAAMvcBn/jNMGbz2YygoaLirexEWDKmCs5lIaZC3mSg/j4\n"
    "x1asYbLaa6mFHRYIz6bai2NB/gbFhuaLV6VXW/qgOgrb8Fz3h0mSwP+it9CZNye7\n"
    "m+zMNIAbjqGFQErBsJn7Ehr2xfvIGA8s27HkSAcgXk0rdJyYojWbIMPi6Jst26w9\n"
    "MMAj9+DVNCi60JlljX+QVOnDuPMg2xL+o8Gu4Knvi7romvvRirC9QDBb9Pk7oUXz\n"
    "5qDOOSiK1tBbKwVaAMvZBTw+7jrCWlS0JWLswFHDHv8m3pqFANHQ6zI5mgxm8pCi\n"
    "B4FcUTFOPCNIBOdHiTYiu1s/XeEhdBFbbY55PB5JUQKBgQD/J3LkwpXywUOwXOcd\n"
    "NeQTq80ybYLBAAY3ucOkV4XYRYkKCMhyT/8HpSneJayuKO21/bTWcqUm6g9P/UTv\n"
    "QaiiABbXABRJxOLvjR0R4q6tiS2rCfjIq8Rzk4NjKkw9rR/A5fMC5zR9AP3ftXhh\n"
    "f5VbRc/9DlWk1vpuDLDPYAfI8QKBgQC9lc0SF6KaWod4nX8NmuZM49Avy5Vjj+X7\n"
    "5Cc5LDGAw8xGnYHap5IAFGX9Ht0P5yNsV2DADTSXzOcTOF+9yf41iBXwoUHlZZl0\n"
    "4couiuIpJ2AUiyAr4pfMm5+Gxqy6T1nPpAlcE3y4QUBpZHHq6urutOSR5RIBytT+\n"
    "i2AkEESWmQKBgHZhERc9iGBWdlcu4zNUO3s87DkHQfDVWA0mrLRkvv52VHxJUuZm\n"
    "YwZjBKfChvlOl+slyG7uRd1mHrCX6xGuPtTagb5ClSccp8VIjUItD6oHyR5fxAMm\n"
    "XkDZIc4yY6kB14ehqDuilWGhwie2hCGIFf2AyFy599ZAv3Org6TTAwmhAoGATiYc\n"
    "9XNGtMfShhauE+ahPlq+K6WI/BSKIg5HWNrtwP11DDrLF13x4hSGghOh3ndR88wE\n"
    "9sW6w0RUkGixlqNYJarmGF3wsuXxnuugExVu6rXvdihvZ4etOUuBM+ZbtyUUiXI9\n"
    "5XWm+LD1IzyjdMnHdASfH8DEbna03ASJ6fPGwikCgYA7Xp/7ual/FoZCtKqCz0X0\n"
    "xQFiJGohMxsSQarqgGvkiNqTDxNl9DGqbarrT6+X9nC6evPdOr6Y/c5GhjUKcDm4\n"
    "uhC0m8vsbynvyfHoAZIa9UB1lpTNrmNwNEaXhDmHjlgQJRofE+HTbbwtV9vVc/z9\n"
    "GeP9R2yzYOyPYr+jQiVofg==\n"
    "-----END PRIVATE KEY-----\n";
static const char ed25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIKBVInFNLzFHTiFY3khbwWPI8Sw9BQngjB72EOJEa/i3\n"
    "-----END PRIVATE KEY-----\n";
static const char p384_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBk3etAkNAEwW5KVKH+\n"
    "83ecckYb6uO79Qo6H+3YsJD1Xp/PzPmaNcYx65EqIRlt5AahZANiAARJQMNY6t0p\n"
    "jOC+X1rJkawROMH3j0cJrmHhVIA1yf5gikYVoWVb1fl/NA9Gn3wkp7G8CjhC/Wxm\n"
    "XMAEN7orR8ftkhhHlma63iSx4+jdXr5eSgVwub8EQ0ylw1f+AwDcDNI=\n"
    "-----END PRIVATE KEY-----\n";

static void
kind_works(const char *pem, enum key_kind kind)
{
	struct issue what = pki_ca_body("spiffe://mesh.test", "foreign");
	struct buf public = buf_new(4096), cert = buf_new(1 << 16);
	struct svid_facts f;
	struct key *k = NULL;
	struct pki *ee = pki_root("x.test");

	ck_assert_int_eq(key_import_pem(&k, pem, strlen(pem)), TULLE_OK);
	ck_assert_int_eq(key_kind(k), kind);
	/* It can sign a leaf: the imported authority of `ca import`. */
	ck_assert_int_eq(key_public(ee->key, &public), TULLE_OK);
	what.public_key = buf_head(&public);
	what.public_key_len = buf_len(&public);
	ck_assert_int_eq(issue_cert(&cert, &what, buf_head(&ee->chain), ee->cert_len, k), TULLE_OK);
	ck_assert_int_eq(svid_read(&f, buf_head(&cert), buf_len(&cert)), TULLE_OK);
	key_unref(k);
	buf_free(&public), buf_free(&cert);
	pki_free(ee);
}

START_TEST(foreign_kinds_of_keys_are_read_and_sign)
{
	struct key *k = NULL;

	kind_works(ed25519_pem, KEY_ED25519);
	kind_works(rsa_pem, KEY_RSA);
	kind_works(p384_pem, KEY_P384);
	ck_assert_int_eq(key_import_pem(&k, "no key", 6), TULLE_EINVAL);
	ck_assert_int_eq(key_import(&k, (const uint8_t *)"0\x03\x02\x01\x00", 5), TULLE_EINVAL);
}
END_TEST

START_TEST(a_request_proves_its_key)
{
	struct buf der = buf_new(1 << 16), public = buf_new(4096);
	struct issue_request r;
	struct key *k = NULL;

	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(issue_request(&der, ID, k), TULLE_OK);
	ck_assert_int_eq(issue_request_read(&r, buf_head(&der), buf_len(&der)), TULLE_OK);
	ck_assert_str_eq(r.uri, ID);
	ck_assert_int_eq(key_public(k, &public), TULLE_OK);
	ck_assert_uint_eq(r.public_key_len, buf_len(&public));
	ck_assert_mem_eq(r.public_key, buf_head(&public), buf_len(&public));
	for (size_t i = 0; i < buf_len(&der); i += 3) { /* not one byte may change */
		der.data[i] ^= 0x10;
		ck_assert_msg(issue_request_read(&r, buf_head(&der), buf_len(&der)) != TULLE_OK, "byte %zu", i);
		der.data[i] ^= 0x10;
	}
	key_unref(k);
	buf_free(&der), buf_free(&public);
}
END_TEST

UNIT_MAIN("certs", a_row_is_split_and_bounds_hold, pem_and_back, facts_of_a_leaf_and_of_a_root,
    dates_beyond_2049_and_long_ids_are_read, the_leaf_rules, keys_go_out_and_come_back,
    foreign_kinds_of_keys_are_read_and_sign, a_request_proves_its_key)
