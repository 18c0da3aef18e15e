/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/creds.h"

#include <stdlib.h>

static const struct tls_options options = { .alpn = "h2" };

enum tulle_err
creds_update(struct creds *c, struct identity_set *set)
{
	struct creds fresh = { 0 };
	struct tls_context *client;
	enum tulle_err e;

	if (set->n == 0)
		return TULLE_EINVAL;
	fresh.set = identity_set_ref(set);
	e = verifier_new(&fresh.verifier, set->trust);
	if (e == TULLE_OK)
		e = tls_context_mesh_server(&fresh.server, set, fresh.verifier, &options);
	if (e == TULLE_OK && (fresh.clients = calloc(set->n, sizeof(struct tls_context *))) == NULL)
		e = TULLE_ENOMEM;
	if (e == TULLE_OK && identity_set_default(set) != NULL) /* what does not work shows now, and the old one stays */
		e = creds_client(&fresh, identity_set_default(set), &client);
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
	for (size_t i = 0; c->clients != NULL && i < c->set->n; i++)
		(void)tls_context_unref(c->clients[i]);
	free(c->clients);
	c->clients = NULL;
	c->verifier = verifier_unref(c->verifier);
	c->set = identity_set_unref(c->set);
}

const char *
creds_own_id(const struct creds *c)
{
	struct identity *id = c->set != NULL ? identity_set_default(c->set) : NULL;

	return id != NULL ? id->facts.id : NULL;
}

struct identity *
creds_find(const struct creds *c, const char *path)
{
	if (c->set == NULL)
		return NULL;
	return path != NULL ? identity_set_find_path(c->set, path) : identity_set_default(c->set);
}

enum tulle_err
creds_client(struct creds *c, const struct identity *id, struct tls_context **ret)
{
	enum tulle_err e = TULLE_OK;
	size_t i = 0;

	while (i < c->set->n && c->set->items[i] != id)
		i++;
	if (i == c->set->n)
		return TULLE_ECRYPTO; /* of an older set */
	if (c->clients[i] == NULL)
		e = tls_context_mesh_client(&c->clients[i], c->set->items[i], c->verifier, &options);
	if (e == TULLE_OK)
		*ret = c->clients[i];
	return e;
}
