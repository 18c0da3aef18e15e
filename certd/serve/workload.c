/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpc/server.h"
#include "serve/answer.h"
#include "serve/attest.h"
#include "serve/message.h"
#include "store/crypt.h"

#define HEADER "workload.spiffe.io"
#define LOOK_AGAIN 60000 /* ms: an exec() or a changed uid ends a stream */
#define DENIALS_A_MINUTE 20
#define WAITING 320

enum stream_kind { STREAM_SVIDS, STREAM_BUNDLES };

struct stream {
	LIST_ENTRY(stream) link;
	struct workload *w;
	struct grpc_call *call;
	enum stream_kind kind;
	struct attested who;
	bool late;                 /* the last message has not left: there is a newer state */
	bool sent_any;
	uint8_t last[CRYPT_HASH];  /* of what it has */
};

struct workload {
	struct loop *loop; /* lent */
	struct grpc_server *grpc;
	const struct keeper *keeper;
	const struct config *config;
	LIST_HEAD(, stream) streams;
	size_t n;
	struct timer again;
	struct answer answer; /* scratch: it is large */
	char waiting[WAITING];
	char pod[64]; /* whose socket it is; "": the host's */
	uint64_t denial_minute;
	unsigned int denials;
};

static int64_t
now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

/* So many lines a minute and no more: a caller that asks for ever must not fill the disk. */
static void
log_denied(struct workload *w, const struct facts *f, const char *why)
{
	uint64_t minute = loop_now(w->loop) / 60000;

	if (minute != w->denial_minute) {
		if (w->denials > DENIALS_A_MINUTE)
			log_warn("more callers were refused than are listed", LF_UINT("count", w->denials - DENIALS_A_MINUTE));
		w->denial_minute = minute;
		w->denials = 0;
	}
	if (++w->denials > DENIALS_A_MINUTE)
		return;
	log_warn("workload refused", LF_STR("pod", w->pod[0] != '\0' ? w->pod : NULL), LF_INT("pid", f->pid), LF_UINT("uid", f->uid), LF_STR("unit", f->unit),
	    LF_STR("reason", why));
}

static void
stream_free(struct stream *s)
{
	LIST_REMOVE(s, link);
	s->w->n--;
	attest_forget(&s->who);
	free(s);
}

static void
stream_end(struct stream *s, enum grpc_status status, const char *text)
{
	struct grpc_call *call = s->call;

	stream_free(s);
	grpc_call_set_data(call, NULL);
	grpc_finish(call, status, text);
}

/* Is the caller who it was?  A new program in the same process may be somebody else's. */
static bool
attest_again(struct stream *s, const char **why)
{
	struct attested now = ATTESTED_INIT;

	if (s->w->pod[0] != '\0')
		return true; /* a caller that has ended has hung up */
	if (!attest_alive(&s->who) || attest(grpc_call_fd(s->call), &now, why) != TULLE_OK)
		return false;
	if (now.facts.pid != s->who.facts.pid || now.start_time != s->who.start_time) {
		attest_forget(&now);
		return false;
	}
	attest_forget(&s->who);
	s->who = now;
	return true;
}

static void push(struct stream *s);
static uid_t kept_uid(const struct config *c);

/* Paths and names of hosts are the operator's business. */
static const char *
unavailable(const struct workload *w, uint32_t uid)
{
	if (w->pod[0] != '\0')
		return "no certificate at present";
	return w->waiting[0] != '\0' && (uid == 0 || uid == kept_uid(w->config)) ? w->waiting : "no certificate at present";
}

static void
sent(void *arg, struct grpc_call *call)
{
	struct stream *s = grpc_call_data(call);

	(void)arg;
	if (s != NULL && s->late)
		push(s);
}

/* Sends unless it is what the caller has already.  Only the latest state ever waits. */
static void
send_message(struct stream *s, const struct buf *m)
{
	uint8_t hash[CRYPT_HASH];
	enum tulle_err e = crypt_hash(hash, buf_len(m) > 0 ? buf_head(m) : (const uint8_t *)"", buf_len(m));

	if (e == TULLE_OK && s->sent_any && memcmp(hash, s->last, sizeof(hash)) == 0)
		return;
	/* The keys leave with this call. */
	if (e == TULLE_OK && s->w->pod[0] == '\0' && !attest_alive(&s->who)) {
		stream_end(s, GRPC_UNAVAILABLE, "the caller has ended");
		return;
	}
	if (e == TULLE_OK)
		e = grpc_send(s->call, buf_head(m), buf_len(m));
	if (e == TULLE_EBUSY) {
		s->late = true;
		grpc_call_on_sent(s->call, sent);
		return;
	}
	if (e) {
		log_error("a Workload API answer could not be sent", LF_INT("pid", s->who.facts.pid), LF_ERR(e));
		stream_end(s, e == TULLE_ELIMIT ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL, "the answer could not be sent");
		return;
	}
	s->sent_any = true;
	memcpy(s->last, hash, sizeof(hash));
}

static void
push_state(struct stream *s)
{
	struct workload *w = s->w;
	struct buf m = buf_new(MESSAGE_MAX);
	enum tulle_err e = s->kind == STREAM_SVIDS ? message_svids(&m, &w->answer, w->keeper)
	                                           : message_bundles(&m, w->keeper);

	if (e) {
		log_error("a Workload API answer could not be made", LF_ERR(e));
		stream_end(s, GRPC_INTERNAL, "the answer could not be made");
	} else {
		send_message(s, &m);
	}
	buf_wipe(&m);
}

/* Brings a stream up to date; it may be gone afterwards. */
static void
push(struct stream *s)
{
	struct workload *w = s->w;
	const char *why = "the caller has ended";

	s->late = false;
	if (!attest_again(s, &why)) {
		log_denied(w, &s->who.facts, why);
		stream_end(s, GRPC_UNAVAILABLE, why);
		return;
	}
	if (w->pod[0] != '\0')
		answer_pod(&w->answer, w->config, w->keeper, w->pod, now_ms());
	else
		answer_choose(&w->answer, w->config, w->keeper, &s->who.facts, now_ms());
	if (s->kind == STREAM_BUNDLES && w->answer.kind == ANSWER_UNAVAILABLE && keeper_bundle(w->keeper).len > 0)
		w->answer.kind = ANSWER_SVIDS; /* roots do not expire with a leaf */
	switch (w->answer.kind) {
	case ANSWER_SVIDS:
		push_state(s);
		break;
	case ANSWER_DENIED:
		log_denied(w, &s->who.facts, w->answer.why);
		stream_end(s, GRPC_PERMISSION_DENIED, "no identity issued"); /* some clients look for these words */
		break;
	case ANSWER_UNAVAILABLE:
		/* An open stream waits for the next certificate; a new caller is told to come back. */
		if (!s->sent_any) {
			log_denied(w, &s->who.facts, w->answer.why);
			stream_end(s, GRPC_UNAVAILABLE, unavailable(w, s->who.facts.uid));
		}
		break;
	}
}

static size_t
streams_of(const struct workload *w, uint32_t uid)
{
	const struct stream *s;
	size_t n = 0;

	LIST_FOREACH (s, &w->streams, link)
		n += s->who.facts.uid == uid;
	return n;
}

/* Who has places of its own: everything else on this host depends on it. */
static uid_t
kept_uid(const struct config *c)
{
	return c->relay_known ? c->relay_uid : 0;
}

static bool
has_room(const struct workload *w, uint32_t uid)
{
	if (w->pod[0] != '\0')
		return w->n < WORKLOAD_POD_STREAMS;
	return streams_of(w, uid) < WORKLOAD_STREAMS_PER_UID &&
	    (w->n < WORKLOAD_STREAMS_MAX || uid == 0 || uid == kept_uid(w->config));
}

static void
open_stream(struct workload *w, struct grpc_call *call, enum stream_kind kind)
{
	const char *header = grpc_call_metadata(call, HEADER), *why = "";
	struct attested who = ATTESTED_INIT;
	struct stream *s;

	/* Workload Endpoint 6: it keeps a tricked HTTP client from being used against us. */
	if (header == NULL || strcmp(header, "true") != 0 || grpc_call_metadata_count(call, HEADER) != 1) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT, "security header missing from request");
		return;
	}
	if (w->pod[0] == '\0' && attest(grpc_call_fd(call), &who, &why) != TULLE_OK) {
		log_denied(w, &who.facts, why);
		grpc_finish(call, GRPC_PERMISSION_DENIED, why);
		return;
	}
	if (!has_room(w, who.facts.uid)) {
		log_denied(w, &who.facts, "too many streams");
		attest_forget(&who);
		grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many streams");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		attest_forget(&who);
		grpc_finish(call, GRPC_UNAVAILABLE, "out of memory");
		return;
	}
	s->w = w;
	s->call = call;
	s->kind = kind;
	s->who = who;
	LIST_INSERT_HEAD(&w->streams, s, link);
	w->n++;
	grpc_call_set_data(call, s);
	push(s);
}

static void
fetch_svids(void *arg, struct grpc_call *call, const uint8_t *request, size_t n)
{
	(void)request;
	(void)n;
	open_stream(arg, call, STREAM_SVIDS);
}

static void
fetch_bundles(void *arg, struct grpc_call *call, const uint8_t *request, size_t n)
{
	(void)request;
	(void)n;
	open_stream(arg, call, STREAM_BUNDLES);
}

static void
ended(void *arg, struct grpc_call *call)
{
	struct stream *s = grpc_call_data(call);

	(void)arg;
	if (s != NULL)
		stream_free(s);
}

/* What is not in the table is Unimplemented: FetchJWTSVID and its like. */
static const struct grpc_method methods[] = {
	{ "/SpiffeWorkloadAPI/FetchX509SVID", fetch_svids, ended },
	{ "/SpiffeWorkloadAPI/FetchX509Bundles", fetch_bundles, ended },
	{ NULL, NULL, NULL },
};

void
workload_changed(struct workload *w)
{
	struct stream *s = LIST_FIRST(&w->streams), *next;

	for (; s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		push(s);
	}
}

static void
again(struct timer *t)
{
	struct workload *w = CONTAINER_OF(t, struct workload, again);

	timer_set(w->loop, t, LOOK_AGAIN, again);
	workload_changed(w);
}

static const struct grpc_server_options for_all = { .connections_max = WORKLOAD_CONNECTIONS_MAX,
	.connections_peer_max = WORKLOAD_CONNECTIONS_PER_UID, .streams_max = WORKLOAD_STREAMS_PER_UID };
static const struct grpc_server_options for_pod = { .connections_max = WORKLOAD_POD_CONNECTIONS,
	.connections_peer_max = WORKLOAD_POD_CONNECTIONS, .streams_max = WORKLOAD_POD_STREAMS };

enum tulle_err
workload_new_pod(struct workload **ret, struct loop *l, int fd, const struct keeper *k, const struct config *c,
    const char *name)
{
	int AUTO_FD taken = fd;
	struct workload *w = calloc(1, sizeof(*w));
	enum tulle_err e;

	if (w == NULL)
		return TULLE_ENOMEM;
	w->loop = l;
	w->keeper = k;
	w->config = c;
	(void)snprintf(w->pod, sizeof(w->pod), "%s", name);
	LIST_INIT(&w->streams);
	e = grpc_server_new(&w->grpc, l, methods, w, w->pod[0] != '\0' ? &for_pod : &for_all);
	if (e == TULLE_OK && w->pod[0] == '\0')
		grpc_server_keep(w->grpc, WORKLOAD_CONNECTIONS_KEPT, kept_uid(c));
	if (e == TULLE_OK)
		e = grpc_server_listen(w->grpc, taken);
	if (e) {
		workload_free(w);
		return e;
	}
	(void)fd_take(&taken);
	timer_set(l, &w->again, LOOK_AGAIN, again);
	*ret = w;
	return TULLE_OK;
}

enum tulle_err
workload_new(struct workload **ret, struct loop *l, int fd, const struct keeper *k, const struct config *c)
{
	return workload_new_pod(ret, l, fd, k, c, "");
}

struct workload *
workload_free(struct workload *w)
{
	if (w == NULL)
		return NULL;
	timer_clear(w->loop, &w->again);
	w->grpc = grpc_server_free(w->grpc);
	free(w);
	return NULL;
}

void
workload_config(struct workload *w, const struct config *c)
{
	w->config = c;
	if (w->pod[0] == '\0')
		grpc_server_keep(w->grpc, WORKLOAD_CONNECTIONS_KEPT, kept_uid(c));
	workload_changed(w);
}

void
workload_waiting(struct workload *w, const char *why)
{
	(void)snprintf(w->waiting, sizeof(w->waiting), "%s", why != NULL ? why : "");
}

size_t
workload_streams(const struct workload *w)
{
	return w->n;
}
