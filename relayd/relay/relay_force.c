/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/relay_intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bundle.h"
#include "wire.h"

/* ---- configuration ---- */

/* The lines of all problems, as many as one message holds. */
static void
answer_config(struct relay *r, uint64_t generation, bool ok, const struct problems *problems)
{
	struct buf b = buf_new(MSG_BODY_MAX);
	const struct wire_result head = { .generation = generation, .ok = ok };

	(void)buf_append(&b, &head, sizeof(head));
	problems_print(&b, problems);
	for (size_t i = 0; ok && i < problems->n; i++) /* what is in force has warnings alone */
		log_warn("configuration", LF_STR("warning", problems->list[i].line));
	relay_tell(r, WIRE_CONFIG_RESULT, buf_head(&b), buf_len(&b));
	buf_free(&b);
	events_count(r->counters, ok ? COUNT_CONFIG_OK : COUNT_CONFIG_FAILED);
}

static void
answer_no_memory(struct relay *r, const struct msg *m)
{
	static const char text[] = "configuration: out of memory\n";
	struct {
		struct wire_result head;
		char text[sizeof(text) - 1];
	} answer = { .head.ok = 0 };

	if (m->len < sizeof(answer.head.generation))
		return;
	memcpy(&answer.head.generation, m->body, sizeof(answer.head.generation));
	memcpy(answer.text, text, sizeof(answer.text));
	relay_tell(r, WIRE_CONFIG_RESULT, &answer, offsetof(__typeof__(answer), text) + sizeof(answer.text));
}

static void
put_in_force(struct relay *r)
{
	const struct snapshot *s = r->loader.snapshot;

	r->in_force_since = clock_wall_sec();
	events_set(r->counters, COUNT_CONFIG_VERSION, s->generation);
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_configure(r->workers[i], s);
	log_info("configuration in force", LF_UINT("generation", s->generation), LF_STR("revision", s->revision),
	    LF_UINT("services", s->n_services), LF_UINT("endpoints", s->n_endpoints), LF_UINT("policies", s->n_policies));
}

enum tulle_err
relay_on_config(struct relay *r, struct msg *m)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct wire_config *where = NULL;
	struct bundle files = { 0 };
	int AUTO_FD fd = msg_take_fd(m, 0);
	uint64_t generation;
	enum tulle_err e = problems != NULL ? wire_take_config(m, &where) : TULLE_ENOMEM;

	if (e != TULLE_OK) {
		if (e == TULLE_ENOMEM) /* the parent waits for a word */
			answer_no_memory(r, m);
		free(problems);
		return e;
	}
	generation = where->generation;
	problems_init(problems);
	e = bundle_unpack(&files, fd);
	if (e == TULLE_OK)
		e = loader_take(&r->loader, &files, where, problems);
	if (e == TULLE_OK)
		put_in_force(r);
	else
		free(where);
	if (e != TULLE_OK && problems->errors == 0)
		problem_error(problems, (struct place){ .file = "configuration" }, NULL, "%s", tulle_strerror(e));
	answer_config(r, generation, e == TULLE_OK, problems);
	relay_update_ready(r);
	bundle_free(&files);
	problems_free(problems);
	free(problems);
	return TULLE_OK;
}

/*
 * Our trust domain became known, or is another now; or, if <own> speaks for this host without being named in a file, its
 * account did.  If the files in force
 * cannot be loaded under it nobody asked who could be told, so the parent
 * is: its status shows it until the next good reload.
 */
static void
follow_identity(struct relay *r, const struct identity *own, bool speaks)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	bool changed;
	enum tulle_err e;

	if (own == NULL || problems == NULL) {
		free(problems);
		return;
	}
	problems_init(problems);
	e = loader_follow(&r->loader, own->facts.id, own->facts.id_len, speaks, problems, &changed);
	if (e == TULLE_OK && changed)
		put_in_force(r);
	if (e != TULLE_OK) {
		log_error("configuration cannot be loaded under the trust domain and account of our identity: the old one stays",
		    LF_STR("id", own->facts.id), LF_ERR(e));
		if (problems->errors == 0)
			problem_error(problems, (struct place){ .file = "configuration" }, NULL, "%s", tulle_strerror(e));
		answer_config(r, 0, false, problems);
	}
	problems_free(problems);
	free(problems);
}

/* ---- identity ---- */

static const char *
no_default(const struct relay *r)
{
	if (r->start->config->identity.default_only)
		return "identity.default is \"only\", but this host has several identities";
	return r->start->config->identity.default_name != NULL ? "what identity.default names has no certificate"
	                                                       : "identity.default is not set";
}

void
relay_on_identity(void *arg, struct identity_set *set)
{
	struct relay *r = arg;
	const struct identity *first = identity_set_default(set);

	(void)identity_set_unref(r->set);
	r->set = identity_set_ref(set);
	/* All of them are of this host's trust domain; items[0] is <first>, if there is one. */
	follow_identity(r, set->n > 0 ? set->items[0] : NULL, first != NULL && r->start->config->identity.default_name == NULL);
	events_count(r->counters, COUNT_IDENTITY_UPDATE);
	events_set(r->counters, COUNT_EXPIRY_LEAF, first != NULL ? (uint64_t)first->facts.not_after : 0);
	events_set(r->counters, COUNT_EXPIRY_ANCHOR,
	    (uint64_t)trust_until(set->trust, r->loader.trust_domain, strlen(r->loader.trust_domain)));
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_identify(r->workers[i], set);
	log_info("identity in force", LF_STR("id", first != NULL ? first->facts.id : NULL),
	    LF_STR("serial", first != NULL ? first->facts.serial : NULL), LF_UINT("identities", set->n),
	    LF_UINT("generation", set->generation));
	if (first == NULL)
		log_warn("no identity for connections of this host: those into the mesh fail",
		    LF_STR("reason", no_default(r)),
		    LF_STR("default", r->start->config->identity.default_name));
	relay_update_ready(r);
}

void
relay_on_dial(void *arg)
{
	relay_tell(arg, WIRE_DIAL, NULL, 0);
}
