/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/curve25519.h>

#include "tls/context.h"
#include "tls/vectors.h"

#include <string.h>

#include "unit.h"

START_TEST(this_build_of_the_library_passes)
{
	const char *what = "";

	ck_assert_int_eq(tls_init(), TULLE_OK);
	for (int i = 0; i < 20; i++)
		ck_assert_msg(tls_selftest(&what) == TULLE_OK, "%s", what);
}
END_TEST

/* What wolfSSL's P-256 code does to the next one: see vectors.h. */
static void
soil_vectors(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		__asm__ volatile("vpcmpeqd %%ymm9, %%ymm9, %%ymm9" ::: "xmm9", "memory");
#endif
}

START_TEST(x25519_is_right_in_clean_registers)
{
	uint8_t private[32], want[32], got[32];

	for (int i = 0; i < 200; i++) {
		memset(private, i + 1, sizeof(private));
		private[0] &= 248;
		private[31] = (uint8_t)((private[31] & 127) | 64);
		vectors_clean();
		ck_assert_int_eq(wc_curve25519_make_pub(32, want, 32, private), 0);
		soil_vectors();
		vectors_clean();
		ck_assert_int_eq(wc_curve25519_make_pub(32, got, 32, private), 0);
		ck_assert_mem_eq(got, want, 32);
	}
}
END_TEST

UNIT_MAIN("selftest", this_build_of_the_library_passes, x25519_is_right_in_clean_registers)
