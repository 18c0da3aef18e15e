/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/listeners.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define TCP_FILE_MAX (64u << 20)
#define STATE_LISTEN 0x0a /* TCP_LISTEN, include/net/tcp_states.h */

/* An address as the kernel prints it: words of 32 bits in the machine's byte order. */
static int
parse_address(struct addr *ret, const char *hex, uint8_t family, unsigned int port)
{
	struct addr a = { .family = family, .port = (uint16_t)port };
	size_t words = family == AF_INET ? 1 : 4;
	struct sockaddr_storage ss;
	socklen_t len;

	if (strlen(hex) != 8 * words || port == 0 || port > UINT16_MAX)
		return -1;
	for (size_t i = 0; i < words; i++) {
		char word[9];
		uint32_t v;

		memcpy(word, hex + 8 * i, 8);
		word[8] = '\0';
		v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(a.ip + 4 * i, &v, sizeof(v));
	}
	len = addr_to_sockaddr(&a, &ss); /* and back: a mapped address becomes IPv4 */
	return addr_from_sockaddr(ret, (const struct sockaddr *)&ss, len) == TULLE_OK ? 0 : -1;
}

void
listeners_parse(struct listeners *l, const char *text, uint8_t family)
{
	const char *line = text;

	while ((line = strchr(line, '\n')) != NULL && *++line != '\0') {
		char hex[33];
		unsigned int port, state, uid;
		uint64_t inode;
		struct listener *items, one = { .pid = 0 };

		if (sscanf(line, " %*[0-9]: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*[0-9A-Fa-f]:%*x %*[0-9A-Fa-f]:%*x %*x %u %*u %" SCNu64,
		        hex, &port, &state, &uid, &inode) != 5 ||
		    state != STATE_LISTEN || parse_address(&one.at, hex, family, port) == -1)
			continue;
		if (l->n == LISTENERS_MAX)
			return;
		items = realloc(l->items, (l->n + 1) * sizeof(*items));
		if (items == NULL)
			return;
		one.uid = uid;
		one.inode = inode;
		l->items = items;
		l->items[l->n++] = one;
	}
}

/* Notes <pid> at every socket that it has open. */
static void
look_at_process(struct listeners *l, const char *pid)
{
	char path[300], target[64];
	struct dirent *d;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (dir == NULL)
		return;
	while ((d = readdir(dir)) != NULL) {
		ssize_t n;
		uint64_t inode;

		(void)snprintf(path, sizeof(path), "/proc/%.16s/fd/%.20s", pid, d->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		for (size_t i = 0; i < l->n; i++) {
			struct listener *s = &l->items[i];
			char AUTO_FREE *comm = NULL;
			size_t len;

			/* systemd keeps sockets for the units that it hands them to: the program that it is for says more. */
			if (s->inode != inode || s->pid > 1)
				continue;
			s->pid = (pid_t)strtol(pid, NULL, 10);
			(void)snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
			if (file_read(path, 64, &comm, &len) == TULLE_OK)
				(void)snprintf(s->comm, sizeof(s->comm), "%.*s", (int)strcspn(comm, "\n"), comm);
		}
	}
	(void)closedir(dir);
}

void
listeners_read(struct listeners *l)
{
	static const struct {
		const char *path;
		uint8_t family;
	} files[] = { { "/proc/net/tcp", AF_INET }, { "/proc/net/tcp6", AF_INET6 } };
	struct dirent *d;
	DIR *proc;

	*l = (struct listeners){ .n = 0 };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char AUTO_FREE *text = NULL;
		size_t len;

		if (file_read(files[i].path, TCP_FILE_MAX, &text, &len) == TULLE_OK)
			listeners_parse(l, text, files[i].family);
	}
	proc = opendir("/proc");
	while (proc != NULL && (d = readdir(proc)) != NULL)
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			look_at_process(l, d->d_name);
	if (proc != NULL)
		(void)closedir(proc);
}

void
listeners_free(struct listeners *l)
{
	free(l->items);
	*l = (struct listeners){ .n = 0 };
}

const struct listener *
listeners_at(const struct listeners *l, const struct addr *a)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct listener *s = &l->items[i];

		/* [::] takes IPv4 too, unless it says otherwise, which cannot be seen here. */
		if (s->at.port == a->port && (addr_equal_ip(&s->at, a) ||
		    (addr_is_any(&s->at) && (s->at.family == a->family || s->at.family == AF_INET6))))
			return s;
	}
	return NULL;
}

const struct listener *
listeners_on_port(const struct listeners *l, uint16_t port)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].at.port == port)
			return &l->items[i];
	return NULL;
}
