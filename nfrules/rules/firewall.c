/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/firewall.h"

#include <stdio.h>
#include <string.h>

unsigned int
firewall_of_rule(const char *chain, const char *rule)
{
	if (strcmp(chain, "INPUT") != 0)
		return 0;
	/* Its chains stay when ufw is disabled; the jump goes. */
	if (strcmp(rule, "-j ufw-before-input") == 0)
		return FIREWALL_UFW;
	if (strcmp(rule, "-j INPUT_ZONES") == 0) /* FirewallBackend=iptables */
		return FIREWALL_FIREWALLD;
	return 0;
}

unsigned int
firewall_of_tables(const char *text)
{
	static const char line[] = "table inet firewalld";

	for (const char *at = text; (at = strstr(at, line)) != NULL; at += sizeof(line) - 1)
		if ((at == text || at[-1] == '\n') && strchr(" \n", at[sizeof(line) - 1]) != NULL)
			return FIREWALL_FIREWALLD;
	return 0;
}

bool
firewall_matters(const struct steering *s)
{
	return s->inbound && s->inbound_ports_n == 0 && !s->inbound_all;
}

const char *
firewall_sentence(unsigned int firewall, uint16_t inbound_port, char out[FIREWALL_TEXT])
{
	static const char ways[] = "or say there inboundPorts: all if that is meant, or inbound: false to capture nothing that arrives";

	if (firewall == FIREWALL_UFW)
		(void)snprintf(out, FIREWALL_TEXT,
		    "ufw is active and sees what is captured inbound at port %u, whatever port was dialled: it drops what its ports let in "
		    "and Tulle captures; name the open ones in tulle.yaml (capture.inboundPorts, \"capture: {inboundPorts: [80, 443]}\") and "
		    "ufw allow %u/tcp, %s",
		    inbound_port, inbound_port, ways);
	else
		(void)snprintf(out, FIREWALL_TEXT,
		    "firewalld is active and lets in whatever is captured inbound, also at ports that its zones close; name the open ones in "
		    "tulle.yaml (capture.inboundPorts, \"capture: {inboundPorts: [80, 443]}\"), %s",
		    ways);
	return out;
}
