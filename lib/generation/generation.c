/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "generation/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "proto/authority.pb-c.h"
#include "tls/der.h"
#include "tls/signature.h"

/* Before the statement: a signature of the root's must not pass for one over something else. */
#define LABEL "tulle manifests, generation 1\n"

#define STATEMENT_MAX 1024
#define NAME_MAX_BYTES 255

void
generation_free(struct generation *g)
{
	manifest_files_free(&g->files);
	*g = (struct generation){ 0 };
}

/* ---- digest ---- */

static const char *
base_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

/* Each length goes before what it measures, so that no two sets give one row of bytes. */
static void
lengths(uint8_t out[12], size_t name, size_t data)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(name >> 8 * i);
	for (int i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)((uint64_t)data >> 8 * i);
}

enum tulle_err
generation_digest(uint8_t ret[GENERATION_DIGEST], const struct manifest_file *files, size_t n)
{
	struct signature_piece AUTO_FREE *pieces = calloc(3 * n + 1, sizeof(*pieces));
	uint8_t AUTO_FREE *heads = calloc(n + 1, 12);

	if (pieces == NULL || heads == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *name = base_name(files[i].name);

		lengths(heads + 12 * i, strlen(name), files[i].len);
		pieces[3 * i] = (struct signature_piece){ heads + 12 * i, 12 };
		pieces[3 * i + 1] = (struct signature_piece){ name, strlen(name) };
		pieces[3 * i + 2] = (struct signature_piece){ files[i].data, files[i].len };
	}
	return signature_hash(ret, pieces, 3 * n);
}

/* ---- bounds ---- */

/* Names come from a folder, and go into messages and into logs of other hosts. */
static bool
name_travels(const char *name)
{
	const size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_BYTES || name[0] == '.' || strchr(name, '/') != NULL || !manifest_name_counts(name) ||
	    !text_utf8_valid(name, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return true;
}

enum tulle_err
generation_bounds(const struct manifest_files *files, char why[GENERATION_WHY])
{
	size_t bytes = 0;

	for (size_t i = 0; i < files->n; i++) {
		const char *name = base_name(files->items[i].name);

		if (!name_travels(name)) {
			(void)snprintf(why, GENERATION_WHY,
			    "file %zu in the order of names has a name with control characters or of more than %d bytes: rename it",
			    i + 1, NAME_MAX_BYTES);
			return TULLE_EINVAL;
		}
		bytes += strlen(name) + files->items[i].len;
	}
	if (files->n > GENERATION_FILES_MAX) {
		(void)snprintf(why, GENERATION_WHY, "there are %zu files of manifests, and members are sent at most %d: put several into one",
		    files->n, GENERATION_FILES_MAX);
		return TULLE_ELIMIT;
	}
	if (bytes > GENERATION_BYTES_MAX) {
		(void)snprintf(why, GENERATION_WHY, "the manifests have %zu bytes together, and members are sent at most %u (8 MiB)", bytes,
		    GENERATION_BYTES_MAX);
		return TULLE_ELIMIT;
	}
	return TULLE_OK;
}

/* ---- packing ---- */

static enum tulle_err
append_message(struct buf *out, const ProtobufCMessage *m)
{
	const size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t AUTO_FREE *p = malloc(n + 1);

	if (p == NULL)
		return TULLE_ENOMEM;
	(void)protobuf_c_message_pack(m, p);
	return buf_append(out, p, n);
}

/* protobuf-c has no const. */
static ProtobufCBinaryData
bytes(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)p, .len = n };
}

/* LABEL and the packed statement. */
static enum tulle_err
append_statement(struct buf *out, const char *td, uint64_t number, int64_t made_at, const uint8_t digest[GENERATION_DIGEST])
{
	enum tulle_err e = buf_append(out, LABEL, strlen(LABEL));
	Tulle__V1__ManifestsStatement m;

	tulle__v1__manifests_statement__init(&m);
	m.trust_domain = (char *)(uintptr_t)td;
	m.number = number;
	m.made_at = made_at;
	m.digest = bytes(digest, GENERATION_DIGEST);
	return e != TULLE_OK ? e : append_message(out, &m.base);
}

static enum tulle_err
append_signed(struct buf *out, const struct buf *statement, const struct buf *signature, const struct manifest_files *files)
{
	Tulle__V1__SignedManifests m = TULLE__V1__SIGNED_MANIFESTS__INIT;
	Tulle__V1__ManifestFile AUTO_FREE *items = calloc(files->n + 1, sizeof(*items));
	Tulle__V1__ManifestFile AUTO_FREE **list = calloc(files->n + 1, sizeof(*list));

	if (items == NULL || list == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < files->n; i++) {
		tulle__v1__manifest_file__init(&items[i]);
		items[i].name = (char *)(uintptr_t)base_name(files->items[i].name);
		items[i].data = bytes(files->items[i].data, files->items[i].len);
		list[i] = &items[i];
	}
	m.statement = bytes(buf_head(statement) + strlen(LABEL), buf_len(statement) - strlen(LABEL));
	m.signature = bytes(buf_head(signature), buf_len(signature));
	m.n_files = files->n;
	m.files = list;
	return append_message(out, &m.base);
}

enum tulle_err
generation_sign(struct buf *out, const char *td, uint64_t number, int64_t made_at, const struct manifest_files *files,
    const struct key *key)
{
	struct buf statement = buf_new(STATEMENT_MAX), signature = buf_new(SIGNATURE_MAX);
	uint8_t digest[GENERATION_DIGEST];
	enum tulle_err e = generation_digest(digest, files->items, files->n);

	if (e == TULLE_OK)
		e = append_statement(&statement, td, number, made_at, digest);
	if (e == TULLE_OK)
		e = key_sign(key, buf_head(&statement), buf_len(&statement), &signature);
	if (e == TULLE_OK)
		e = append_signed(out, &statement, &signature, files);
	buf_free(&statement);
	buf_free(&signature);
	return e;
}

/* ---- opening ---- */

static enum tulle_err
refuse(char why[GENERATION_WHY], enum tulle_err e, const char *text)
{
	(void)snprintf(why, GENERATION_WHY, "%s", text);
	return e;
}

static enum tulle_err
check_signature(const Tulle__V1__SignedManifests *m, const uint8_t *roots, size_t roots_len, char why[GENERATION_WHY])
{
	struct der AUTO_FREE *list = calloc(DER_BUNDLE_CERTS, sizeof(*list));
	struct buf statement = buf_new(STATEMENT_MAX);
	enum tulle_err e = list == NULL ? TULLE_ENOMEM : buf_append(&statement, LABEL, strlen(LABEL));
	size_t n = 0;

	if (e == TULLE_OK && buf_append(&statement, m->statement.data, m->statement.len) != TULLE_OK)
		e = refuse(why, TULLE_EPEER, "its statement is too long");
	if (e == TULLE_OK && der_split(roots, roots_len, list, DER_BUNDLE_CERTS, &n) != TULLE_OK)
		e = refuse(why, TULLE_EDENIED, "there is no root certificate to check it with");
	if (e == TULLE_OK)
		e = refuse(why, TULLE_EDENIED, "it is not signed by the root of this trust domain");
	for (size_t i = 0; e == TULLE_EDENIED && i < n; i++)
		if (signature_check(list[i].p, list[i].len, buf_head(&statement), buf_len(&statement), m->signature.data,
		        m->signature.len) == TULLE_OK)
			e = TULLE_OK;
	buf_free(&statement);
	return e;
}

static enum tulle_err
read_statement(struct generation *g, const Tulle__V1__SignedManifests *m, const char *td, char why[GENERATION_WHY])
{
	Tulle__V1__ManifestsStatement *s = tulle__v1__manifests_statement__unpack(NULL, m->statement.len, m->statement.data);
	enum tulle_err e = TULLE_OK;

	if (s == NULL || s->digest.len != sizeof(g->digest) || s->number == 0) {
		e = refuse(why, TULLE_EPEER, "its statement makes no sense");
	} else if (td != NULL && strcmp(td, s->trust_domain) != 0) {
		(void)snprintf(why, GENERATION_WHY, "it is for trust domain %.60s, and this host is of %.60s", s->trust_domain, td);
		e = TULLE_EDENIED;
	} else {
		g->number = s->number;
		g->made_at = s->made_at;
		memcpy(g->digest, s->digest.data, sizeof(g->digest));
	}
	tulle__v1__manifests_statement__free_unpacked(s, NULL);
	return e;
}

static enum tulle_err
take_file(struct manifest_files *files, const Tulle__V1__ManifestFile *f)
{
	char *name = NULL, *data = malloc(f->data.len + 1);

	if (asprintf(&name, "%s%s", GENERATION_PREFIX, f->name) == -1)
		name = NULL;
	if (name == NULL || data == NULL) {
		free(name);
		free(data);
		return TULLE_ENOMEM;
	}
	if (f->data.len > 0)
		memcpy(data, f->data.data, f->data.len);
	data[f->data.len] = '\0';
	files->items[files->n++] = (struct manifest_file){ .name = name, .data = data, .len = f->data.len };
	files->bytes += f->data.len;
	return TULLE_OK;
}

static enum tulle_err
take_files(struct generation *g, const Tulle__V1__SignedManifests *m, char why[GENERATION_WHY])
{
	uint8_t digest[GENERATION_DIGEST];
	enum tulle_err e = TULLE_OK;

	if (m->n_files > GENERATION_FILES_MAX)
		return refuse(why, TULLE_EPEER, "it has too many files");
	g->files.items = calloc(m->n_files + 1, sizeof(*g->files.items));
	if (g->files.items == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; e == TULLE_OK && i < m->n_files; i++) {
		if (!name_travels(m->files[i]->name) || (i > 0 && strcmp(m->files[i - 1]->name, m->files[i]->name) >= 0))
			return refuse(why, TULLE_EPEER, "its files have names that are not those of manifests in their order");
		e = take_file(&g->files, m->files[i]);
	}
	if (e == TULLE_OK)
		e = generation_digest(digest, g->files.items, g->files.n);
	if (e == TULLE_OK && memcmp(digest, g->digest, sizeof(digest)) != 0)
		e = refuse(why, TULLE_EPEER, "its files are not those that were signed");
	return e;
}

enum tulle_err
generation_open(struct generation *ret, const uint8_t *p, size_t n, const char *td, const uint8_t *roots, size_t roots_len,
    char why[GENERATION_WHY])
{
	Tulle__V1__SignedManifests *m = n <= GENERATION_SIGNED_MAX ? tulle__v1__signed_manifests__unpack(NULL, n, p) : NULL;
	char revision[SNAPSHOT_REVISION];
	struct generation g = { 0 };
	enum tulle_err e;

	if (m == NULL)
		return refuse(why, TULLE_EPEER, "it is not a set of signed manifests");
	e = check_signature(m, roots, roots_len, why);
	if (e == TULLE_OK)
		e = read_statement(&g, m, td, why);
	if (e == TULLE_OK)
		e = take_files(&g, m, why);
	tulle__v1__signed_manifests__free_unpacked(m, NULL);
	if (e != TULLE_OK) {
		generation_free(&g);
		return e == TULLE_ENOMEM || e == TULLE_ECRYPTO ? refuse(why, e, tulle_strerror(e)) : e;
	}
	(void)snapshot_revision(revision, g.files.items, g.files.n);
	memcpy(g.revision, revision, sizeof(revision));
	*ret = g;
	return TULLE_OK;
}

/* ---- on disk ---- */

enum tulle_err
generation_keep(struct buf *out, const uint8_t *p, size_t n, const uint8_t *roots, size_t roots_len,
    const struct generation_kept *about)
{
	Tulle__V1__KeptManifests m;

	tulle__v1__kept_manifests__init(&m);
	m.signed_manifests = bytes(p, n);
	m.roots = bytes(roots, roots_len);
	m.authority = (char *)(uintptr_t)about->authority;
	m.since = about->since;
	return append_message(out, &m.base);
}

enum tulle_err
generation_kept_open(struct generation *ret, struct generation_kept *ret_about, const uint8_t *p, size_t n,
    char why[GENERATION_WHY])
{
	Tulle__V1__KeptManifests *m = n <= GENERATION_KEPT_MAX ? tulle__v1__kept_manifests__unpack(NULL, n, p) : NULL;
	struct generation g;
	enum tulle_err e;

	if (m == NULL)
		return refuse(why, TULLE_EPEER, "it is not a copy of signed manifests");
	e = generation_open(&g, m->signed_manifests.data, m->signed_manifests.len, NULL, m->roots.data, m->roots.len, why);
	if (e == TULLE_OK && ret_about != NULL) {
		(void)snprintf(ret_about->authority, sizeof(ret_about->authority), "%s", m->authority);
		ret_about->since = m->since;
	}
	tulle__v1__kept_manifests__free_unpacked(m, NULL);
	if (e != TULLE_OK)
		return e;
	if (ret != NULL)
		*ret = g;
	else
		generation_free(&g);
	return TULLE_OK;
}
