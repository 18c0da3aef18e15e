/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inherited.h - listening sockets that outlive this process: systemd keeps
 * them in the unit's file descriptor store (FDSTORE=1 of sd_notify(3),
 * FileDescriptorStoreMax= of systemd.service(5)) and hands them to the next one
 * (sd_listen_fds(3)), so that connections which come while the relay is
 * restarted wait in their queues.  Without systemd there is nothing, and
 * everything is opened anew.
 *
 * A name says what a socket is for: "hbone-0" is worker 0's for tunnels.
 */
#ifndef TULLE_RELAYD_INHERITED_H
#define TULLE_RELAYD_INHERITED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct inherited;

/*
 * Takes what was handed over, as LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES
 * say, and clears them.  NULL: nothing was, or there is no memory for it.
 */
struct inherited *inherited_take(void);

/* The socket of this name that listens at <port>, now the caller's; -1: there is none. */
int inherited_find(struct inherited *in, const char *name, uint16_t port);

/* Is there a socket that listens at <port>? */
bool inherited_serves(const struct inherited *in, uint16_t port);

/* Closes what nobody wanted and has systemd forget it.  <in> may be NULL. */
void inherited_free(struct inherited *in);

/* Has systemd keep <fd>, which stays the caller's.  Again under the same name for the same socket changes nothing. */
void inherited_keep(const char *name, int fd);

#endif
