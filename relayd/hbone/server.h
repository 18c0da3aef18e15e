/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server.h - the tunnels that other hosts make to this one.
 */
#ifndef TULLE_RELAYD_HBONE_SERVER_H
#define TULLE_RELAYD_HBONE_SERVER_H

#include "hbone/session.h"
#include "net/creds.h"

struct server;

struct server_events {
	void (*up)(void *arg, const struct hbone *h);                      /* the peer has proved who it is */
	void (*down)(void *arg, const struct hbone *h, enum tulle_err e);  /* h->conn.ready_ns 0: it never did */
	void (*request)(void *arg, struct hbone *h, int32_t id, bool connect, const char *authority);
};

/* Everything is lent for the life of the server.  TULLE_ENOMEM. */
enum tulle_err server_new(struct server **ret, struct thread *th, struct creds *creds,
    const struct server_events *events, void *arg);

/* Ends every tunnel.  Takes NULL, always returns NULL. */
struct server *server_free(struct server *s);

/*
 * Serves an accepted connection of <peer>, which is taken over.  <own>: the
 * SPIFFE ID that answers to a peer that names none (snapshot_identity_at());
 * NULL, or one that is not among the identities that are here: the default.
 * False: without an identity yet, or without memory, it was closed.
 */
bool server_accept(struct server *s, int fd, const struct addr *peer, const char *own);

/* GOAWAY to everybody; tunnels end as their streams do. */
void server_drain(struct server *s);

/* Frees tunnels that ended; once per tick. */
void server_reap(struct server *s);

unsigned int server_tunnels(const struct server *s);    /* all */
unsigned int server_handshakes(const struct server *s); /* those of them whose peer has not proved who it is */
void server_each(const struct server *s, void (*visit)(void *arg, const struct hbone *h), void *arg);

#endif
