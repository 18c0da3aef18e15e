/* SPDX-License-Identifier: GPL-3.0-or-later */
/* say.h - words for the operator, on standard error. */
#ifndef TULLE_NFRULES_SAY_H
#define TULLE_NFRULES_SAY_H

/* "tulle-nfrules: ..." and a newline.  Control characters, of a tool's output for instance, become '?'. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
