/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/handshake.h"

#include "base/log.h"

_Static_assert(COUNT_HANDSHAKE_IN_REFUSED_OTHER - COUNT_HANDSHAKE_IN_FAILED == SVID_REASONS - 1,
    "vocab.h has a counter for each svid_reason, in its order");

enum counter_id
handshake_counter(enum counter_id first, const struct hbone *h, enum tulle_err e)
{
	unsigned int failed = COUNT_HANDSHAKE_IN_FAILED - COUNT_HANDSHAKE_IN_OK;
	enum svid_reason reason = h->conn.tls != NULL ? tls_session_reason(h->conn.tls) : SVID_OK;

	if (h->conn.not_tls)
		return first + (COUNT_HANDSHAKE_IN_NOT_TLS - COUNT_HANDSHAKE_IN_OK);
	if (e == TULLE_ETIMEDOUT)
		return first + (COUNT_HANDSHAKE_IN_TIMEOUT - COUNT_HANDSHAKE_IN_OK);
	return first + failed + (unsigned int)reason;
}

void
handshake_log(struct flows *fs, const struct hbone *h, enum tulle_err e, const char *message)
{
	enum svid_reason reason = h->conn.tls != NULL ? tls_session_reason(h->conn.tls) : SVID_OK;
	char peer[ADDR_TEXT];

	if (!flow_may_log(fs))
		return;
	log_warn(message, LF_STR("peer", addr_format(&h->conn.peer, peer)),
	    LF_STR("reason", reason != SVID_OK ? svid_reason_name(reason) : h->conn.not_tls ? "not_tls" :
	                     e == TULLE_EDENIED ? "refused_by_peer" : tulle_strerror(e)),
	    LF_STR("detail", h->conn.tls != NULL ? tls_session_error(h->conn.tls) : NULL),
	    LF_STR("alert", h->conn.tls != NULL ? tls_session_alert(h->conn.tls) : NULL),
	    LF_STR("peer_id", h->conn.tls != NULL ? tls_session_peer_id(h->conn.tls) : NULL),
	    LF_STR("errno", e == TULLE_ESYS ? log_errno_text(h->conn.sys_errno) : NULL));
}
