/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "parent/inherited.h"
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

#define NAME_MAX_LEN 32

/* The last relay's socket, or a new one. */
static enum tulle_err
take_or_open(int *ret_fd, struct inherited *in, const char *what, unsigned int worker, uint32_t port)
{
	char name[NAME_MAX_LEN];

	(void)snprintf(name, sizeof(name), "%s-%u", what, worker);
	*ret_fd = inherited_find(in, name, (uint16_t)port);
	return *ret_fd != -1 ? TULLE_OK : open_any(ret_fd, what, port);
}

static enum tulle_err
open_worker(struct worker_sockets *w, unsigned int i, const struct host_config *c, struct inherited *in)
{
	enum tulle_err e = TULLE_OK;

	*w = (struct worker_sockets){ -1, -1, -1 };
	if (c->capture.outbound)
		e = take_or_open(&w->outbound, in, "outbound", i, c->ports.outbound);
	if (e == TULLE_OK && c->capture.inbound)
		e = take_or_open(&w->inbound, in, "inbound", i, c->ports.inbound);
	if (e == TULLE_OK)
		e = take_or_open(&w->hbone, in, "hbone", i, c->ports.hbone);
	return e;
}

static void
keep(const char *what, unsigned int worker, int fd)
{
	char name[NAME_MAX_LEN];

	if (fd == -1)
		return;
	(void)snprintf(name, sizeof(name), "%s-%u", what, worker);
	inherited_keep(name, fd);
}

/* For the relay after this one. */
static void
keep_all(const struct sockets *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		keep("outbound", i, s->workers[i].outbound);
		keep("inbound", i, s->workers[i].inbound);
		keep("hbone", i, s->workers[i].hbone);
	}
	keep("health", 0, s->health);
}

enum tulle_err
sockets_open(struct sockets *ret, const struct host_config *config)
{
	const uint32_t ports[] = { config->ports.outbound, config->ports.inbound, config->ports.hbone, config->ports.health };
	struct sockets s = { .n = config->relay.workers, .health = -1 };
	struct inherited *in = inherited_take();
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < ARRAY_LEN(ports) && e == TULLE_OK; i++)
		if (!inherited_serves(in, (uint16_t)ports[i]) && check_free(ports[i]) == TULLE_EBUSY)
			e = TULLE_EBUSY;
	s.workers = e == TULLE_OK ? calloc(s.n, sizeof(s.workers[0])) : NULL;
	if (s.workers == NULL) {
		inherited_free(in);
		return e == TULLE_OK ? TULLE_ENOMEM : e;
	}
	for (unsigned int i = 0; i < s.n; i++)
		s.workers[i] = (struct worker_sockets){ -1, -1, -1 };
	for (unsigned int i = 0; i < s.n && e == TULLE_OK; i++)
		e = open_worker(&s.workers[i], i, config, in);
	if (e == TULLE_OK)
		e = take_or_open(&s.health, in, "health", 0, config->ports.health);
	inherited_free(in); /* before the rest is kept: systemd forgets by name */
	if (e != TULLE_OK) {
		sockets_close(&s);
		return e;
	}
	keep_all(&s);
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
