/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/child.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "io/privileges.h"
#include "msg/msg.h"

void
child_forget(struct child *c)
{
	if (c->pid != 0 && c->channel != -1)
		(void)close(c->channel);
	*c = (struct child){ .pid = 0, .channel = -1 };
}

static int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes every descriptor but the standard ones and those in <keep>. */
static void
close_others(int *keep, size_t n)
{
	unsigned int from = 3;

	qsort(keep, n, sizeof(keep[0]), compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < 3)
			continue;
		if ((unsigned int)keep[i] > from)
			(void)close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	(void)close_range(from, ~0u, 0);
}

static _Noreturn void
run(const struct relay_start *start, unsigned int nworkers)
{
	int *keep = calloc(5 + 3 * (size_t)nworkers, sizeof(int));
	size_t n = 0;

	if (keep == NULL)
		_exit(EXIT_FAILURE);
	keep[n++] = log_fd();
	keep[n++] = start->channel;
	keep[n++] = start->segment;
	keep[n++] = start->doorbell;
	keep[n++] = start->health;
	for (unsigned int i = 0; i < nworkers; i++) {
		keep[n++] = start->sockets[i].outbound;
		keep[n++] = start->sockets[i].inbound;
		keep[n++] = start->sockets[i].hbone;
	}
	close_others(keep, n);
	free(keep);
	privileges_no_dump();
	_exit(relay_main(start));
}

enum tulle_err
child_start(struct child *c, const struct relay_start *start, unsigned int nworkers)
{
	struct relay_start own = *start;
	int pair[2];
	pid_t pid;

	if (msg_pair(pair) != TULLE_OK)
		return TULLE_ESYS;
	own.channel = pair[1];
	pid = fork();
	if (pid == 0)
		run(&own, nworkers);
	(void)close(pair[1]);
	if (pid == -1) {
		(void)close(pair[0]);
		return TULLE_ESYS;
	}
	*c = (struct child){ .pid = pid, .channel = pair[0] };
	return TULLE_OK;
}
