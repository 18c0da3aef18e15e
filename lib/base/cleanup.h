/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cleanup.h - descriptors, memory and files that are given back at the end
 * of their scope, whichever way it is left.
 */
#ifndef TULLE_BASE_CLEANUP_H
#define TULLE_BASE_CLEANUP_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		(void)close(*fd);
	errno = saved;
}

static inline void
cleanup_free(void *pp)
{
	free(*(void **)pp);
}

static inline void
cleanup_file(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

/* int AUTO_FD fd = -1;  closed on every way out of the block. */
#define AUTO_FD __attribute__((cleanup(cleanup_fd)))
/* char AUTO_FREE *p = NULL; */
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
/* FILE AUTO_FILE *f = NULL; */
#define AUTO_FILE __attribute__((cleanup(cleanup_file)))

/* Hands the descriptor on: returns it and leaves -1 behind. */
static inline int
fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Hands memory on: evaluates to the pointer and leaves NULL behind. */
#define PTR_TAKE(p)                     \
	__extension__({                 \
		__typeof__(p) t_ = (p); \
		(p) = NULL;             \
		t_;                     \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The structure of which <ptr> is the member <member>. */
#define CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
