/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xtables.h - the four pairs of iptables-save and iptables-restore: two
 * backends, two families.
 */
#ifndef TULLE_NFRULES_LIVE_XTABLES_H
#define TULLE_NFRULES_LIVE_XTABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "rules/ruleset.h"

enum backend { BACKEND_OF_NFT, BACKEND_OF_LEGACY, BACKENDS };
enum family { FAMILY_V6, FAMILY_V4, FAMILIES }; /* in the order in which they are applied: v6 is the likelier to fail */

#define XTABLES_WAIT_SEC 5 /* for the lock of the legacy backend */
#define XTABLES_WHY 1024

const char *backend_name(enum backend b); /* "nft", "legacy" */
const char *family_name(enum family f);   /* "IPv6", "IPv4" */
int family_number(enum family f);         /* AF_INET6, AF_INET */

/*
 * Our rules in the kernel now.  Only looks, and touches nothing: the legacy
 * tool would create a table that it is asked for, so it is run only if the
 * kernel says that there are legacy tables, and else *ret is an empty rule
 * set.
 *
 *   TULLE_OK       *ret is the caller's, to release with ruleset_free()
 *   TULLE_ENOENT   nft: there is no tool for it on this machine, or the kernel has no such tables; <why> tells
 *   TULLE_EUNAVAIL the tool failed, or its output makes no sense; legacy: or the tool is missing; <why> tells
 *   TULLE_ENOMEM
 */
enum tulle_err xtables_read(struct ruleset **ret, enum backend b, enum family f, char why[XTABLES_WHY]);

/*
 * Loads restore input, one commit a table, without flushing.
 *
 *   TULLE_EBUSY    the lock was not free within XTABLES_WAIT_SEC; nothing changed
 *   TULLE_EUNAVAIL the tool refused, failed or is missing
 *
 * In both cases <why> tells.
 */
enum tulle_err xtables_load(enum backend b, enum family f, const char *text, size_t len, char why[XTABLES_WHY]);

#endif
