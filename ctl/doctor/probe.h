/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * probe.h - does somebody answer there?  Many TCP connections at once, each
 * closed as soon as it is known.
 */
#ifndef TULLE_CTL_DOCTOR_PROBE_H
#define TULLE_CTL_DOCTOR_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum probe_end {
	PROBE_OPEN,        /* connected */
	PROBE_REFUSED,     /* a reset came: nobody listens, or a firewall says so in its place */
	PROBE_REJECTED,    /* an ICMP message came: a firewall; <by> sent it */
	PROBE_SILENT,      /* no answer in time: a firewall drops, or there is no such host */
	PROBE_UNREACHABLE, /* no route, or nobody at this address on the link */
	PROBE_FAILED,      /* this host could not even try; <error> */
};

struct probe {
	struct addr to;
	uint32_t uid;       /* whose connection it is, as steering rules see it; 0: root's */
	enum probe_end end;
	int error;          /* errno of how it ended; 0 if it is open */
	struct addr by;     /* REJECTED: who sent the message; family 0 if that is not known */
};

#define PROBES_MAX 256 /* at once */

/* Makes all <n> (at most PROBES_MAX) within <timeout_ms> and fills in how each ended. */
void probe_all(struct probe *p, size_t n, int timeout_ms);

#endif
