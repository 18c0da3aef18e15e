/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fleet_manifests.c - Manifests: asks the authority for the generation that
 * it has published.  It holds the call while there is nothing new, so that a
 * change is here at once; it may also say when to come again.  After a
 * failure the next call waits, longer each time and never as long as
 * others: an authority that comes back meets its members one after the other.
 */
#include <stdio.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "store/crypt.h"

#define CALL_MS 300000       /* the authority holds for less; a large set takes its time */
#define REFUSED_MIN_MS 10000 /* after a set that this host did not take, up to REFUSED_MAX_MS after more of them: */
#define REFUSED_MAX_MS 300000 /* all members may have the same reason, and a set is large */
#define MUTE_MIN_MS 1000     /* after the first failure, up to MUTE_MAX_MS after more */
#define MUTE_MAX_MS 20000
#define AGAIN_MAX_MS 600000  /* what an authority may put us off by */
#define DENIED_MS 60000      /* after a refusal: banned, or an authority of an older version */

static void
ask_in(struct fleet *f, int64_t ms)
{
	f->ask_at = fleet_now_ms() + ms;
	fleet_soon(f);
}

void
fleet_manifests_failed(struct fleet *f, const char *why)
{
	uint32_t draw = 0;
	int64_t most;

	if (!f->asking)
		return;
	f->asking = false;
	if (f->mute < 16)
		f->mute++;
	(void)snprintf(f->mute_why, sizeof(f->mute_why), "%s", why);
	(void)crypt_random(&draw, sizeof(draw));
	most = (int64_t)MUTE_MIN_MS << f->mute;
	if (most > MUTE_MAX_MS)
		most = MUTE_MAX_MS;
	LOG_AT(f->mute == 1 ? LOG_LVL_NOTICE : LOG_LVL_DEBUG, "the authority was not heard about manifests: those that are here stay",
	    LF_STR("reason", why));
	ask_in(f, MUTE_MIN_MS + (int64_t)(draw % (uint32_t)most));
}

static int64_t
after_refusal(struct fleet *f)
{
	int64_t ms = (int64_t)REFUSED_MIN_MS << f->refused;
	uint32_t draw = 0;

	if (ms < REFUSED_MAX_MS)
		f->refused++;
	else
		ms = REFUSED_MAX_MS;
	(void)crypt_random(&draw, sizeof(draw));
	return ms + (int64_t)(draw % (uint32_t)(ms / 4));
}

static void
answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__ManifestsResponse *m = tulle__v1__manifests_response__unpack(NULL, n, p);

	if (m == NULL) {
		fleet_manifests_failed(f, "the authority's answer makes no sense");
		return;
	}
	f->asking = false;
	f->mute = 0;
	f->mute_why[0] = '\0';
	fleet_note_clock(f, m->now);
	f->heard = f->last_success;
	if (m->signed_manifests.len > 0)
		f->handler->manifests(f->arg, m->signed_manifests.data, m->signed_manifests.len);
	if (f->trouble[0] == '\0')
		f->refused = 0;
	if (f->trouble[0] != '\0')
		ask_in(f, after_refusal(f));
	else
		ask_in(f, m->again_ms < 0 ? 0 : m->again_ms > AGAIN_MAX_MS ? AGAIN_MAX_MS : m->again_ms);
	tulle__v1__manifests_response__free_unpacked(m, NULL);
}

static void
finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[FLEET_WHY];

	if (!f->asking)
		return;
	fleet_status_text(why, status, text);
	fleet_manifests_failed(f, why);
	if (status == GRPC_PERMISSION_DENIED || status == GRPC_UNIMPLEMENTED)
		ask_in(f, DENIED_MS);
}

static enum tulle_err
ask(struct fleet *f)
{
	static const struct grpc_handler handler = { answer, finished };
	Tulle__V1__ManifestsRequest m;
	enum tulle_err e = TULLE_OK;

	if (f->client != NULL && f->purpose != FOR_WORK)
		fleet_hang_up(f);
	if (f->client == NULL)
		e = fleet_dial(f, FOR_WORK);
	if (e != TULLE_OK)
		return e;
	tulle__v1__manifests_request__init(&m);
	m.number = f->have;
	m.digest = (ProtobufCBinaryData){ .data = f->have_digest, .len = sizeof(f->have_digest) };
	m.trouble = f->trouble;
	/* Whoever has not heard the authority, or not since a failure, learns at once whether what it has is the newest. */
	m.at_once = f->heard == 0 || f->mute > 0;
	return fleet_call(f, "/tulle.v1.Authority/Manifests", &m.base, CALL_MS, &handler);
}

int64_t
fleet_look_at_manifests(struct fleet *f, int64_t now, bool may_ask)
{
	enum tulle_err e;

	if (!f->follows || f->asking || !may_ask || now < f->ask_at)
		return !f->follows || f->asking || !may_ask ? INT64_MAX : f->ask_at;
	f->asking = true;
	e = ask(f);
	if (e != TULLE_OK)
		fleet_manifests_failed(f, tulle_strerror(e));
	return f->asking ? INT64_MAX : f->ask_at;
}

void
fleet_follow(struct fleet *f, bool on)
{
	if (f->follows == on)
		return;
	f->follows = on;
	f->ask_at = 0;
	f->heard = 0;
	f->mute_why[0] = '\0';
	fleet_soon(f);
}

void
fleet_have(struct fleet *f, uint64_t number, const uint8_t digest[GENERATION_DIGEST], const char *trouble)
{
	f->have = number;
	memcpy(f->have_digest, digest, sizeof(f->have_digest));
	(void)snprintf(f->trouble, sizeof(f->trouble), "%s", trouble);
}

int64_t
fleet_manifests_heard(const struct fleet *f, const char **ret_error)
{
	*ret_error = f->mute_why;
	return f->heard;
}
