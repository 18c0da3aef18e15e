/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lastgood.h - a copy of the tulle.yaml that the rules were last made of,
 * where they fail closed: a mistake in the file, found at a boot, must not
 * open what was closed.  /var/lib/tulle/rules/last-good.yaml, root's alone.
 */
#ifndef TULLE_NFRULES_LASTGOOD_H
#define TULLE_NFRULES_LASTGOOD_H

#include <stdbool.h>

/* Its path; valid until the next paths_var(). */
const char *lastgood_path(void);

/* Is there one, and is it the caller's own? */
bool lastgood_there(void);

/* After an apply that was done.  <closed>: keeps tulle.yaml as it is now; else removes the copy.  What fails is said. */
void lastgood_settle(bool closed);

#endif
