/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * layout.h - the shared-memory segment between the relay and telemetryd.
 *
 *   header page | worker 0 | worker 1 | ...
 *
 * and each worker, whose parts start on a page each:
 *
 *   control, counters | ring of events | texts: places, bytes | series
 *
 * One worker of the relay writes its part, telemetryd reads; the only words
 * that telemetryd writes are ring tails and "sleeping".  Each side keeps
 * its own idea of where it is and treats what the other can change as
 * hostile: relayd reads tails and nothing else, telemetryd copies before it
 * looks.  Texts and series are append-only.  Nothing is 64-bit that is not
 * 8-byte aligned; the machine's own byte order (it never leaves the host).
 */
#ifndef TULLE_EVENTS_LAYOUT_H
#define TULLE_EVENTS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "events/vocab.h"

#define EVENTS_MAGIC UINT64_C(0x31766567656c7574) /* "tulegev1" */
#define EVENTS_LAYOUT_VERSION 1
#define EVENTS_PAGE 4096

/* What a segment may have at most; telemetryd refuses more. */
#define EVENTS_WORKERS_MAX 256
#define EVENTS_SLOTS_MAX 65536
#define EVENTS_TEXTS_MAX 65536
#define EVENTS_TEXT_BYTES_MAX (16u << 20)
#define EVENTS_SERIES_MAX 2000

/* One text is cut at so many bytes, at the start of a character. */
#define EVENTS_TEXT_LEN 256

/* Numbers of two texts that are always there. */
#define EVENTS_TEXT_NONE 0  /* "" */
#define EVENTS_TEXT_OTHER 1 /* "_other": the table was full */

/*
 * One connection, as it was at its end (or at its start, or on the way).
 * Times are nanoseconds unless the name says otherwise.  rx is what came
 * from the client (who opened the connection), tx what went to it.
 */
struct conn_event {
	uint64_t seq;         /* set by events_push(): place in the ring since the segment was made */
	uint64_t conn_id;     /* joins the records of one connection */
	uint8_t trace_id[16]; /* random; all zero: not traced */
	uint8_t span_id[8];
	uint64_t start_wall_ns; /* when it was accepted, since the epoch */
	uint64_t duration_ns;
	uint32_t connect_us; /* setup: TCP to the endpoint; 0: did not happen */
	uint32_t tunnel_us;  /* setup: TLS and CONNECT */
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	uint8_t kind;      /* enum event_kind */
	uint8_t direction; /* enum event_direction */
	uint8_t outcome;   /* enum event_outcome */
	uint8_t flag;      /* enum event_flag */
	uint8_t tls;       /* enum event_tls */
	uint8_t sampled;   /* 1: chosen for tracing */
	uint16_t detail;   /* enum event_detail */
	struct addr peer;     /* who connected */
	struct addr original; /* where it wanted to go */
	struct addr upstream; /* where it went; family 0: nowhere */
	/* texts, by events_intern(); 0: none */
	uint32_t source;      /* principal of the client: "TD/ns/NS/sa/SA" */
	uint32_t destination; /* principal of the server */
	uint32_t service;     /* host name of the destination service: "cart.shop.svc.cluster.local" */
	uint32_t workload;    /* name of the destination workload */
	uint32_t policy;      /* policy (and rule) that allowed or denied */
	uint32_t reason;      /* a phrase, for people */
	uint32_t attempts;    /* endpoints tried */
	uint32_t spare[3];
};
_Static_assert(sizeof(struct conn_event) == 192, "three cache lines");

/* What tells one series of connection metrics from another.  Texts by events_intern(). */
struct series_labels {
	uint8_t direction; /* enum event_direction */
	uint8_t tls;       /* enum event_tls */
	uint16_t zero;
	uint32_t source, destination; /* principals */
	uint32_t service;
	uint32_t workload;
	uint32_t zero2;
};
_Static_assert(sizeof(struct series_labels) == 24, "no padding: compared as bytes");

/* Upper bounds, inclusive, of the buckets of connection durations; one more bucket is for what is longer. */
#define SERIES_BOUNDS 15
#define SERIES_BOUND_TABLE                                                                     \
	{ 1000000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000,     \
	  1000000000, 2500000000, 10000000000, 60000000000, 300000000000, 1800000000000,       \
	  10800000000000 } /* ns: 1 ms ... 3 h */
extern const uint64_t series_bounds_ns[SERIES_BOUNDS];

/* The counters of one series; written with events_series_*() (write.h) only. */
struct series {
	struct series_labels labels; /* as published; the writer knows its own copy */
	uint64_t opened;
	uint64_t closed[EVENT_OUTCOMES];
	uint64_t active;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	uint64_t duration_ns; /* sum over all closed */
	uint64_t buckets[SERIES_BOUNDS + 1];
	uint64_t spare[4];
};
_Static_assert(sizeof(struct series) == 256, "four cache lines");

/* Series 0 of each worker takes what does not fit. */
#define EVENTS_SERIES_OVERFLOW 0

struct events_sizes {
	uint32_t workers; /* 1 to EVENTS_WORKERS_MAX */
	uint32_t slots;   /* of each ring, a power of two */
	uint32_t texts;   /* of each worker */
	uint32_t text_bytes;
	uint32_t series;  /* of each worker, the overflow series included */
};

struct events_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* sizeof(struct events_header) */
	uint64_t vocab;        /* events_vocab_digest() */
	struct events_sizes sizes;
	uint32_t zero;
	uint8_t boot_id[16];   /* of the kernel: /proc/sys/kernel/random/boot_id */
	uint64_t start_wall_ns; /* when the segment was made: start of all counters */
	uint64_t segment_id;    /* random */
	/* shared words on lines of their own */
	_Alignas(64) uint32_t consumer; /* relayd's parent: 1 while telemetryd is attached */
	_Alignas(64) uint32_t sleeping; /* telemetryd: 1, ring the doorbell at the next event */
};
_Static_assert(sizeof(struct events_header) <= EVENTS_PAGE, "the header is one page");

struct events_control {
	_Alignas(64) uint64_t head; /* relay: events published so far */
	_Alignas(64) uint64_t tail; /* telemetryd: events taken over so far */
	_Alignas(64) uint32_t texts; /* relay: how many are valid */
	uint32_t series;
};

struct events_text_place {
	uint32_t off, len;
};

/* Where the parts are, in bytes from the start of the segment (worker) or of the worker's part. */
struct events_layout {
	struct events_sizes sizes;
	size_t counters, ring, places, bytes, series;
	size_t worker_bytes;
	size_t total;
};

/* TULLE_EINVAL: sizes out of bounds. */
enum tulle_err events_layout_of(struct events_layout *ret, const struct events_sizes *sizes);

static inline size_t
events_layout_worker(const struct events_layout *l, uint32_t worker)
{
	return EVENTS_PAGE + (size_t)worker * l->worker_bytes;
}

#endif
