/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/firewalls.h"

#include "live/tool.h"
#include "rules/firewall.h"

unsigned int
firewalls_seen(const struct actual *a)
{
	static const char *const tables[] = { "nft", "list", "tables", NULL };
	struct tool_output o = { 0 };
	unsigned int seen = 0;

	for (int b = 0; b < BACKENDS; b++)
		for (int f = 0; f < FAMILIES; f++)
			if (a->side[b][f].rules != NULL)
				seen |= a->side[b][f].rules->firewalls;
	if (tool_run(&o, tables, NULL, 0) == TULLE_OK) {
		if (o.status == 0)
			seen |= firewall_of_tables(o.out);
		tool_output_free(&o);
	}
	return seen;
}
