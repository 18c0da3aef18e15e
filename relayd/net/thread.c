/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/thread.h"

#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

#define TX_MAX (64u << 20) /* far above what one flush makes; a bound all the same */

void
thread_init(struct thread *th, struct loop *loop, unsigned int index)
{
	th->loop = loop;
	th->index = index;
	th->plain_out_len = 0;
	th->tx = buf_new(TX_MAX);
	th->nlent = 0;
	TAILQ_INIT(&th->lent_to);
	TAILQ_INIT(&th->dirty);
	th->sockets = 0;
	th->socket_closed = NULL;
	if (getrandom(th->random, sizeof(th->random), 0) != (ssize_t)sizeof(th->random) ||
	    (th->random[0] | th->random[1]) == 0) {
		th->random[0] = clock_mono_ns() | 1;
		th->random[1] = index;
	}
}

uint64_t
thread_random(struct thread *th)
{
	uint64_t a = th->random[0];
	const uint64_t b = th->random[1];

	th->random[0] = b;
	a ^= a << 23;
	th->random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return th->random[1] + b;
}

void
thread_opened(struct thread *th)
{
	th->sockets++;
}

void
thread_close(struct thread *th, int fd)
{
	(void)close(fd);
	th->sockets--;
	if (th->socket_closed != NULL)
		th->socket_closed(th);
}
