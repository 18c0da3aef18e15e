/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
set_v6(struct addr *a, const uint8_t ip[16])
{
	memset(a->ip, 0, sizeof(a->ip));
	if (memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0) {
		a->family = AF_INET;
		memcpy(a->ip, ip + 12, 4);
	} else {
		a->family = AF_INET6;
		memcpy(a->ip, ip, 16);
	}
}

enum tulle_err
addr_parse_ip(struct addr *ret, const char *text)
{
	struct addr a = { 0 };
	uint8_t ip[16] = { 0 };

	if (inet_pton(AF_INET, text, ip) == 1) {
		a.family = AF_INET;
		memcpy(a.ip, ip, 4);
	} else if (inet_pton(AF_INET6, text, ip) == 1) {
		set_v6(&a, ip);
	} else {
		return TULLE_EINVAL;
	}
	*ret = a;
	return TULLE_OK;
}

static enum tulle_err
parse_port(uint16_t *ret, const char *text)
{
	unsigned int port = 0;

	if (*text == '\0' || *text == '0')
		return TULLE_EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return TULLE_EINVAL;
		port = port * 10 + (unsigned int)(*text - '0');
		if (port > 65535)
			return TULLE_EINVAL;
	}
	*ret = (uint16_t)port;
	return TULLE_OK;
}

enum tulle_err
addr_parse(struct addr *ret, const char *text)
{
	char ip[INET6_ADDRSTRLEN];
	const char *end, *colon;
	struct addr a;
	size_t n;

	if (*text == '[') {
		text++;
		end = strchr(text, ']');
		if (end == NULL || end[1] != ':')
			return TULLE_EINVAL;
		colon = end + 1;
	} else {
		end = colon = strchr(text, ':');
		if (colon == NULL)
			return TULLE_EINVAL;
	}
	n = (size_t)(end - text);
	if (n == 0 || n >= sizeof(ip))
		return TULLE_EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if ((end != colon) != (strchr(ip, ':') != NULL)) /* brackets are for IPv6, and IPv6 needs them */
		return TULLE_EINVAL;
	if (addr_parse_ip(&a, ip) != TULLE_OK || parse_port(&a.port, colon + 1) != TULLE_OK)
		return TULLE_EINVAL;
	*ret = a;
	return TULLE_OK;
}

char *
addr_format_ip(const struct addr *a, char out[ADDR_TEXT])
{
	if (a->family == 0 || inet_ntop(a->family, a->ip, out, ADDR_TEXT) == NULL)
		memcpy(out, "-", 2);
	return out;
}

char *
addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	char ip[ADDR_TEXT];

	(void)addr_format_ip(a, ip);
	if (a->family == 0 || a->port == 0)
		memcpy(out, ip, ADDR_TEXT);
	else
		(void)snprintf(out, ADDR_TEXT, a->family == AF_INET6 ? "[%.45s]:%u" : "%.45s:%u", ip, a->port);
	return out;
}

enum tulle_err
addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct addr a = { 0 };

	if (len >= sizeof(in) && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		a.family = AF_INET;
		a.port = ntohs(in.sin_port);
		memcpy(a.ip, &in.sin_addr, 4);
	} else if (len >= sizeof(in6) && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		a.port = ntohs(in6.sin6_port);
		set_v6(&a, in6.sin6_addr.s6_addr);
	} else {
		return TULLE_EINVAL;
	}
	*ret = a;
	return TULLE_OK;
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

	memset(ret, 0, sizeof(*ret));
	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	memcpy(&in6.sin6_addr, a->ip, 16);
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

bool
addr_equal_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_equal_ip(a, b);
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family == AF_INET6 && memcmp(a->ip, one, sizeof(one)) == 0;
}

bool
addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

static uint8_t
mask_byte(unsigned int bits, unsigned int i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	if (bits <= 8 * i)
		return 0;
	return (uint8_t)(0xff00u >> (bits - 8 * i));
}

enum tulle_err
cidr_parse(struct cidr *ret, const char *text)
{
	const char *slash = strchr(text, '/');
	char ip[INET6_ADDRSTRLEN];
	struct cidr c = { 0 };
	struct addr a;
	unsigned int bits = 0, full, i;
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);

	if (n == 0 || n >= sizeof(ip))
		return TULLE_EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if (addr_parse_ip(&a, ip) != TULLE_OK)
		return TULLE_EINVAL;
	if (a.family == AF_INET && strchr(ip, ':') != NULL)
		return TULLE_EINVAL; /* a prefix of a mapped address has no clear meaning */
	full = a.family == AF_INET ? 32 : 128;
	if (slash == NULL) {
		bits = full;
	} else {
		if (slash[1] == '\0' || strlen(slash + 1) > 3 || (slash[1] == '0' && slash[2] != '\0'))
			return TULLE_EINVAL;
		for (i = 1; slash[i] != '\0'; i++) {
			if (slash[i] < '0' || slash[i] > '9')
				return TULLE_EINVAL;
			bits = bits * 10 + (unsigned int)(slash[i] - '0');
		}
		if (bits > full)
			return TULLE_EINVAL;
	}
	c.family = a.family;
	c.bits = (uint8_t)bits;
	for (i = 0; i < sizeof(c.ip); i++)
		c.ip[i] = a.ip[i] & mask_byte(bits, i);
	*ret = c;
	return TULLE_OK;
}

bool
cidr_contains(const struct cidr *c, const struct addr *a)
{
	unsigned int i;

	if (c->family != a->family)
		return false;
	for (i = 0; i < sizeof(c->ip); i++)
		if ((a->ip[i] & mask_byte(c->bits, i)) != c->ip[i])
			return false;
	return true;
}

char *
cidr_format(const struct cidr *c, char out[ADDR_TEXT])
{
	struct addr a = { .family = c->family };
	char ip[ADDR_TEXT];

	memcpy(a.ip, c->ip, sizeof(a.ip));
	(void)snprintf(out, ADDR_TEXT, "%.45s/%u", addr_format_ip(&a, ip), c->bits);
	return out;
}
