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
	struct host_config *host; /* owned */
};

/*
 * Reads /etc/tulle/tulle.yaml below the root (base/paths.h) and looks the
 * users of Tulle's daemons up.
 *
 *   TULLE_OK      *ret is the caller's, to release with config_free()
 *   TULLE_EINVAL  what is wrong has been said
 *   TULLE_ENOMEM
 */
enum tulle_err config_read(struct config *ret);

void config_free(struct config *c);

#endif
