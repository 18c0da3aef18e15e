/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * processes.h - what every daemon of Tulle on this host costs: CPU, resident
 * memory, descriptors.  Each is asked over its control socket ("process",
 * io/ctlsock.h), without waiting.
 *
 * An answer may tell of more processes of the same daemon in "children", an
 * array of objects of the same shape: relayd's parent speaks for its relay
 * process, which has no socket of its own.
 */
#ifndef TULLE_TELEMETRY_COLLECT_PROCESSES_H
#define TULLE_TELEMETRY_COLLECT_PROCESSES_H

#include "collect/metrics.h"
#include "io/loop.h"

struct processes;

/* Asks at once and then every <interval_ms>.  <self> is this program's name, lent.  TULLE_ENOMEM. */
enum tulle_err processes_new(struct processes **ret, struct loop *l, const char *self, uint64_t interval_ms);

/* Takes NULL, returns NULL. */
struct processes *processes_free(struct processes *p);

/* Adds their families to <s>. */
void processes_gather(struct metric_set *s, struct processes *p);

#endif
