/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lacking.h - what iptables says when the kernel lacks something, in words
 * that name the thing and the way out.  Pure.
 */
#ifndef TULLE_NFRULES_RULES_LACKING_H
#define TULLE_NFRULES_RULES_LACKING_H

#include <stddef.h>

#define LACKING_TEXT 512

/*
 * Looks in <said>, what a tool wrote to standard error, for a kernel that
 * lacks a table, a match or a target, or nf_tables as a whole; and for a
 * caller who lacks the capability.  Returns <out>, one or two sentences, or
 * NULL: it says nothing of the kind.  Messages of iptables 1.8, both backends.
 */
const char *lacking(const char *said, char out[LACKING_TEXT]);

#endif
