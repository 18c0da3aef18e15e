/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * thread.h - what all connections of one worker thread share: the loop, the
 * scratch buffers, and the work that waits for the end of the tick.
 *
 * Buffers belong to the thread; a connection owns memory only while it is
 * blocked.  So whoever fills a scratch buffer empties it before returning.
 */
#ifndef TULLE_RELAYD_THREAD_H
#define TULLE_RELAYD_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "io/loop.h"

#define RX_SIZE 65536            /* one recv() */
#define PLAIN_IN_SIZE (5 * 16384) /* the records of one recv(), with what an earlier one left half */
#define PLAIN_OUT_SIZE (8 * 16384) /* frames gathered for sealing; more than one of the largest */
#define LENT_MAX 128             /* pieces gathered for the sockets of one tick */

struct tcp;
struct hbone;

struct lent {
	struct iovec piece;
	int16_t next; /* the next piece for the same socket, or -1 */
};

struct thread {
	struct loop *loop;
	unsigned int index; /* of the worker, from 0 */

	uint8_t rx[RX_SIZE];
	uint8_t plain_in[PLAIN_IN_SIZE];
	uint8_t plain_out[PLAIN_OUT_SIZE];
	size_t plain_out_len;
	struct buf tx; /* ciphertext on its way out, of one connection at a time */

	struct lent lent[LENT_MAX];
	unsigned int nlent;
	TAILQ_HEAD(, tcp) lent_to;     /* sockets with lent pieces */
	TAILQ_HEAD(, hbone) dirty;     /* tunnels with something to send at the end of the tick */

	unsigned int sockets;          /* open descriptors of connections */
	void (*socket_closed)(struct thread *th); /* a descriptor became free */
	uint64_t random[2];            /* state of thread_random() */
};

/* The loop is the caller's. */
void thread_init(struct thread *th, struct loop *loop, unsigned int index);

/* Cheap random numbers for balancing and jitter; never for secrets (xorshift128+). */
uint64_t thread_random(struct thread *th);

/* Counts and closes the descriptor of a connection. */
void thread_opened(struct thread *th);
void thread_close(struct thread *th, int fd);

#endif
