/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "lastgood.h"
#include "manifest/host.h"
#include "manifest/problem.h"
#include "portlist.h"
#include "say.h"

#define SIDECAR_PORT 15020

static enum tulle_err
read_file(struct host_config **ret, const char *path)
{
	struct problems problems;
	enum tulle_err e;

	problems_init(&problems);
	e = host_config_read(ret, path, &problems);
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(stderr, "%s%s\n", problems.list[i].line, problems.list[i].warning ? " (warning)" : "");
	if (e != TULLE_OK)
		say("%s cannot be used: %s; nothing was changed", path, tulle_strerror(e));
	problems_free(&problems);
	return e;
}

static enum tulle_err
own_users(struct steering *s, const struct host_config *h)
{
	const struct {
		const char *field, *user;
	} users[] = { { "relayd", h->users.relayd }, { "certd", h->users.certd }, { "telemetryd", h->users.telemetryd } };
	char shown[PROBLEM_SHOWN];

	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		uint32_t uid, gid;

		if (host_user_id(users[i].user, &uid, &gid) != TULLE_OK) {
			say("users.%s: there is no user %s on this host; name one that exists, or a number",
			    users[i].field, problem_show(shown, users[i].user));
			return TULLE_EINVAL;
		}
		if (uid == 0)
			say("users.%s is root: nothing that root runs will be captured", users[i].field);
		s->own_uids[s->own_uids_n++] = uid;
	}
	return TULLE_OK;
}

/* What inject made of a pod's annotations. */
static enum tulle_err
environment_ports(struct port_range **ret, size_t *ret_n, const char *name)
{
	const char *text = getenv(name);
	enum tulle_err e;

	if (text == NULL || *text == '\0')
		return TULLE_OK;
	*ret = calloc(STEERING_EXCLUDE_MAX, sizeof(**ret));
	if (*ret == NULL)
		return TULLE_ENOMEM;
	e = portlist_parse(*ret, STEERING_EXCLUDE_MAX, ret_n, text);
	if (e == TULLE_ELIMIT)
		say("%s: more than %d ports and ranges; nothing was changed", name, STEERING_EXCLUDE_MAX);
	else if (e != TULLE_OK)
		say("%s: a list of ports from 1 to 65535 is needed, such as \"8443,9000-9010\"; nothing was changed", name);
	return e;
}

/* In a pod all are one user; a host's daemons are three, and there a program at that port is like any other. */
static bool
one_user(const struct steering *s)
{
	for (size_t i = 1; i < s->own_uids_n; i++)
		if (s->own_uids[i] != s->own_uids[0])
			return false;
	return true;
}

static enum steering_v6
v6_of(const struct host_config *h)
{
	switch (h->steering.ipv6) {
	case IPV6_OFF:
		return STEERING_V6_OFF;
	case IPV6_REJECT:
		return STEERING_V6_REJECT;
	default:
		return STEERING_V6_ON;
	}
}

static enum tulle_err
read_from(struct config *ret, const char *place)
{
	char AUTO_FREE *path = strdup(place); /* lent by paths.h until its next call */
	struct host_config *h = NULL;
	struct config c = { 0 };
	enum tulle_err e = path != NULL ? read_file(&h, path) : TULLE_ENOMEM;

	if (e != TULLE_OK)
		return e;
	c.steering = (struct steering){
		.outbound = h->capture.outbound,
		.inbound = h->capture.inbound,
		.fail_closed = h->capture.fail_closed,
		.v6 = v6_of(h),
		.inbound_ports = h->capture.inbound_ports.items,
		.inbound_ports_n = h->capture.inbound_ports.n,
		.inbound_all = h->capture.inbound_ports.all,
		.uids = h->capture.exclude.uids.items,
		.uids_n = h->capture.exclude.uids.n,
		.ports = h->capture.exclude.ports.items,
		.ports_n = h->capture.exclude.ports.n,
		.cidrs = h->capture.exclude.cidrs.items,
		.cidrs_n = h->capture.exclude.cidrs.n,
		.outbound_port = (uint16_t)h->ports.outbound,
		.inbound_port = (uint16_t)h->ports.inbound,
		.hbone_port = (uint16_t)h->ports.hbone,
		.authority_port = (uint16_t)h->ports.authority,
		.health_port = (uint16_t)h->ports.health,
		.metrics_port = h->telemetry.metrics.on ? h->telemetry.metrics.at.port : 0,
	};
	c.repair = h->steering.repair;
	c.any_backend = h->steering.backend == BACKEND_AUTO;
	c.backend = h->steering.backend == BACKEND_LEGACY ? BACKEND_OF_LEGACY : BACKEND_OF_NFT;
	c.host = h;
	e = own_users(&c.steering, h);
	if (e == TULLE_OK)
		e = environment_ports(&c.in_ports, &c.steering.in_ports_n, "TULLE_EXCLUDE_INBOUND_PORTS");
	if (e == TULLE_OK)
		e = environment_ports(&c.out_ports, &c.steering.out_ports_n, "TULLE_EXCLUDE_OUTBOUND_PORTS");
	if (e != TULLE_OK) {
		config_free(&c);
		return e;
	}
	c.steering.in_ports = c.in_ports;
	c.steering.out_ports = c.out_ports;
	if (one_user(&c.steering))
		c.steering.sidecar_port = SIDECAR_PORT;
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
config_read(struct config *ret)
{
	return read_from(ret, paths_etc("tulle.yaml"));
}

enum tulle_err
config_read_last_good(struct config *ret)
{
	enum tulle_err e = lastgood_there() ? read_from(ret, lastgood_path()) : TULLE_ENOENT;

	if (e == TULLE_OK)
		ret->is_last_good = true;
	return e;
}

void
config_free(struct config *c)
{
	c->host = host_config_free(c->host);
	free(c->in_ports);
	free(c->out_ports);
}
