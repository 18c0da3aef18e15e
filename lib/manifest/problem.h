/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * problem.h - what is wrong with a set of files: every error and warning of
 * a load, not only the first.
 *
 * A problem prints as
 *
 *   mesh.yaml:12:7: spec.ports[0].prot: unknown field; did you mean "protocol"?
 *
 * Texts from files are escaped and cut before they get here, so a line is
 * one line and safe for a terminal.
 */
#ifndef TULLE_MANIFEST_PROBLEM_H
#define TULLE_MANIFEST_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define PROBLEMS_MAX 50   /* kept in words; more are only counted */
#define PROBLEM_SHOWN 100 /* room for one quoted text of a file */

/* A position in a file.  <file> is lent by whoever owns the files' tree. */
struct place {
	const char *file;
	uint32_t line;   /* from 1; 0: the file as a whole */
	uint32_t column; /* from 1, in characters; 0: the line as a whole */
};

struct problem {
	bool warning;
	struct place place; /* its file name is owned by the problems */
	const char *line;   /* all of it: "file:line:column: field: what is wrong; what would be right" */
};

struct problems {
	struct problem list[PROBLEMS_MAX]; /* in the order they were found */
	size_t n;
	size_t errors;   /* how many, those beyond the bound included */
	size_t warnings; /* the same */
	struct arena arena;
};

/* Empty.  Give it back with problems_free(). */
void problems_init(struct problems *p);
void problems_free(struct problems *p);

/*
 * Adds one.  <field> is the path of the field ("spec.ports[0].name"), NULL
 * or "" if it is about the whole object.  Texts from a file go through
 * problem_show() first.
 */
void problem_error(struct problems *p, struct place at, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void problem_warn(struct problems *p, struct place at, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Appends what was found, a line each: "warning: " before a warning, and
 * "and 3 more" if there were more than are kept or than <out> has room for.
 */
void problems_print(struct buf *out, const struct problems *p);

/* <text> in double quotes, escaped as JSON and cut to what <out> holds.  Returns <out>. */
char *problem_show(char out[PROBLEM_SHOWN], const char *text);

/*
 * The word of <words> (NULL at the end) that somebody who typed <text> most
 * likely meant: at most two letters wrong, swapped, missing or too many, or
 * only the case.  NULL if none is near.
 */
const char *problem_nearest(const char *text, const char *const *words);

#endif
