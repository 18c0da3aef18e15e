/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/origdst.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/sock.h"

#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST alike (linux/netfilter_ipv4.h, _ipv6/ip6_tables.h) */

enum tulle_err
origdst_get(int fd, struct addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr peer, local, dst;

	if (sock_peer(fd, &peer) != TULLE_OK || sock_local(fd, &local) != TULLE_OK)
		return TULLE_ENOENT;
	if (getsockopt(fd, peer.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DST, &ss, &len) == -1 ||
	    addr_from_sockaddr(&dst, (const struct sockaddr *)&ss, len) != TULLE_OK)
		return TULLE_ENOENT;
	if (addr_equal(&dst, &local))
		return TULLE_ENOENT;
	*ret = dst;
	return TULLE_OK;
}
