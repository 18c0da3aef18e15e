/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan.h - from what is wanted to an ordered list of chains and rules, for
 * one family.  Pure, and without the syntax of any tool: render.h writes it
 * down for iptables.
 *
 * All four verbs start here; nothing is listed twice.
 */
#ifndef TULLE_NFRULES_RULES_PLAN_H
#define TULLE_NFRULES_RULES_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "rules/steering.h"

/* In the order in which they are applied: a plan that stops half-way has captured nothing yet. */
enum table {
	TABLE_RAW,
	TABLE_MANGLE,
	TABLE_FILTER,
	TABLE_NAT,
	TABLES,
};

/* Every chain of ours begins so; a chain that does is ours, whoever made it. */
#define CHAIN_PREFIX "TULLE_"
#define CHAIN_ANCHOR "TULLE_ANCHOR"       /* mangle: keeps connection tracking alive, remembers the plan */
#define CHAIN_GUARD_OUT "TULLE_GUARD_OUT" /* filter: new connections that escaped the capture are reset */
#define CHAIN_GUARD_IN "TULLE_GUARD_IN"
#define CHAIN_OUT "TULLE_OUT" /* nat: to the outbound port */
#define CHAIN_IN "TULLE_IN"   /* nat: to the inbound port */

#define RULE_PORTS 15 /* what a multiport match holds; a range of more than one port counts twice */
#define PLAN_CHAINS 5

enum rule_verdict {
	VERDICT_NONE,     /* matches, does nothing */
	VERDICT_RETURN,   /* not ours: leave the chain */
	VERDICT_REDIRECT, /* to <to_port> of this host */
	VERDICT_RESET,    /* answer with a TCP reset */
};

enum rule_link { LINK_ANY, LINK_IN_LO, LINK_OUT_LO };

/* Every condition that is set must hold. */
struct rule {
	enum rule_link link;
	bool by_uid;
	uint32_t uid;     /* of the process that made the socket */
	struct cidr from; /* family 0: any */
	struct cidr to;   /* family 0: any */
	uint8_t ports_n;
	struct port_range ports[RULE_PORTS]; /* TCP destination ports */
	bool first_packet;          /* a TCP SYN: never a packet of a connection that lives */
	bool to_others;             /* not addressed to this host: forwarded */
	bool not_redirected;
	bool invalid; /* connection tracking makes nothing of it */
	enum rule_verdict verdict;
	uint16_t to_port; /* of VERDICT_REDIRECT */
};

struct plan_chain {
	enum table table;
	const char *name;
	const char *hook; /* the built-in chain that jumps here */
	bool first;       /* that jump must be its first rule */
	struct rule *rules;
	size_t n, cap;
};

struct plan {
	uint8_t family; /* AF_INET or AF_INET6 */
	struct plan_chain chains[PLAN_CHAINS];
	size_t n;
	struct arena arena; /* owns the rules */
};

/*
 * The plan for <family>, AF_INET or AF_INET6.  The same input gives the
 * same plan, whatever the order of its lists.  An IPv6 plan with
 * STEERING_V6_OFF has no chain at all.
 *
 *   TULLE_OK      *ret is the caller's, to release with plan_free()
 *   TULLE_EINVAL  a port that is none, or two of Tulle's ports that may not be equal are
 *   TULLE_ELIMIT  a list is longer than STEERING_EXCLUDE_MAX
 *   TULLE_ENOMEM
 */
enum tulle_err plan_make(struct plan **ret, const struct steering *s, uint8_t family);

/* Takes NULL.  Always returns NULL. */
struct plan *plan_free(struct plan *p);

/* "raw", "mangle", "filter", "nat". */
const char *table_name(enum table t);

#endif
