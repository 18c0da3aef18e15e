/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daemon.h - tulle-certd, put together.
 *
 *   tulle.yaml, identities.yaml        /run/tulle/certd.sock
 *              \                          |
 *            config            control (status, token, join, reload)
 *                 \                |
 *   authority --+  +----------> daemon
 *               +--> keeper -------+---------> serve (Workload API)
 *   fleet ------+                  |
 *                                  +---------> authority server (other hosts)
 */
#ifndef TULLE_CERTD_DAEMON_H
#define TULLE_CERTD_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/copy.h"
#include "agent/fleet.h"
#include "agent/keeper.h"
#include "authority/authority.h"
#include "authority/issuers.h"
#include "authority/pods.h"
#include "authority/publish.h"
#include "authority/server.h"
#include "base/buf.h"
#include "base/err.h"
#include "config.h"
#include "io/ctlsock.h"
#include "io/loop.h"
#include "serve/podsocks.h"
#include "serve/workload.h"
#include "store/store.h"

struct daemon {
	struct loop *loop;
	struct config *config;
	struct store *store;
	struct authority *authority; /* NULL on a member */
	struct issuers *issuers; /* NULL on a member */
	struct authority_server *server; /* NULL on a member, or when off */
	struct fleet *fleet;         /* NULL where there is an authority of its own */
	struct published published;  /* to members; path NULL: there can be none */
	struct copy copy;            /* of the authority's manifests; path NULL: not wanted */
	struct keeper *keeper;
	struct workload *workload;
	struct podsocks *podsocks;
	struct ctl_server *ctl;
	char *dir; /* owned: /var/lib/tulle/certd */
	char *pods; /* owned: /run/tulle/identity/pods */
	char td[SPIFFE_TD_MAX + 1]; /* "" on a host that has not joined yet */
	uint8_t seal[32];
	int workload_fd, ctl_fd; /* listening, made while still privileged; -1 once handed on */
	struct timer advance;    /* of the authority's CAs */
	struct timer watchdog;
	char waiting[320]; /* why there is no identity yet; "" if nothing is known to be wrong */
	bool stopping;
};

/* Makes the folders and Unix sockets, which may need root; prints what is wrong.  TULLE_ESYS, TULLE_EBUSY. */
enum tulle_err daemon_prepare(struct daemon *d);

/* Opens the state and starts to serve; prints or logs what is wrong. */
enum tulle_err daemon_start(struct daemon *d);

void daemon_stop(struct daemon *d);

/* Reads the configuration again; on failure nothing changes and <error> has the text for people. */
enum tulle_err daemon_reload(struct daemon *d, struct buf *error);

/* The commands of the control socket (control.c). */
extern const struct ctl_command daemon_commands[];

/* The whole truth about this daemon (control.c). */
json_t *daemon_status(struct daemon *d);

/*
 * Lets a host join: one that has an authority of its own keeps it until the
 * join is done (daemon.c).  TULLE_EDENIED: it has members.
 */
enum tulle_err daemon_become_member(struct daemon *d);

/*
 * What to do about TULLE_EDAMAGED of store_open() or authority_open(): a format with the state's folder twice.  There
 * is no switch for it: whoever gives up root, members and bans moves them away with their own hands.
 */
#define STATE_DAMAGED \
	"the state in %s is damaged (the line above says where), and nothing was changed: restore that folder from a " \
	"backup; or give up the root, all members and all bans, with mv %s somewhere-else, and let every host join again\n"

/* State folder of the store, opened as the verbs need it too: the trust domain it is for (state.c). */
enum tulle_err state_trust_domain(struct store *s, const struct config *c, char ret[SPIFFE_TD_MAX + 1],
    struct buf *error);

/* The key of the sealed cache, made at the first start (state.c).  TULLE_ESYS, TULLE_ECRYPTO, TULLE_EINVAL. */
enum tulle_err state_seal_key(const char *dir, uint8_t ret[32]);

/* Makes DIR (0700) and, if we are root, gives it to <uid>:<gid> (state.c).  TULLE_ESYS. */
enum tulle_err state_folder(const char *dir, mode_t mode, uid_t uid, gid_t gid);

/* tulle-certd ca VERB (ca_verbs.c).  The exit status. */
int ca_main(int argc, char **argv);

#endif
