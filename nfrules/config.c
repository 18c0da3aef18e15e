/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "manifest/host.h"
#include "manifest/problem.h"
#include "say.h"

static enum tulle_err
read_file(struct host_config **ret)
{
	struct problems problems;
	enum tulle_err e;

	problems_init(&problems);
	e = host_config_read(ret, paths_etc("tulle.yaml"), &problems);
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(stderr, "%s%s\n", problems.list[i].line, problems.list[i].warning ? " (warning)" : "");
	if (e != TULLE_OK)
		say("%s cannot be used: %s; nothing was changed", paths_etc("tulle.yaml"), tulle_strerror(e));
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

enum tulle_err
config_read(struct config *ret)
{
	struct host_config *h = NULL;
	struct config c = { 0 };
	enum tulle_err e = read_file(&h);

	if (e != TULLE_OK)
		return e;
	c.steering = (struct steering){
		.outbound = h->capture.outbound,
		.inbound = h->capture.inbound,
		.fail_closed = h->capture.fail_closed,
		.v6 = v6_of(h),
		.inbound_ports = h->capture.inbound_ports.items,
		.inbound_ports_n = h->capture.inbound_ports.n,
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
	e = own_users(&c.steering, h);
	if (e != TULLE_OK) {
		host_config_free(h);
		return e;
	}
	c.host = h;
	*ret = c;
	return TULLE_OK;
}

void
config_free(struct config *c)
{
	c->host = host_config_free(c->host);
}
