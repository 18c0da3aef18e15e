/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bundle.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "msg/msg.h"
#include "unit.h"

START_TEST(files_come_out_as_they_went_in)
{
	static char large[200000], odd[] = "kind: \0x\n";
	const struct manifest_file in[] = { { "tulle.yaml", "", 0 }, { "mesh.d/a.yaml", odd, 9 },
		{ "mesh.d/b.yaml", large, sizeof(large) } };
	struct bundle out;
	int fd;

	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(bundle_pack(&fd, in, 3), TULLE_OK);
	for (int twice = 0; twice < 2; twice++) { /* a new relay process gets the same sealed file again */
		ck_assert_int_eq(bundle_unpack(&out, fd), TULLE_OK);
		ck_assert_uint_eq(out.n, 3);
		for (size_t i = 0; i < 3; i++) {
			ck_assert_str_eq(out.files[i].name, in[i].name);
			ck_assert_uint_eq(out.files[i].len, in[i].len);
			ck_assert_int_eq(memcmp(out.files[i].data, in[i].data, in[i].len), 0);
			ck_assert_int_eq(out.files[i].data[in[i].len], '\0');
		}
		bundle_free(&out);
	}
	close(fd);
}
END_TEST

START_TEST(a_bundle_that_is_cut_or_lies_about_lengths_is_refused)
{
	const struct manifest_file in[] = { { "tulle.yaml", "abc", 3 }, { "x", "defg", 4 } };
	struct bundle out = { 0 };
	unsigned int whole = 0;
	char *bytes;
	size_t len;
	int fd, bad;

	ck_assert_int_eq(bundle_pack(&fd, in, 2), TULLE_OK);
	ck_assert_int_eq(msg_unseal(fd, 1 << 20, &bytes, &len), TULLE_OK);
	for (size_t cut = 1; cut < len; cut++) {
		enum tulle_err e;

		ck_assert_int_eq(msg_seal(&bad, bytes, cut), TULLE_OK);
		e = bundle_unpack(&out, bad);
		whole += e == TULLE_OK; /* between the two files alone */
		if (e == TULLE_OK)
			bundle_free(&out);
		else
			ck_assert_int_eq(e, TULLE_EPEER);
		close(bad);
	}
	ck_assert_uint_eq(whole, 1);
	for (size_t i = 0; i < 8; i++) { /* each byte of the first two lengths */
		char old = bytes[i];

		bytes[i] = (char)0xff;
		ck_assert_int_eq(msg_seal(&bad, bytes, len), TULLE_OK);
		ck_assert_int_eq(bundle_unpack(&out, bad), TULLE_EPEER);
		close(bad);
		bytes[i] = old;
	}
	free(bytes);
	close(fd);
}
END_TEST

START_TEST(what_is_not_sealed_is_refused)
{
	struct bundle out = { 0 };
	int fd = memfd_create("bundle", MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, 100), 0);
	ck_assert_int_ne(bundle_unpack(&out, fd), TULLE_OK); /* its sender could still change it under our eyes */
	close(fd);
	ck_assert_int_ne(bundle_unpack(&out, -1), TULLE_OK);
}
END_TEST

START_TEST(identities_and_their_users_stand_between_host_file_and_manifests)
{
	struct buf text = buf_new(1000);
	struct manifest_file in[] = { { "tulle.yaml", "", 0 }, { "identities.yaml", "- x", 3 }, { BUNDLE_USERS, NULL, 0 },
		{ "mesh.d/a.yaml", "", 0 } };
	struct bundle out;
	uint32_t uid;
	int fd;

	ck_assert_int_eq(bundle_put_user(&text, "cart", 7), TULLE_OK);
	ck_assert_int_eq(bundle_put_user(&text, "cart 2", 8), TULLE_OK);
	in[2].len = buf_len(&text);
	ck_assert_int_eq(buf_append(&text, "", 1), TULLE_OK);
	in[2].data = (const char *)buf_head(&text);
	ck_assert_int_eq(bundle_pack(&fd, in, 4), TULLE_OK);
	ck_assert_int_eq(bundle_unpack(&out, fd), TULLE_OK);
	ck_assert_uint_eq(out.manifests, 3);
	ck_assert_str_eq(bundle_identities(&out)->data, "- x");
	ck_assert_int_eq(bundle_find_user(bundle_users(&out), "cart", &uid), TULLE_OK);
	ck_assert_uint_eq(uid, 7);
	ck_assert_int_eq(bundle_find_user(bundle_users(&out), "cart 2", &uid), TULLE_OK);
	ck_assert_uint_eq(uid, 8);
	ck_assert_int_eq(bundle_find_user(bundle_users(&out), "2", &uid), TULLE_ENOENT);
	ck_assert_int_eq(bundle_find_user(bundle_users(&out), "car", &uid), TULLE_ENOENT);
	bundle_free(&out);
	close(fd);
	buf_free(&text);
	/* Without entries there are none, as in what earlier versions kept. */
	ck_assert_int_eq(bundle_pack(&fd, &in[3], 1), TULLE_OK);
	ck_assert_int_eq(bundle_unpack(&out, fd), TULLE_OK);
	ck_assert_uint_eq(out.manifests, 1);
	ck_assert_ptr_null(bundle_identities(&out));
	ck_assert_ptr_null(bundle_users(&out));
	bundle_free(&out);
	close(fd);
}
END_TEST

UNIT_MAIN("bundle", files_come_out_as_they_went_in, a_bundle_that_is_cut_or_lies_about_lengths_is_refused,
    what_is_not_sealed_is_refused, identities_and_their_users_stand_between_host_file_and_manifests)
