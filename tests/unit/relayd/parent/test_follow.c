/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests from the authority: what certd left on this host's disk, as the relay reads it. */
#include "parent/follow.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "generation/generation.h"
#include "../../pki.h"
#include "../root.h"
#include "tls/context.h"

static struct follow f;
static struct manifest_files files;
static struct problems problems;
static uint64_t number;

static void
begin(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	root_make("kind: own\n");
	f = (struct follow){ 0 };
	files = (struct manifest_files){ 0 };
	problems_init(&problems);
	number = 99;
}

static void
end(void)
{
	manifest_files_free(&files);
	problems_free(&problems);
	(void)unlink(paths_var(GENERATION_COPY));
	(void)rmdir(paths_var("mesh"));
	root_remove();
}

static void
keep(uint64_t n, const char *text)
{
	struct manifest_file item = { "a.yaml", text, strlen(text) };
	struct generation_kept about = { .authority = "192.0.2.1:15012", .since = 1 };
	struct buf set = buf_new(GENERATION_SIGNED_MAX), kept = buf_new(GENERATION_KEPT_MAX);
	struct pki *root = pki_root("mesh.test");

	ck_assert_int_eq(generation_sign(&set, "mesh.test", n, 1, &(struct manifest_files){ &item, 1, strlen(text) }, root->key), TULLE_OK);
	ck_assert_int_eq(generation_keep(&kept, buf_head(&set), buf_len(&set), buf_head(&root->chain), buf_len(&root->chain), &about),
	    TULLE_OK);
	ck_assert_int_eq(file_mkdirs(paths_var("mesh"), 0755), TULLE_OK);
	ck_assert_int_eq(file_replace(paths_var(GENERATION_COPY), buf_head(&kept), buf_len(&kept), 0644), TULLE_OK);
	buf_free(&set);
	buf_free(&kept);
	pki_free(root);
}

static void
source(const char *yaml)
{
	follow_source(&f, &(struct manifest_file){ "tulle.yaml", yaml, strlen(yaml) });
}

static bool
told(const char *text)
{
	for (size_t i = 0; i < problems.n; i++)
		if (strstr(problems.list[i].line, text) != NULL)
			return true;
	return false;
}

START_TEST(the_source_is_tulle_yamls_and_a_mistake_changes_nothing)
{
	begin();
	source("");
	ck_assert(!f.on);
	source("identity: {source: fleet}\nmanifests: {source: authority}\n");
	ck_assert(f.on);
	source("manifests: {sauce: files}\n");
	ck_assert(f.on);
	source("identity: {source: fleet}\nmanifests: {source: files}\n");
	ck_assert(!f.on);
	end();
}
END_TEST

START_TEST(the_copy_is_read_and_files_of_this_host_are_warned_of)
{
	begin();
	keep(7, "kind: x\n");
	ck_assert_int_eq(follow_read(&f, &files, true, &number, &problems), TULLE_OK);
	ck_assert_uint_eq(number, 7);
	ck_assert_uint_eq(files.n, 1);
	ck_assert_str_eq(files.items[0].name, "authority/a.yaml");
	ck_assert_str_eq(files.items[0].data, "kind: x\n");
	ck_assert(told("mesh.d: is ignored: manifests.source is authority"));
	end();
}
END_TEST

START_TEST(without_a_copy_there_are_none_unless_there_were_some)
{
	begin();
	ck_assert_int_eq(follow_read(&f, &files, false, &number, &problems), TULLE_OK);
	ck_assert_uint_eq(number, 0);
	ck_assert_uint_eq(files.n, 0);
	ck_assert(told("have not come yet"));
	ck_assert_int_eq(follow_read(&f, &files, true, &number, &problems), TULLE_EINVAL);
	ck_assert(told("is missing: what was in force stays"));
	end();
}
END_TEST

START_TEST(a_changed_copy_is_refused)
{
	int fd;

	begin();
	keep(7, "kind: x\n");
	fd = open(paths_var(GENERATION_COPY), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "?", 1, 30), 1);
	close(fd);
	ck_assert_int_eq(follow_read(&f, &files, true, &number, &problems), TULLE_EINVAL);
	ck_assert_uint_eq(number, 99);
	ck_assert_uint_eq(files.n, 0);
	ck_assert(told("is refused: "));
	end();
}
END_TEST

START_TEST(a_new_copy_is_noticed_once)
{
	begin();
	keep(7, "kind: x\n");
	ck_assert(!follow_changed(&f)); /* not followed */
	f.on = true;
	ck_assert_int_eq(follow_read(&f, &files, true, &number, &problems), TULLE_OK);
	ck_assert(!follow_changed(&f));
	keep(8, "kind: y\n");
	ck_assert(follow_changed(&f));
	ck_assert(!follow_changed(&f));
	ck_assert_int_eq(unlink(paths_var(GENERATION_COPY)), 0);
	ck_assert(follow_changed(&f));
	ck_assert(!follow_changed(&f));
	end();
}
END_TEST

UNIT_MAIN("follow", the_source_is_tulle_yamls_and_a_mistake_changes_nothing, the_copy_is_read_and_files_of_this_host_are_warned_of,
    without_a_copy_there_are_none_unless_there_were_some, a_changed_copy_is_refused, a_new_copy_is_noticed_once)
