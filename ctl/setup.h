/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * setup.h - the files that make a host a host of Tulle: tulle.yaml,
 * identities.yaml and the folder mesh.d.  "tulle init" and "tulle join" write
 * them where they are missing; what is there stays as it is.
 */
#ifndef TULLE_CTL_SETUP_H
#define TULLE_CTL_SETUP_H

#include <stdbool.h>

#include "tls/spiffe.h"

#define SETUP_CAPTURE 768
#define SETUP_ACCOUNT (2 * SPIFFE_TD_MAX + 2)

struct setup {
	const char *verb;           /* for messages: "init" */
	char td[SPIFFE_TD_MAX + 1]; /* "": not known yet (a member that has not joined) */
	char account[SETUP_ACCOUNT]; /* "NAMESPACE/ACCOUNT" of what identities.yaml does not name */
	char capture[SETUP_CAPTURE]; /* fields of capture: in tulle.yaml, "inboundPorts: [80]"; "": the defaults */
	bool member;
	bool follows; /* a member's manifests are its authority's: it has none of its own */
	bool write_host, write_identities, make_folder; /* set by setup_look(): these are missing */
};

/* "default/" and the host's name; what is not legal in an account becomes a dash. */
void setup_default_account(struct setup *s);

/* Is <account> of the form NAMESPACE/ACCOUNT, in legal characters? */
bool setup_account_valid(const char *account);

/* Finds out what is missing, and whether there are manifests. */
void setup_look(struct setup *s);

/* Writes what is missing.  An exit status; what went wrong is on standard error. */
int setup_write(const struct setup *s);

/*
 * Writes tulle.yaml again, in one piece, if it is what setup_write() made
 * of <before>, to the byte: the join has said what was not known then.
 * A file that somebody changed stays.  An exit status.
 */
int setup_rewrite(const struct setup *before, const struct setup *s);

/*
 * Writes the trust domain into a tulle.yaml in which setup_write() left room
 * for it.  False: there is no such room, and no trust domain either: somebody
 * has to write it.
 */
bool setup_name_domain(const char *td);

/* Is tulle.yaml what setup_write() made of <s>? */
bool setup_is_ours(const struct setup *s);

/* Prints the mistakes in tulle.yaml and identities.yaml.  An exit status. */
int setup_check(void);

#endif
