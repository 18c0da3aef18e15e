/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/identities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "manifest/rules.h"

#define AT(member) offsetof(struct identity_entry, member)

static const struct field match_fields[] = {
	{ .name = "unit", .type = FIELD_TEXT, .offset = AT(match.unit), .rule = &rule_unit,
	    .help = "the systemd unit of the caller" },
	{ .name = "uid", .type = FIELD_TEXT, .offset = AT(match.uid), .rule = &rule_user, .quotes_ok = true,
	    .help = "the user of the caller, by name or number" },
	{ .name = "socket", .type = FIELD_TEXT, .offset = AT(match.socket), .rule = &rule_socket_name,
	    .help = "the name of a pod's own socket, and nothing else" },
	{ .name = "binary", .type = FIELD_REFUSED,
	    .refused = "certd has no right to read it, and a process can choose what it shows; use unit or uid" },
	{ .name = NULL },
};

static const struct schema match_schema = { .name = "match", .fields = match_fields, .inside = true,
	.not_empty = true };

static const struct field entry_fields[] = {
	{ .name = "serviceAccount", .type = FIELD_TEXT, .offset = AT(service_account), .required = true,
	    .rule = &rule_namespaced, .help = "who it is" },
	{ .name = "match", .type = FIELD_OBJECT, .required = true, .schema = &match_schema,
	    .help = "which processes; all that is given must fit" },
	{ .name = "ttl", .type = FIELD_VALUE, .offset = AT(ttl_ms), .value = &value_ttl,
	    .help = "how long its certificates live; the host's identity.ttl if not given" },
	{ .name = NULL },
};

static const struct schema entry_schema = { .name = "an identity", .size = sizeof(struct identity_entry),
	.fields = entry_fields, .has_place = true, .place_offset = AT(place) };

static bool
decode_entry(struct decode *d, size_t index, const struct yaml_node *node, struct identity_entry *ret)
{
	const struct path at = { .index = index };
	const char *slash;
	char path[600];
	int len;

	if (!schema_decode(d, &at, &entry_schema, node, ret))
		return false;
	if (ret->match.socket != NULL && (ret->match.unit != NULL || ret->match.uid != NULL)) {
		problem_error(d->problems, ret->place, "match.socket",
		    "stands alone: who calls there is in a pod, where unit and uid of this host mean nothing");
		return false;
	}
	slash = strchr(ret->service_account, '/');
	ret->namespace = arena_text(d->arena, ret->service_account, (size_t)(slash - ret->service_account));
	ret->account = slash + 1;
	len = snprintf(path, sizeof(path), "ns/%s/sa/%s", ret->namespace != NULL ? ret->namespace : "", ret->account);
	ret->path = arena_text(d->arena, path, (size_t)len);
	d->no_memory = d->no_memory || ret->namespace == NULL || ret->path == NULL;
	return !d->no_memory;
}

/* A socket is one pod's, and a pod is one account. */
static bool
socket_is_new(const struct identities *ids, const struct identity_entry *entry, struct problems *problems)
{
	for (size_t i = 0; entry->match.socket != NULL && i < ids->n_pods; i++)
		if (strcmp(ids->pods[i].match.socket, entry->match.socket) == 0) {
			problem_error(problems, entry->place, "match.socket", "\"%s\" is the socket of line %u already",
			    entry->match.socket, ids->pods[i].place.line);
			return false;
		}
	return true;
}

static enum tulle_err
decode_all(struct identities *ids, const struct yaml_documents *docs, struct problems *problems)
{
	const struct yaml_node *root = docs->n > 0 ? docs->roots[0] : NULL, *child;
	struct decode d = { .arena = &ids->arena, .problems = problems };
	struct identity_entry *items, *pods;
	enum tulle_err e = TULLE_OK;
	size_t i = 0;

	if (docs->n > 1) {
		problem_error(problems, docs->roots[1]->place, NULL,
		    "a second document; this file holds one, remove the --- before it");
		return TULLE_EINVAL;
	}
	if (root == NULL)
		return TULLE_OK;
	if (root->kind != YAML_LIST) {
		problem_error(problems, root->place, NULL,
		    "is %s; a list of {serviceAccount, match, ttl} is needed", yaml_kind_name(root));
		return TULLE_EINVAL;
	}
	items = arena_array(&ids->arena, root->n, sizeof(*items));
	pods = arena_array(&ids->arena, root->n, sizeof(*pods));
	if (items == NULL || pods == NULL)
		return TULLE_ENOMEM;
	ids->items = items;
	ids->pods = pods;
	for (child = root->first; child != NULL; child = child->next, i++) {
		struct identity_entry entry = { 0 };

		if (!decode_entry(&d, i, child, &entry) || !socket_is_new(ids, &entry, problems))
			e = TULLE_EINVAL;
		else if (entry.match.socket != NULL)
			pods[ids->n_pods++] = entry;
		else
			items[ids->n++] = entry;
	}
	return d.no_memory ? TULLE_ENOMEM : e;
}

enum tulle_err
identities_parse(struct identities **ret, const char *name, const char *data, size_t len, struct problems *problems)
{
	struct arena scratch = arena_new(64u << 20);
	struct identities *ids = calloc(1, sizeof(*ids));
	struct yaml_documents docs = { 0 };
	enum tulle_err e = TULLE_ENOMEM;
	const char *own_name;

	if (ids == NULL)
		return TULLE_ENOMEM;
	ids->arena = arena_new(16u << 20);
	own_name = arena_text(&ids->arena, name, strlen(name)); /* places in the entries keep it */
	if (own_name != NULL)
		e = yaml_parse(&docs, &scratch, own_name, data, len, problems);
	if (e == TULLE_OK)
		e = decode_all(ids, &docs, problems);
	arena_free(&scratch);
	if (e != TULLE_OK) {
		(void)identities_free(ids);
		return e;
	}
	*ret = ids;
	return TULLE_OK;
}

enum tulle_err
identities_read(struct identities **ret, const char *path, struct problems *problems)
{
	char AUTO_FREE *data = NULL;
	size_t len = 0;
	enum tulle_err e;

	e = file_read(path, YAML_MAX_BYTES, &data, &len);
	if (e != TULLE_OK && e != TULLE_ENOENT) {
		problem_error(problems, (struct place){ path, 0, 0 }, NULL, "cannot be read: %s",
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
	}
	return identities_parse(ret, path, data, len, problems);
}

enum tulle_err
identities_resolve(struct identities *i, identities_user *user, void *arg, struct problems *problems)
{
	enum tulle_err e = TULLE_OK;
	char shown[PROBLEM_SHOWN];
	uint64_t number;

	for (size_t k = 0; k < i->n; k++) {
		struct identity_entry *entry = &i->items[k];

		if (entry->match.uid == NULL)
			continue;
		entry->uid_known = text_uint(entry->match.uid, UINT32_MAX - 1, &number) == TULLE_OK;
		if (entry->uid_known) {
			entry->uid = (uint32_t)number;
			continue;
		}
		entry->uid_known = user(arg, entry->match.uid, &entry->uid);
		if (entry->uid_known)
			continue;
		problem_error(problems, entry->place, "match.uid", "there is no user %s on this host",
		    problem_show(shown, entry->match.uid));
		e = TULLE_EINVAL;
	}
	return e;
}

struct identities *
identities_free(struct identities *i)
{
	if (i == NULL)
		return NULL;
	arena_free(&i->arena);
	free(i);
	return NULL;
}
