/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/server.h"

#include <errno.h>
#include <stdlib.h>

#include "authority/server_intern.h"
#include "base/cleanup.h"
#include "io/sock.h"

#define BACKLOG 512     /* members come back all at once when the authority does */
#define CONNECTIONS (256 + SERVER_HELD_MAX)
#define CONNECTIONS_PEER (64 + SERVER_HELD_PEER_MAX)
#define REQUEST_MAX (256u << 10)

/* ---- the methods, unpacked ---- */

static void
malformed(struct authority_server *s, struct grpc_call *call)
{
	s->denied++;
	grpc_finish(call, GRPC_INVALID_ARGUMENT, "not such a message");
}

static void
run_join(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__JoinRequest *m = tulle__v1__join_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		server_join(arg, call, m);
	tulle__v1__join_request__free_unpacked(m, NULL);
}

static void
run_renew(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__RenewRequest *m = tulle__v1__renew_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		server_renew(arg, call, m);
	tulle__v1__renew_request__free_unpacked(m, NULL);
}

static void
run_sign(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__SignRequest *m = tulle__v1__sign_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		server_sign(arg, call, m);
	tulle__v1__sign_request__free_unpacked(m, NULL);
}

static void
run_manifests(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__ManifestsRequest *m = tulle__v1__manifests_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		server_manifests(arg, call, m);
	tulle__v1__manifests_request__free_unpacked(m, NULL);
}

static const struct grpc_method methods[] = {
	{ "/tulle.v1.Authority/Join", run_join, NULL },
	{ "/tulle.v1.Authority/Renew", run_renew, NULL },
	{ "/tulle.v1.Authority/Sign", run_sign, NULL },
	{ "/tulle.v1.Authority/Manifests", run_manifests, server_manifests_ended },
	{ NULL, NULL, NULL },
};

/* ---- start and stop ---- */

static enum tulle_err
start(struct authority_server *s)
{
	int AUTO_FD fd = -1;
	struct tls_context *tls;
	int64_t end;
	enum tulle_err e = server_context(s, &tls, &end);

	if (e)
		return e;
	e = grpc_server_new(&s->grpc, s->loop, methods, s,
	    &(struct grpc_server_options){ .tls = tls, .connections_max = CONNECTIONS,
	        .connections_peer_max = CONNECTIONS_PEER, .streams_max = 8, .request_max = REQUEST_MAX,
	        .response_max = GENERATION_SIGNED_MAX + 1024 });
	tls_context_unref(tls);
	if (e == TULLE_OK)
		e = sock_listen(&fd, &s->at, BACKLOG, false);
	if (e == TULLE_OK)
		e = grpc_server_listen(s->grpc, fd);
	if (e)
		return e;
	(void)fd_take(&fd);
	server_renew_at(s, end);
	return TULLE_OK;
}

enum tulle_err
authority_server_new(struct authority_server **ret, struct loop *l, const struct addr *at, struct authority *a,
    struct store *store, struct issuers *issuers, const char *td, int64_t leaf_max, struct published *published)
{
	struct authority_server *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->authority = a;
	s->store = store;
	s->issuers = issuers;
	s->td = td;
	s->leaf_max = leaf_max;
	s->published = published;
	s->at = *at;
	if (s->at.family == 0)
		s->at.family = AF_INET6; /* every address of both families */
	s->strangers = (struct limit){ .burst = 10, .per_ms = 2000 };
	s->pods = (struct limit){ .burst = 200, .per_ms = 40 };
	s->nodes = (struct limit){ .burst = 60, .per_ms = 250 };
	server_manifests_start(s);
	e = start(s);
	if (e) {
		int saved = errno;

		authority_server_free(s);
		errno = saved;
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct authority_server *
authority_server_free(struct authority_server *s)
{
	if (s == NULL)
		return NULL;
	timer_clear(s->loop, &s->renew);
	s->closing = true;
	s->grpc = grpc_server_free(s->grpc);
	server_manifests_stop(s);
	free(s);
	return NULL;
}

void
authority_server_leaf_max(struct authority_server *s, int64_t leaf_max)
{
	s->leaf_max = leaf_max;
}

json_t *
authority_server_status(const struct authority_server *s)
{
	char text[ADDR_TEXT];

	return json_pack("{ss sI sI sI sI sI sI}", "address", addr_format(&s->at, text), "joins", (json_int_t)s->joins,
	    "certificates", (json_int_t)s->signs, "renewals", (json_int_t)s->renewals, "denied", (json_int_t)s->denied,
	    "manifests_sent", (json_int_t)s->sets, "manifests_held", (json_int_t)s->n_held);
}
