/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /proc/net/tcp and tcp6 as the kernel writes them, and who would take a connection. */
#include <string.h>

#include "look/listeners.h"
#include "unit.h"

static const char tcp4[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  7900        0 4711 1 0 100 0 0 10 0\n"
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n"
    "   2: 0200000A:9C40 0100000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 20 4 30 10 -1\n"
    "nonsense\n"
    "   3: 0100007F:zz\n";
static const char tcp6[] =
    "  sl  local_address                         remote_address                        st tx_queue ...\n"
    "   0: 00000000000000000000000000000000:3A98 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000"
    "  7701        0 99 1 0 100 0 0 10 0\n"
    "   1: 0000000000000000FFFF00000200000A:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000"
    "  7701        0 98 1 0 100 0 0 10 0\n";

static struct addr
at(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text), TULLE_OK);
	return a;
}

static struct addr held;

START_TEST(listening_sockets_are_found_and_nothing_else)
{
	struct listeners l = { .n = 0 };

	listeners_parse(&l, tcp4, AF_INET);
	listeners_parse(&l, tcp6, AF_INET6);
	ck_assert_uint_eq(l.n, 4);
	ck_assert_uint_eq(l.items[0].uid, 7900);
	ck_assert_uint_eq(l.items[0].inode, 4711);
	held = at("127.0.0.1:8080");
	ck_assert(addr_equal(&l.items[0].at, &held));
	held = at("10.0.0.2:8081"); /* mapped */
	ck_assert(addr_equal(&l.items[3].at, &held));
	listeners_free(&l);
}
END_TEST

START_TEST(an_address_is_served_by_its_own_or_an_any_address)
{
	struct listeners l = { .n = 0 };

	listeners_parse(&l, tcp4, AF_INET);
	listeners_parse(&l, tcp6, AF_INET6);
	held = at("10.0.0.2:8080"); /* only loopback has that port */
	ck_assert_ptr_null(listeners_at(&l, &held));
	ck_assert_ptr_nonnull(listeners_on_port(&l, 8080));
	held = at("10.0.0.2:22");
	ck_assert_ptr_nonnull(listeners_at(&l, &held));
	held = at("[fd00::2]:22"); /* 0.0.0.0 takes no IPv6 */
	ck_assert_ptr_null(listeners_at(&l, &held));
	held = at("10.0.0.2:15000"); /* [::] takes IPv4 */
	ck_assert_ptr_nonnull(listeners_at(&l, &held));
	ck_assert_ptr_null(listeners_on_port(&l, 40000)); /* a connection, not a listener */
	listeners_free(&l);
}
END_TEST

UNIT_MAIN("listeners", listening_sockets_are_found_and_nothing_else,
    an_address_is_served_by_its_own_or_an_any_address)
