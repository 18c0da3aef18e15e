/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "io/sock.h"

#define BACKLOG 4096 /* SYNs queue here while a relay process is being replaced */

/* Every address: IPv6 with IPv4 in it, or IPv4 alone where the kernel has no IPv6. */
static enum tulle_err
open_any(int *ret_fd, const char *what, uint32_t port)
{
	struct addr any = { .family = AF_INET6, .port = (uint16_t)port };
	enum tulle_err e = sock_listen(ret_fd, &any, BACKLOG, true);

	if (e == TULLE_ESYS && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		any.family = AF_INET;
		e = sock_listen(ret_fd, &any, BACKLOG, true);
	}
	if (e != TULLE_OK)
		log_error(e == TULLE_EBUSY ? "port is in use by another program: change ports in tulle.yaml or stop it"
		                           : "cannot listen",
		    LF_STR("for", what), LF_UINT("port", port), LF_ERRNO);
	return e;
}

/*
 * SO_REUSEPORT would let a second relay of the same user take half of the
 * connections in silence: whoever comes second is refused.
 */
static enum tulle_err
check_free(uint32_t port)
{
	struct addr any = { .family = AF_INET6, .port = (uint16_t)port };
	int AUTO_FD fd = -1;
	enum tulle_err e = sock_listen(&fd, &any, 1, false);

	if (e == TULLE_ESYS && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		any.family = AF_INET;
		e = sock_listen(&fd, &any, 1, false);
	}
	if (e == TULLE_EBUSY)
		log_error("port is in use by another program: change ports in tulle.yaml or stop it", LF_UINT("port", port),
		    LF_ERRNO);
	return e;
}

static enum tulle_err
open_worker(struct worker_sockets *w, const struct host_config *c)
{
	enum tulle_err e = TULLE_OK;

	*w = (struct worker_sockets){ -1, -1, -1 };
	if (c->capture.outbound)
		e = open_any(&w->outbound, "outbound", c->ports.outbound);
	if (e == TULLE_OK && c->capture.inbound)
		e = open_any(&w->inbound, "inbound", c->ports.inbound);
	if (e == TULLE_OK)
		e = open_any(&w->hbone, "hbone", c->ports.hbone);
	return e;
}

enum tulle_err
sockets_open(struct sockets *ret, const struct host_config *config)
{
	const uint32_t ports[] = { config->ports.outbound, config->ports.inbound, config->ports.hbone, config->ports.health };
	struct sockets s = { .n = config->relay.workers, .health = -1 };
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (check_free(ports[i]) == TULLE_EBUSY)
			return TULLE_EBUSY;
	s.workers = calloc(s.n, sizeof(s.workers[0]));
	if (s.workers == NULL)
		return TULLE_ENOMEM;
	for (unsigned int i = 0; i < s.n; i++)
		s.workers[i] = (struct worker_sockets){ -1, -1, -1 };
	for (unsigned int i = 0; i < s.n && e == TULLE_OK; i++)
		e = open_worker(&s.workers[i], config);
	if (e == TULLE_OK)
		e = open_any(&s.health, "health", config->ports.health);
	if (e != TULLE_OK) {
		sockets_close(&s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

static void
close_one(int fd)
{
	if (fd != -1)
		(void)close(fd);
}

void
sockets_close(struct sockets *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		close_one(s->workers[i].outbound);
		close_one(s->workers[i].inbound);
		close_one(s->workers[i].hbone);
	}
	close_one(s->health);
	free(s->workers);
	*s = (struct sockets){ .health = -1 };
}
