/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * msg.h - typed messages between processes over one sequenced-packet
 * socket pair, each with at most one body and a few descriptors.
 *
 * A message is a number, a length and bytes made for sending, never a
 * structure with pointers.  The receiver checks the length against what it
 * expects and treats anything odd as a broken peer.  A body too large for a
 * packet (a configuration) travels as a sealed memory file.
 */
#ifndef TULLE_MSG_H
#define TULLE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MSG_BODY_MAX 65536
#define MSG_FDS_MAX 64

struct msg {
	uint32_t type;
	uint32_t len; /* bytes of the body */
	uint8_t body[MSG_BODY_MAX];
	int fds[MSG_FDS_MAX]; /* the receiver's; see msg_close() */
	size_t nfds;
};

/* The two ends of a channel, non-blocking, close-on-exec.  TULLE_ESYS. */
enum tulle_err msg_pair(int ret_fds[2]);

/* Sends; descriptors stay the caller's.  TULLE_AGAIN (the peer is slow), TULLE_ELIMIT, TULLE_ESYS (the peer is gone). */
enum tulle_err msg_send(int fd, uint32_t type, const void *body, size_t len, const int *fds, size_t nfds);

/* Receives one message.  TULLE_AGAIN, TULLE_EOF (the peer is gone), TULLE_EPEER (no honest message), TULLE_ESYS. */
enum tulle_err msg_recv(int fd, struct msg *ret);

/* Takes descriptor <i> out of the message: it is the caller's now.  -1 if there is none. */
int msg_take_fd(struct msg *m, size_t i);

/* Closes what descriptors were not taken. */
void msg_close(struct msg *m);

/*
 * A sealed memory file with <len> bytes: nobody can change it any more.
 * TULLE_ESYS.
 */
enum tulle_err msg_seal(int *ret_fd, const void *data, size_t len);

/*
 * All bytes of a sealed memory file, at most <max>, with a NUL behind them;
 * *ret_data is the caller's, to free().  TULLE_EPEER: not sealed, or too
 * long.  TULLE_ENOMEM, TULLE_ESYS.
 */
enum tulle_err msg_unseal(int fd, size_t max, char **ret_data, size_t *ret_len);

#endif
