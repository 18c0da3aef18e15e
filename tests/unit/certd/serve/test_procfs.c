/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/procfs.h"

#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/attest.h"
#include "serve/match.h"
#include "unit.h"

#define REST " S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "

START_TEST(the_start_time_is_found_behind_any_name)
{
	uint64_t start = 0;

	ck_assert_int_eq(procfs_start_time("42 (cat)" REST "12345 99 100\n", &start), TULLE_OK);
	ck_assert_uint_eq(start, 12345);
	ck_assert_int_eq(procfs_start_time("42 (a) b) (c)" REST "777 99\n", &start), TULLE_OK);
	ck_assert_uint_eq(start, 777);
	ck_assert_int_eq(procfs_start_time("42 (x) S 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 666 1)" REST "8 9\n", &start), TULLE_OK);
	ck_assert_uint_eq(start, 8);
	ck_assert_int_eq(procfs_start_time("42 (cat", &start), TULLE_EINVAL);
	ck_assert_int_eq(procfs_start_time("42 (cat) S 1 2", &start), TULLE_EINVAL);
	ck_assert_int_eq(procfs_start_time("42 (cat)" REST "-5\n", &start), TULLE_EINVAL);
	ck_assert_int_eq(procfs_start_time("42 (cat)" REST "99999999999999999999999\n", &start), TULLE_EINVAL);
	ck_assert_int_eq(procfs_start_time("", &start), TULLE_EINVAL);
	ck_assert_uint_eq(start, 8);
}
END_TEST

START_TEST(the_effective_ids_count)
{
	uint32_t uid = 0, gid = 0;

	ck_assert_int_eq(procfs_ids("Name:\tx\nUid:\t1000\t33\t1000\t1000\nGid:\t5\t34\t5\t5\n", &uid, &gid), TULLE_OK);
	ck_assert_uint_eq(uid, 33);
	ck_assert_uint_eq(gid, 34);
	ck_assert_int_eq(procfs_ids("Name:\tx\nUid:\t1000\nGid:\t5\t34\n", &uid, &gid), TULLE_EINVAL);
	ck_assert_int_eq(procfs_ids("Name:\tx\nGid:\t5\t34\n", &uid, &gid), TULLE_EINVAL);
	ck_assert_int_eq(procfs_ids("Uid:\t1\t4294967296\t1\nGid:\t5\t34\n", &uid, &gid), TULLE_EINVAL);
	ck_assert_int_eq(procfs_ids("", &uid, &gid), TULLE_EINVAL);
}
END_TEST

START_TEST(the_unit_is_the_first_on_the_way)
{
	char unit[UNIT_MAX];

	ck_assert_int_eq(procfs_unit("0::/system.slice/nginx.service\n", unit), TULLE_OK);
	ck_assert_str_eq(unit, "nginx.service");
	ck_assert_int_eq(procfs_unit("0::/system.slice/system-x.slice/x@a.service/sub\n", unit), TULLE_OK);
	ck_assert_str_eq(unit, "x@a.service");
	/* What a user's manager calls its parts is its own affair. */
	ck_assert_int_eq(procfs_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service\n", unit),
	    TULLE_OK);
	ck_assert_str_eq(unit, "user@1000.service");
	ck_assert_int_eq(procfs_unit("0::/docker.service/nginx.service\n", unit), TULLE_OK);
	ck_assert_str_eq(unit, "docker.service");
	ck_assert_int_eq(procfs_unit("12:cpu:/x\n1:name=systemd:/a.service\n0::/init.scope\n", unit), TULLE_OK);
	ck_assert_str_eq(unit, "init.scope");
	/* So is what a container engine's root calls his. */
	ck_assert_int_eq(procfs_unit("0::/docker/0123/nginx.service\n", unit), TULLE_ENOENT);
	ck_assert_int_eq(procfs_unit("0::/../system.slice/nginx.service\n", unit), TULLE_ENOENT);
	ck_assert_int_eq(procfs_unit("0::/\n", unit), TULLE_ENOENT);
	ck_assert_int_eq(procfs_unit("0::/.service\n", unit), TULLE_ENOENT);
	ck_assert_int_eq(procfs_unit("1:name=systemd:/nginx.service\n", unit), TULLE_EINVAL);
	ck_assert_int_eq(procfs_unit("", unit), TULLE_EINVAL);
	/* A name with a newline in it cannot make a line of its own: the kernel escapes it; but even so: */
	ck_assert_int_eq(procfs_unit("x0::/nginx.service", unit), TULLE_EINVAL);
}
END_TEST

START_TEST(all_fields_of_a_rule_must_fit)
{
	struct facts f = { .pid = 1, .uid = 33, .unit = "web.service" };
	struct match_rule r = { .has_uid = true, .uid = 33 };

	ck_assert_int_eq(match(&r, &f), MATCH_YES);
	r.unit = "web.service";
	ck_assert_int_eq(match(&r, &f), MATCH_YES);
	r.unit = "other.service";
	ck_assert_int_eq(match(&r, &f), MATCH_UNIT);
	r.uid = 0;
	ck_assert_int_eq(match(&r, &f), MATCH_UID);
	ck_assert_int_eq(match(&(struct match_rule){ 0 }, &f), MATCH_NOTHING_ASKED);
	/* A fact that could not be had fits nothing. */
	f.unit[0] = '\0';
	ck_assert_int_eq(match(&(struct match_rule){ .unit = "web.service" }, &f), MATCH_UNIT);
}
END_TEST

START_TEST(a_caller_is_known_while_it_lives)
{
	struct attested a = ATTESTED_INIT;
	const char *why = "";
	int pair[2], status;
	pid_t child;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(attest(pair[0], &a, &why), TULLE_OK);
	ck_assert_int_eq(a.facts.pid, getpid());
	ck_assert_uint_eq(a.facts.uid, geteuid());
	ck_assert(attest_alive(&a));
	attest_forget(&a);

	child = fork();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	ck_assert_int_eq(attest_pid(child, &a, &why), TULLE_OK);
	ck_assert(attest_alive(&a));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(!attest_alive(&a));
	attest_forget(&a);
	ck_assert_int_eq(attest_pid(child, &a, &why), TULLE_EDENIED);
	ck_assert_int_eq(attest_pid(0, &a, &why), TULLE_EDENIED);
	(void)close(pair[0]);
	(void)close(pair[1]);
}
END_TEST

UNIT_MAIN("certd/procfs", the_start_time_is_found_behind_any_name, the_effective_ids_count,
    the_unit_is_the_first_on_the_way, all_fields_of_a_rule_must_fit, a_caller_is_known_while_it_lives)
