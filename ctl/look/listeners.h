/* SPDX-License-Identifier: GPL-3.0-or-later */
/* listeners.h - who listens on this host: /proc/net/tcp and tcp6, and whose sockets those are. */
#ifndef TULLE_CTL_LOOK_LISTENERS_H
#define TULLE_CTL_LOOK_LISTENERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"

struct listener {
	struct addr at;   /* any-address: everywhere */
	uint32_t uid;     /* who made it */
	uint64_t inode;
	pid_t pid;        /* a process that has it open, 1 only if no other has; 0: not known (that takes root) */
	char comm[16];    /* its name; "" if not known */
};

#define LISTENERS_MAX 1024

struct listeners {
	struct listener *items; /* owned */
	size_t n;
};

/* Pure.  Appends the listening sockets of one file's <text>; lines that make no sense are left out. */
void listeners_parse(struct listeners *l, const char *text, uint8_t family);

/* Reads both files and finds the processes, as far as they can be seen. */
void listeners_read(struct listeners *l);

void listeners_free(struct listeners *l);

/* Who would take a connection to this address and port; NULL: nobody. */
const struct listener *listeners_at(const struct listeners *l, const struct addr *a);

/* Who listens on this port at whatever address; NULL: nobody. */
const struct listener *listeners_on_port(const struct listeners *l, uint16_t port);

#endif
