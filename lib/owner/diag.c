/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner/diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* Of linux/inet_diag.h since 5.9; older headers lack the name. */
#define ATTR_CGROUP_ID 21

#define OVERFLOW_UID 65534 /* /proc/sys/kernel/overflowuid, which nobody changes */

#define ANSWER_MAX 8192 /* one message of one socket: some hundred bytes */

struct diag {
	struct mnl_socket *nl;
	unsigned int portid;
	uint32_t seq;
	char buf[ANSWER_MAX];
};

/* What one answer is read into. */
struct answer {
	const struct addr *local, *remote;
	struct diag_owner owner;
	bool found;
};

enum tulle_err
diag_open(struct diag **ret)
{
	struct diag *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return TULLE_ENOMEM;
	d->nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (d->nl == NULL || mnl_socket_bind(d->nl, 0, MNL_SOCKET_AUTOPID) == -1) {
		(void)diag_close(d);
		return TULLE_ESYS;
	}
	d->portid = mnl_socket_get_portid(d->nl);
	*ret = d;
	return TULLE_OK;
}

struct diag *
diag_close(struct diag *d)
{
	int saved = errno;

	if (d == NULL)
		return NULL;
	if (d->nl != NULL)
		(void)mnl_socket_close(d->nl);
	free(d);
	errno = saved;
	return NULL;
}

static struct addr
addr_of(int family, const __be32 ip[4], __be16 port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = port };
	struct addr a = { .family = AF_INET, .port = ntohs(port) };

	if (family == AF_INET) {
		memcpy(a.ip, ip, 4);
		return a;
	}
	/* Also an IPv6 socket that speaks IPv4: its addresses become IPv4 here. */
	memcpy(&v6.sin6_addr, ip, 16);
	(void)addr_from_sockaddr(&a, (const struct sockaddr *)&v6, sizeof(v6));
	return a;
}

static int
read_attr(const struct nlattr *attr, void *arg)
{
	struct answer *a = arg;

	if (mnl_attr_get_type(attr) == ATTR_CGROUP_ID && mnl_attr_validate(attr, MNL_TYPE_U64) == 0)
		a->owner.cgroup = mnl_attr_get_u64(attr);
	return MNL_CB_OK;
}

/*
 * The kernel looks for a listener where it finds no connection, so that a
 * closed one may bring an answer about somebody else: only what has these
 * addresses counts.  A socket that its program has closed has no inode, and
 * with older kernels root where its user was, or the overflow user where root
 * is none of this namespace's: of such a one another user is true, these are not.
 */
static int
read_socket(const struct nlmsghdr *h, void *arg)
{
	struct answer *a = arg;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct addr local, remote;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_STOP;
	local = addr_of(m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
	remote = addr_of(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
	if (m->idiag_state == TCP_LISTEN || m->idiag_state == TCP_TIME_WAIT || !addr_equal(&local, a->local) ||
	    !addr_equal(&remote, a->remote))
		return MNL_CB_STOP;
	a->found = true;
	a->owner.uid_known = m->idiag_inode != 0 || (m->idiag_uid != 0 && m->idiag_uid != OVERFLOW_UID);
	a->owner.uid = m->idiag_uid;
	(void)mnl_attr_parse(h, sizeof(*m), read_attr, a);
	return MNL_CB_STOP;
}

static enum tulle_err
ask(struct diag *d, const struct addr *local, const struct addr *remote)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(d->buf);
	struct inet_diag_req_v2 *q;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++d->seq;
	q = mnl_nlmsg_put_extra_header(h, sizeof(*q));
	q->sdiag_family = local->family;
	q->sdiag_protocol = IPPROTO_TCP;
	q->idiag_states = ~0u;
	q->id.idiag_sport = htons(local->port);
	q->id.idiag_dport = htons(remote->port);
	memcpy(q->id.idiag_src, local->ip, sizeof(q->id.idiag_src));
	memcpy(q->id.idiag_dst, remote->ip, sizeof(q->id.idiag_dst));
	q->id.idiag_cookie[0] = q->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return mnl_socket_sendto(d->nl, h, h->nlmsg_len) == -1 ? TULLE_ESYS : TULLE_OK;
}

enum tulle_err
diag_find(struct diag *d, const struct addr *local, const struct addr *remote, struct diag_owner *ret)
{
	struct answer a = { .local = local, .remote = remote };
	enum tulle_err e;
	ssize_t n;

	if (local->family == 0 || local->family != remote->family)
		return TULLE_EINVAL;
	e = ask(d, local, remote);
	if (e != TULLE_OK)
		return errno == ENOENT ? TULLE_ENOENT : e;
	n = mnl_socket_recvfrom(d->nl, d->buf, sizeof(d->buf));
	if (n == -1)
		return TULLE_ESYS;
	/* An error of the kernel's comes back as -1 and errno, as one of the numbers of an answer that is not ours. */
	if (mnl_cb_run(d->buf, (size_t)n, d->seq, d->portid, read_socket, &a) == -1)
		return errno == ENOENT ? TULLE_ENOENT : errno == ESRCH || errno == EPROTO ? TULLE_EPEER : TULLE_ESYS;
	if (!a.found)
		return TULLE_ENOENT;
	*ret = a.owner;
	return TULLE_OK;
}
