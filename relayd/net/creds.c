/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/creds.h"

enum tulle_err
creds_update(struct creds *c, struct identity_set *set)
{
	const struct tls_options options = { .alpn = "h2" };
	struct creds fresh = { 0 };
	enum tulle_err e;

	if (set->n == 0)
		return TULLE_EINVAL;
	fresh.set = identity_set_ref(set);
	e = verifier_new(&fresh.verifier, set->trust);
	if (e == TULLE_OK)
		e = tls_context_mesh_server(&fresh.server, set, fresh.verifier, &options);
	if (e == TULLE_OK && identity_set_default(set) != NULL)
		e = tls_context_mesh_client(&fresh.client, identity_set_default(set), fresh.verifier, &options);
	if (e != TULLE_OK) {
		creds_clear(&fresh);
		return e;
	}
	creds_clear(c);
	*c = fresh;
	return TULLE_OK;
}

void
creds_clear(struct creds *c)
{
	c->server = tls_context_unref(c->server);
	c->client = tls_context_unref(c->client);
	c->verifier = verifier_unref(c->verifier);
	c->set = identity_set_unref(c->set);
}

const char *
creds_own_id(const struct creds *c)
{
	struct identity *id = c->set != NULL ? identity_set_default(c->set) : NULL;

	return id != NULL ? id->facts.id : NULL;
}
