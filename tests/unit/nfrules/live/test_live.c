/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of /proc/net/tcp, programs that are run, and which backend is ours. */
#include <string.h>
#include <unistd.h>

#include "live/actual.h"
#include "live/sockets.h"
#include "live/tool.h"
#include "unit.h"

START_TEST(sockets_are_counted_by_local_port_and_state)
{
	struct sockets_count n = { 0 };

	ck_assert(!sockets_line("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n", 15001, &n));
	ck_assert(!sockets_line("   0: 0100007F:0050 00000000:0000 0A 00000000:00000000\n", 15001, &n));
	ck_assert(!sockets_line("   0: 0100007F:0050 0100007F:3A99 01 00000000:00000000\n", 15001, &n));
	ck_assert(sockets_line("   1: 00000000:3A99 00000000:0000 0A 00000000:00000000\n", 15001, &n));
	ck_assert(sockets_line(" 123: 0100007F:3A99 0100007F:9C40 01 00000000:00000000\n", 15001, &n)); /* established */
	ck_assert(sockets_line("   3: 0100007F:3A99 0100007F:9C40 06 00000000:00000000\n", 15001, &n)); /* time-wait */
	ck_assert(sockets_line("   4: 0000000000000000FFFF00000100007F:3A99 0000000000000000FFFF00000100007F:9C40 08 0\n", 15001,
	    &n)); /* close-wait */
	ck_assert(!sockets_line("", 15001, &n));
	ck_assert(!sockets_line("   5: 0100007F:3A99", 15001, &n));
	ck_assert_uint_eq(n.listening, 1);
	ck_assert_uint_eq(n.connected, 2);
}
END_TEST

START_TEST(a_program_gets_its_input_and_its_words_come_back)
{
	const char *cat[] = { "cat", NULL }, *fails[] = { "sh", "-c", "echo out; echo err >&2; exit 7", NULL };
	static char big[300000];
	struct tool_output o;

	memset(big, 'x', sizeof(big));
	ck_assert_int_eq(tool_run(&o, cat, big, sizeof(big)), TULLE_OK);
	ck_assert_int_eq(o.status, 0);
	ck_assert_uint_eq(o.out_len, sizeof(big));
	ck_assert_int_eq(o.out[sizeof(big)], '\0');
	tool_output_free(&o);
	ck_assert_int_eq(tool_run(&o, fails, NULL, 0), TULLE_OK);
	ck_assert_int_eq(o.status, 7);
	ck_assert_str_eq(o.out, "out\n");
	ck_assert_str_eq(o.err, "err");
	tool_output_free(&o);
}
END_TEST

START_TEST(a_program_that_does_not_read_or_is_not_there)
{
	const char *true_argv[] = { "true", NULL }, *none[] = { "no-such-program-of-tulle", NULL };
	const char *killed[] = { "sh", "-c", "kill -9 $$", NULL };
	static char big[300000];
	struct tool_output o;

	ck_assert_int_eq(tool_run(&o, true_argv, big, sizeof(big)), TULLE_OK);
	ck_assert_int_eq(o.status, 0);
	tool_output_free(&o);
	ck_assert_int_eq(tool_run(&o, none, NULL, 0), TULLE_ENOENT);
	ck_assert_int_eq(tool_run(&o, killed, NULL, 0), TULLE_OK);
	ck_assert_int_eq(o.status, 128 + 9);
	tool_output_free(&o);
}
END_TEST

START_TEST(a_flood_on_standard_error_is_cut_and_does_not_block)
{
	const char *flood[] = { "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; "
		                        "i=$((i+1)); done >&2",
		NULL };
	struct tool_output o;

	ck_assert_int_eq(tool_run(&o, flood, NULL, 0), TULLE_OK);
	ck_assert_uint_lt(strlen(o.err), TOOL_ERR_TEXT);
	tool_output_free(&o);
}
END_TEST

START_TEST(the_environment_is_our_own)
{
	const char *env[] = { "env", NULL };
	struct tool_output o;

	ck_assert_int_eq(setenv("LD_PRELOAD_OF_NOBODY", "x", 1), 0);
	ck_assert_int_eq(setenv("XTABLES_LOCKFILE", "/nowhere/lock", 1), 0);
	ck_assert_int_eq(tool_run(&o, env, NULL, 0), TULLE_OK);
	ck_assert_ptr_null(strstr(o.out, "NOBODY"));
	ck_assert_ptr_nonnull(strstr(o.out, "XTABLES_LOCKFILE=/nowhere/lock"));
	ck_assert_ptr_nonnull(strstr(o.out, "LC_ALL=C"));
	tool_output_free(&o);
}
END_TEST

/* A kernel in which all sides can be read and nothing is. */
static struct actual
quiet(void)
{
	struct actual a = { 0 };

	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			a.side[b][f].rules = ruleset_new();
	return a;
}

START_TEST(the_backend_is_ours_then_others_then_what_works)
{
	struct actual a = quiet();

	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_NFT);
	a.side[BACKEND_OF_NFT][FAMILY_V6].rules = ruleset_free(a.side[BACKEND_OF_NFT][FAMILY_V6].rules);
	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_NFT);
	a.side[BACKEND_OF_NFT][FAMILY_V4].rules = ruleset_free(a.side[BACKEND_OF_NFT][FAMILY_V4].rules);
	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_LEGACY);
	actual_free(&a);

	a = quiet();
	a.side[BACKEND_OF_LEGACY][FAMILY_V6].rules->foreign = 1;
	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_LEGACY);
	ck_assert_ptr_nonnull(ruleset_add_chain(a.side[BACKEND_OF_NFT][FAMILY_V4].rules, TABLE_NAT, CHAIN_OUT));
	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_NFT);
	actual_free(&a);

	a = quiet();
	ck_assert_ptr_nonnull(ruleset_add_chain(a.side[BACKEND_OF_LEGACY][FAMILY_V4].rules, TABLE_NAT, CHAIN_OUT));
	a.side[BACKEND_OF_NFT][FAMILY_V4].rules->foreign = 100;
	ck_assert_int_eq(actual_choose(&a), BACKEND_OF_LEGACY);
	actual_free(&a);
}
END_TEST

UNIT_MAIN("live", sockets_are_counted_by_local_port_and_state, a_program_gets_its_input_and_its_words_come_back,
    a_program_that_does_not_read_or_is_not_there, a_flood_on_standard_error_is_cut_and_does_not_block,
    the_environment_is_our_own, the_backend_is_ours_then_others_then_what_works)
