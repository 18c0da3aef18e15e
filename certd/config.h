/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config.h - tulle.yaml and identities.yaml as certd needs them: which
 * identities this host wants, and who gets them.
 */
#ifndef TULLE_CERTD_CONFIG_H
#define TULLE_CERTD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/keeper.h"
#include "base/buf.h"
#include "base/err.h"
#include "manifest/host.h"
#include "manifest/identities.h"
#include "serve/match.h"

/* One entry of identities.yaml with its user looked up. */
struct config_rule {
	struct match_rule match;
	const char *ns, *sa; /* lent from the file */
	uint32_t line;
};

struct config {
	struct host_config *host;
	struct identities *ids;
	bool td_given; /* tulle.yaml names a trust domain; else host->trust_domain is only a default */
	uid_t relay_uid;
	bool relay_known; /* its user exists */
	struct config_rule *rules; /* owned */
	size_t n_rules;
	struct keeper_wanted *wanted; /* owned: the default first, each once; those of pods last */
	size_t n_wanted;
	size_t n_own; /* of them this host's: what its relay gets.  A pod's is the pod's alone */
	int64_t ttl_max; /* of the wanted, seconds */
	char *only_ns, *only_sa; /* owned: what config_only() said */
};

/*
 * Reads both files below --root.  TULLE_EINVAL: at least one is wrong;
 * every problem is a line of <problems>, which also has the warnings.
 */
enum tulle_err config_read(struct config **ret, struct buf *problems);

/*
 * The one account that this host may have, "NS/SA": with identity.default:
 * only it is the default, and wanted first.  At most once for a config.
 * TULLE_EINVAL: no such text.  TULLE_ENOMEM.
 */
enum tulle_err config_only(struct config *c, const char *account);

/* Takes NULL.  Always returns NULL. */
struct config *config_free(struct config *c);

#endif
