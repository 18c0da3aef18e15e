/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * addr.h - IP addresses with a port, and CIDR blocks.
 *
 * A v4-mapped IPv6 address (::ffff:a.b.c.d) becomes plain IPv4 on every way
 * in, so one address has one spelling.
 */
#ifndef TULLE_BASE_ADDR_H
#define TULLE_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct addr {
	uint8_t family;  /* AF_INET, AF_INET6, or 0: none */
	uint16_t port;   /* host byte order; 0: none */
	uint8_t ip[16];  /* network byte order; IPv4 uses the first four, the rest is 0 */
};

/* Room for "[ipv6]:port" and its NUL. */
#define ADDR_TEXT 56

struct cidr {
	uint8_t family;
	uint8_t bits;
	uint8_t ip[16]; /* bits behind the prefix are 0 */
};

/* An IP address alone: "10.0.0.2", "fd00::2".  No brackets, zone or port.  TULLE_EINVAL. */
enum tulle_err addr_parse_ip(struct addr *ret, const char *text);

/* An address and a port: "10.0.0.2:80", "[fd00::2]:80".  The port is 1 to 65535.  TULLE_EINVAL. */
enum tulle_err addr_parse(struct addr *ret, const char *text);

/* "10.0.0.2:80", "[fd00::2]:80"; without the port (and brackets) if it is 0; "-" if none.  Returns <out>. */
char *addr_format(const struct addr *a, char out[ADDR_TEXT]);

/* The IP alone, never brackets.  Returns <out>. */
char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT]);

/* TULLE_EINVAL if <sa> is of another family than IPv4 or IPv6. */
enum tulle_err addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len);

/* Returns the length. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret);

bool addr_equal(const struct addr *a, const struct addr *b);    /* address and port */
bool addr_equal_ip(const struct addr *a, const struct addr *b); /* address alone */
bool addr_is_loopback(const struct addr *a);
bool addr_is_any(const struct addr *a);

/* "10.0.0.0/8", "fd00::/8", or a plain address for the whole length.  TULLE_EINVAL. */
enum tulle_err cidr_parse(struct cidr *ret, const char *text);
bool cidr_contains(const struct cidr *c, const struct addr *a);
char *cidr_format(const struct cidr *c, char out[ADDR_TEXT]);

#endif
