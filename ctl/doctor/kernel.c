/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kernel.c - has the kernel what the steering rules are made of?  Each
 * feature is tried by its name, in a network namespace that is made for it
 * and ends with it: the host's own rules are not touched.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "doctor/doctor.h"
#include "outside.h"

#define SAID_MAX 4096

/* In the order in which they build on each other: of one family the first that is missing is told. */
static const struct {
	const char *name, *input, *option;
} features[] = {
	{ "nat table", "*nat\nCOMMIT\n", "CONFIG_NF_NAT, with nft CONFIG_NFT_NAT, with legacy CONFIG_IP_NF_NAT or CONFIG_IP6_NF_NAT" },
	{ "mangle table", "*mangle\nCOMMIT\n", "CONFIG_NF_TABLES, with legacy CONFIG_IP_NF_MANGLE or CONFIG_IP6_NF_MANGLE" },
	{ "connection tracking", "*mangle\n-A INPUT -m conntrack --ctstate INVALID\nCOMMIT\n",
	    "CONFIG_NF_CONNTRACK and CONFIG_NETFILTER_XT_MATCH_CONNTRACK" },
	{ "owner match", "*nat\n-A OUTPUT -m owner --uid-owner 1 -j RETURN\nCOMMIT\n", "CONFIG_NETFILTER_XT_MATCH_OWNER" },
	{ "multiport match", "*nat\n-A OUTPUT -p tcp -m multiport --dports 1,2 -j RETURN\nCOMMIT\n",
	    "CONFIG_NETFILTER_XT_MATCH_MULTIPORT" },
	{ "REDIRECT", "*nat\n-A OUTPUT -p tcp -j REDIRECT --to-ports 1\nCOMMIT\n", "CONFIG_NETFILTER_XT_TARGET_REDIRECT" },
};

static const char *
tool_of(const struct doctor *d, bool six)
{
	if (d->host->steering.backend == BACKEND_LEGACY)
		return six ? "ip6tables-legacy-restore" : "iptables-legacy-restore";
	if (d->host->steering.backend == BACKEND_NFT)
		return six ? "ip6tables-nft-restore" : "iptables-nft-restore";
	return six ? "ip6tables-restore" : "iptables-restore";
}

/* A line of the tool's own words, for whoever wants to look further. */
static void
shorten(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) > 160)
		text[160] = '\0';
}

/* False: told, and no use to go on. */
static bool
try_family(struct doctor *d, bool six)
{
	const char *const argv[] = { tool_of(d, six), NULL };
	const char *family = six ? "IPv6" : "IPv4";

	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		char AUTO_FREE *said = NULL;
		int status = outside_run(argv, features[i].input, true, SAID_MAX, &said);

		if (status == 0)
			continue;
		if (status == OUTSIDE_MISSING)
			report_add(&d->report, BROKEN, "kernel", "%s is not installed: no rule can be made; apt install iptables", argv[0]);
		else if (status == 126 || status == -1 || said == NULL)
			report_add(&d->report, UNKNOWN, "kernel", "not looked at: no network namespace can be made here to try it in");
		else {
			shorten(said);
			report_add(&d->report, BROKEN, "kernel", "%s: the kernel has no %s (%s): %s; %s", family, features[i].name, said,
			    features[i].option,
			    six ? "or leave IPv6 out: steering: {ipv6: \"off\"}" : "use a kernel that has it (Debian's has)");
		}
		return false;
	}
	return true;
}

void
check_kernel(struct doctor *d)
{
	bool six_there = access("/proc/net/if_inet6", R_OK) == 0, four, six = true;

	if (d->host == NULL)
		return;
	if (!d->root) {
		report_add(&d->report, UNKNOWN, "kernel", "not looked at: that needs root");
		return;
	}
	four = try_family(d, false);
	if (four && six_there && d->host->steering.ipv6 != IPV6_OFF)
		six = try_family(d, true);
	if (four && six)
		report_add(&d->report, WELL, "kernel", "has all that the rules need, IPv4%s", six_there ? " and IPv6" : "; it has no IPv6");
}
