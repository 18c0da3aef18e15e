/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/lacking.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define WORD 32

/* The word behind <marker>, up to the quote or blank that ends it; false: it is not there. */
static bool
word_behind(const char *text, const char *marker, char out[WORD])
{
	const char *at = strstr(text, marker);
	size_t n = 0;

	if (at == NULL)
		return false;
	at += strlen(marker);
	while (n < WORD - 1 && at[n] != '\0' && strchr("' \n:\"", at[n]) == NULL) {
		out[n] = at[n];
		n++;
	}
	out[n] = '\0';
	return n > 0;
}

/* A table of the legacy backend, a module each. */
static const char *
lacks_table(const char *said, char out[LACKING_TEXT])
{
	static const char *const markers[] = { "unable to initialize table '", "tables table `" };
	const bool six = strstr(said, "ip6tables") != NULL;
	char table[WORD];

	for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
		if (!word_behind(said, markers[i], table))
			continue;
		(void)snprintf(out, LACKING_TEXT,
		    "this kernel has no %s table %s (module ip%stable_%s), or the capability NET_ADMIN is missing: load it (modprobe; in a "
		    "container: on the node), or set \"steering: {backend: nft}\" if the kernel has nf_tables",
		    six ? "IPv6" : "IPv4", table, six ? "6" : "", table);
		return out;
	}
	return NULL;
}

/* A match or target: the tool knows it and the kernel does not, or the tool has no part for it. */
static const char *
lacks_extension(const char *said, char out[LACKING_TEXT])
{
	char name[WORD];

	if (word_behind(said, "Warning: Extension ", name)) {
		(void)snprintf(out, LACKING_TEXT,
		    "this kernel does not have \"%s\" for iptables (module xt_%s): load it (modprobe; in a container: on the node). Without "
		    "it connections cannot be steered",
		    name, name);
		return out;
	}
	if (word_behind(said, "Couldn't load match `", name) || word_behind(said, "Couldn't load target `", name)) {
		(void)snprintf(out, LACKING_TEXT,
		    "the iptables of this system has no part for \"%s\" (libxt_%s.so): install the package iptables whole", name, name);
		return out;
	}
	return NULL;
}

const char *
lacking(const char *said, char out[LACKING_TEXT])
{
	static const struct {
		const char *message, *sentence;
	} fixed[] = {
		{ "Permission denied (you must be root)", "root is not enough here: the capability NET_ADMIN is needed in this network namespace "
		    "(a container: capabilities: {add: [NET_ADMIN, NET_RAW]})" },
		{ "CHAIN_ADD failed", "this kernel's nf_tables has no nat chains (modules nft_chain_nat and nf_nat): load them (modprobe; in a "
		    "container: on the node), or set \"steering: {backend: legacy}\" if the kernel has those tables" },
		{ "Failed to initialize nft", "this kernel has no nf_tables: load it (modprobe nf_tables; in a container: on the node), or set "
		    "\"steering: {backend: legacy}\"" },
		{ "Could not initialize nftables layer", "this kernel has no nf_tables: load it (modprobe nf_tables; in a container: on the "
		    "node), or set \"steering: {backend: legacy}\"" },
		{ "No chain/target/match by that name", "this kernel lacks a match or target that steering needs (modules xt_owner, xt_REDIRECT, "
		    "xt_conntrack, xt_multiport, xt_addrtype, xt_comment): load them (modprobe; in a container: on the node)" },
	};
	const char *said_so = lacks_table(said, out);

	if (said_so == NULL)
		said_so = lacks_extension(said, out);
	for (size_t i = 0; said_so == NULL && i < ARRAY_LEN(fixed); i++) {
		if (strstr(said, fixed[i].message) != NULL) {
			(void)snprintf(out, LACKING_TEXT, "%s", fixed[i].sentence);
			said_so = out;
		}
	}
	return said_so;
}
