/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * steering.h - what is to be steered: all that the plan depends on, and
 * nothing else.  Numbers and addresses only; no text of the operator comes
 * this far, so none can reach iptables.
 */
#ifndef TULLE_NFRULES_RULES_STEERING_H
#define TULLE_NFRULES_RULES_STEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define STEERING_OWN_UIDS 8      /* daemons of Tulle */
#define STEERING_EXCLUDE_MAX 1024 /* entries a list of exclusions may have */

/* TCP ports <from> to <to>, both of them, 1 to 65535. */
struct port_range {
	uint16_t from, to;
};

enum steering_v6 {
	STEERING_V6_ON,     /* steer IPv6 as IPv4 */
	STEERING_V6_OFF,    /* leave IPv6 alone: a bypass, by the operator's word */
	STEERING_V6_REJECT, /* reset new IPv6 connections instead of steering them */
};

struct steering {
	bool outbound;    /* capture what local programs dial */
	bool inbound;     /* capture what comes to local ports */
	bool fail_closed; /* reset new connections that escaped the capture */
	enum steering_v6 v6;

	uint32_t own_uids[STEERING_OWN_UIDS]; /* Tulle's daemons: never captured */
	size_t own_uids_n;

	/* TCP destination ports that are captured inbound, 1 to 65535; none: all.  Lent, in any order, with repetitions. */
	const uint32_t *inbound_ports;
	size_t inbound_ports_n;
	bool inbound_all; /* none, and the operator said that all are meant */

	/* Exclusions; each list is lent and may be in any order, with repetitions. */
	const uint32_t *uids; /* of programs: outbound */
	size_t uids_n;
	const uint32_t *ports; /* 1 to 65535, TCP destination ports: both ways */
	size_t ports_n;
	const struct port_range *in_ports, *out_ports; /* the same, one way each */
	size_t in_ports_n, out_ports_n;
	const struct cidr *cidrs; /* of the far end: both ways */
	size_t cidrs_n;

	/* Where Tulle listens; 0: nowhere. */
	uint16_t outbound_port, inbound_port;
	uint16_t hbone_port, authority_port, health_port, metrics_port, sidecar_port;
};

#endif
