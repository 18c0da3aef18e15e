/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A set of manifests as a member gets it, and as it lies on its disk.  Most
 * input is refused for its signature; so that what lies behind that is
 * reached too, the input's statement is signed by the fuzzer's own root.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "generation/generation.h"
#include "proto/authority.pb-c.h"
#include "tls/context.h"
#include "tls/issue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct key *key;
static struct buf root;

static void
set_up(void)
{
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX);

	root = buf_new(65536);
	assert(tls_init() == TULLE_OK && key_generate(&key) == TULLE_OK && key_public(key, &public) == TULLE_OK);
	assert(issue_cert(&root,
	    &(struct issue){ .organization = "x", .uris = { "spiffe://mesh.test" }, .ca = true, .path_len = 1, .usage = ISSUE_CA_USAGE,
	        .not_before = 1, .not_after = 4000000000, .public_key = buf_head(&public), .public_key_len = buf_len(&public) },
	    NULL, 0, key) == TULLE_OK);
	buf_free(&public);
}

/* What was believed keeps its promises. */
static void
look(const struct generation *g)
{
	uint8_t digest[GENERATION_DIGEST];
	char why[GENERATION_WHY];

	assert(g->number > 0 && g->files.n <= GENERATION_FILES_MAX);
	for (size_t i = 0; i < g->files.n; i++) {
		const struct manifest_file *f = &g->files.items[i];

		assert(strncmp(f->name, GENERATION_PREFIX, strlen(GENERATION_PREFIX)) == 0);
		assert(strchr(f->name + strlen(GENERATION_PREFIX), '/') == NULL && manifest_name_counts(f->name));
		assert(f->data[f->len] == '\0');
		assert(i == 0 || strcmp(g->files.items[i - 1].name, f->name) < 0);
	}
	assert(generation_bounds(&g->files, why) != TULLE_EINVAL);
	assert(generation_digest(digest, g->files.items, g->files.n) == TULLE_OK && memcmp(digest, g->digest, sizeof(digest)) == 0);
}

/* The same set with a digest and a signature that are right. */
static void
sign_and_open(Tulle__V1__SignedManifests *m)
{
	Tulle__V1__ManifestsStatement *s = tulle__v1__manifests_statement__unpack(NULL, m->statement.len, m->statement.data);
	struct manifest_file AUTO_FREE *items = calloc(m->n_files + 1, sizeof(*items));
	struct buf set = buf_new(GENERATION_SIGNED_MAX);
	char why[GENERATION_WHY] = "";
	struct generation g;

	for (size_t i = 0; i < m->n_files; i++)
		items[i] = (struct manifest_file){ m->files[i]->name, m->files[i]->data.len > 0 ? (const char *)m->files[i]->data.data : "",
			m->files[i]->data.len };
	if (s != NULL && generation_sign(&set, s->trust_domain, s->number, s->made_at, &(struct manifest_files){ items, m->n_files, 0 },
	                     key) == TULLE_OK &&
	    generation_open(&g, buf_head(&set), buf_len(&set), NULL, buf_head(&root), buf_len(&root), why) == TULLE_OK) {
		look(&g);
		assert(g.number == s->number && g.made_at == s->made_at);
		generation_free(&g);
	}
	buf_free(&set);
	tulle__v1__manifests_statement__free_unpacked(s, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct generation_kept about;
	char why[GENERATION_WHY] = "";
	Tulle__V1__SignedManifests *m;
	struct generation g;

	if (key == NULL)
		set_up();
	if (generation_kept_open(&g, &about, data, size, why) == TULLE_OK) {
		look(&g);
		generation_free(&g);
	}
	if (generation_open(&g, data, size, "mesh.test", buf_head(&root), buf_len(&root), why) == TULLE_OK) {
		look(&g);
		generation_free(&g);
	}
	m = tulle__v1__signed_manifests__unpack(NULL, size, data);
	if (m != NULL)
		sign_and_open(m);
	tulle__v1__signed_manifests__free_unpacked(m, NULL);
	return 0;
}
