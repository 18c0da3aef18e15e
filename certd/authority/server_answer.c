/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_answer.c - answers of the authority, refusals, and limits on how often they are asked for. */
#include <stdlib.h>
#include <string.h>

#include "authority/server_intern.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "io/sock.h"

void
server_answer(struct grpc_call *call, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t AUTO_FREE *p = malloc(n + 1);

	if (p == NULL) {
		grpc_finish(call, GRPC_UNAVAILABLE, "out of memory");
		return;
	}
	(void)protobuf_c_message_pack(m, p);
	if (grpc_send(call, p, n) != TULLE_OK)
		grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "the answer is too long");
	else
		grpc_finish(call, GRPC_OK, "");
}

static void
log_denied(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, const char *why)
{
	struct addr peer;
	char text[ADDR_TEXT] = "-";

	s->denied++;
	if (sock_peer(grpc_call_fd(call), &peer) == TULLE_OK)
		(void)addr_format_ip(&peer, text);
	log_warn("refused a host", LF_STR("call", what), LF_STR("peer", text), LF_STR("node", node), LF_STR("reason", why));
}

void
server_refuse(struct authority_server *s, struct grpc_call *call, enum grpc_status status, const char *what, const char *node,
    const char *why)
{
	log_denied(s, call, what, node, why);
	grpc_finish(call, status, "denied");
}

void
server_deny(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, const char *why)
{
	server_refuse(s, call, GRPC_PERMISSION_DENIED, what, node, why);
}

void
server_deny_saying(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, const char *why)
{
	log_denied(s, call, what, node, why);
	grpc_finish(call, GRPC_PERMISSION_DENIED, why);
}

/* Always true. */
static bool
come_back_later(struct authority_server *s, struct grpc_call *call)
{
	s->denied++;
	grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many calls: come back later");
	return true;
}

bool
server_slow_down(struct authority_server *s, struct grpc_call *call, struct limit *l, const char *name)
{
	return !limit_take(l, name, loop_now(s->loop)) && come_back_later(s, call);
}

/* The address that it calls from, for limits.  Returns <text>. */
static const char *
caller(struct grpc_call *call, char text[ADDR_TEXT])
{
	struct addr peer;

	if (sock_peer(grpc_call_fd(call), &peer) == TULLE_OK)
		return addr_format_ip(&peer, text);
	(void)strcpy(text, "-");
	return text;
}

bool
server_stranger_too_fast(struct authority_server *s, struct grpc_call *call)
{
	char text[ADDR_TEXT];

	return server_slow_down(s, call, &s->strangers, caller(call, text));
}

bool
server_stranger_must_wait(struct authority_server *s, struct grpc_call *call)
{
	char text[ADDR_TEXT];

	return !limit_may(&s->strangers, caller(call, text), loop_now(s->loop)) && come_back_later(s, call);
}

void
server_stranger_failed(struct authority_server *s, struct grpc_call *call)
{
	char text[ADDR_TEXT];

	(void)limit_take(&s->strangers, caller(call, text), loop_now(s->loop));
}

char *
server_text(const char *s)
{
	return (char *)(uintptr_t)s; /* protobuf-c has no const */
}

void
server_bundle(const struct authority_server *s, Tulle__V1__Bundle *ret)
{
	struct der roots = authority_roots(s->authority);

	tulle__v1__bundle__init(ret);
	ret->trust_domain = server_text(s->td);
	ret->roots = (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)roots.p, .len = roots.len };
}

char **
server_accounts(const struct authority_server *s, const char *node, size_t *ret_n)
{
	const json_t *list = json_object_get(store_get(s->store, "member", node), "accounts");
	size_t n = json_array_size(list);
	char **texts = calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; texts != NULL && i < n; i++)
		texts[i] = server_text(json_string_value(json_array_get(list, i)));
	*ret_n = texts != NULL ? n : 0;
	return texts;
}
