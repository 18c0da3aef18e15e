/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * intern.h - one copy of a text for all sessions of a thread that need it:
 * a thousand tunnels to one peer share its ID.
 *
 * The table is the thread's own.  A text must be given back by the thread
 * that asked for it.
 */
#ifndef TULLE_TLS_INTERN_H
#define TULLE_TLS_INTERN_H

#include <stddef.h>

/* The thread's copy of <len> bytes of <text>, with a NUL.  NULL: out of memory. */
const char *intern_get(const char *text, size_t len);

/* Gives one intern_get() back.  Takes NULL.  Always returns NULL. */
const char *intern_put(const char *text);

/* How many different texts this thread holds. */
size_t intern_count(void);

#endif
