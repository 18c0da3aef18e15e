/* SPDX-License-Identifier: GPL-3.0-or-later */
/* firewalls.h - which firewalls of rules/firewall.h act on this host now. */
#ifndef TULLE_NFRULES_LIVE_FIREWALLS_H
#define TULLE_NFRULES_LIVE_FIREWALLS_H

#include "live/actual.h"

/*
 * A set of FIREWALL_ bits: of what was read already, and of what nft lists.
 * Only looks.  A host without nft, or where it cannot ask, has no firewall
 * that uses it.
 */
unsigned int firewalls_seen(const struct actual *a);

#endif
