/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log.h - one JSON object a line on standard error, or journald fields.
 *
 * Every line has "ts" (RFC 3339, UTC, microseconds), "level", "message" and
 * whatever fields the caller adds.  The message is one fixed phrase; what
 * varies goes into fields, so that lines can be searched:
 *
 *   log_warn("peer refused", LF_STR("peer", id), LF_STR("reason", why));
 *
 * All text is escaped: control characters and invalid UTF-8 from a peer or
 * a file never reach a terminal.  Every function keeps errno as it was.
 * Thread safe: a line is one write().
 */
#ifndef TULLE_BASE_LOG_H
#define TULLE_BASE_LOG_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_NOTICE, LOG_LVL_WARN, LOG_LVL_ERROR };

enum log_kind { LOG_F_END, LOG_F_STR, LOG_F_INT, LOG_F_UINT, LOG_F_BOOL };

struct log_field {
	const char *key; /* lower case, digits, underscore */
	enum log_kind kind;
	union {
		const char *s; /* lent; NULL prints as null */
		int64_t i;
		uint64_t u;
	} v;
};

#define LF_STR(k, x) ((struct log_field){ .key = (k), .kind = LOG_F_STR, .v.s = (x) })
#define LF_INT(k, x) ((struct log_field){ .key = (k), .kind = LOG_F_INT, .v.i = (x) })
#define LF_UINT(k, x) ((struct log_field){ .key = (k), .kind = LOG_F_UINT, .v.u = (x) })
#define LF_BOOL(k, x) ((struct log_field){ .key = (k), .kind = LOG_F_BOOL, .v.i = (x) })
/* "error": the phrase of an enum tulle_err */
#define LF_ERR(e) LF_STR("error", tulle_strerror(e))
/* "errno": the C library's phrase for errno at this point */
#define LF_ERRNO LF_STR("errno", log_errno_text(errno))

#define LOG_AT(level, msg, ...)                                                     \
	do {                                                                        \
		if ((level) >= log_threshold())                                     \
			log_write(level, msg,                                       \
			    (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ) { \
				.kind = LOG_F_END } });                              \
	} while (0)

#define log_debug(...) LOG_AT(LOG_LVL_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LVL_INFO, __VA_ARGS__)
#define log_notice(...) LOG_AT(LOG_LVL_NOTICE, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_LVL_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_LVL_ERROR, __VA_ARGS__)

/*
 * Names this program in every line ("program") and chooses the sink: the
 * journal if standard error is connected to it (JOURNAL_STREAM names its
 * device and inode), else standard error.  <program> is lent for ever.
 */
void log_init(const char *program);

/* The descriptor of the journal, or -1: a process that closes what it inherited keeps this one. */
int log_fd(void);

/* Lines below <level> are left out. */
void log_set_threshold(enum log_level level);

/* The same for good: log_set_threshold() does nothing from now on.  For what the operator gave on the command line. */
void log_pin_threshold(enum log_level level);
enum log_level log_threshold(void);

/* "debug", "info", "notice", "warn", "error"; false for anything else. */
bool log_level_parse(enum log_level *ret_level, const char *text);
const char *log_level_name(enum log_level level);

/* A phrase for <err> that stays valid until this thread asks again. */
const char *log_errno_text(int err);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

#endif
