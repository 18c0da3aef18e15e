/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.h - tulle.yaml as input of the plan: the one place that knows both. */
#ifndef TULLE_NFRULES_CONFIG_H
#define TULLE_NFRULES_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "live/xtables.h"
#include "rules/steering.h"

struct config {
	struct steering steering; /* its lists are lent by <host> */
	bool any_backend;         /* none was named: find out */
	enum backend backend;
	bool repair;              /* steering.repair */
	bool is_last_good;        /* not of tulle.yaml, but of its copy (lastgood.h) */
	struct host_config *host; /* owned */
	struct port_range *in_ports, *out_ports; /* owned: of the environment */
};

/*
 * Reads /etc/tulle/tulle.yaml below the root (base/paths.h) and, for pods,
 * TULLE_EXCLUDE_INBOUND_PORTS and TULLE_EXCLUDE_OUTBOUND_PORTS, and looks the
 * users of Tulle's daemons up.  Where they are one user, as in a pod, the
 * port of tulle-sidecar is left alone.
 *
 *   TULLE_OK      *ret is the caller's, to release with config_free()
 *   TULLE_EINVAL  what is wrong has been said
 *   TULLE_ENOMEM
 */
enum tulle_err config_read(struct config *ret);

/* The same of the copy that the last apply which fails closed has kept.  TULLE_ENOENT: there is none; nothing was said. */
enum tulle_err config_read_last_good(struct config *ret);

void config_free(struct config *c);

#endif
