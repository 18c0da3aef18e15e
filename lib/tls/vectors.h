/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vectors.h - a guard against a fault in wolfSSL 5.9.2 on x86-64.
 *
 * Its P-256 code leaves something in the upper halves of the vector
 * registers, and its X25519 and Ed25519 table look-up (fe_cmov_table_avx2)
 * takes it that they are zero: it loads a register with movd, which keeps
 * the upper half, and then uses the whole of it.  The public key is then
 * wrong in about half of all cases, and the handshake ends with "AES-GCM
 * Authentication check fail".  test_selftest.c shows it.
 *
 * So: vectors_clean() before each library call that may make an X25519 or
 * Ed25519 key.  It costs a cycle or two, and does no harm once the library is mended.
 */
#ifndef TULLE_TLS_VECTORS_H
#define TULLE_TLS_VECTORS_H

static inline void
vectors_clean(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroupper" ::: "memory");
#endif
}

#endif
