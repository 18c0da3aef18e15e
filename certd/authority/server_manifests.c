/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server_manifests.c - Manifests: members ask for the generation in force.
 *
 * A call whose member has something else than what is published goes into
 * the queue <due>; one that has the same is held, in <held>, for HOLD_MS or
 * until something is published.  From <due> only a few are sent at a time,
 * by bytes: each answer is copied for its connection.  Where no more may be
 * held the member is told when to come again, so that all of those together
 * make POLLS_PER_S connections a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/server_intern.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/cleanup.h"
#include "io/sock.h"

#define HOLD_MS 40000         /* below the 60 s after which a member drops a silent connection */
#define LOOK_MS 1000          /* how exactly HOLD_MS is kept */
#define SWEEP_LOOKS 300       /* of those, between two sweeps of what members said */
#define SENDING_MAX 64        /* answers on their way at a time */
#define SENDING_BYTES (32u << 20)
#define POLLS_PER_S 50        /* a handshake each */
#define POLL_MIN_MS 5000
#define TROUBLE_MAX 200       /* of what a member says about itself */

struct asked {
	TAILQ_ENTRY(asked) link;
	struct grpc_call *call;
	char node[MEMBER_NODE];
	struct addr peer;
	uint64_t until; /* monotonic; of one that is held */
	enum { ASKED_HELD, ASKED_DUE, ASKED_SENDING } state;
};

static struct askers *
queue_of(struct authority_server *s, const struct asked *a)
{
	return a->state == ASKED_HELD ? &s->held : a->state == ASKED_DUE ? &s->due : &s->sending;
}

static void
forget(struct authority_server *s, struct asked *a)
{
	TAILQ_REMOVE(queue_of(s, a), a, link);
	s->n_held -= a->state == ASKED_HELD;
	s->n_sending -= a->state == ASKED_SENDING;
	free(a);
}

/* ---- what a member said ---- */

static void
note(struct authority_server *s, const char *node, const Tulle__V1__ManifestsRequest *m)
{
	char trouble[TROUBLE_MAX];

	(void)snprintf(trouble, sizeof(trouble), "%s", m->trouble);
	publish_seen(s->published, m->number);
	(void)json_object_set_new(s->have, node,
	    json_pack("{sI sI ss}", "number", (json_int_t)m->number, "asked", (json_int_t)clock_wall_sec(), "trouble",
	        text_utf8_valid(trouble, strlen(trouble)) ? trouble : "?"));
}

static bool
has_the_same(const struct published *p, const Tulle__V1__ManifestsRequest *m)
{
	return p->number == 0 || (m->number == p->number && m->digest.len == sizeof(p->digest) &&
	                             memcmp(m->digest.data, p->digest, sizeof(p->digest)) == 0);
}

/* ---- answers ---- */

static void
answer_same(struct grpc_call *call, int64_t again_ms)
{
	Tulle__V1__ManifestsResponse r = TULLE__V1__MANIFESTS_RESPONSE__INIT;

	r.again_ms = again_ms;
	r.now = clock_wall_sec();
	server_answer(call, &r.base);
}

static void send_due(struct authority_server *s);

static void
sent(void *arg, struct grpc_call *call)
{
	struct authority_server *s = arg;

	forget(s, grpc_call_data(call));
	grpc_finish(call, GRPC_OK, "");
	send_due(s);
}

/* True: it is on its way; false: the call has ended. */
static bool
send_set(struct authority_server *s, struct grpc_call *call)
{
	const struct published *p = s->published;
	Tulle__V1__ManifestsResponse r = TULLE__V1__MANIFESTS_RESPONSE__INIT;
	enum tulle_err e = TULLE_ENOMEM;
	uint8_t *bytes;
	size_t n;

	r.signed_manifests = (ProtobufCBinaryData){ .data = p->message.data + p->message.off, .len = p->message.len };
	r.now = clock_wall_sec();
	n = protobuf_c_message_get_packed_size(&r.base);
	bytes = malloc(n);
	if (bytes != NULL) {
		(void)protobuf_c_message_pack(&r.base, bytes);
		e = grpc_send(call, bytes, n);
		free(bytes);
	}
	if (e == TULLE_OK) {
		grpc_call_on_sent(call, sent);
		return true;
	}
	log_error("manifests could not be sent", LF_ERR(e), LF_UINT("bytes", n));
	grpc_finish(call, GRPC_UNAVAILABLE, "not now");
	return false;
}

static void
send_due(struct authority_server *s)
{
	struct asked *a;

	while ((a = TAILQ_FIRST(&s->due)) != NULL && s->n_sending < SENDING_MAX &&
	       (s->n_sending == 0 || (s->n_sending + 1) * buf_len(&s->published->message) <= SENDING_BYTES)) {
		char why[MEMBER_WHY] = "";
		struct grpc_call *call = a->call;

		if (!member_is_live(s->store, a->node, why)) {
			char node[MEMBER_NODE];

			memcpy(node, a->node, sizeof(node));
			forget(s, a);
			server_deny(s, call, "manifests", node, why);
			continue;
		}
		TAILQ_REMOVE(&s->due, a, link);
		a->state = ASKED_SENDING;
		TAILQ_INSERT_TAIL(&s->sending, a, link);
		s->n_sending++;
		s->sets++;
		if (!send_set(s, call))
			forget(s, a);
	}
}

/* ---- holding ---- */

/* What was said by members that are none any more (pods come and go). */
static void
sweep(struct authority_server *s)
{
	const char *node;
	json_t *has;
	void *next;

	json_object_foreach_safe (s->have, next, node, has)
		if (store_get(s->store, "member", node) == NULL)
			(void)json_object_del(s->have, node);
}

static void
look_due(struct timer *t)
{
	struct authority_server *s = CONTAINER_OF(t, struct authority_server, look);
	const uint64_t now = loop_now(s->loop);
	struct asked *a;

	while ((a = TAILQ_FIRST(&s->held)) != NULL && a->until <= now) {
		struct grpc_call *call = a->call;

		forget(s, a);
		answer_same(call, 0);
	}
	if (++s->looks % SWEEP_LOOKS == 0)
		sweep(s);
	timer_set(s->loop, t, LOOK_MS, look_due);
}

/* Room for one more, in all and for this address: some of each address's connections are kept for certificates. */
static bool
may_hold(const struct authority_server *s, const struct addr *peer)
{
	const struct asked *a;
	size_t n = 0;

	if (s->n_held >= SERVER_HELD_MAX)
		return false;
	TAILQ_FOREACH(a, &s->held, link)
		n += addr_equal_ip(&a->peer, peer);
	return n < SERVER_HELD_PEER_MAX;
}

static int64_t
come_again_ms(const struct authority_server *s)
{
	const size_t members = json_object_size(s->have), polling = members > s->n_held ? members - s->n_held : 0;
	const int64_t ms = (int64_t)(polling * 1000 / POLLS_PER_S);

	return ms > POLL_MIN_MS ? ms : POLL_MIN_MS;
}

/* Ends what this node waits for; what is being sent to it is not. */
static void
end_waiting(struct authority_server *s, const char *node, enum grpc_status status, const char *text)
{
	struct askers *const queues[] = { &s->held, &s->due };
	struct asked *a, *next;

	for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
		for (a = TAILQ_FIRST(queues[i]); a != NULL; a = next) {
			next = TAILQ_NEXT(a, link);
			if (strcmp(a->node, node) != 0)
				continue;
			struct grpc_call *call = a->call;

			forget(s, a);
			grpc_finish(call, status, text);
		}
	}
}

static void
enter(struct authority_server *s, struct grpc_call *call, const char *node, bool same)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		grpc_finish(call, GRPC_UNAVAILABLE, "out of memory");
		return;
	}
	(void)sock_peer(grpc_call_fd(call), &a->peer);
	if (same && !may_hold(s, &a->peer)) {
		free(a);
		answer_same(call, come_again_ms(s));
		return;
	}
	a->call = call;
	(void)snprintf(a->node, sizeof(a->node), "%s", node);
	a->until = loop_now(s->loop) + HOLD_MS;
	a->state = same ? ASKED_HELD : ASKED_DUE;
	TAILQ_INSERT_TAIL(queue_of(s, a), a, link);
	s->n_held += same;
	grpc_call_set_data(call, a);
	if (!same)
		send_due(s);
}

void
server_manifests(struct authority_server *s, struct grpc_call *call, const Tulle__V1__ManifestsRequest *m)
{
	struct tls_session *tls = grpc_call_session(call);
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "its certificate is not a node's";

	if (!member_of_id(tls_session_peer_id(tls), s->td, node) ||
	    member_seen(s->store, node, tls_session_peer_serial(tls), why) != TULLE_OK) {
		server_deny(s, call, "manifests", node, why);
		return;
	}
	if (server_slow_down(s, call, &s->nodes, node))
		return;
	note(s, node, m);
	/* It has one call under way: an older one belongs to a connection that it has given up. */
	end_waiting(s, node, GRPC_ABORTED, "asked again");
	if (m->at_once && has_the_same(s->published, m))
		answer_same(call, 0);
	else
		enter(s, call, node, has_the_same(s->published, m));
}

void
server_manifests_ended(void *arg, struct grpc_call *call)
{
	struct authority_server *s = arg;
	struct asked *a = grpc_call_data(call);
	bool was_sending = a != NULL && a->state == ASKED_SENDING;

	if (a != NULL)
		forget(s, a);
	if (was_sending && !s->closing)
		send_due(s);
}

void
server_manifests_start(struct authority_server *s)
{
	TAILQ_INIT(&s->held);
	TAILQ_INIT(&s->due);
	TAILQ_INIT(&s->sending);
	s->have = json_object();
	timer_set(s->loop, &s->look, LOOK_MS, look_due);
}

void
server_manifests_stop(struct authority_server *s)
{
	timer_clear(s->loop, &s->look);
	json_decref(s->have);
}

void
authority_server_published(struct authority_server *s)
{
	struct asked *a;

	while ((a = TAILQ_FIRST(&s->held)) != NULL) {
		TAILQ_REMOVE(&s->held, a, link);
		s->n_held--;
		a->state = ASKED_DUE;
		TAILQ_INSERT_TAIL(&s->due, a, link);
	}
	send_due(s);
}

void
authority_server_banned(struct authority_server *s, const char *node)
{
	end_waiting(s, node, GRPC_PERMISSION_DENIED, "denied");
	(void)json_object_del(s->have, node);
}

const json_t *
authority_server_has(const struct authority_server *s, const char *node)
{
	return json_object_get(s->have, node);
}
