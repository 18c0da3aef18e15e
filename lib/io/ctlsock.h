/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ctlsock.h - the control socket of a daemon: served here, called by the
 * command line and by other daemons.
 *
 * One JSON object a line each way, one request a connection at a time:
 *
 *   -> {"command":"reload","args":{...}}
 *   <- {"ok":true,"result":{...}}   or   {"ok":false,"error":"..."}
 *
 * A command that changes something is carried out only for root or for the
 * daemon's own user (SO_PEERCRED); anybody may ask questions.  A bad client
 * is hung up on, never more.  Of the places for clients some are kept for
 * root and for the daemon's own user, and another user gets a few; who finds
 * no place is told so.  Every server answers "process" by itself,
 * unless its table has that command: {"pid","name","version","cpu_ns","rss_bytes",
 * "fds","started"} (started: wall clock, nanoseconds), and "children", an
 * array of the same, where a program has more than one process.
 */
#ifndef TULLE_IO_CTLSOCK_H
#define TULLE_IO_CTLSOCK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/sock.h"

#define CTL_REQUEST_MS 10000
#define CTL_ANSWER_MS 30000

struct ctl_server;
struct ctl_call;

struct ctl_command {
	const char *name;
	bool changes; /* needs root or the daemon's own user */
	/* Answers <call> with ctl_ok() or ctl_fail(), now or later.  <args> is lent, an object, for this call only. */
	void (*run)(void *arg, struct ctl_call *call, const json_t *args);
};

/*
 * Serves <commands> (ended by a NULL name; lent for the life of the server)
 * at <path>, mode 0666: what a caller may do is decided per command.
 * <name> is the program's, for "process"; lent.  TULLE_EBUSY, TULLE_ESYS, TULLE_ENOMEM.
 */
enum tulle_err ctl_serve(struct ctl_server **ret, struct loop *l, const char *path, const char *name,
    const struct ctl_command *commands, void *arg);

/* Serves one already listening socket, which is taken over. */
enum tulle_err ctl_serve_fd(struct ctl_server **ret, struct loop *l, int fd, const char *name,
    const struct ctl_command *commands, void *arg);

/*
 * How long a client may take from its connection, or its last answer, until
 * its request is whole, and until an answer has been taken; then it is hung
 * up on.  For all deadlines set from now on; CTL_REQUEST_MS and CTL_ANSWER_MS
 * if nobody says.  While a call is under way the client is waited for.
 */
void ctl_server_patience(struct ctl_server *s, uint64_t request_ms, uint64_t answer_ms);

/* Calls not yet answered are answered with "shutting down".  Takes NULL. */
struct ctl_server *ctl_server_free(struct ctl_server *s);

/* Who calls. */
const struct sock_cred *ctl_caller(const struct ctl_call *call);

/* Each call is answered exactly once; it is gone afterwards.  <result> is taken over; NULL: an empty object. */
void ctl_ok(struct ctl_call *call, json_t *result);
void ctl_fail(struct ctl_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* {"pid":...} as "process" answers it, for this process.  NULL when out of memory. */
json_t *ctl_process(const char *name);

/*
 * Calls a daemon and waits, for command-line use.  <args> is taken over
 * (NULL: none).
 *
 *   TULLE_OK         *ret_result is the caller's
 *   TULLE_EINVAL     the daemon refused; *ret_error is its text, the caller's to free()
 *   TULLE_ENOENT     there is no socket at <path>: the daemon is not running
 *   TULLE_EUNAVAIL   nobody answers there
 *   TULLE_ETIMEDOUT  no answer within <timeout_ms>
 *   TULLE_EPEER      the answer makes no sense
 *   TULLE_ESYS       errno tells why (EACCES: no permission)
 */
enum tulle_err ctl_call(const char *path, const char *command, json_t *args, int timeout_ms, json_t **ret_result,
    char **ret_error);

#endif
