/* SPDX-License-Identifier: GPL-3.0-or-later */
/* firewall.h - does a firewall of this host speak against steering what arrives?  tulle-nfrules knows; this asks it. */
#ifndef TULLE_CTL_FIREWALL_H
#define TULLE_CTL_FIREWALL_H

#include <stdbool.h>

#include "setup.h"

/*
 * Would tulle-nfrules refuse the first rules of this host because of a
 * firewall?  Then why and what to do is on standard error.  False as well if
 * it cannot be asked, or refuses for another reason: the start tells.
 */
bool firewall_objects(const char *verb);

/*
 * --inbound-ports: "all", "none", or ports from 1 to 65535 with commas, as
 * what is to stand in tulle.yaml.  False: it is none of these, and that is
 * on standard error.
 */
bool firewall_capture(const char *verb, const char *text, char out[SETUP_CAPTURE]);

/* Says on standard error that --inbound-ports was given for a tulle.yaml that is there, and stays as it is. */
void firewall_note_kept(const char *verb);

#endif
