/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lane.h - one signal on its way to one destination: the queue, what is in
 * flight, when to try again, and the books.
 *
 * No socket and no clock: what is to be sent and when to come back goes out
 * through lane_ops, answers come in through lane_done().  sender.h connects
 * a lane to the network; tests run hours of outage in a moment.
 *
 *            push            probe said 2xx or 415
 *   IDLE ----------> PROBING ----------------------> SENDING ----> IDLE
 *                       |  no answer, fault             |  no answer, fault
 *                       +---------> WAITING <-----------+
 *                                      | due: probe, or send again
 */
#ifndef TULLE_TELEMETRY_EXPORT_LANE_H
#define TULLE_TELEMETRY_EXPORT_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "export/account.h"
#include "export/payload.h"
#include "export/result.h"

enum lane_state { LANE_IDLE, LANE_PROBING, LANE_SENDING, LANE_WAITING };
enum lane_coding { CODING_UNKNOWN, CODING_ZSTD, CODING_NONE };

/* How much one lane may hold, compressed; together 16 MiB a destination. */
#define LANE_BYTES_LOGS (8u << 20)
#define LANE_BYTES_TRACES (6u << 20)
#define LANE_BYTES_METRICS (2u << 20)

struct lane_ops {
	/*
	 * Sends <len> bytes (lent until lane_done()) to the signal's path; its
	 * outcome comes through lane_done(), never from within.  A failure here
	 * counts as one of the network.
	 */
	enum tulle_err (*send)(void *arg, const uint8_t *body, size_t len, bool zstd);
	/* lane_due() is wanted in <ms>; one at a time. */
	void (*wait)(void *arg, uint64_t ms);
};

struct lane;

struct lane_status {
	enum lane_state state;
	enum lane_coding coding;
	struct lane_account account;
	uint64_t queued;        /* records, in flight included */
	uint64_t queued_bytes;  /* compressed */
	uint64_t attempts;      /* requests sent, probes included */
	unsigned int failures;  /* in a row */
	bool fault;             /* the server wants something mended */
	uint64_t last_success_ns; /* wall clock; 0: never */
	uint64_t last_error_ns;
	const char *last_error; /* lent until the next call; "" if never */
};

/*
 * <destination> (for the log), <ops>, <arg> and <z> are lent for the lane's
 * life.  <compress> false: never zstd, no probe.  TULLE_ENOMEM.
 */
enum tulle_err lane_new(struct lane **ret, enum signal signal, const char *destination, bool compress,
    struct zstd *z, const struct lane_ops *ops, void *arg);

/* What is queued is dropped for <why>; returns NULL.  Takes NULL. */
struct lane *lane_free(struct lane *l, enum drop_reason why);

/* Accepts a payload (a reference is taken); the oldest make room. */
void lane_push(struct lane *l, struct payload *p);

/*
 * The outcome of the request in flight, as result.h judges it.
 * <now_ns>: wall clock, for the status; <random> chooses the pause.
 */
void lane_done(struct lane *l, enum tulle_err e, unsigned int status, const uint8_t *body, size_t len,
    uint64_t retry_after_ms, uint64_t now_ns, uint32_t random);

/* The pause is over. */
void lane_due(struct lane *l);

/* Nothing queued, nothing in flight. */
bool lane_empty(const struct lane *l);

void lane_status(const struct lane *l, struct lane_status *ret);

#endif
