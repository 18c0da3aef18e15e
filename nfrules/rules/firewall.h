/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * firewall.h - firewalls of the host that see what was redirected at the
 * inbound port, not at the port that was dialled: so that steering what
 * arrives opens ports that they close, or closes those that they open.  Pure.
 *
 * They are told by the rules that they load, not by their services: these
 * are what acts.  doc/steering.md says what each makes of it.
 */
#ifndef TULLE_NFRULES_RULES_FIREWALL_H
#define TULLE_NFRULES_RULES_FIREWALL_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/steering.h"

/* Bits of a set. */
#define FIREWALL_UFW 1u
#define FIREWALL_FIREWALLD 2u
#define FIREWALLS 2

#define FIREWALL_TEXT 512

/* Whose the rule "-A <chain> <rule>" of the filter table is: the jump without which the rest of that firewall does not act.  0: of none. */
unsigned int firewall_of_rule(const char *chain, const char *rule);

/* Whose tables "nft list tables" names. */
unsigned int firewall_of_tables(const char *text);

/* Is what arrives steered, at every port, without the operator's word that this is meant? */
bool firewall_matters(const struct steering *s);

/* What one of them does to what is captured, and the ways out: one sentence without a full stop.  Returns <out>. */
const char *firewall_sentence(unsigned int firewall, uint16_t inbound_port, char out[FIREWALL_TEXT]);

#endif
