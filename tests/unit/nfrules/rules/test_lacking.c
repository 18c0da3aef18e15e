/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages as iptables 1.8.9 writes them. */
#include "rules/lacking.h"

#include <string.h>

#include "unit.h"

static const struct {
	const char *said, *names, *way_out;
} known[] = {
	{ "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'\n\nError occurred at line: 1",
	    "IPv4 table nat", "iptable_nat" },
	{ "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
	    "IPv4 table nat", "backend: nft" },
	{ "ip6tables-restore v1.8.9 (legacy): ip6tables-restore: unable to initialize table 'mangle'", "IPv6 table mangle",
	    "ip6table_mangle" },
	{ "Warning: Extension owner revision 0 not supported, missing kernel module?\niptables-nft-restore: line 4: RULE_APPEND failed",
	    "\"owner\"", "xt_owner" },
	{ "iptables-nft-restore v1.8.9 (nf_tables): Couldn't load match `owner':No such file or directory", "\"owner\"",
	    "package iptables" },
	{ "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: CHAIN_ADD failed (No such file or directory): chain PREROUTING",
	    "nat chains", "nft_chain_nat" },
	{ "iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)",
	    "NET_ADMIN", "capabilities" },
	{ "iptables/1.8.9 Failed to initialize nft: Protocol not supported", "nf_tables", "backend: legacy" },
	{ "iptables-restore: line 5 failed: No chain/target/match by that name.", "match or target", "xt_owner" },
};

START_TEST(the_missing_thing_and_the_way_out_are_named)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char out[LACKING_TEXT];
		const char *text = lacking(known[i].said, out);

		ck_assert_msg(text != NULL, "not known: %s", known[i].said);
		ck_assert_msg(strstr(text, known[i].names) != NULL && strstr(text, known[i].way_out) != NULL, "%s\n  says: %s",
		    known[i].said, text);
	}
}
END_TEST

START_TEST(other_failures_are_not_explained_away)
{
	char out[LACKING_TEXT];

	ck_assert_ptr_null(lacking("", out));
	ck_assert_ptr_null(lacking("refused by the test", out));
	ck_assert_ptr_null(lacking("Warning: Extension ", out));
	ck_assert_ptr_null(lacking("unable to initialize table ''", out));
}
END_TEST

START_TEST(a_long_name_is_cut)
{
	char out[LACKING_TEXT], said[600] = "Warning: Extension ";

	memset(said + 19, 'x', sizeof(said) - 20);
	ck_assert_uint_lt(strlen(lacking(said, out)), LACKING_TEXT);
}
END_TEST

UNIT_MAIN("lacking", the_missing_thing_and_the_way_out_are_named, other_failures_are_not_explained_away, a_long_name_is_cut)
