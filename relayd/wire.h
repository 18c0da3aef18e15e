/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wire.h - what parent and relay process say to each other (msg/msg.h).
 *
 * The parent has a file system and the descriptors, the relay process
 * parses what strangers send.  So the relay process can ask for exactly two
 * things, WIRE_DIAL and WIRE_UNIT_OF; everything else it says is an answer.
 */
#ifndef TULLE_RELAYD_WIRE_H
#define TULLE_RELAYD_WIRE_H

#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "msg/msg.h"

enum wire {
	/* parent to relay process */
	WIRE_CONFIG = 1,     /* struct wire_config, descriptor: sealed files (bundle.h) */
	WIRE_IDENTITY,       /* struct wire_identity, descriptor: connected to the Workload API, or none */
	WIRE_STATUS,         /* struct wire_status */
	WIRE_DRAIN,          /* struct wire_drain; the relay process ends when it is done */
	WIRE_CONSUMER,       /* struct wire_flag: telemetryd is attached, or not */
	WIRE_PING,           /* struct wire_ping */
	WIRE_TRAFFIC,        /* struct wire_status; answered as WIRE_STATUS is */
	WIRE_UNIT,           /* struct wire_unit */
	WIRE_TURN_AWAY,      /* nothing: no new inbound connections; outbound ones as before */
	/* relay process to parent */
	WIRE_CONFIG_RESULT,  /* struct wire_result, then the text of errors and warnings */
	WIRE_DIAL,           /* nothing: connect to the Workload API */
	WIRE_UNIT_OF,        /* struct wire_cgroup: which unit is that? */
	WIRE_STATUS_REPLY,   /* struct wire_status, then JSON, or a descriptor: sealed JSON */
	WIRE_READY,          /* struct wire_flag: has an identity and a configuration, or not */
	WIRE_PONG,           /* struct wire_ping: the main thread and every worker have turned since it was asked */
};

#define WIRE_LOCAL_MAX 3000 /* addresses of this host: what one message holds */

struct wire_config {
	uint64_t generation;
	uint32_t n_local;
	uint32_t zero;
	struct addr local[]; /* this host's addresses */
};

struct wire_identity {
	int32_t error; /* 0, or why there is no descriptor: an errno */
};

struct wire_cgroup {
	uint64_t id; /* its inode number in the unified hierarchy */
};

#define WIRE_UNIT_MAX 256

struct wire_unit {
	uint64_t cgroup;
	uint32_t known; /* 0: there is no such cgroup, or it cannot be seen */
	uint32_t zero;
	char unit[WIRE_UNIT_MAX]; /* with a NUL; "": in no unit */
};

struct wire_status {
	uint64_t id;
};

struct wire_ping {
	uint64_t id;
};

struct wire_drain {
	uint64_t ms;
};

struct wire_flag {
	uint32_t on;
};

struct wire_result {
	uint64_t generation;
	uint32_t ok;
	uint32_t zero;
};

/*
 * Bodies as they arrive, copied out: whole, or not at all.  TULLE_EPEER: it
 * is not what its type promises, and no honest peer would send it.
 */

/* A body of a fixed size. */
enum tulle_err wire_take(const struct msg *m, void *ret, size_t size);

/* A head of a fixed size and then text; *ret_text is the caller's, to free(), with a NUL behind *ret_len bytes.  TULLE_ENOMEM. */
enum tulle_err wire_take_text(const struct msg *m, void *ret_head, size_t size, char **ret_text, size_t *ret_len);

/* WIRE_CONFIG; *ret is the caller's, to free().  TULLE_ENOMEM. */
enum tulle_err wire_take_config(const struct msg *m, struct wire_config **ret);

#endif
