/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "msg/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static int ends[2];
static struct msg m;

static void
open_pair(void)
{
	ck_assert_int_eq(msg_pair(ends), TULLE_OK);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fcntl(ends[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		ck_assert_int_eq(fcntl(ends[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	}
}

static void
close_pair(void)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* Which descriptor would come next: the same before and after means that none has stayed open. */
static int
next_fd(void)
{
	int fd = dup(0);

	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	return fd;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

START_TEST(messages_arrive_whole_and_in_order)
{
	static uint8_t body[MSG_BODY_MAX];

	open_pair();
	memset(body, 7, sizeof(body));
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_AGAIN);
	ck_assert_int_eq(msg_send(ends[0], 1, "one", 3, NULL, 0), TULLE_OK);
	ck_assert_int_eq(msg_send(ends[0], 2, NULL, 0, NULL, 0), TULLE_OK);
	ck_assert_int_eq(msg_send(ends[0], 3, body, sizeof(body), NULL, 0), TULLE_OK);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.type, 1);
	ck_assert_uint_eq(m.len, 3);
	ck_assert_mem_eq(m.body, "one", 3);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.type, 2);
	ck_assert_uint_eq(m.len, 0);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.type, 3);
	ck_assert_uint_eq(m.len, MSG_BODY_MAX);
	ck_assert_mem_eq(m.body, body, sizeof(body));
	ck_assert_uint_eq(m.nfds, 0);
	close_pair();
}
END_TEST

START_TEST(too_much_is_refused_before_it_is_sent)
{
	static uint8_t body[MSG_BODY_MAX + 1];
	int fds[MSG_FDS_MAX + 1] = { 0 };

	open_pair();
	ck_assert_int_eq(msg_send(ends[0], 1, body, sizeof(body), NULL, 0), TULLE_ELIMIT);
	ck_assert_int_eq(msg_send(ends[0], 1, body, 1, fds, MSG_FDS_MAX + 1), TULLE_ELIMIT);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_AGAIN);
	close_pair();
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_slow_and_one_that_has_gone_is_gone)
{
	static uint8_t body[MSG_BODY_MAX];
	enum tulle_err e;
	int sent = 0, got = 0;

	open_pair();
	while ((e = msg_send(ends[0], 1, body, sizeof(body), NULL, 0)) == TULLE_OK)
		ck_assert_int_lt(++sent, 1000);
	ck_assert_int_eq(e, TULLE_AGAIN);
	ck_assert_int_ge(sent, 2); /* there is room for more than one at a time */
	(void)close(ends[0]);
	while ((e = msg_recv(ends[1], &m)) == TULLE_OK)
		got++;
	ck_assert_int_eq(got, sent);
	ck_assert_int_eq(e, TULLE_EOF);
	ck_assert_int_eq(msg_send(ends[1], 1, "x", 1, NULL, 0), TULLE_ESYS);
	ck_assert_int_eq(errno, EPIPE);
	(void)close(ends[1]);
}
END_TEST

START_TEST(descriptors_go_along_and_belong_to_who_took_them)
{
	int fds[MSG_FDS_MAX], taken, before;
	int a = memfd_create("a", MFD_CLOEXEC), b = memfd_create("b", MFD_CLOEXEC);

	open_pair();
	ck_assert_int_ne(a, -1);
	ck_assert_int_ne(b, -1);
	before = next_fd();
	ck_assert_int_eq(msg_send(ends[0], 5, "x", 1, (const int[]){ a, b }, 2), TULLE_OK);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.nfds, 2);
	taken = msg_take_fd(&m, 1);
	ck_assert(same_file(taken, b));
	ck_assert_int_eq(fcntl(taken, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(msg_take_fd(&m, 1), -1);
	ck_assert_int_eq(msg_take_fd(&m, 2), -1);
	ck_assert(same_file(m.fds[0], a));
	msg_close(&m);
	ck_assert_uint_eq(m.nfds, 0);
	ck_assert(same_file(taken, b)); /* it was taken, so it stayed */
	(void)close(taken);
	ck_assert_int_eq(next_fd(), before);
	/* As many as there may be. */
	for (int i = 0; i < MSG_FDS_MAX; i++)
		fds[i] = i % 2 ? a : b;
	ck_assert_int_eq(msg_send(ends[0], 6, NULL, 0, fds, MSG_FDS_MAX), TULLE_OK);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.nfds, MSG_FDS_MAX);
	for (int i = 0; i < MSG_FDS_MAX; i++)
		ck_assert(same_file(m.fds[i], fds[i]));
	msg_close(&m);
	ck_assert_int_eq(next_fd(), before);
	(void)close(a);
	(void)close(b);
	close_pair();
}
END_TEST

/* Sends what msg_send() would not: <n> bytes as they are, with a descriptor. */
static void
send_raw(const void *p, size_t n, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr raw = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&raw);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(ends[0], &raw, 0), (ssize_t)n);
}

START_TEST(a_dishonest_message_is_refused_and_its_descriptors_are_closed)
{
	static uint32_t longer[2 + MSG_BODY_MAX / 4 + 1];
	int before;

	open_pair();
	before = next_fd();
	send_raw("abc", 3, 0); /* shorter than a head */
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_EPEER);
	send_raw((const uint32_t[]){ 1, 5, 0 }, 12, 0); /* says 5 bytes and has 4 */
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_EPEER);
	send_raw((const uint32_t[]){ 1, 3, 0 }, 12, 0);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_EPEER);
	send_raw((const uint32_t[]){ 1, UINT32_MAX }, 8, 0);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_EPEER);
	longer[1] = MSG_BODY_MAX; /* the head is honest up to where it was cut */
	send_raw(longer, sizeof(longer), 0);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_EPEER);
	ck_assert_int_eq(next_fd(), before);
	/* The channel itself is whole: it is the caller's to give it up. */
	ck_assert_int_eq(msg_send(ends[0], 9, "ok", 2, NULL, 0), TULLE_OK);
	ck_assert_int_eq(msg_recv(ends[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.nfds, 0);
	close_pair();
}
END_TEST

START_TEST(a_sealed_file_is_read_back_and_nobody_can_change_it)
{
	char *data = NULL;
	size_t len = 0;
	int fd;

	ck_assert_int_eq(msg_seal(&fd, "a\0b", 3), TULLE_OK);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_ptr_eq(mmap(NULL, 3, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert_int_eq(msg_unseal(fd, 3, &data, &len), TULLE_OK);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(data, "a\0b", 4); /* and a NUL behind */
	free(data);
	/* Again, though the position of the descriptor is anywhere. */
	(void)lseek(fd, 2, SEEK_SET);
	ck_assert_int_eq(msg_unseal(fd, 100, &data, &len), TULLE_OK);
	ck_assert_uint_eq(len, 3);
	free(data);
	(void)close(fd);
	ck_assert_int_eq(msg_seal(&fd, "", 0), TULLE_OK);
	ck_assert_int_eq(msg_unseal(fd, 0, &data, &len), TULLE_OK);
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq(data, "");
	free(data);
	(void)close(fd);
}
END_TEST

START_TEST(what_is_not_sealed_or_too_long_is_refused)
{
	char *data = NULL;
	size_t len = 77;
	int fd, p[2];

	ck_assert_int_eq(msg_seal(&fd, "four", 4), TULLE_OK);
	ck_assert_int_eq(msg_unseal(fd, 3, &data, &len), TULLE_EPEER);
	(void)close(fd);
	fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, "four", 4), 4);
	ck_assert_int_eq(msg_unseal(fd, 100, &data, &len), TULLE_EPEER);
	/* All seals but one: it could still be written. */
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	ck_assert_int_eq(msg_unseal(fd, 100, &data, &len), TULLE_EPEER);
	(void)close(fd);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(msg_unseal(p[0], 100, &data, &len), TULLE_EPEER);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(len, 77);
	(void)close(p[0]);
	(void)close(p[1]);
}
END_TEST

UNIT_MAIN("msg", messages_arrive_whole_and_in_order, too_much_is_refused_before_it_is_sent,
    a_peer_that_does_not_read_is_slow_and_one_that_has_gone_is_gone, descriptors_go_along_and_belong_to_who_took_them,
    a_dishonest_message_is_refused_and_its_descriptors_are_closed, a_sealed_file_is_read_back_and_nobody_can_change_it,
    what_is_not_sealed_or_too_long_is_refused)
