/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"

/* States of a socket as the kernel numbers them (include/net/tcp_states.h). */
#define STATE_TIME_WAIT 6
#define STATE_CLOSE 7
#define STATE_LISTEN 10

bool
sockets_line(const char *line, uint16_t port, struct sockets_count *count)
{
	unsigned int local, state;

	/* "   0: 0100007F:3A99 00000000:0000 0A ..." */
	if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x", &local, &state) != 2 || local != port)
		return false;
	if (state == STATE_LISTEN)
		count->listening++;
	else if (state != STATE_TIME_WAIT && state != STATE_CLOSE)
		count->connected++;
	return true;
}

enum tulle_err
sockets_count(struct sockets_count *ret, uint16_t port)
{
	static const char *const lists[] = { "/proc/net/tcp", "/proc/net/tcp6" };
	struct sockets_count count = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		FILE AUTO_FILE *f = fopen(lists[i], "re");
		char line[512];

		if (f == NULL && errno == ENOENT && i > 0)
			continue; /* a kernel without IPv6 */
		if (f == NULL)
			return TULLE_ESYS;
		while (fgets(line, sizeof(line), f) != NULL)
			(void)sockets_line(line, port, &count);
		if (ferror(f))
			return TULLE_ESYS;
	}
	*ret = count;
	return TULLE_OK;
}

bool
sockets_ipv6_in_use(char name[32])
{
	FILE AUTO_FILE *f = fopen("/proc/net/if_inet6", "re");
	char line[256];

	if (f == NULL)
		return false;
	/* "fe80000000000000021122fffe334455 02 40 20 80     eth0" */
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %*s %31s", name) == 1 && strcmp(name, "lo") != 0)
			return true;
	return false;
}

bool
sockets_relay_ready(uint16_t health_port)
{
	static const char question[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	static const char yes[] = "HTTP/1.1 200 ";
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(health_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval second = { .tv_sec = 1 };
	int AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[sizeof(yes)];

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second)) == -1 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) == -1 ||
	    send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(question) - 1)
		return false;
	/* MSG_WAITALL: the first bytes of the answer, however they arrive. */
	return recv(fd, answer, sizeof(yes) - 1, MSG_WAITALL) == (ssize_t)sizeof(yes) - 1 && memcmp(answer, yes, sizeof(yes) - 1) == 0;
}
