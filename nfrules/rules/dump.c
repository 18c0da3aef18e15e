/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/dump.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rules/firewall.h"

#define NAME_SIZE 64 /* a chain's name has at most 28 bytes */
#define DUMP_LINE_MAX 65536

struct dump {
	struct ruleset *rules;
	int table; /* enum table, or -1: none, or one that we never use */
	bool in_table;
	char chain[NAME_SIZE];  /* of the last rule; the rules of a chain stand together */
	unsigned int position; /* of the last rule in it */
};

static bool
is_own(const char *name)
{
	return strncmp(name, CHAIN_PREFIX, strlen(CHAIN_PREFIX)) == 0;
}

/* The first word of <s> into <out>; what is behind its space, or NULL if it is no name. */
static const char *
take_name(const char *s, char out[NAME_SIZE])
{
	size_t n = strcspn(s, " ");

	if (n == 0 || n >= NAME_SIZE)
		return NULL;
	memcpy(out, s, n);
	out[n] = '\0';
	return s[n] == ' ' ? s + n + 1 : s + n;
}

/* The next word; *ret_quoted if any of it is in quotes.  NULL at the end. */
static const char *
next_word(const char **s, size_t *ret_n, bool *ret_quoted)
{
	const char *start, *p = *s;
	bool in = false;

	while (*p == ' ')
		p++;
	if (*p == '\0')
		return NULL;
	*ret_quoted = false;
	for (start = p; *p != '\0' && (in || *p != ' '); p++) {
		if (*p == '\\' && in && p[1] != '\0') {
			p++;
		} else if (*p == '"') {
			in = !in;
			*ret_quoted = true;
		}
	}
	*ret_n = (size_t)(p - start);
	*s = p;
	return start;
}

/* The chain that <rule> jumps or goes to; false if it does neither. */
static bool
target_of(const char *rule, char out[NAME_SIZE])
{
	bool jump = false, quoted;
	const char *w;
	size_t n;

	while ((w = next_word(&rule, &n, &quoted)) != NULL) {
		if (jump && !quoted) {
			if (n >= NAME_SIZE)
				return false;
			memcpy(out, w, n);
			out[n] = '\0';
			return true;
		}
		jump = !quoted && n == 2 && (strncmp(w, "-j", 2) == 0 || strncmp(w, "-g", 2) == 0);
	}
	return false;
}

static enum tulle_err
begin_table(struct dump *d, const char *name)
{
	d->in_table = true;
	d->table = -1;
	d->chain[0] = '\0';
	for (int t = 0; t < TABLES; t++)
		if (strcmp(name, table_name((enum table)t)) == 0)
			d->table = t;
	return TULLE_OK;
}

static enum tulle_err
declare_chain(struct dump *d, const char *text)
{
	char name[NAME_SIZE];

	if (!d->in_table || take_name(text, name) == NULL)
		return TULLE_EINVAL;
	if (d->table >= 0 && is_own(name) && ruleset_add_chain(d->rules, (enum table)d->table, name) == NULL)
		return TULLE_ENOMEM;
	return TULLE_OK;
}

static enum tulle_err
add_line(struct dump *d, const char *text)
{
	char chain[NAME_SIZE], target[NAME_SIZE];
	const char *rule;

	rule = d->in_table ? take_name(text, chain) : NULL;
	if (rule == NULL)
		return TULLE_EINVAL;
	if (strcmp(chain, d->chain) != 0) {
		memcpy(d->chain, chain, sizeof(d->chain));
		d->position = 0;
	}
	d->position++;
	if (d->table < 0) {
		d->rules->foreign++;
		return TULLE_OK;
	}
	if (is_own(chain)) {
		struct ruleset_chain *c = ruleset_add_chain(d->rules, (enum table)d->table, chain);

		return c == NULL ? TULLE_ENOMEM : ruleset_add_rule(d->rules, c, rule);
	}
	if (target_of(rule, target) && is_own(target))
		return ruleset_add_jump(d->rules, (enum table)d->table, chain, rule, target, d->position);
	d->rules->foreign++;
	if (d->table == TABLE_FILTER)
		d->rules->firewalls |= firewall_of_rule(chain, rule);
	return TULLE_OK;
}

static enum tulle_err
take_line(struct dump *d, const char *line)
{
	switch (line[0]) {
	case '\0':
	case '#':
		return TULLE_OK;
	case '*':
		return begin_table(d, line + 1);
	case ':':
		return declare_chain(d, line + 1);
	case '-':
		return strncmp(line, "-A ", 3) == 0 ? add_line(d, line + 3) : TULLE_EINVAL;
	default:
		if (strcmp(line, "COMMIT") != 0)
			return TULLE_EINVAL;
		d->in_table = false;
		return TULLE_OK;
	}
}

enum tulle_err
dump_parse(struct ruleset **ret, const char *text, size_t len)
{
	struct dump d = { .rules = ruleset_new(), .table = -1 };
	char *line = malloc(DUMP_LINE_MAX);
	enum tulle_err e = TULLE_OK;

	if (d.rules == NULL || line == NULL)
		e = TULLE_ENOMEM;
	while (e == TULLE_OK && len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;

		if (n >= DUMP_LINE_MAX) {
			e = TULLE_ELIMIT;
			break;
		}
		if (memchr(text, '\0', n) != NULL) {
			e = TULLE_EINVAL;
			break;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		e = take_line(&d, line);
		n += end != NULL;
		text += n;
		len -= n;
	}
	/* A dump that stops inside a table was cut: acting on half of it would be worse than none. */
	if (e == TULLE_OK && d.in_table)
		e = TULLE_EINVAL;
	free(line);
	if (e != TULLE_OK) {
		ruleset_free(d.rules);
		return e;
	}
	*ret = d.rules;
	return TULLE_OK;
}
