/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/usage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

bool
usage_read(struct usage *ret, const json_t *o)
{
	const char *name;
	json_int_t cpu, rss, fds, started;
	struct usage u = { 0 };

	if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:I, s:I, s:I, s:I}", "name", &name, "cpu_ns", &cpu, "rss_bytes",
		&rss, "fds", &fds, "started", &started) != 0)
		return false;
	(void)snprintf(u.name, sizeof(u.name), "%s", name);
	for (char *c = u.name; *c != '\0'; c++)
		if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7f)
			*c = '?'; /* and a character that was cut cannot be half there */
	u.cpu_seconds = (double)cpu / (double)NS_PER_SEC;
	u.rss_bytes = (double)rss;
	u.fds = (double)fds;
	u.started_ns = started > 0 ? (uint64_t)started : 0;
	*ret = u;
	return true;
}

/* Its name is put behind the daemon's, so that nobody can pass for somebody else. */
static size_t
add(struct usage *all, size_t n, const char *daemon, const json_t *o)
{
	struct usage *u = &all[n];
	char own[sizeof(u->name)];

	if (n == USAGE_SHOWN || !usage_read(u, o))
		return n;
	memcpy(own, u->name, sizeof(own));
	if (n == 0)
		(void)snprintf(u->name, sizeof(u->name), "%s", daemon);
	else
		(void)snprintf(u->name, sizeof(u->name), "%s/%.20s", daemon, own);
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].name, u->name) == 0)
			return n;
	return n + 1;
}

size_t
usage_answer(struct usage ret[USAGE_SHOWN], const char *daemon, const char *answer, size_t len)
{
	json_t *doc = json_loadb(answer, len, 0, NULL);
	json_t *result = json_object_get(doc, "result"), *child;
	size_t i, n = add(ret, 0, daemon, result);

	if (n > 0)
		json_array_foreach (json_object_get(result, "children"), i, child)
			n = add(ret, n, daemon, child);
	json_decref(doc);
	return n;
}
