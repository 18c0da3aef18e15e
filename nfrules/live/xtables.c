/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/xtables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "live/tool.h"
#include "rules/dump.h"

#define STR_(x) #x
#define STR(x) STR_(x)

static const char *const savers[BACKENDS][FAMILIES] = {
	[BACKEND_OF_NFT] = { [FAMILY_V6] = "ip6tables-nft-save", [FAMILY_V4] = "iptables-nft-save" },
	[BACKEND_OF_LEGACY] = { [FAMILY_V6] = "ip6tables-legacy-save", [FAMILY_V4] = "iptables-legacy-save" },
};
static const char *const restorers[BACKENDS][FAMILIES] = {
	[BACKEND_OF_NFT] = { [FAMILY_V6] = "ip6tables-nft-restore", [FAMILY_V4] = "iptables-nft-restore" },
	[BACKEND_OF_LEGACY] = { [FAMILY_V6] = "ip6tables-legacy-restore", [FAMILY_V4] = "iptables-legacy-restore" },
};

const char *
backend_name(enum backend b)
{
	return b == BACKEND_OF_LEGACY ? "legacy" : "nft";
}

const char *
family_name(enum family f)
{
	return f == FAMILY_V6 ? "IPv6" : "IPv4";
}

int
family_number(enum family f)
{
	return f == FAMILY_V6 ? AF_INET6 : AF_INET;
}

/* What became of the tool, if it did not end well. */
static enum tulle_err
explain(enum tulle_err e, const char *tool, const struct tool_output *o, char why[XTABLES_WHY])
{
	switch ((int)e) {
	case TULLE_OK:
		if (o->status == 0)
			return TULLE_OK;
		(void)snprintf(why, XTABLES_WHY, "%s: exit status %d: %.900s", tool, o->status,
		    o->err[0] != '\0' ? o->err : "no message");
		return TULLE_EUNAVAIL;
	case TULLE_ENOMEM:
		(void)snprintf(why, XTABLES_WHY, "%s: out of memory", tool);
		return e;
	case TULLE_ENOENT:
		(void)snprintf(why, XTABLES_WHY, "%s is not installed (package iptables)", tool);
		return TULLE_EUNAVAIL;
	case TULLE_ETIMEDOUT:
		(void)snprintf(why, XTABLES_WHY, "%s took more than %d s and was killed", tool, TOOL_TIMEOUT_MS / 1000);
		return TULLE_EUNAVAIL;
	case TULLE_ESYS:
		(void)snprintf(why, XTABLES_WHY, "%s: %s", tool, strerror(errno));
		return TULLE_EUNAVAIL;
	default:
		(void)snprintf(why, XTABLES_WHY, "%s: %s", tool, tulle_strerror(e));
		return TULLE_EUNAVAIL;
	}
}

/* Asked of the kernel, not of the legacy tool, which creates the table that it is asked for. */
static enum tulle_err
legacy_tables(enum family f, bool *ret, char why[XTABLES_WHY])
{
	const char *path = f == FAMILY_V6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names";
	char AUTO_FREE *names = NULL;
	size_t len;
	enum tulle_err e = file_read(path, 65536, &names, &len);

	if (e == TULLE_ENOENT && access("/proc/net/tcp", F_OK) == 0) {
		*ret = false; /* the legacy backend is not even loaded */
		return TULLE_OK;
	}
	if (e != TULLE_OK) {
		(void)snprintf(why, XTABLES_WHY, "%s: %s", path, e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
		return TULLE_EUNAVAIL;
	}
	*ret = len > 0;
	return TULLE_OK;
}

enum tulle_err
xtables_read(struct ruleset **ret, enum backend b, enum family f, char why[XTABLES_WHY])
{
	const char *argv[] = { savers[b][f], NULL };
	struct tool_output o = { 0 };
	struct ruleset *r;
	enum tulle_err e;
	bool any = true, none;

	if (b == BACKEND_OF_LEGACY) {
		e = legacy_tables(f, &any, why);
		if (e != TULLE_OK)
			return e;
	}
	if (!any) {
		r = ruleset_new();
		if (r == NULL)
			return TULLE_ENOMEM;
		*ret = r;
		return TULLE_OK;
	}
	e = tool_run(&o, argv, NULL, 0);
	/* Legacy tables that are there need their tool.  An nft without one, or without its family, has nothing of ours. */
	none = b == BACKEND_OF_NFT &&
	    (e == TULLE_ENOENT || (e == TULLE_OK && o.status != 0 && strstr(o.err, "not supported") != NULL));
	e = explain(e, argv[0], &o, why);
	if (e == TULLE_EUNAVAIL && none)
		e = TULLE_ENOENT;
	if (e == TULLE_OK) {
		e = dump_parse(ret, o.out, o.out_len);
		if (e != TULLE_OK && e != TULLE_ENOMEM) {
			(void)snprintf(why, XTABLES_WHY, "%s: its output is not understood: %s", argv[0], tulle_strerror(e));
			e = TULLE_EUNAVAIL;
		}
	}
	tool_output_free(&o);
	return e;
}

enum tulle_err
xtables_load(enum backend b, enum family f, const char *text, size_t len, char why[XTABLES_WHY])
{
	const char *argv[] = { restorers[b][f], "-w", STR(XTABLES_WAIT_SEC), "--noflush", NULL };
	struct tool_output o = { 0 };
	enum tulle_err e = explain(tool_run(&o, argv, text, len), argv[0], &o, why);

	if (e == TULLE_EUNAVAIL && b == BACKEND_OF_LEGACY && strstr(o.err, "xtables lock") != NULL) {
		(void)snprintf(why, XTABLES_WHY,
		    "another program has held the xtables lock (/run/xtables.lock) for more than %d s; try again when it is done",
		    XTABLES_WAIT_SEC);
		e = TULLE_EBUSY;
	}
	tool_output_free(&o);
	return e;
}
