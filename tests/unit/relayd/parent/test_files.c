/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bundle.h"
#include "../root.h"

/* What this host's interfaces have; these stand in for the C library's. */
static struct sockaddr_in has[WIRE_LOCAL_MAX + 2];
static struct ifaddrs items[WIRE_LOCAL_MAX + 2];
static size_t n;
static int broken;

int
getifaddrs(struct ifaddrs **ret)
{
	if (broken != 0) {
		errno = broken;
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		items[i] = (struct ifaddrs){ .ifa_addr = (struct sockaddr *)&has[i], .ifa_next = i + 1 < n ? &items[i + 1] : NULL };
	*ret = n > 0 ? items : NULL;
	return 0;
}

void
freeifaddrs(struct ifaddrs *list)
{
	(void)list;
}

static void
add(const char *ip)
{
	has[n].sin_family = AF_INET;
	ck_assert_int_eq(inet_pton(AF_INET, ip, &has[n].sin_addr), 1);
	n++;
}

static struct files f;
static struct files_origin from;

START_TEST(addresses_that_change_are_told)
{
	bool changed;

	add("127.0.0.1");
	add("10.0.0.2");
	add("10.0.0.1");
	add("10.0.0.2"); /* on two interfaces */
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	ck_assert(changed && f.known);
	ck_assert_uint_eq(f.n_local, 2); /* loopback left out, each once, in order */
	ck_assert_uint_eq(f.local[0].ip[3], 1);
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	ck_assert(!changed);
	n = 2;
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	ck_assert(changed);
	ck_assert_uint_eq(f.n_local, 1);
}
END_TEST

START_TEST(addresses_that_cannot_be_read_are_not_none)
{
	bool changed;

	add("10.0.0.1");
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	broken = EMFILE;
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_ESYS);
	ck_assert_uint_eq(f.n_local, 1); /* ours as before: a policy for it holds on */
	ck_assert_ptr_nonnull(strstr(f.trouble, log_errno_text(EMFILE)));
	broken = 0;
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	ck_assert(!changed);
	ck_assert_str_eq(f.trouble, "");
}
END_TEST

START_TEST(more_addresses_than_can_be_told_are_not_cut)
{
	bool changed;

	add("10.0.0.1");
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	while (n < WIRE_LOCAL_MAX) {
		char ip[32];

		(void)snprintf(ip, sizeof(ip), "10.1.%zu.%zu", n / 250, n % 250);
		add(ip);
	}
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_OK);
	ck_assert_uint_eq(f.n_local, WIRE_LOCAL_MAX);
	add("10.2.0.1");
	ck_assert_int_eq(files_addresses(&f, &changed), TULLE_ELIMIT);
	ck_assert_uint_eq(f.n_local, WIRE_LOCAL_MAX);
	ck_assert_str_ne(f.trouble, "");
}
END_TEST

START_TEST(files_without_addresses_are_not_handed_over)
{
	char *error = NULL;
	int fd = -1;

	root_make("x\n");
	broken = ENOBUFS;
	ck_assert_int_eq(files_read(&f, false, &fd, &from, &error), TULLE_EINVAL);
	ck_assert_int_eq(fd, -1);
	ck_assert_ptr_nonnull(error);
	free(error);
	broken = 0;
	add("10.0.0.1");
	error = NULL;
	ck_assert_int_eq(files_read(&f, false, &fd, &from, &error), TULLE_OK);
	close(fd);
	broken = ENOBUFS; /* once they are known the newest files are read all the same */
	ck_assert_int_eq(files_read(&f, false, &fd, &from, &error), TULLE_OK);
	ck_assert_uint_eq(f.n_local, 1);
	close(fd);
	root_remove();
}
END_TEST

START_TEST(a_folder_that_is_missing_is_an_error_where_there_was_one)
{
	char *text = NULL;
	struct bundle b;
	int fd = -1;

	root_make("");
	ck_assert_int_eq(unlink(paths_etc("mesh.d/a.yaml")), 0);
	ck_assert_int_eq(files_read(&f, true, &fd, &from, &text), TULLE_OK); /* an empty one is none */
	close(fd);
	fd = -1;
	ck_assert_int_eq(rmdir(paths_etc("mesh.d")), 0);
	ck_assert_int_eq(files_read(&f, true, &fd, &from, &text), TULLE_EINVAL);
	ck_assert_int_eq(fd, -1);
	ck_assert_ptr_nonnull(strstr(text, "/mesh.d: mesh.d is missing: "));
	free(text);
	text = NULL;
	ck_assert_int_eq(files_read(&f, false, &fd, &from, &text), TULLE_OK);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(bundle_unpack(&b, fd), TULLE_OK);
	ck_assert_uint_eq(b.n, 1);
	bundle_free(&b);
	close(fd);
	ck_assert_int_eq(mkdir(paths_etc("mesh.d"), 0755), 0);
	root_remove();
}
END_TEST

START_TEST(a_host_without_tulle_yaml_has_an_empty_one)
{
	struct bundle b;
	char *error = NULL;
	int fd;

	root_make("kind: x\n");
	ck_assert_int_eq(files_read(&f, false, &fd, &from, &error), TULLE_OK);
	ck_assert_int_eq(bundle_unpack(&b, fd), TULLE_OK);
	ck_assert_uint_eq(b.n, 2);
	ck_assert_uint_eq(b.files[0].len, 0);
	ck_assert_str_eq(b.files[1].data, "kind: x\n");
	bundle_free(&b);
	close(fd);
	root_remove();
}
END_TEST

static enum tulle_err
read_identities(const char *text, struct bundle *ret, char **ret_error)
{
	FILE *out = fopen(paths_etc("identities.yaml"), "w");
	enum tulle_err e;
	int fd = -1;

	ck_assert_ptr_nonnull(out);
	(void)fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
	*ret_error = NULL;
	e = files_read(&f, false, &fd, &from, ret_error);
	if (e == TULLE_OK)
		ck_assert_int_eq(bundle_unpack(ret, fd), TULLE_OK);
	if (fd != -1)
		close(fd);
	return e;
}

START_TEST(identities_go_along_with_the_numbers_of_their_users)
{
	struct bundle b;
	uint32_t uid = 77;
	char *error;

	root_make("kind: x\n");
	ck_assert_int_eq(read_identities("- {serviceAccount: a/b, match: {uid: root}}\n", &b, &error), TULLE_OK);
	ck_assert_uint_eq(b.n, 4);
	ck_assert_uint_eq(b.manifests, 3);
	ck_assert_ptr_nonnull(strstr(bundle_identities(&b)->data, "a/b"));
	ck_assert_int_eq(bundle_find_user(bundle_users(&b), "root", &uid), TULLE_OK);
	ck_assert_uint_eq(uid, 0);
	bundle_free(&b);
	ck_assert_int_eq(read_identities("# no entries\n", &b, &error), TULLE_OK);
	ck_assert_uint_eq(b.n, 2);
	bundle_free(&b);
	ck_assert_int_eq(read_identities("- {serviceAccount: a/b, match: {uid: no-such-user}}\n", &b, &error), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "identities.yaml:1:3: match.uid: there is no user \"no-such-user\" on this host"));
	free(error);
	ck_assert_int_eq(read_identities("- {serviceAccount: a}\n", &b, &error), TULLE_EINVAL);
	free(error);
	ck_assert_int_eq(unlink(paths_etc("identities.yaml")), 0);
	ck_assert_int_eq(mkdir(paths_etc("identities.yaml"), 0700), 0);
	ck_assert_int_eq(files_read(&f, false, &(int){ -1 }, &from, &error), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "identities.yaml: cannot be read: "));
	free(error);
	ck_assert_int_eq(rmdir(paths_etc("identities.yaml")), 0);
	root_remove();
}
END_TEST

START_TEST(the_identity_socket_that_the_environment_names_must_be_a_unix_socket)
{
	int fd;

	ck_assert_int_eq(setenv("SPIFFE_ENDPOINT_SOCKET", "tcp://127.0.0.1:1", 1), 0);
	ck_assert_int_eq(files_dial_identity(NULL, &fd), TULLE_EINVAL);
	ck_assert_int_eq(setenv("SPIFFE_ENDPOINT_SOCKET", "unix://relative", 1), 0);
	ck_assert_int_eq(files_dial_identity(NULL, &fd), TULLE_EINVAL);
	ck_assert_int_eq(setenv("SPIFFE_ENDPOINT_SOCKET", "unix:///nonexistent/x.sock", 1), 0);
	ck_assert_int_eq(files_dial_identity(NULL, &fd), TULLE_ENOENT);
}
END_TEST

UNIT_MAIN("files", addresses_that_change_are_told, addresses_that_cannot_be_read_are_not_none,
    more_addresses_than_can_be_told_are_not_cut, files_without_addresses_are_not_handed_over,
    a_folder_that_is_missing_is_an_error_where_there_was_one,
    a_host_without_tulle_yaml_has_an_empty_one, identities_go_along_with_the_numbers_of_their_users, the_identity_socket_that_the_environment_names_must_be_a_unix_socket)
