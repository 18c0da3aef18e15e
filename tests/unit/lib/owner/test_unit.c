/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/unit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* NULL: in no unit. */
static const struct {
	const char *path, *unit;
} paths[] = {
	{ "/system.slice/nginx.service", "nginx.service" },
	{ "/system.slice/nginx.service/worker/1", "nginx.service" },
	{ "/init.scope", "init.scope" },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service" },
	{ "/system.slice/system-x.slice/x@a.service/y.service", "x@a.service" },
	{ "/app.slice/app-shop.slice/cart.service", "cart.service" },
	{ "/machine.slice/machine-web.scope/payload/system.slice/nginx.service", "machine-web.scope" },
	/* A user names what is below his manager as he likes. */
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", "user@1000.service" },
	{ "/user.slice/user-1000.slice/user@1000.service/nginx.service", "user@1000.service" },
	{ "/user.slice/user-1000.slice/session-2.scope", "session-2.scope" },
	/* So does whoever got a folder that is not systemd's. */
	{ "/docker/0123456789/nginx.service", NULL },
	{ "/lxc.payload.web/system.slice/nginx.service", NULL },
	{ "/docker.service/nginx.service", "docker.service" },
	{ "/kubepods/besteffort/podx/nginx.service", NULL },
	/* What systemd escapes. */
	{ "/system.slice/_cpu.service", "cpu.service" },
	{ "/system.slice/__x.service", "_x.service" },
	{ "/system.slice/systemd-fsck@dev-sda1.service", "systemd-fsck@dev-sda1.service" },
	{ "/system.slice/dev-hugepages.mount", NULL },
	{ "/system.slice/ssh.socket/nginx.service", NULL },
	{ "/system.slice", NULL },
	{ "/-.slice/nginx.service", "nginx.service" },
	{ "/", NULL },
	{ "", NULL },
	{ "/.service", NULL },
	{ "/_.service", NULL },
	{ "//nginx.service", NULL },
	{ "nginx.service", NULL },
	{ "/system.slice/../nginx.service", NULL },
	{ "/.slice/nginx.service", NULL },
	{ "/nginx.service.d", NULL },
};

START_TEST(the_unit_is_the_first_that_is_no_slice)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char unit[UNIT_MAX] = "untouched";
		enum tulle_err e = unit_of_path(paths[i].path, strlen(paths[i].path), unit);

		ck_assert_msg(e == (paths[i].unit != NULL ? TULLE_OK : TULLE_ENOENT), "%s: %s", paths[i].path, unit);
		ck_assert_msg(strcmp(unit, paths[i].unit != NULL ? paths[i].unit : "untouched") == 0, "%s: %s", paths[i].path, unit);
	}
}
END_TEST

START_TEST(a_name_too_long_is_no_unit)
{
	char path[600] = "/", unit[UNIT_MAX];

	memset(path + 1, 'a', UNIT_MAX);
	(void)snprintf(path + UNIT_MAX - 8, sizeof(path) - UNIT_MAX + 8, ".service"); /* 255 bytes of name: the most */
	ck_assert_int_eq(unit_of_path(path, strlen(path), unit), TULLE_OK);
	ck_assert_uint_eq(strlen(unit), UNIT_MAX - 1);
	memset(path + 1, 'a', UNIT_MAX);
	(void)snprintf(path + UNIT_MAX - 7, sizeof(path) - UNIT_MAX + 7, ".service");
	ck_assert_int_eq(unit_of_path(path, strlen(path), unit), TULLE_ENOENT);
}
END_TEST

START_TEST(only_so_many_bytes_are_read)
{
	char unit[UNIT_MAX];

	ck_assert_int_eq(unit_of_path("/a.service\n", 10, unit), TULLE_OK);
	ck_assert_str_eq(unit, "a.service");
	ck_assert_int_eq(unit_of_path("/a.slice/b.service", 8, unit), TULLE_ENOENT);
}
END_TEST

UNIT_MAIN("unit", the_unit_is_the_first_that_is_no_slice, a_name_too_long_is_no_unit, only_so_many_bytes_are_read)
