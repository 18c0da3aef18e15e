/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * supply.h - the configuration on its way from the files to the relay
 * process: read, offered (offer.h has the rule), answered, and kept for a
 * later run (lastgood.h).
 */
#ifndef TULLE_RELAYD_SUPPLY_H
#define TULLE_RELAYD_SUPPLY_H

#include "parent/callers.h"
#include "parent/files.h"
#include "io/loop.h"
#include "msg/msg.h"
#include "parent/offer.h"

struct supply {
	struct loop *loop;
	struct callers *callers; /* those with WAIT_RELOAD are answered here */
	int channel;             /* to the relay process, lent; -1: there is none now */
	struct offer offer;
	struct files files;      /* and this host's addresses */
	struct timer look;       /* at the addresses */
	int64_t last_good;       /* when what is in force was accepted in an earlier run (lastgood.h); 0: it is of this one */
	char error[1024];        /* what was wrong with the newest files; "": nothing */
	char *warnings;          /* about the newest files, of reading them; owned; NULL: none */
	bool manifests;          /* what this run last accepted has some */
	struct files_origin from, newest_from; /* of what this run last accepted, and of the newest files */
	struct timer copy;       /* looks whether the authority's manifests are others */
};

/* <loop> and <callers> are lent. */
void supply_init(struct supply *s, struct loop *loop, struct callers *callers);

/*
 * Reads all files and hands them over, or keeps them for the next relay
 * process if there is none now.  *ret_ticket is what a caller waits for
 * (WAIT_RELOAD).  On failure, which is logged, as files_read().
 */
enum tulle_err supply_reload(struct supply *s, uint64_t *ret_ticket, char **ret_error);

/* A relay process is there: <channel> is lent until supply_ended(). */
void supply_begin(struct supply *s, int channel);

/* Its WIRE_CONFIG_RESULT.  TULLE_EPEER, TULLE_ENOMEM. */
enum tulle_err supply_answered(struct supply *s, const struct msg *m);

/* It is gone. */
void supply_ended(struct supply *s);

/*
 * If nothing is in force and nothing under way: has the configuration that
 * was good in an earlier run offered, or says that there is none.
 */
void supply_fall_back(struct supply *s);

/* Sends what is due.  Also to be called now and then, for what could not be sent before. */
void supply_feed(struct supply *s);

#endif
