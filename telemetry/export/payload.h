/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * payload.h - one finished request body: records of one signal in their
 * envelope, compressed once and shared by all destinations.
 *
 *   Export*ServiceRequest { Resource* { resource, Scope* { scope, record, record, ... } } }
 *
 * Of all three signals the envelopes have the same field numbers (1; 1, 2;
 * 1, 2), so one piece of code writes them around records that were encoded
 * as they came.
 */
#ifndef TULLE_TELEMETRY_EXPORT_PAYLOAD_H
#define TULLE_TELEMETRY_EXPORT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "export/account.h"

#define PAYLOAD_RAW_MAX (2u << 20) /* of records before compression: a batch of 1 MiB and one large metric */
#define PAYLOAD_ZSTD_LEVEL 3

/* One compression and one decompression context, made at first use; for one thread. */
struct zstd;
enum tulle_err zstd_new(struct zstd **ret);
struct zstd *zstd_free(struct zstd *z); /* takes NULL, returns NULL */

struct payload {
	unsigned int refs;
	enum signal signal;
	uint8_t *body; /* owned: zstd */
	size_t len;
	size_t raw_len;   /* what it becomes */
	uint64_t records; /* metrics: data points */
	bool split;       /* half of a larger one */
};

/* What stands around the records: encoded Resource and InstrumentationScope, lent. */
struct envelope {
	const uint8_t *resource;
	size_t resource_len;
	const uint8_t *scope;
	size_t scope_len;
};

/*
 * Makes a payload with one reference of <len> bytes of records, each as
 * payload_append_record() writes it; all copied.  TULLE_ENOMEM.
 */
enum tulle_err payload_new(struct payload **ret, struct zstd *z, enum signal signal, const struct envelope *around,
    const uint8_t *records, size_t len, uint64_t n);

struct payload *payload_ref(struct payload *p);
struct payload *payload_unref(struct payload *p); /* takes NULL, returns NULL */

/* The body without compression; *ret is the caller's, to free().  TULLE_ENOMEM. */
enum tulle_err payload_raw(const struct payload *p, struct zstd *z, uint8_t **ret, size_t *ret_len);

/*
 * The two halves, as new payloads with one reference each; <p> is left
 * alone.  TULLE_EINVAL: there is only one record (metrics: one metric).  TULLE_ENOMEM.
 */
enum tulle_err payload_split(const struct payload *p, struct zstd *z, struct payload **ret_a, struct payload **ret_b);

/* A request without any record, as zstd writes nothing: the body of a probe.  Static. */
const uint8_t *payload_probe(size_t *ret_len);

/* Room for the tag and the length in front of one record. */
#define PAYLOAD_RECORD_HEAD 11

/* Writes tag and length of a record of <n> bytes; returns how many bytes, at most PAYLOAD_RECORD_HEAD. */
size_t payload_record_head(uint8_t out[PAYLOAD_RECORD_HEAD], size_t n);

#endif
