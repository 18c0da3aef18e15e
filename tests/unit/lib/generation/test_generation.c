/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "generation/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pki.h"
#include "proto/authority.pb-c.h"
#include "tls/context.h"
#include "unit.h"

#define TD "mesh.test"

static struct pki *root, *other;
static struct manifest_file items[2];
static struct manifest_files files;
static struct buf set;
static char why[GENERATION_WHY];

static void
set_up(void)
{
	ck_assert_int_eq(tls_init(), TULLE_OK);
	root = pki_root(TD);
	other = pki_root(TD);
	items[0] = (struct manifest_file){ "/etc/tulle/mesh.d/a.yaml", "kind: A\n", 8 };
	items[1] = (struct manifest_file){ "/etc/tulle/mesh.d/b.yml", "", 0 };
	files = (struct manifest_files){ items, 2, 8 };
	set = buf_new(GENERATION_SIGNED_MAX);
	why[0] = '\0';
	ck_assert_int_eq(generation_sign(&set, TD, 1700000000, 1700000001, &files, root->key), TULLE_OK);
}

static void
tear_down(void)
{
	buf_free(&set);
	pki_free(root);
	pki_free(other);
}

static enum tulle_err
open_with(struct generation *g, const struct pki *by, const char *td)
{
	return generation_open(g, buf_head(&set), buf_len(&set), td, buf_head(&by->chain), buf_len(&by->chain), why);
}

START_TEST(what_was_signed_comes_back)
{
	struct generation g;
	uint8_t digest[GENERATION_DIGEST];
	char revision[SNAPSHOT_REVISION];

	set_up();
	ck_assert_int_eq(open_with(&g, root, TD), TULLE_OK);
	ck_assert_uint_eq(g.number, 1700000000);
	ck_assert_int_eq(g.made_at, 1700000001);
	ck_assert_uint_eq(g.files.n, 2);
	ck_assert_str_eq(g.files.items[0].name, "authority/a.yaml");
	ck_assert_str_eq(g.files.items[0].data, "kind: A\n");
	ck_assert_uint_eq(g.files.items[1].len, 0);
	ck_assert_int_eq(generation_digest(digest, items, 2), TULLE_OK); /* the folder that they lay in does not count */
	ck_assert_mem_eq(digest, g.digest, sizeof(digest));
	ck_assert_str_eq(g.revision, snapshot_revision(revision, items, 2));
	generation_free(&g);
	tear_down();
}
END_TEST

START_TEST(only_what_a_root_signed_is_believed)
{
	struct buf both = buf_new(DER_CHAIN_MAX);
	struct generation g;

	set_up();
	ck_assert_int_eq(open_with(&g, other, TD), TULLE_EDENIED);
	ck_assert_str_eq(why, "it is not signed by the root of this trust domain");
	ck_assert_int_eq(generation_open(&g, buf_head(&set), buf_len(&set), TD, NULL, 0, why), TULLE_EDENIED);
	/* One of several is enough: roots are rolled over. */
	ck_assert_int_eq(buf_append(&both, buf_head(&other->chain), buf_len(&other->chain)), TULLE_OK);
	ck_assert_int_eq(buf_append(&both, buf_head(&root->chain), buf_len(&root->chain)), TULLE_OK);
	ck_assert_int_eq(generation_open(&g, buf_head(&set), buf_len(&set), TD, buf_head(&both), buf_len(&both), why), TULLE_OK);
	generation_free(&g);
	buf_free(&both);
	tear_down();
}
END_TEST

START_TEST(another_trust_domains_set_is_refused)
{
	struct generation g;

	set_up();
	ck_assert_int_eq(open_with(&g, root, "other.test"), TULLE_EDENIED);
	ck_assert_str_eq(why, "it is for trust domain mesh.test, and this host is of other.test");
	ck_assert_int_eq(open_with(&g, root, NULL), TULLE_OK);
	generation_free(&g);
	tear_down();
}
END_TEST

START_TEST(no_changed_byte_passes)
{
	set_up();
	/* Each byte of the set: it is refused, or (an unknown field, a longer way to write the same) means the same. */
	for (size_t i = 0; i < buf_len(&set); i++) {
		struct generation g;
		uint8_t *p = set.data + set.off + i;
		const uint8_t was = *p;

		*p ^= 0x41;
		if (open_with(&g, root, TD) == TULLE_OK) {
			ck_assert_uint_eq(g.number, 1700000000);
			ck_assert_int_eq(g.made_at, 1700000001);
			ck_assert_uint_eq(g.files.n, 2);
			ck_assert_str_eq(g.files.items[0].data, "kind: A\n");
			generation_free(&g);
		}
		*p = was;
	}
	for (size_t n = 0; n < buf_len(&set); n++) {
		struct generation g;

		ck_assert_int_ne(generation_open(&g, buf_head(&set), n, TD, buf_head(&root->chain), buf_len(&root->chain), why), TULLE_OK);
	}
	tear_down();
}
END_TEST

START_TEST(names_that_are_no_manifests_are_refused_though_signed)
{
	static const char *const names[] = { ".a.yaml", "a.txt", "\x1b.yaml", "\xff.yaml", "", "a.yaml" /* twice */ };
	struct generation g;

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		items[0].name = "a.yaml";
		items[1].name = names[i];
		buf_free(&set);
		ck_assert_int_eq(generation_sign(&set, TD, 1, 1, &files, root->key), TULLE_OK);
		ck_assert_int_eq(open_with(&g, root, TD), TULLE_EPEER);
	}
	items[0].name = "b.yaml"; /* not in order: then the digest would depend on who sorts */
	items[1].name = "a.yaml";
	buf_free(&set);
	ck_assert_int_eq(generation_sign(&set, TD, 1, 1, &files, root->key), TULLE_OK);
	ck_assert_int_eq(open_with(&g, root, TD), TULLE_EPEER);
	tear_down();
}
END_TEST

START_TEST(number_zero_is_none)
{
	struct generation g;

	set_up();
	buf_free(&set);
	ck_assert_int_eq(generation_sign(&set, TD, 0, 1, &files, root->key), TULLE_OK);
	ck_assert_int_eq(open_with(&g, root, TD), TULLE_EPEER);
	tear_down();
}
END_TEST

START_TEST(too_much_is_told_with_the_bound)
{
	struct manifest_file *many = calloc(GENERATION_FILES_MAX + 1, sizeof(*many));

	set_up();
	for (size_t i = 0; i <= GENERATION_FILES_MAX; i++)
		many[i] = items[0];
	files = (struct manifest_files){ many, GENERATION_FILES_MAX, 0 };
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_OK);
	files.n++;
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_ELIMIT);
	ck_assert_str_eq(why, "there are 1025 files of manifests, and members are sent at most 1024: put several into one");
	files.n = 1;
	many[0].len = GENERATION_BYTES_MAX - 6; /* and the name */
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_OK);
	many[0].len++;
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_ELIMIT);
	ck_assert_str_eq(why, "the manifests have 8388609 bytes together, and members are sent at most 8388608 (8 MiB)");
	many[0] = (struct manifest_file){ "a\n.yaml", "", 0 };
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_EINVAL);
	free(many);
	tear_down();
}
END_TEST

START_TEST(the_largest_set_fits_into_a_message)
{
	static char text[GENERATION_BYTES_MAX];
	struct manifest_file *many = calloc(GENERATION_FILES_MAX, sizeof(*many));
	static char names[GENERATION_FILES_MAX][16];
	struct generation g;

	set_up();
	for (int i = 0; i < GENERATION_FILES_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%06d.yaml", i);
		many[i] = (struct manifest_file){ names[i], text, GENERATION_BYTES_MAX / GENERATION_FILES_MAX - 11 };
	}
	files = (struct manifest_files){ many, GENERATION_FILES_MAX, 0 };
	ck_assert_int_eq(generation_bounds(&files, why), TULLE_OK);
	buf_free(&set);
	ck_assert_int_eq(generation_sign(&set, TD, 1, 1, &files, root->key), TULLE_OK);
	ck_assert_int_eq(open_with(&g, root, TD), TULLE_OK);
	ck_assert_uint_eq(g.files.n, GENERATION_FILES_MAX);
	generation_free(&g);
	free(many);
	tear_down();
}
END_TEST

START_TEST(a_copy_on_disk_is_checked_by_itself)
{
	struct generation_kept about = { .authority = "192.0.2.1:15012", .since = 42 }, found;
	struct buf kept = buf_new(GENERATION_KEPT_MAX);
	struct generation g;

	set_up();
	ck_assert_int_eq(generation_keep(&kept, buf_head(&set), buf_len(&set), buf_head(&root->chain), buf_len(&root->chain), &about),
	    TULLE_OK);
	ck_assert_int_eq(generation_kept_open(&g, &found, buf_head(&kept), buf_len(&kept), why), TULLE_OK);
	ck_assert_str_eq(found.authority, "192.0.2.1:15012");
	ck_assert_int_eq(found.since, 42);
	ck_assert_uint_eq(g.number, 1700000000);
	generation_free(&g);
	buf_free(&kept);
	ck_assert_int_eq(generation_keep(&kept, buf_head(&set), buf_len(&set), buf_head(&other->chain), buf_len(&other->chain), &about),
	    TULLE_OK);
	ck_assert_int_eq(generation_kept_open(&g, &found, buf_head(&kept), buf_len(&kept), why), TULLE_EDENIED);
	ck_assert_int_eq(generation_kept_open(&g, &found, buf_head(&kept), buf_len(&kept) / 2, why), TULLE_EPEER);
	buf_free(&kept);
	tear_down();
}
END_TEST

UNIT_MAIN("generation", what_was_signed_comes_back, only_what_a_root_signed_is_believed,
    another_trust_domains_set_is_refused, no_changed_byte_passes, names_that_are_no_manifests_are_refused_though_signed,
    number_zero_is_none, too_much_is_told_with_the_bound, the_largest_set_fits_into_a_message, a_copy_on_disk_is_checked_by_itself)
