/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sock.h - sockets: listen, connect, options, and descriptors in messages.
 *
 * Every descriptor is born non-blocking and close-on-exec.  On failure
 * nothing stays open, ret is untouched and errno tells why.
 */
#ifndef TULLE_IO_SOCK_H
#define TULLE_IO_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * A listening TCP socket; what it accepts has the options of sock_tune().
 * An any-address of family AF_INET6 takes IPv4
 * too.  <reuseport>: several may listen at one address, one per thread.
 * TULLE_EBUSY: the address is in use.  TULLE_ESYS.
 */
enum tulle_err sock_listen(int *ret_fd, const struct addr *at, int backlog, bool reuseport);

/*
 * A Unix stream socket listening at <path> with <mode>.  A socket left
 * there by a dead process is replaced; one that somebody answers is not.
 * TULLE_EBUSY: somebody answers there.  TULLE_ESYS.
 */
enum tulle_err sock_listen_unix(int *ret_fd, const char *path, mode_t mode);

/*
 * Starts a TCP connection, with TCP_NODELAY and keep-alive set.
 *
 *   TULLE_OK     connected at once
 *   TULLE_AGAIN  *ret_fd is valid too; wait for EPOLLOUT, then sock_connected()
 *   TULLE_ESYS
 */
enum tulle_err sock_connect(int *ret_fd, const struct addr *to);

/* The outcome of a connection that became writable: TULLE_OK, or TULLE_ESYS with errno set. */
enum tulle_err sock_connected(int fd);

/* Unix stream sockets connect at once or not at all.  TULLE_ENOENT, TULLE_EUNAVAIL (nobody listens), TULLE_ESYS. */
enum tulle_err sock_connect_unix(int *ret_fd, const char *path);

/* Options of every TCP socket of ours: no delay, keep-alive 180 s * 9. */
void sock_tune(int fd);

/* The next close() sends a reset instead of a FIN. */
void sock_reset_on_close(int fd);

enum tulle_err sock_local(int fd, struct addr *ret);
enum tulle_err sock_peer(int fd, struct addr *ret);

struct sock_cred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* Who opened the other end of a Unix socket, at that time.  TULLE_ESYS. */
enum tulle_err sock_cred(int fd, struct sock_cred *ret);

/* Sends <n> bytes (at least 1) with up to 64 descriptors, which stay the caller's.  TULLE_AGAIN, TULLE_ESYS. */
enum tulle_err sock_send_fds(int fd, const void *data, size_t n, const int *fds, size_t nfds);

/*
 * Receives up to <max> bytes and up to <max_fds> descriptors, which become
 * the caller's; more than that are closed.  TULLE_AGAIN, TULLE_EOF, TULLE_ESYS.
 */
enum tulle_err sock_recv_fds(int fd, void *data, size_t max, size_t *ret_n, int *fds, size_t max_fds,
    size_t *ret_nfds);

#endif
