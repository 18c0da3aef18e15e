/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/diag.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static struct diag *d;
static struct addr local, remote;

static struct addr
own_name(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(addr_from_sockaddr(&a, (struct sockaddr *)&ss, len), TULLE_OK);
	return a;
}

static int
listener(const char *ip)
{
	struct sockaddr_storage ss;
	struct addr a;
	socklen_t len;
	int fd;

	ck_assert_int_eq(addr_parse_ip(&a, ip), TULLE_OK);
	len = addr_to_sockaddr(&a, &ss);
	fd = socket(a.family, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

/* Connects to <to> with a socket of <family>: an IPv6 one may speak IPv4. */
static int
connected(int family, const struct addr *to)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(to->port), .sin6_addr.s6_addr[10] = 0xff,
		.sin6_addr.s6_addr[11] = 0xff };
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd = socket(family, SOCK_STREAM, 0);

	memcpy(&v6.sin6_addr.s6_addr[12], to->ip, 4);
	if (family == AF_INET6 && to->family == AF_INET)
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	else
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	local = own_name(fd);
	remote = *to;
	return fd;
}

static void
setup(void)
{
	ck_assert_int_eq(diag_open(&d), TULLE_OK);
}

static void
check_own(int family, const char *ip)
{
	struct diag_owner o = { 0 };
	int l = listener(ip);
	struct addr to = own_name(l);
	int fd = connected(family, &to);

	ck_assert_int_eq(diag_find(d, &local, &remote, &o), TULLE_OK);
	ck_assert(o.uid_known);
	ck_assert_uint_eq(o.uid, geteuid());
	close(fd);
	close(l);
}

START_TEST(the_user_of_a_connection_is_told)
{
	setup();
	check_own(AF_INET, "127.0.0.1");
	check_own(AF_INET6, "::1");
	check_own(AF_INET6, "127.0.0.1");
	diag_close(d);
}
END_TEST

START_TEST(the_sockets_of_others_are_told_without_any_right)
{
	struct diag_owner o = { 0 };
	int l = listener("127.0.0.1"), fd, status;
	struct addr to = own_name(l);
	pid_t pid;

	if (geteuid() != 0)
		return;
	fd = connected(AF_INET, &to);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0 || diag_open(&d) != TULLE_OK ||
		    diag_find(d, &local, &remote, &o) != TULLE_OK)
			_exit(1);
		_exit(o.uid_known && o.uid == 0 && o.cgroup != 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(fd);
	close(l);
}
END_TEST

START_TEST(a_listener_is_nobody_s_connection)
{
	/* The kernel answers with the listener where it finds no connection: its owner is somebody else. */
	struct diag_owner o = { .uid = 77 };
	int l = listener("127.0.0.1");
	struct addr to = own_name(l), from = to;

	setup();
	from.port = 1;
	ck_assert_int_eq(diag_find(d, &to, &from, &o), TULLE_ENOENT);
	ck_assert_uint_eq(o.uid, 77);
	diag_close(d);
	close(l);
}
END_TEST

START_TEST(a_connection_that_was_closed_has_no_user)
{
	struct diag_owner o = { .uid_known = true };
	int l = listener("127.0.0.1");
	struct addr to = own_name(l);
	int fd = connected(AF_INET, &to), other = accept(l, NULL, NULL);
	enum tulle_err e;

	setup();
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd); /* the other end has not closed: it waits in the kernel, of root as it seems */
	e = diag_find(d, &local, &remote, &o);
	ck_assert(e == TULLE_ENOENT || (e == TULLE_OK && !o.uid_known));
	close(other);
	close(l);
	ck_assert_int_eq(diag_find(d, &local, &remote, &o), TULLE_ENOENT);
	local.port = 0;
	ck_assert_int_eq(diag_find(d, &local, &remote, &o), TULLE_ENOENT);
	remote.family = AF_INET6;
	ck_assert_int_eq(diag_find(d, &local, &remote, &o), TULLE_EINVAL);
	diag_close(d);
}
END_TEST

UNIT_MAIN("diag", the_user_of_a_connection_is_told, the_sockets_of_others_are_told_without_any_right,
    a_listener_is_nobody_s_connection, a_connection_that_was_closed_has_no_user)
