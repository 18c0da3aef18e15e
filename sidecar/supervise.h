/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * supervise.h - which daemon runs when: the order of a start, what happens
 * when one dies, and the order of a stop.
 *
 * Pure: it is told what happened and what time it is, and says what to do
 * through three functions.  A test plays a day of it in a millisecond.
 *
 *   start   certd; telemetryd and relayd when certd's socket answers, or
 *           after SUPERVISE_WAIT_MS: a relay without identities keeps
 *           connections waiting, no relay at all would refuse them
 *   stop    LEAVING: the application has been told to stop as well, and is
 *           served until it has ended or the drain time is over; peers are
 *           turned away.  Then relayd ends, then telemetryd, which so gets
 *           all that the relay told, then certd.
 */
#ifndef TULLE_SIDECAR_SUPERVISE_H
#define TULLE_SIDECAR_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

enum member { MEMBER_CERTD, MEMBER_TELEMETRYD, MEMBER_RELAYD, MEMBERS };

#define SUPERVISE_WAIT_MS 5000    /* for certd's socket */
#define SUPERVISE_STABLE_MS 30000 /* who has run for so long is started again at once */
#define SUPERVISE_AGAIN_MIN_MS 20 /* a killed relay's process gives its ports back within some milliseconds */
#define SUPERVISE_AGAIN_MAX_MS 10000
#define SUPERVISE_GONE_MS 2000  /* so long no process of an application was seen: it has ended */
#define SUPERVISE_FLUSH_MS 3000 /* for telemetryd and certd to end, within the grace */

enum supervise_signal {
	SUPERVISE_LEAVE, /* relayd: no new inbound connections */
	SUPERVISE_STOP,
	SUPERVISE_KILL,
};

struct supervise_actions {
	void (*start)(void *arg, enum member m); /* its death is told, also when it could not be started */
	void (*signal)(void *arg, enum member m, enum supervise_signal s);
	void (*end)(void *arg); /* all have ended; nothing follows */
};

struct supervise_options {
	bool has[MEMBERS];  /* without certd: identities come from elsewhere */
	bool native;        /* whoever says stop has ended the application before */
	bool end_with_app;
	uint64_t drain_ms, grace_ms;
};

enum supervise_phase { PHASE_RUNNING, PHASE_LEAVING, PHASE_STOPPING, PHASE_OVER };

struct supervise {
	struct supervise_options options;
	const struct supervise_actions *actions; /* lent */
	void *arg;
	enum supervise_phase phase;
	enum member stopping;    /* in PHASE_STOPPING: whose turn it is */
	uint64_t asked;          /* when the stop was asked for */
	uint64_t kill_at;        /* in PHASE_STOPPING: when patience with <stopping> ends; 0: it was killed */
	bool opened;             /* all may be started: certd answers, or was waited for */
	bool app_seen;           /* ever */
	uint64_t app_gone_since; /* 0: it is there, or has never been */
	struct {
		bool running;
		uint64_t since;    /* of its last start */
		uint64_t again_at; /* when it is started (again); 0: not planned */
		uint64_t back_off; /* before the next start */
	} member[MEMBERS];
};

/* <o> is copied.  Starts what comes first. */
void supervise_begin(struct supervise *s, const struct supervise_options *o, const struct supervise_actions *a, void *arg,
    uint64_t now);

/* certd's socket answers; told again it does nothing. */
void supervise_certd_answers(struct supervise *s, uint64_t now);

/* Is it worth looking whether certd's socket answers? */
bool supervise_waits_for_certd(const struct supervise *s);

/* <m> has ended, however. */
void supervise_ended(struct supervise *s, enum member m, uint64_t now);

/* Has a look seen a process of the application? */
void supervise_application(struct supervise *s, bool seen, uint64_t now);

/* Is it worth looking? */
bool supervise_watches_application(const struct supervise *s);

/*
 * A stop.  <at_once>: the application has no need of the mesh any more
 * (/quitquitquit, or it has ended).  Asked a second time without it: LEAVING
 * is over.
 */
void supervise_stop(struct supervise *s, bool at_once, uint64_t now);

/* Does what is due.  Returns when the next thing is due: milliseconds from now; UINT64_MAX: never. */
uint64_t supervise_tick(struct supervise *s, uint64_t now);

#endif
