/* SPDX-License-Identifier: GPL-3.0-or-later */
/* conn.h - one connection of the small server.  Private to lib/http. */
#ifndef TULLE_HTTP_CONN_H
#define TULLE_HTTP_CONN_H

#include <sys/queue.h>

#include "base/addr.h"
#include "http/server.h"

struct http_conn;
LIST_HEAD(http_conn_list, http_conn);

/* What all connections of a server share. */
struct http_served {
	struct loop *loop;               /* lent */
	const struct http_route *routes; /* lent */
	void *arg;
	struct tls_context *tls;
	size_t count;   /* open connections */
	size_t busy_at; /* above this many, idle ones are closed sooner */
	size_t body_max;
	uint64_t head_ms, body_ms, idle_ms;
};

/* Serves <fd>, which is taken over on success; the connection is in <list> until it is over.  <peer>: family 0 if it has no IP. */
enum tulle_err http_conn_open(struct http_served *s, struct http_conn_list *list, int fd, const struct addr *peer);

/* How many of <list> come from the IP address of <peer>; 0 if it has none. */
size_t http_conn_count_from(const struct http_conn_list *list, const struct addr *peer);

/* Ends it now and frees it. */
void http_conn_close(struct http_conn *c);

#endif
