/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an idle session costs, and what a record costs.
 * malloc() is counted by its own wrapper: everything that a session holds
 * must show, wolfSSL's and ours.
 */
#ifdef TULLE_SANITIZED
#include <stdio.h>

int
main(void)
{
	puts("skipped: a sanitizer's allocator has other sizes");
	return 0;
}
#else
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

/* Before pair.h, which uses it through lib/tls; the linker takes these for the whole program. */
static size_t held;
static size_t calls;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

#include "pair.h"
#include "tls/intern.h"
#include "unit.h"

/* What was asked for is not kept by glibc; its usable size is at most 8 more on average. */
void *
malloc(size_t n)
{
	void *p = __libc_malloc(n);

	held += p != NULL ? malloc_usable_size(p) : 0;
	calls++;
	return p;
}

void *
calloc(size_t n, size_t size)
{
	void *p = __libc_calloc(n, size);

	held += p != NULL ? malloc_usable_size(p) : 0;
	calls++;
	return p;
}

void *
realloc(void *old, size_t n)
{
	size_t before = old != NULL ? malloc_usable_size(old) : 0;
	void *p = __libc_realloc(old, n);

	held += (p != NULL ? malloc_usable_size(p) : 0) - (p != NULL ? before : 0);
	calls++;
	return p;
}

void
free(void *p)
{
	held -= p != NULL ? malloc_usable_size(p) : 0;
	__libc_free(p);
}

#define SESSIONS 20
#define LIMIT_WOLFSSL 3300 /* of the library; measured 3,096 and 3,120 */
#define LIMIT_OURS 200     /* struct tls_session */

/* Bytes that one more idle session on the given side holds. */
static size_t
idle_bytes(struct pair *p, bool server_side)
{
	struct tls_session *kept[SESSIONS];
	size_t before = held;

	for (size_t i = 0; i < SESSIONS; i++) {
		pair_sessions(p, NULL);
		ck_assert_int_eq(pair_run(p), TULLE_OK);
		pair_send(p, p->client, 10000); /* used, then idle */
		pair_send(p, p->server, 10000);
		kept[i] = server_side ? p->server : p->client;
		if (server_side)
			p->server = NULL;
		else
			p->client = NULL;
		pair_free_sessions(p);
	}
	before = (held - before) / SESSIONS;
	for (size_t i = 0; i < SESSIONS; i++)
		tls_session_free(kept[i]);
	return before;
}

START_TEST(an_idle_session_is_small)
{
	struct pair p = pair_contexts();
	size_t client, server;

	pair_sessions(&p, NULL); /* what is made once is made now */
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pair_free_sessions(&p);
	client = idle_bytes(&p, false);
	server = idle_bytes(&p, true);
	printf("  idle heap bytes of a session, ours included: client %zu, server %zu\n", client, server);
	ck_assert_uint_le(client, LIMIT_WOLFSSL + LIMIT_OURS);
	ck_assert_uint_le(server, LIMIT_WOLFSSL + LIMIT_OURS);
	pair_free(&p);
	ck_assert_uint_eq(intern_count(), 0);
}
END_TEST

/* One allocation of wolfSSL's for a record written and one for a record read: none of ours. */
START_TEST(a_record_costs_one_allocation_each_way)
{
	struct pair p = pair_new(NULL, NULL);
	static uint8_t chunk[TLS_RECORD];
	size_t n, before, wrote, read;
	enum tulle_err e = TULLE_OK;

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pair_send(&p, p.client, 200000); /* the output buffer has its size */
	tls_session_output(p.client, &p.to_server);
	before = calls;
	for (int i = 0; i < 10 && e == TULLE_OK; i++) /* Check allocates, too: it is asked later */
		e = tls_session_write(p.client, chunk, sizeof(chunk));
	wrote = calls - before;
	ck_assert_int_eq(e, TULLE_OK);
	tls_session_input(p.server, buf_head(&p.to_server), buf_len(&p.to_server));
	before = calls;
	while (tls_session_read(p.server, chunk, sizeof(chunk), &n) == TULLE_OK)
		;
	read = calls - before;
	printf("  allocations for ten records: %zu written, %zu read\n", wrote, read);
	ck_assert_uint_le(wrote, 10);
	ck_assert_uint_le(read, 10);
	pair_free(&p);
}
END_TEST

UNIT_MAIN("idle", an_idle_session_is_small, a_record_costs_one_allocation_each_way)
#endif
