/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * notify.h - readiness, status and watchdog for systemd (sd_notify(3)),
 * without its library: one datagram to NOTIFY_SOCKET.
 */
#ifndef TULLE_IO_NOTIFY_H
#define TULLE_IO_NOTIFY_H

#include <stdint.h>

/* Sends <state>, e.g. "READY=1", "STOPPING=1", "STATUS=...".  Does nothing without NOTIFY_SOCKET. */
void notify_send(const char *state);

/* The same with a descriptor, which stays the caller's: "FDSTORE=1" and so on. */
void notify_send_fd(const char *state, int fd);

/* The interval in which "WATCHDOG=1" is due, half of what systemd waits, in milliseconds; 0: none asked for. */
uint64_t notify_watchdog_ms(void);

#endif
