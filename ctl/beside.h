/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * beside.h - the other programs of Tulle, looked for beside this one first: a
 * build folder or a private installation must not run the system's.
 */
#ifndef TULLE_CTL_BESIDE_H
#define TULLE_CTL_BESIDE_H

#include <limits.h>

#define BESIDE_MAX PATH_MAX

/* The path of <program> beside this one if it is there, in <path>; else its name, to be looked for in PATH. */
const char *beside(char path[BESIDE_MAX], const char *program);

#endif
