/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health.h - /healthz and /readyz on the health port.
 *
 *   GET /healthz  200 while the relay process lives
 *   GET /readyz   200 once it has an identity and a configuration and is not draining, else 503
 */
#ifndef TULLE_RELAYD_HEALTH_H
#define TULLE_RELAYD_HEALTH_H

#include <stdbool.h>

#include "base/err.h"
#include "io/loop.h"

struct health;

/* Serves <fd>, a listening socket that is taken over; -1: no health port, *ret is a struct that does nothing.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err health_start(struct health **ret, struct loop *l, int fd);

void health_set_ready(struct health *h, bool ready);

/* Gives the port up. */
void health_stop(struct health *h);

#endif
