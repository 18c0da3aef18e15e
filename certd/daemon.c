/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority/members.h"
#include "authority/ttl.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "io/notify.h"
#include "io/privileges.h"
#include "io/sock.h"
#include "manifests.h"
#include "tls/issue.h"

#define ADVANCE_MAX (INT64_C(24) * 3600) /* seconds: clocks jump */
#define ADVANCE_PODS 10 /* seconds, where pods may come and go */

/* ---- before privileges go ---- */

static enum tulle_err
complain(const char *what, const char *path, enum tulle_err e)
{
	(void)fprintf(stderr, "tulle-certd: %s %s: %s\n", what, path,
	    e == TULLE_EBUSY ? "another tulle-certd answers there already" : strerror(errno));
	return e;
}

enum tulle_err
daemon_prepare(struct daemon *d)
{
	const char *user = d->config->host->users.certd;
	uint32_t uid = geteuid(), gid = getegid();
	enum tulle_err e;

	d->workload_fd = d->ctl_fd = -1;
	if (geteuid() == 0 && host_user_id(user, &uid, &gid) != TULLE_OK) {
		(void)fprintf(stderr,
		    "tulle-certd: there is no user \"%s\" on this host; make it, or name another under users.certd in %s\n",
		    user, paths_etc("tulle.yaml"));
		return TULLE_EINVAL;
	}
	d->dir = strdup(paths_var("certd"));
	d->pods = strdup(paths_run("identity/pods"));
	if (d->dir == NULL || d->pods == NULL)
		return TULLE_ENOMEM;
	e = state_folder(d->dir, 0700, uid, gid);
	if (e)
		return complain("cannot make the state folder", d->dir, e);
	if (state_folder(paths_var("mesh"), 0755, uid, gid) != TULLE_OK) /* the relay reads there */
		log_warn("no folder for the authority's manifests: this host cannot keep a copy", LF_STR("folder", paths_var("mesh")),
		    LF_ERRNO);
	e = file_mkdirs(paths_run("identity"), 0755);
	if (e)
		return complain("cannot make", paths_run("identity"), e);
	e = state_folder(paths_run("identity"), 0755, uid, gid);
	if (e)
		return complain("cannot make", paths_run("identity"), e);
	e = sock_listen_unix(&d->ctl_fd, paths_run("certd.sock"), 0666);
	if (e)
		return complain("cannot listen at", paths_run("certd.sock"), e);
	e = sock_listen_unix(&d->workload_fd, paths_run("identity/workload.sock"), 0666);
	if (e)
		return complain("cannot listen at", paths_run("identity/workload.sock"), e);
	if (privileges_drop(uid, gid) != TULLE_OK)
		return complain("cannot become user", user, TULLE_ESYS);
	return TULLE_OK;
}

/* ---- the keeper's source ---- */

static int64_t
now_sec(void)
{
	return clock_wall_sec();
}

/* The embedded authority answers at once. */
static void
order_embedded(struct daemon *d, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct issue_request request;
	struct svid_facts facts;
	enum tulle_err e = issue_request_read(&request, csr, len);

	if (e == TULLE_OK)
		e = authority_sign(d->authority,
		    &(struct authority_order){ .id = id, .public_key = request.public_key,
		        .public_key_len = request.public_key_len, .ttl = ttl },
		    now_sec(), &chain, &facts);
	if (e)
		keeper_fail(d->keeper, id, e == TULLE_EUNAVAIL ? "no issuing CA can sign it" : tulle_strerror(e));
	else
		(void)keeper_deliver(d->keeper, id, buf_head(&chain), buf_len(&chain));
	buf_free(&chain);
}

static void
order(void *arg, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	struct daemon *d = arg;

	if (d->authority != NULL)
		order_embedded(d, id, ttl, csr, len);
	else
		fleet_order(d->fleet, id, ttl, csr, len);
}

static void
say_status(struct daemon *d)
{
	char text[160];
	size_t usable = 0;

	for (size_t i = 0; i < keeper_slots(d->keeper); i++)
		usable += slot_usable(keeper_slot(d->keeper, i), (int64_t)(clock_wall_ns() / NS_PER_MS));
	(void)snprintf(text, sizeof(text), "STATUS=%zu of %zu identities, generation %" PRIu64, usable,
	    keeper_slots(d->keeper), keeper_generation(d->keeper));
	notify_send(text);
}

static void
changed(void *arg)
{
	struct daemon *d = arg;

	if (d->workload != NULL)
		workload_changed(d->workload);
	if (d->podsocks != NULL)
		podsocks_changed(d->podsocks);
	say_status(d);
}

static const struct keeper_handler keeper_handler = { .order = order, .changed = changed };

static void
fleet_certificate(void *arg, const char *id, const uint8_t *chain, size_t chain_len, const uint8_t *roots,
    size_t roots_len)
{
	struct daemon *d = arg;
	enum tulle_err e = keeper_roots(d->keeper, d->td, roots, roots_len);

	if (e)
		keeper_fail(d->keeper, id, "the authority's roots cannot be read");
	else
		(void)keeper_deliver(d->keeper, id, chain, chain_len);
}

static void
fleet_failed(void *arg, const char *id, const char *why)
{
	struct daemon *d = arg;

	keeper_fail(d->keeper, id, why);
}

static void
fleet_is_back(void *arg)
{
	struct daemon *d = arg;

	keeper_kick(d->keeper);
}

/* Why nothing is there; NULL: nothing is known to be wrong. */
static void
wait_for(struct daemon *d, const char *why)
{
	(void)snprintf(d->waiting, sizeof(d->waiting), "%s", why != NULL ? why : "");
	if (d->workload != NULL)
		workload_waiting(d->workload, d->waiting);
}

static void
fleet_is_waiting(void *arg, const char *why)
{
	struct daemon *d = arg;
	char text[sizeof(d->waiting)];

	(void)snprintf(text, sizeof(text), "this host has not joined yet: %.280s", why);
	if (!fleet_is_member(d->fleet))
		wait_for(d, text);
}

/* identity.default: only.  Of several accounts none is taken: which one speaks for the host is not ours to choose. */
static enum tulle_err
choose_only(struct daemon *d, struct config *c)
{
	const json_t *accounts = d->fleet != NULL ? fleet_accounts(d->fleet) : NULL;
	const size_t n = json_array_size(accounts);
	char text[200];

	if (!c->host->identity.default_only || c->only_ns != NULL)
		return TULLE_OK;
	if (n == 1)
		return config_only(c, json_string_value(json_array_get(accounts, 0)));
	(void)snprintf(text, sizeof(text),
	    "identity.default is \"only\", but this host may have %zu accounts: name one of them in %.80s", n,
	    paths_etc("tulle.yaml"));
	log_error("there is no default identity", LF_STR("reason", text));
	wait_for(d, text);
	return TULLE_OK;
}

static enum tulle_err
want(struct daemon *d, struct config *c)
{
	enum tulle_err e;

	if (d->td[0] == '\0')
		return TULLE_OK; /* not joined yet: nobody can say what the identities are called */
	e = choose_only(d, c);
	if (e)
		return e;
	return keeper_want(d->keeper, d->td, c->wanted, c->n_wanted);
}

static void
fleet_is_joined(void *arg)
{
	struct daemon *d = arg;
	struct der roots = fleet_roots(d->fleet);

	if (d->authority != NULL) { /* its own was only for itself: daemon_become_member() has made sure */
		log_notice("this host's own authority is laid down: it has joined a fleet");
		timer_clear(d->loop, &d->advance);
		d->server = authority_server_free(d->server);
		d->issuers = issuers_free(d->issuers);
		d->authority = authority_close(d->authority);
	}
	(void)snprintf(d->td, sizeof(d->td), "%s", fleet_td(d->fleet));
	wait_for(d, NULL);
	if (keeper_roots(d->keeper, d->td, roots.p, roots.len) != TULLE_OK || want(d, d->config) != TULLE_OK)
		log_error("the identities of this host could not be set up");
	manifests_joined(d);
	if (manifests_follow(d, d->config) != TULLE_OK)
		log_error("the authority's manifests cannot be followed: out of memory");
	keeper_kick(d->keeper);
}

static void
fleet_manifests(void *arg, const uint8_t *p, size_t n)
{
	manifests_take(arg, p, n);
}

static const struct fleet_handler fleet_handler = { .certificate = fleet_certificate, .failed = fleet_failed,
	.back = fleet_is_back, .waiting = fleet_is_waiting, .joined = fleet_is_joined, .manifests = fleet_manifests };

/* ---- the authority ---- */

static int64_t
leaf_max(const struct config *c)
{
	int64_t host = (int64_t)(c->host->identity.ttl_ms / 1000);

	return c->ttl_max > host ? c->ttl_max : host;
}

static void
advance(struct timer *t)
{
	struct daemon *d = CONTAINER_OF(t, struct daemon, advance);
	int64_t now = now_sec();
	int64_t next = authority_advance(d->authority, leaf_max(d->config), now);
	int64_t tokens = tokens_expire(d->store, now), pods = pods_expire(d->store, now);

	if (tokens < next)
		next = tokens;
	if (pods < next)
		next = pods;
	if (next - now > ADVANCE_MAX)
		next = now + ADVANCE_MAX;
	if (d->config->host->authority.kubernetes.n > 0 && next - now > ADVANCE_PODS)
		next = now + ADVANCE_PODS;
	timer_set(d->loop, &d->advance, next > now ? (uint64_t)(next - now) * 1000 : 1000, advance);
}

/* Are the lengths of this configuration possible with this authority? */
static enum tulle_err
check_ttl(const struct daemon *d, const struct config *c, struct buf *error)
{
	char why[TTL_WHY];

	if (d->authority == NULL)
		return TULLE_OK;
	if (ttl_check(leaf_max(c), authority_root_life(d->authority), why) != TULLE_OK) {
		(void)buf_printf(error, "%s: identity.ttl, or a ttl of identities.yaml: %s\n", paths_etc("tulle.yaml"), why);
		return TULLE_EINVAL;
	}
	if (leaf_max(c) < TTL_LEAF_SHORT)
		log_warn("certificates live less than five minutes: for trying out only", LF_INT("ttl", leaf_max(c)));
	return TULLE_OK;
}

static enum tulle_err
listen_authority(struct daemon *d)
{
	const struct listen_at *at = &d->config->host->authority.listen;
	char text[ADDR_TEXT];
	enum tulle_err e;

	if (!at->on)
		return TULLE_OK;
	e = issuers_new(&d->issuers, d->loop, d->dir);
	if (e == TULLE_OK)
		e = issuers_config(d->issuers, d->config->host->authority.kubernetes.items, d->config->host->authority.kubernetes.n);
	if (e)
		return e;
	e = authority_server_new(&d->server, d->loop, &at->at, d->authority, d->store, d->issuers, d->td,
	    leaf_max(d->config), &d->published);
	if (e)
		(void)fprintf(stderr, "tulle-certd: cannot listen for other hosts at %s: %s; authority.listen in %s says where\n",
		    at->at.family != 0 ? addr_format(&at->at, text) : "the authority's port",
		    e == TULLE_EBUSY ? "somebody else listens there" : e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e),
		    paths_etc("tulle.yaml"));
	return e;
}

static enum tulle_err
start_authority(struct daemon *d, struct buf *error)
{
	enum tulle_err e = state_trust_domain(d->store, d->config, d->td, error);

	if (e == TULLE_OK)
		e = authority_open(&d->authority, d->store, d->dir, d->td);
	if (e == TULLE_OK && !authority_has_root(d->authority))
		e = authority_create(d->authority, now_sec());
	if (e == TULLE_OK)
		e = check_ttl(d, d->config, error);
	if (e == TULLE_OK && d->config->host->authority.listen.on)
		e = publish_open(&d->published, d->store, d->authority, d->dir, d->td);
	return e;
}

/* As identity.join says. */
static enum tulle_err
join_by_itself(struct daemon *d, const struct config *c)
{
	const struct host_config *h = c->host;

	if (h->identity.join.address == NULL)
		return fleet_join_by_itself(d->fleet, NULL);
	return fleet_join_by_itself(d->fleet,
	    &(struct fleet_auto){ .address = h->identity.join.address, .pin = h->identity.join.root.hash,
	        .token_file = h->identity.join.token_file, .td = c->td_given ? h->trust_domain : NULL });
}

/* A mesh.d that does not load, or is too large, is no reason not to start: certificates are needed all the more. */
static enum tulle_err
start_manifests(struct daemon *d)
{
	struct buf problems = buf_new(65536);

	if (d->authority != NULL && manifests_publish(d, d->config, &problems) != TULLE_OK)
		(void)fprintf(stderr, "%.*s", (int)buf_len(&problems), (const char *)buf_head(&problems));
	buf_free(&problems);
	return d->fleet != NULL && fleet_is_member(d->fleet) ? manifests_follow(d, d->config) : TULLE_OK;
}

static enum tulle_err
start_source(struct daemon *d, struct buf *error)
{
	bool joined = store_get(d->store, "self", "joined") != NULL;
	enum tulle_err e;

	if (!joined && d->config->host->identity.source == IDENTITY_EMBEDDED)
		return start_authority(d, error);
	e = fleet_new(&d->fleet, d->loop, d->store, d->dir, d->seal, &fleet_handler, d);
	if (e == TULLE_OK && fleet_td(d->fleet) != NULL) {
		(void)snprintf(d->td, sizeof(d->td), "%s", fleet_td(d->fleet));
		if (d->config->td_given && strcmp(d->td, d->config->host->trust_domain) != 0) {
			(void)buf_printf(error, "%s: trustDomain: this host has joined \"%s\", not \"%s\"\n",
			    paths_etc("tulle.yaml"), d->td, d->config->host->trust_domain);
			e = TULLE_EINVAL;
		}
	}
	if (e == TULLE_OK)
		e = join_by_itself(d, d->config);
	if (e == TULLE_OK && !fleet_is_member(d->fleet))
		log_notice(d->config->host->identity.join.address != NULL ? "this host has not joined yet: it will, by itself"
		                                                          : "this host has not joined yet: tulle join TOKEN");
	return e;
}

enum tulle_err
daemon_become_member(struct daemon *d)
{
	if (d->fleet != NULL)
		return TULLE_OK;
	if (json_object_size(store_table(d->store, "member")) > 0)
		return TULLE_EDENIED;
	return fleet_new(&d->fleet, d->loop, d->store, d->dir, d->seal, &fleet_handler, d);
}

/* ---- start, reload, stop ---- */

static void
feed(struct timer *t)
{
	struct daemon *d = CONTAINER_OF(t, struct daemon, watchdog);

	notify_send("WATCHDOG=1");
	timer_set(d->loop, t, notify_watchdog_ms(), feed);
}

static enum tulle_err
open_store(struct daemon *d)
{
	enum tulle_err e = store_open(&d->store, d->dir);

	if (e == TULLE_EBUSY)
		(void)fprintf(stderr, "tulle-certd: %s is in use by another tulle-certd\n", d->dir);
	else if (e == TULLE_EDAMAGED)
		(void)fprintf(stderr, "tulle-certd: " STATE_DAMAGED, d->dir, d->dir);
	else if (e)
		(void)fprintf(stderr, "tulle-certd: the state in %s cannot be opened: %s%s%s\n", d->dir, tulle_strerror(e),
		    e == TULLE_ESYS ? ": " : "", e == TULLE_ESYS ? strerror(errno) : "");
	return e;
}

static enum tulle_err
start_keeper(struct daemon *d)
{
	char AUTO_FREE *file = NULL;
	enum tulle_err e;

	if (asprintf(&file, "%s/svids", d->dir) == -1) {
		file = NULL;
		return TULLE_ENOMEM;
	}
	e = state_seal_key(d->dir, d->seal);
	if (e)
		return e;
	return keeper_new(&d->keeper, d->loop, file, d->seal, &keeper_handler, d);
}

static enum tulle_err
start_identities(struct daemon *d)
{
	enum tulle_err e;

	if (d->authority != NULL) {
		struct der roots = authority_roots(d->authority);

		advance(&d->advance);
		e = keeper_roots(d->keeper, d->td, roots.p, roots.len);
		if (e)
			return e;
	}
	return want(d, d->config);
}

enum tulle_err
daemon_start(struct daemon *d)
{
	struct buf error = buf_new(65536);
	enum tulle_err e = open_store(d);

	if (e)
		return e;
	e = start_keeper(d);
	if (e == TULLE_OK)
		e = start_source(d, &error);
	if (buf_len(&error) > 0)
		(void)fprintf(stderr, "%.*s", (int)buf_len(&error), (const char *)buf_head(&error));
	else if (e == TULLE_EDAMAGED)
		(void)fprintf(stderr, "tulle-certd: " STATE_DAMAGED, d->dir, d->dir);
	else if (e)
		(void)fprintf(stderr, "tulle-certd: cannot start: %s\n", tulle_strerror(e));
	buf_free(&error);
	if (e == TULLE_OK)
		e = start_identities(d);
	if (e == TULLE_OK)
		e = start_manifests(d);
	if (e == TULLE_OK && d->authority != NULL)
		e = listen_authority(d);
	if (e == TULLE_OK)
		e = workload_new(&d->workload, d->loop, fd_take(&d->workload_fd), d->keeper, d->config);
	if (e == TULLE_OK)
		e = podsocks_new(&d->podsocks, d->loop, d->pods, d->keeper);
	if (e == TULLE_OK)
		e = ctl_serve_fd(&d->ctl, d->loop, fd_take(&d->ctl_fd), "tulle-certd", daemon_commands, d);
	if (e)
		return e;
	workload_waiting(d->workload, d->waiting);
	podsocks_config(d->podsocks, d->config);
	if (notify_watchdog_ms() > 0)
		feed(&d->watchdog);
	notify_send("READY=1");
	say_status(d);
	log_notice("ready", LF_STR("source", d->authority != NULL ? "embedded" : "fleet"), LF_STR("trust_domain", d->td),
	    LF_UINT("identities", keeper_slots(d->keeper)));
	return TULLE_OK;
}

void
daemon_stop(struct daemon *d)
{
	d->ctl = ctl_server_free(d->ctl);
	d->workload = workload_free(d->workload);
	d->podsocks = podsocks_free(d->podsocks);
	d->server = authority_server_free(d->server);
	d->issuers = issuers_free(d->issuers);
	d->fleet = fleet_free(d->fleet);
	publish_close(&d->published);
	copy_close(&d->copy);
	d->keeper = keeper_free(d->keeper);
	if (d->loop != NULL) {
		timer_clear(d->loop, &d->advance);
		timer_clear(d->loop, &d->watchdog);
	}
	d->authority = authority_close(d->authority);
	d->store = store_close(d->store);
	d->config = config_free(d->config);
	d->loop = loop_free(d->loop);
	cleanup_fd(&d->workload_fd);
	cleanup_fd(&d->ctl_fd);
	free(d->dir);
	free(d->pods);
	explicit_bzero(d->seal, sizeof(d->seal));
}

/* What cannot change while running. */
static enum tulle_err
check_same(const struct daemon *d, const struct config *c, struct buf *error)
{
	if (c->td_given && d->td[0] != '\0' && strcmp(c->host->trust_domain, d->td) != 0) {
		(void)buf_printf(error, "%s: trustDomain: it is \"%s\" and cannot be changed to \"%s\" while tulle-certd runs\n",
		    paths_etc("tulle.yaml"), d->td, c->host->trust_domain);
		return TULLE_EINVAL;
	}
	if (c->host->identity.source != d->config->host->identity.source)
		(void)buf_printf(error, "warning: identity.source takes effect at the next start of tulle-certd\n");
	if (c->host->authority.listen.on != d->config->host->authority.listen.on ||
	    !addr_equal(&c->host->authority.listen.at, &d->config->host->authority.listen.at))
		(void)buf_printf(error, "warning: authority.listen takes effect at the next start of tulle-certd\n");
	return TULLE_OK;
}

enum tulle_err
daemon_reload(struct daemon *d, struct buf *error)
{
	struct config *fresh = NULL, *old = d->config;
	enum tulle_err e = config_read(&fresh, error);

	/* systemd has just closed it again: it sets the unit's StateDirectoryMode= for the process of ExecReload=, too. */
	if (state_folder(paths_var("mesh"), 0755, geteuid(), getegid()) != TULLE_OK)
		log_warn("the relay may not read the authority's manifests", LF_STR("folder", paths_var("mesh")), LF_ERRNO);
	if (e == TULLE_OK)
		e = check_same(d, fresh, error);
	if (e == TULLE_OK)
		e = check_ttl(d, fresh, error);
	if (e == TULLE_OK)
		e = manifests_publish(d, fresh, error);
	if (e == TULLE_OK)
		e = want(d, fresh);
	if (e) {
		if (buf_len(error) == 0)
			(void)buf_printf(error, "%s", tulle_strerror(e));
		config_free(fresh);
		return e;
	}
	if (d->issuers != NULL)
		e = issuers_config(d->issuers, fresh->host->authority.kubernetes.items, fresh->host->authority.kubernetes.n);
	if (e == TULLE_OK && d->fleet != NULL)
		e = join_by_itself(d, fresh);
	if (e)
		log_error("the new configuration is in force only in part", LF_ERR(e));
	d->config = fresh;
	if (manifests_follow(d, fresh) != TULLE_OK)
		log_error("the authority's manifests cannot be followed: out of memory");
	workload_config(d->workload, fresh);
	podsocks_config(d->podsocks, fresh);
	config_free(old);
	log_set_threshold(fresh->host->log_level);
	if (d->server != NULL)
		authority_server_leaf_max(d->server, leaf_max(fresh));
	log_notice("configuration reloaded", LF_UINT("identities", fresh->n_wanted));
	return TULLE_OK;
}
