/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parent refuses to start without.  Its life with a relay process is tests/e2e/test_restart.py's. */
#include "parent/parent.h"

#include <errno.h>
#include <ifaddrs.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../root.h"

/* Stand in for the C library's: this host's addresses cannot be read. */
int
getifaddrs(struct ifaddrs **ret)
{
	(void)ret;
	errno = EAFNOSUPPORT; /* as under RestrictAddressFamilies= without AF_NETLINK */
	return -1;
}

void
freeifaddrs(struct ifaddrs *list)
{
	(void)list;
}

START_TEST(without_this_hosts_addresses_it_does_not_start)
{
	struct parent_start start = { .sockets = { .health = -1 } };
	struct host_config *config;
	struct problems problems;
	int status;
	pid_t pid;

	root_make("");
	problems_init(&problems);
	ck_assert_int_eq(host_config_parse(&config, "tulle.yaml", "", 0, &problems), TULLE_OK);
	start.config = config;
	start.control = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	start.telemetry = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	pid = fork();
	if (pid == 0)
		_exit(parent_main(&start)); /* it owns its process: nothing is given back */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE); /* a mesh without policy would be worse than none */
	(void)host_config_free(config);
	problems_free(&problems);
	root_remove();
}
END_TEST

UNIT_MAIN("parent", without_this_hosts_addresses_it_does_not_start)
