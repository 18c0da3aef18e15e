/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 8192 /* a longer line is cut, and says so */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *program_name = "tulle";
static atomic_int threshold = LOG_LVL_INFO;
static bool threshold_pinned; /* set before there are threads */
static int journal_fd = -1;

static const struct {
	const char *name;
	int priority; /* syslog's, for the journal */
} levels[] = {
	[LOG_LVL_DEBUG] = { "debug", 7 },
	[LOG_LVL_INFO] = { "info", 6 },
	[LOG_LVL_NOTICE] = { "notice", 5 },
	[LOG_LVL_WARN] = { "warn", 4 },
	[LOG_LVL_ERROR] = { "error", 3 },
};

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	bool cut;
};

static void
put(struct line *l, const char *p, size_t n)
{
	if (l->cut || n > sizeof(l->text) - l->len - 32) { /* 32: room for the ending */
		l->cut = true;
		return;
	}
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

static void
put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void
put_json(struct line *l, const char *s)
{
	char piece[TEXT_JSON_CHAR];

	put(l, "\"", 1);
	while (*s != '\0' && !l->cut)
		put(l, piece, text_json_char(&s, piece));
	put(l, "\"", 1);
}

static void
put_number(struct line *l, const struct log_field *f)
{
	char n[32];

	if (f->kind == LOG_F_UINT)
		(void)snprintf(n, sizeof(n), "%" PRIu64, f->v.u);
	else
		(void)snprintf(n, sizeof(n), "%" PRId64, f->v.i);
	put_str(l, n);
}

static void
put_value(struct line *l, const struct log_field *f)
{
	switch (f->kind) {
	case LOG_F_STR:
		if (f->v.s == NULL)
			put_str(l, "null");
		else
			put_json(l, f->v.s);
		break;
	case LOG_F_BOOL:
		put_str(l, f->v.i != 0 ? "true" : "false");
		break;
	case LOG_F_INT:
	case LOG_F_UINT:
	case LOG_F_END:
		put_number(l, f);
		break;
	}
}

static void
put_time(struct line *l)
{
	uint64_t now = clock_wall_ns();
	time_t sec = (time_t)(now / NS_PER_SEC);
	char date[32], out[48];
	struct tm tm;

	(void)gmtime_r(&sec, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out, sizeof(out), "%s.%06uZ", date, (unsigned int)(now % NS_PER_SEC / 1000));
	put_str(l, out);
}

static void
to_stderr(enum log_level level, const char *message, const struct log_field *fields)
{
	struct line l = { .len = 0 };
	ssize_t n;

	put_str(&l, "{\"ts\":\"");
	put_time(&l);
	put_str(&l, "\",\"level\":\"");
	put_str(&l, levels[level].name);
	put_str(&l, "\",\"program\":");
	put_json(&l, program_name);
	put_str(&l, ",\"message\":");
	put_json(&l, message);
	for (; fields->kind != LOG_F_END; fields++) {
		size_t mark = l.len;

		put(&l, ",", 1);
		put_json(&l, fields->key);
		put(&l, ":", 1);
		put_value(&l, fields);
		if (l.cut) { /* drop the field that did not fit, keep the line valid */
			l.len = mark;
			break;
		}
	}
	if (l.cut) {
		memcpy(l.text + l.len, ",\"cut\":true", 11);
		l.len += 11;
	}
	memcpy(l.text + l.len, "}\n", 2);
	l.len += 2;
	n = write(STDERR_FILENO, l.text, l.len);
	(void)n; /* there is nobody left to tell */
}

/* One field of the journal's native protocol: KEY=value, or the binary form if a newline is in it. */
static void
put_journal(struct line *l, const char *key, const char *value)
{
	uint64_t len = strlen(value);
	char upper[64];
	size_t i;

	for (i = 0; key[i] != '\0' && i < sizeof(upper) - 1; i++)
		upper[i] = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i];
	put(l, upper, i);
	if (strchr(value, '\n') == NULL) {
		put(l, "=", 1);
	} else {
		uint8_t le[8];

		for (i = 0; i < 8; i++)
			le[i] = (uint8_t)(len >> (8 * i));
		put(l, "\n", 1);
		put(l, (const char *)le, 8);
	}
	put(l, value, len);
	put(l, "\n", 1);
}

static bool
to_journal(enum log_level level, const char *message, const struct log_field *fields)
{
	struct line l = { .len = 0 };
	char number[32], key[64];

	put_journal(&l, "message", message);
	(void)snprintf(number, sizeof(number), "%d", levels[level].priority);
	put_journal(&l, "priority", number);
	put_journal(&l, "syslog_identifier", program_name);
	for (; fields->kind != LOG_F_END; fields++) {
		struct line v = { .len = 0 };

		(void)snprintf(key, sizeof(key), "tulle_%s", fields->key);
		if (fields->kind == LOG_F_STR && fields->v.s != NULL) {
			put_journal(&l, key, fields->v.s);
			continue;
		}
		put_value(&v, fields);
		v.text[v.len] = '\0';
		put_journal(&l, key, v.text);
	}
	return send(journal_fd, l.text, l.len, MSG_NOSIGNAL) == (ssize_t)l.len;
}

static void
journal_open(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%ju:%ju", &dev, &ino) != 2)
		return;
	if (fstat(STDERR_FILENO, &st) == -1 || st.st_dev != dev || st.st_ino != ino)
		return;
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal_fd != -1 && connect(journal_fd, (const struct sockaddr *)&un, sizeof(un)) == -1) {
		(void)close(journal_fd);
		journal_fd = -1;
	}
}

void
log_init(const char *program)
{
	program_name = program;
	if (journal_fd == -1)
		journal_open();
}

int
log_fd(void)
{
	return journal_fd;
}

void
log_set_threshold(enum log_level level)
{
	if (!threshold_pinned)
		atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void
log_pin_threshold(enum log_level level)
{
	threshold_pinned = true;
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum log_level
log_threshold(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool
log_level_parse(enum log_level *ret_level, const char *text)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}

const char *
log_errno_text(int err)
{
	static _Thread_local char text[128];

	return strerror_r(err, text, sizeof(text));
}

void
log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	int saved = errno;

	if (journal_fd == -1 || !to_journal(level, message, fields))
		to_stderr(level, message, fields);
	errno = saved;
}
