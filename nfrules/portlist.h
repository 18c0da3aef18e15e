/* SPDX-License-Identifier: GPL-3.0-or-later */
/* portlist.h - "8443,9000-9010" as ranges of ports.  Pure. */
#ifndef TULLE_NFRULES_PORTLIST_H
#define TULLE_NFRULES_PORTLIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rules/steering.h"

/*
 * Reads ports and ranges of ports, 1 to 65535, between commas; spaces around
 * them are read over.  A port is a range of one.  <ret> has room for <max>.
 *   TULLE_EINVAL  something else, or a range that goes down
 *   TULLE_ELIMIT  more than <max>, whatever their lengths
 * On failure *ret_n is untouched, <ret> is not.
 */
enum tulle_err portlist_parse(struct port_range *ret, size_t max, size_t *ret_n, const char *text);

#endif
