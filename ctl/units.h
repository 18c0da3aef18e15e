/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * units.h - the services of this host, where systemd runs them.  Another
 * root, a container and a machine without our units have none: their
 * operator starts the daemons.
 */
#ifndef TULLE_CTL_UNITS_H
#define TULLE_CTL_UNITS_H

#include <stdbool.h>
#include <stddef.h>

/* Is there something to start: systemd runs this host, its root is the true one, and tulle.target is installed. */
bool units_there(void);

/*
 * Runs "systemctl <arguments>"; the list ends with NULL.  What systemctl has
 * to say goes to standard error.  False: it failed.
 */
bool units_run(const char *const *arguments);

/* Starts everything, now and at every boot, and waits until it is ready.  False: something did not start. */
bool units_start_all(void);

/* "failed (Result: exit-code)" and the like, one line, in <out>.  False: systemd cannot be asked, or the unit is active. */
bool units_state(const char *unit, char *out, size_t size);

#endif
