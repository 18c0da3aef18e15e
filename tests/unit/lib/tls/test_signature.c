/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signatures over bytes, with every kind of key that an imported root may have. */
#include "tls/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tls/context.h"
#include "tls/der.h"
#include "tls/keys.h"
#include "unit.h"

static const char message[] = "a label\nand what it is about";

static struct key *key;
static struct buf cert;

/* A key and its own certificate, by openssl. */
static void
make(const char *kind)
{
	char dir[] = "/tmp/tulle-signature-XXXXXX", command[1024], path[128];
	char *pem;
	size_t len;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey %s -nodes -keyout %s/key -out %s/cert -days 2 -subj /CN=root 2>/dev/null", kind, dir, dir);
	ck_assert_int_eq(system(command), 0);
	cert = buf_new(DER_CHAIN_MAX);
	(void)snprintf(path, sizeof(path), "%s/cert", dir);
	ck_assert_int_eq(file_read(path, 65536, &pem, &len), TULLE_OK);
	ck_assert_int_eq(der_from_pem(&cert, pem, len), TULLE_OK);
	free(pem);
	ck_assert_int_eq(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/key", dir);
	ck_assert_int_eq(file_read(path, 65536, &pem, &len), TULLE_OK);
	ck_assert_int_eq(key_import_pem(&key, pem, len), TULLE_OK);
	free(pem);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static enum tulle_err
check(const char *text, const struct buf *signature)
{
	return signature_check(buf_head(&cert), buf_len(&cert), text, strlen(text), buf_head(signature), buf_len(signature));
}

static const char *const kinds[] = { "ec -pkeyopt ec_paramgen_curve:P-256", "ec -pkeyopt ec_paramgen_curve:P-384", "ed25519",
	"rsa:2048" };

START_TEST(every_kind_of_key_signs_and_nothing_changed_passes)
{
	struct buf signature = buf_new(SIGNATURE_MAX);

	ck_assert_int_eq(tls_init(), TULLE_OK);
	make(kinds[_i]);
	ck_assert_int_eq(key_sign(key, message, strlen(message), &signature), TULLE_OK);
	ck_assert_int_eq(check(message, &signature), TULLE_OK);
	ck_assert_int_eq(check("a label\nand what else it is about", &signature), TULLE_EDENIED);
	signature.data[signature.off + buf_len(&signature) / 2] ^= 1;
	ck_assert_int_eq(check(message, &signature), TULLE_EDENIED);
	signature.data[signature.off + buf_len(&signature) / 2] ^= 1;
	signature.len--;
	ck_assert_int_eq(check(message, &signature), TULLE_EDENIED);
	signature.len = 0;
	ck_assert_int_eq(check(message, &signature), TULLE_EDENIED);
	buf_free(&signature);
	buf_free(&cert);
	key_unref(key);
}
END_TEST

START_TEST(another_keys_signature_and_a_certificate_that_is_none_are_refused)
{
	struct buf signature = buf_new(SIGNATURE_MAX);
	struct key *other;

	ck_assert_int_eq(tls_init(), TULLE_OK);
	make(kinds[0]);
	ck_assert_int_eq(key_generate(&other), TULLE_OK);
	ck_assert_int_eq(key_sign(other, message, strlen(message), &signature), TULLE_OK);
	ck_assert_int_eq(check(message, &signature), TULLE_EDENIED);
	ck_assert_int_eq(signature_check((const uint8_t *)"0", 1, message, 3, buf_head(&signature), buf_len(&signature)),
	    TULLE_EINVAL);
	key_unref(other);
	key_unref(key);
	buf_free(&signature);
	buf_free(&cert);
}
END_TEST

START_TEST(a_hash_over_pieces_is_one_over_the_whole)
{
	const struct signature_piece two[] = { { "ab", 2 }, { NULL, 0 }, { "c", 1 } }, one = { "abc", 3 };
	uint8_t a[SIGNATURE_HASH], b[SIGNATURE_HASH];

	ck_assert_int_eq(signature_hash(a, two, 3), TULLE_OK);
	ck_assert_int_eq(signature_hash(b, &one, 1), TULLE_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_uint_eq(a[0], 0xba); /* FIPS 180-4's example */
	ck_assert_uint_eq(a[31], 0xad);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("signature");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_kind_of_key_signs_and_nothing_changed_passes, 0, 4);
	tcase_add_test(t, another_keys_signature_and_a_certificate_that_is_none_are_refused);
	tcase_add_test(t, a_hash_over_pieces_is_one_over_the_whole);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
